"""What is measured of a finished file, whoever made it: its facts beside those that the engine tells.

Works in the worker, from the file and its order alone. What cannot be measured is left out: the file is good without.
"""

import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from studio.domain import JSON
from studio.execution import Assignment

log = logging.getLogger(__name__)

Measure = Callable[[Path, Assignment], Mapping[str, JSON]]

MEASURES: Mapping[str, str] = {  # task -> "module:function"
    "talking_avatar": "studio.execution.measures:lips",
    "speech": "studio.execution.measures:likeness",
}


def measured(path: Path, assignment: Assignment) -> Mapping[str, JSON]:
    """Facts of what was made for an order, by their names; none where nothing is measured of such a task."""
    task = str(assignment.task["task_type"])
    if task not in MEASURES:
        return {}
    module, _, name = MEASURES[task].partition(":")
    try:
        measure: Measure = getattr(import_module(module), name)
        return measure(path, assignment)
    except Exception:  # a strange picture must not cost the take
        log.exception("%s was not measured", path.name)
        return {}


def lips(path: Path, assignment: Assignment) -> Mapping[str, JSON]:
    """lipsync: {lag_ms, correlation, in_sync, mouth, closed_in_silence}."""
    from studio.media.lipsync import measure

    return {"lipsync": measure(path)}


def likeness(path: Path, assignment: Assignment) -> Mapping[str, JSON]:
    """similarity: {pitch_cents, spectrum_db, speaker} of a voice with a profile."""
    profile = assignment.inputs.speaker.profile
    if not profile:
        return {}
    from studio.pipelines.speech.likeness import similarity

    return {"similarity": similarity(path, profile, assignment.inputs.speaker.sample)}

"""When an engine fails: is it the engine's own failure, so that another may take over, and what the take says of it.
Pure: knows no store, no worker, and nothing of who could take over."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from studio.domain import Job, Lane
from studio.execution import Failed

OWN_KINDS = ("EngineError", "OutOfMemory")  # not MediaError: another engine is given the same file
OWN_CODES = (  # refusals that speak of its weights, of the room that they need, of its service or of its program
    "model.", "memory.", "remote.", "speech.no_package", "speech.no_python",
)  # fmt: skip
MOST_LETTERS = 200  # of a parameter in a reason: what an engine says last may be long

NextEngine = Callable[[Job, Collection[str]], tuple[str, Lane] | None]
"""(a job, engines that failed it): who takes over, and in which lane; None: nobody may."""


def is_its_own(failed: Failed) -> bool:
    """Would another engine fare better? Not where the scene asks for what cannot be, the disk is full, the worker was
    lost, or somebody cancelled."""
    return failed.kind in OWN_KINDS or (failed.kind == "Refused" and failed.code.startswith(OWN_CODES))


def reason(engine: str, passed: Sequence[str], error: Mapping[str, Any]) -> str:
    """Why `engine` stands in, as a take keeps it: an error as JSON. `passed`: who failed, in order; `error`: the last
    failure."""
    params = {name: _short(value) for name, value in error.get("params", {}).items()}
    why = {"code": error["code"], "params": params}
    return json.dumps({"code": "job.stood_in", "params": {"engine": engine, "failed": ", ".join(passed), "why": why}})


def _short(value: Any) -> Any:
    return value[:MOST_LETTERS] if isinstance(value, str) else value

"""What of a scene was changed since its takes were made, layer by layer: `voice` where a line is not what was spoken,
`picture` where what was drawn is not what the scene says now.

Speech that changed costs a picture only where the picture shows it (a talking avatar) or where it no longer fits into
it. Reads rows in a few queries, however many scenes are asked for; knows no engine and queues nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio.domain import Layer, Line, SceneBase, State, Take, TalkingAvatar, lay_lines
from studio.store import SceneRow, Speakers, Store, fingerprint

FITS_SECONDS = 0.05  # speech may be longer than its picture by so much, a frame or two, and be heard to its end


@dataclass(frozen=True, slots=True)
class Changed:
    """Of one scene. A scene that was never rendered has nothing to be compared with."""

    lines: Sequence[Line] = ()  # without a take that says them
    layers: Sequence[Layer] = ()  # of those that have takes
    too_short: bool = False  # the picture, for what is said now; or it shows lips that say something else
    heard: str = ""  # stands for the voices that count now, where the take was made with others


@dataclass(slots=True)
class _Known:
    """What is read once for all scenes that are asked for."""

    spoken: Mapping[str, Mapping[str, Any]]  # by line
    sources: Mapping[str, str]  # by scene: the take that stands for it
    speakers: dict[str, Speakers] = field(default_factory=dict)  # by queue


class Stale:
    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, rows: Sequence[SceneRow], takes: Mapping[str, Take]) -> dict[str, Changed]:
        """By scene. `takes`: the selected picture of each that has one."""
        speaking = [row.id for row in rows if row.scene.lines]
        read = {scene for take in takes.values() for scene in take.facts.get("sources", {})}
        known = _Known(
            self._store.takes.spoken(speaking) if speaking else {},
            {scene: take.id for scene, take in self._store.takes.selected(read).items()} if read else {},
        )
        return {row.id: self._of(row, takes.get(row.id), known) for row in rows}

    def unfinished(self, rows: Sequence[SceneRow]) -> Sequence[SceneRow]:
        """Without those that are done and still show what they say; with those that read what is made anew, and those
        of which every take is in the trash."""
        takes = self._store.takes.selected([row.id for row in rows])
        changed = self.of(rows, takes)
        gone = {row.id for row in rows if row.scene.kind != "audio" and row.id not in takes}
        open_ones = gone | {row.id for row in rows if row.state is not State.DONE or changed[row.id].layers}
        drawn = {row.id for row in rows if row.id in open_ones and list(changed[row.id].layers) != ["voice"]}
        open_ones |= self.readers(rows, takes, drawn)
        return [row for row in rows if row.id in open_ones]

    def one(self, row: SceneRow) -> Changed:
        return self.of([row], self._store.takes.selected([row.id]))[row.id]

    def _of(self, row: SceneRow, take: Take | None, known: _Known) -> Changed:
        scene = row.scene
        lines = [line for line in scene.lines if not self._said(line, row, known)]
        if scene.kind == "audio":
            rendered = any(line.id in known.spoken for line in scene.lines)
            return Changed(lines, ("voice",) if lines and rendered else ())
        if take is None:
            return Changed(lines)
        layers: list[Layer] = ["voice"] if lines else []
        too_short = _sounds_otherwise(scene, take, lines, known.spoken)
        if too_short or _drawn_otherwise(scene, take, known.sources):
            layers.append("picture")
        return Changed(lines, layers, too_short, "" if too_short else _heard(scene, take, known.spoken))

    def _said(self, line: Line, row: SceneRow, known: _Known) -> bool:
        take = known.spoken.get(line.id)
        if take is None:
            return False
        if row.scene.kind == "audio" and row.scene.engine not in ("auto", take["engine"]):
            return False
        if row.queue_id not in known.speakers:
            known.speakers[row.queue_id] = self._store.speakers(self._store.queues.get(row.queue_id).project_id)
        speakers = known.speakers[row.queue_id]
        sound = speakers.print(line, take["engine"])
        now = fingerprint.of_voice(line, speakers.name(line), row.scene, take["engine"], sound)
        return take["fingerprint"] in ("", now)

    def readers(self, rows: Iterable[SceneRow], takes: Mapping[str, Take], begun: Iterable[str]) -> set[str]:
        """Which of these scenes have a take that was made, maybe through others, of one whose picture is made anew.
        A take that came from elsewhere does not say what it was made of, and stays."""
        made_into: dict[str, list[str]] = {}
        for row in rows:
            for source in takes[row.id].facts.get("sources", ()) if row.id in takes else ():
                made_into.setdefault(source, []).append(row.id)
        anew = set(begun)
        todo = list(anew)
        while todo:
            more = [scene for scene in made_into.get(todo.pop(), ()) if scene not in anew]
            anew.update(more)
            todo += more
        return anew - set(begun)


def _drawn_otherwise(scene: SceneBase, take: Take, sources: Mapping[str, str]) -> bool:
    if take.fingerprint and take.fingerprint != fingerprint.of_picture(scene, take.engine):
        return True
    if scene.seed not in (None, take.seed, take.facts.get("scene_seed")):  # a take may be of a seed of its own
        return True
    if scene.engine not in ("auto", take.engine) and not take.degraded_reason:  # a stand-in says so in its own way
        return True
    return any(sources.get(read, used) != used for read, used in take.facts.get("sources", {}).items())


def _sounds_otherwise(
    scene: SceneBase, take: Take, unsaid: Sequence[Line], spoken: Mapping[str, Mapping[str, Any]]
) -> bool:
    if scene.kind != "video" or "lines" not in take.facts or take.facts.get("recording"):
        return False
    if isinstance(scene, TalkingAvatar):  # its lips are those of the voices it was made with
        laid = [(line["line_id"], line["file"]) for line in take.facts["lines"]]
        now = [(line.id, str(spoken[line.id]["path"]).rpartition("/")[2]) for line in scene.lines if line.id in spoken]
        return bool(unsaid) or laid != now
    return not unsaid and not fits([spoken[line.id]["duration"] for line in scene.lines], take)


def _heard(scene: SceneBase, take: Take, spoken: Mapping[str, Mapping[str, Any]]) -> str:
    now = [spoken[line.id] for line in scene.lines if line.id in spoken]
    names = [str(voice["path"]).rpartition("/")[2] for voice in now]
    if scene.kind != "video" or not now or not heard_anew(scene, take, names, [voice["duration"] for voice in now]):
        return ""
    return "".join(str(voice["id"])[-6:] for voice in now)


def heard_anew(scene: SceneBase, take: Take, names: Sequence[str], seconds: Sequence[float]) -> bool:
    """Are these voices, by the names of their files and their lengths, others than the picture was made with, and can
    they be heard under it? Lips that show the old ones keep them."""
    if "lines" not in take.facts or take.facts.get("recording") or isinstance(scene, TalkingAvatar):
        return False
    return list(names) != [line["file"] for line in take.facts["lines"]] and fits(seconds, take)


def fits(seconds: Sequence[float], take: Take) -> bool:
    """Can lines of these lengths be heard under this picture?"""
    return lay_lines(seconds, None)[1] <= take.duration + FITS_SECONDS

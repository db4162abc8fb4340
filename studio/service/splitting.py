"""A scene whose lines its engine cannot hold becomes several, linked: each goes on where the one before ended.

Cut between lines where that is enough, else between the sentences of a line. Pure but for `Splitting`, which writes the
parts as one edit that can be undone. Knows no engine: only how many seconds it takes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from studio.domain import AIR_AFTER, AIR_BEFORE, AIR_BETWEEN, Box, Line, SceneBase, TalkingAvatar
from studio.pipelines.speech.sentences import stops
from studio.service.spoken import Speaking
from studio.service.views import title_of
from studio.store import SceneRow, Store

GOES_ON = {  # task -> the field in which a part reads the one before it: its last frame, or all of it
    "talking_avatar": "input_image", "image_to_video": "input_image", "single_shot_extension": "input_video",
}  # fmt: skip
AIR = AIR_BEFORE + AIR_AFTER


@dataclass(frozen=True, slots=True)
class Piece:
    """A line, or some sentences of one, and the seconds that it takes at most."""

    line: Line
    seconds: float


@dataclass(frozen=True, slots=True)
class Part:
    """One of the scenes that a scene becomes."""

    pieces: tuple[Piece, ...]

    @property
    def seconds(self) -> float:
        return AIR + sum(piece.seconds for piece in self.pieces) + AIR_BETWEEN * (len(self.pieces) - 1)

    @property
    def lines(self) -> list[Line]:
        return [piece.line for piece in self.pieces]


def parts_of(lines: Sequence[Line], seconds: Sequence[float], most: float, speaking: Speaking) -> list[Part]:
    """The fewest scenes of at most `most` seconds, in order; empty: one sentence alone is longer. `seconds`: of each
    line, as they were spoken or may last."""
    pieces = [
        piece for line, takes in zip(lines, seconds, strict=True) for piece in _pieces(line, takes, most, speaking)
    ]
    if any(piece.seconds + AIR > most for piece in pieces):
        return []
    parts: list[Part] = []
    for piece in pieces:
        longer = Part((*parts[-1].pieces, piece)) if parts else None
        if longer and longer.seconds <= most:
            parts[-1] = longer
        else:
            parts.append(Part((piece,)))
    return [Part(tuple(_joined(part.pieces))) for part in parts]


def _pieces(line: Line, seconds: float, most: float, speaking: Speaking) -> Iterator[Piece]:
    """The line whole where it fits, else sentence by sentence, in shares of its time."""
    if seconds + AIR <= most:
        yield Piece(line, seconds)
        return
    texts = [text.strip() for text in stops(line.text) if text.strip()]
    expected = [speaking.estimate(line.model_copy(update={"text": text})).high for text in texts]
    whole = sum(expected) or 1.0
    for text, share in zip(texts, expected, strict=True):
        yield Piece(line.model_copy(update={"text": text}), seconds * share / whole)


def _joined(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Sentences of one line that stay together are one line again."""
    held: Piece | None = None
    for piece in pieces:
        if held and held.line.id and held.line.id == piece.line.id:
            text = f"{held.line.text} {piece.line.text}"
            held = Piece(held.line.model_copy(update={"text": text}), held.seconds + piece.seconds)
            continue
        if held:
            yield held
        held = piece
    if held:
        yield held


def scenes_of(scene: SceneBase, parts: Sequence[Part], scene_id: str, least: float) -> list[SceneBase]:
    """The scenes: the first in place of `scene_id`, the others reading the one before as `{{new:N}}`. `least`: seconds
    that the engine makes at all."""
    task: str = scene.task_type  # type: ignore[attr-defined]
    field, name = GOES_ON.get(task), title_of(scene.label, scene.prompt)
    if isinstance(scene, TalkingAvatar) and (
        scene.input_video or scene.speaker_boxes or any("face" in knobs for knobs in scene.options.values())
    ):
        field = None  # who was pointed at is there in what was given, and not where the part before ended
    made: list[SceneBase] = []
    for number, part in enumerate(parts, start=1):
        last = number == len(parts)
        values: dict[str, Any] = {
            "lines": [line if number == 1 else line.model_copy(update={"id": ""}) for line in part.lines],
            "label": f"{name} ({number}/{len(parts)})".strip(),
        }
        if getattr(scene, "duration", None) is not None:
            values["duration"] = least
        if isinstance(scene, TalkingAvatar) and scene.speaker_boxes:
            values["speaker_boxes"] = _boxes(scene, part.lines)
        if not last:
            values |= {"transition": "cut", **({"end_image": None} if hasattr(scene, "end_image") else {})}
        if number > 1 and field:
            values[field] = f"scene:{scene_id}" if number == 2 else f"{{{{new:{number - 3}}}}}"
        made.append(scene.model_copy(update=values))
    return made


def _boxes(scene: TalkingAvatar, lines: Sequence[Line]) -> list[Box]:
    """Where those are who say these lines, in the order in which they begin."""
    people = dict.fromkeys(line.character for line in scene.lines)
    where = dict(zip(people, scene.speaker_boxes, strict=False))
    return [where[name] for name in dict.fromkeys(line.character for line in lines) if name in where]


class Splitting:
    def __init__(self, store: Store) -> None:
        self._store = store

    def split(self, row: SceneRow, parts: Sequence[Part], least: float) -> list[str]:
        """The ids of the scenes, in order; the first is the one that was split. One edit that can be undone."""
        first, *others = scenes_of(row.scene, parts, row.id, least)
        with self._store.edits.recording(
            row.queue_id, "split", [row.id], title=title_of(row.scene.label, row.scene.prompt)
        ):
            self._store.queues.edit(row.id, first, None)
            return [row.id, *self._store.queues.add_scenes(row.queue_id, others, row.position + 1)]

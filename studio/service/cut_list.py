"""What the film of a queue is made of: clips, lines, effects, music, cards, in files and seconds. Cuts nothing.

The cut and the timeline on screen are both drawn from here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.domain import RECORDINGS, Effect, Frame, SceneBase, Take, Transition, lay_lines
from studio.domain.reviews import Placed
from studio.errors import NotFound
from studio.media.plan import STILL_SECONDS, Place, Wanted, film_frames, heard, lay_out
from studio.media.subtitles import phrases
from studio.service.stale import heard_anew
from studio.service.views import View, title_of
from studio.store import Queue, SceneRow, Store

CARD_SECONDS = 4.0  # of a scene that has no take and wishes for no length


@dataclass(frozen=True, slots=True)
class Voice:
    """A spoken line as the picture was made for it."""

    take: Take
    line_id: str
    start: float  # seconds from the take's first frame
    duration: float
    character: str
    text: str


@dataclass(frozen=True, slots=True)
class Sound:
    """An effect or the music, as a file."""

    ref: str
    path: Path
    name: str  # as the user called it
    duration: float
    field: str  # where the queue or the scene names it
    take_id: str | None = None  # where another scene says it

    def file(self) -> str:
        """Raises NotFound when somebody moved it away."""
        if not self.path.is_file():
            raise NotFound("input.gone", field=self.field, name=self.name)
        return str(self.path)


@dataclass(frozen=True, slots=True)
class Clip:
    """A scene in the film. Without a take: where it would stand."""

    row: SceneRow
    take: Take | None
    seconds: float
    voices: Sequence[Voice]
    effects: Sequence[tuple[Effect, Sound]]
    heard: Sequence[tuple[float, float, str]] = ()  # (start, end, words) of recordings, which the clip itself sounds

    @property
    def wanted(self) -> Wanted:
        scene = self.row.scene
        if self.take is None:  # a card has nothing to trim
            return Wanted(self.seconds, transition=scene.transition)
        return Wanted(self.seconds, scene.trim_start, scene.trim_end, scene.transition)

    @property
    def title(self) -> str:
        """For the makers: what leaves the house is called by its label alone, and tells no prompt."""
        return title_of(self.row.scene.label, self.row.scene.prompt)

    @property
    def takes(self) -> Sequence[str]:
        """All that is seen and heard in it; a card is no take."""
        heard = [voice.take.id for voice in self.voices] + [sound.take_id for _, sound in self.effects]
        return [take for take in (self.take and self.take.id, *heard) if take]


@dataclass(frozen=True, slots=True)
class CutList:
    """`head` and `tail`: seconds of the title card and of the credits, 0 where there are none."""

    queue: Queue
    frame: Frame
    clips: Sequence[Clip]
    music: Sound | None

    @property
    def head(self) -> float:
        return self.queue.cut.title_seconds if self.queue.cut.title else 0.0

    @property
    def tail(self) -> float:
        return self.queue.cut.credits_seconds if self.queue.cut.credits else 0.0

    def places(self) -> Sequence[Place]:
        """Of title card, clips and credits, in this order."""
        cards = [[Wanted(seconds)] if seconds else [] for seconds in (self.head, self.tail)]
        return lay_out([*cards[0], *(clip.wanted for clip in self.clips), *cards[1]], self.frame.fps)

    def scenes(self) -> Sequence[Placed]:
        """Where each scene stands in the film, and what it is made of."""
        places = self.places()[1 if self.head else 0 :]
        return [_placed(clip, place, self.frame.fps) for clip, place in zip(self.clips, places, strict=False)]

    def takes(self) -> Sequence[str]:
        """Of all scenes, and of the music where a scene says it."""
        music = [self.music.take_id] if self.music and self.music.take_id else []
        return list(dict.fromkeys([*(take for clip in self.clips for take in clip.takes), *music]))

    def arguments(self) -> dict[str, Any]:
        """For the tools that make films: files and numbers only, they know no scenes. Raises NotFound where a file is
        gone."""
        cut, music = self.queue.cut, self.queue.music
        return {
            "frame": self.frame.model_dump(),
            "loudness": cut.loudness,
            "clips": [_clip(clip) for clip in self.clips],
            "lines": [line for n, clip in enumerate(self.clips) for line in _lines(clip, n)],
            "effects": [_effect(*pair, n) for n, clip in enumerate(self.clips) for pair in clip.effects],
            "music": {"path": self.music.file()} | music.model_dump(exclude={"ref"}) if music and self.music else None,
            "title": {"text": cut.title, "below": cut.subtitle, "seconds": self.head} if self.head else None,
            "credits": {"text": cut.credits, "seconds": self.tail} if self.tail else None,
            "comment": {
                "queue": self.queue.name, "code": self.queue.code,
                "takes": [clip.take.id for clip in self.clips if clip.take],
            },
        }  # fmt: skip


class CutLists:
    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, queue: Queue, rows: Sequence[SceneRow], drawn: Mapping[str, Take]) -> CutList:
        """`drawn`: cards that stand in for scenes without a take."""
        takes = {**self._store.takes.selected([row.id for row in rows]), **drawn}
        clips = [self._clip(row, takes.get(row.id)) for row in rows]
        music = self._sound(queue.music.ref, "music") if queue.music else None
        return CutList(queue, queue.frame or Frame(), clips, music)

    def _clip(self, row: SceneRow, take: Take | None) -> Clip:
        sounds = [(effect, self._sound(effect.ref, f"effects.{n}.ref")) for n, effect in enumerate(row.scene.effects)]
        effects = [(effect, sound) for effect, sound in sounds if sound]
        if take is None:
            return Clip(row, None, card_seconds(row.scene), (), effects)
        seconds = take.duration if take.kind == "video" else STILL_SECONDS
        return Clip(row, take, seconds, self._voices(row, take), effects, self._recorded(take))

    def _voices(self, row: SceneRow, take: Take) -> Sequence[Voice]:
        """The lines of a take from their own files, at full quality; none: the clip's own sound counts."""
        scene_id, lines = row.id, take.facts.get("lines", ())
        if anew := self.spoken_anew(row, take):
            return anew
        if not lines:
            return ()
        voices = {voice.path.name: voice for voice in self._store.takes.of_scene(scene_id) if voice.layer == "voice"}
        if not all(line["file"] in voices and voices[line["file"]].path.is_file() for line in lines):
            return ()
        return [
            Voice(
                voices[line["file"]], line["line_id"], line["start"], line["duration"], line["character"], line["text"]
            )
            for line in lines
        ]

    def _recorded(self, take: Take) -> Sequence[tuple[float, float, str]]:
        """What was heard in the recordings that a picture was made for, on its clock."""
        if not take.facts.get("recording"):
            return ()
        scene, found, begins = self._store.takes.settings(take.id), list[tuple[float, float, str]](), 0.0
        refs = [scene[field] for field in RECORDINGS if str(scene.get(field) or "").startswith("asset:")]
        known = self._store.voices.transcripts(refs)
        for ref in refs:
            words = known[ref]["words"] if ref in known else []
            found += [(begins + start, begins + end, text) for start, end, text in phrases(words)]
            if scene.get("audio_order") == "in_turn":
                begins += self._store.takes.asset(ref.removeprefix("asset:")).duration
        return sorted(found)

    def spoken_anew(self, row: SceneRow, take: Take) -> Sequence[Voice]:
        """The voices that count now, where others were heard when the picture was made."""
        selected = self._store.takes.selected([row.id], "voice")
        now = [(line, selected[line.id]) for line in row.scene.lines if line.id in selected]
        seconds = [voice.duration for _, voice in now]
        if not heard_anew(row.scene, take, [voice.path.name for _, voice in now], seconds):
            return ()
        if not all(voice.path.is_file() for _, voice in now):
            return ()
        said = [str(self._store.takes.settings(voice.id)["lines"][0]["text"]) for _, voice in now]
        return [
            Voice(voice, line.id, start, voice.duration, line.character, text)
            for (line, voice), start, text in zip(now, lay_lines(seconds, None)[0], said, strict=True)
        ]

    def _sound(self, ref: str, field: str) -> Sound | None:
        """An asset, or what another scene says; None while it has not said it."""
        kind, _, rest = ref.partition(":")
        if kind == "scene":
            said = self._store.takes.selected([rest.partition("#")[0]], "voice").values()
            return next((Sound(ref, take.path, take.path.name, take.duration, field, take.id) for take in said), None)
        asset = self._store.takes.asset(rest)
        return Sound(ref, asset.path, asset.name, asset.duration, field)

    # ------------------------------------------------------------------------------------------ for the screen
    def timeline(self, queue_id: str) -> View:
        """What a timeline draws. Scenes without a take stand where they would stand, `missing`."""
        queue = self._store.queues.get(queue_id)
        rows = [row for row in self._store.queues.scenes(queue_id) if row.scene.in_cut]
        found = self.of(queue, rows, {})
        places, fps = found.places(), found.frame.fps
        shown = places[1:] if found.head else places
        pairs = list(zip(found.clips, shown[: len(found.clips)], strict=True))
        seconds = film_frames(places) / fps
        return {
            "frame": found.frame.model_dump(),
            "seconds": _rounded(seconds),
            "clips": [_clip_view(clip, place, fps) for clip, place in pairs],
            "lines": [view for clip, place in pairs for view in _line_views(clip, place, fps)],
            "effects": [view for clip, place in pairs for view in _effect_views(clip, place, fps)],
            "music": _music_view(found, seconds),
            "title": {"start": 0.0, "duration": found.head, "text": queue.cut.title} if found.head else None,
            "credits": _credits_view(found, places[-1].start / fps) if found.tail else None,
        }


def card_seconds(scene: SceneBase) -> float:
    """How long a card stands in for a scene."""
    return getattr(scene, "duration", None) or CARD_SECONDS


def _placed(clip: Clip, place: Place, fps: int) -> Placed:
    trim = [clip.wanted.trim_start, clip.wanted.trim_end]
    start, seconds = _rounded(place.start / fps), _rounded(place.num_frames / fps)
    take_id = clip.take.id if clip.take and clip.take.id else None
    return Placed(clip.row.id, take_id, clip.takes, clip.row.position + 1, clip.row.scene.label, start, seconds, trim)


def _clip(clip: Clip) -> dict[str, Any]:
    assert clip.take is not None  # who has none was left out, or has a card
    scene = clip.row.scene
    return {
        "path": str(clip.take.path), "seconds": clip.seconds, "transition": scene.transition, "title": scene.label,
        "trim": [clip.wanted.trim_start, clip.wanted.trim_end], "focus": scene.focus,
        "own_sound": not clip.voices and clip.take.kind == "video",
    }  # fmt: skip


def _line(voice: Voice, clip: int) -> dict[str, Any]:
    return {
        "path": str(voice.take.path), "clip": clip, "start": voice.start, "duration": voice.duration,
        "character": voice.character, "text": voice.text,
    }  # fmt: skip


def _lines(clip: Clip, number: int) -> list[dict[str, Any]]:
    """Lines from their own files; recordings as words over the clip's own sound."""
    if clip.voices:
        return [_line(voice, number) for voice in clip.voices]
    return [
        {"path": None, "clip": number, "start": start, "duration": end - start, "character": "", "text": text}
        for start, end, text in clip.heard
    ]


def _effect(effect: Effect, sound: Sound, clip: int) -> dict[str, Any]:
    return {
        "path": sound.file(), "clip": clip, "at": effect.at, "duration": sound.duration, "level": effect.level,
    }  # fmt: skip


def _rounded(seconds: float) -> float:
    return round(seconds, 4)


def _clip_view(clip: Clip, place: Place, fps: int) -> View:
    scene, take = clip.row.scene, clip.take
    transition: Transition = place.leave.kind
    return {
        "scene_id": clip.row.id,
        "take_id": take.id if take else None,
        "number": clip.row.position + 1,
        "title": clip.title,
        "start": _rounded(place.start / fps),
        "duration": _rounded(place.num_frames / fps),
        "trim": [scene.trim_start, scene.trim_end],
        "transition": scene.transition,
        "overlap": _rounded(place.leave.frames / fps) if transition == "dissolve" else 0.0,
        "take_duration": _rounded(clip.seconds),
        "missing": take is None or not take.path.is_file(),
        "version": clip.row.version,
    }


def _line_views(clip: Clip, place: Place, fps: int) -> Sequence[View]:
    views = []
    for voice in clip.voices:
        at = heard(place, voice.start, voice.duration, fps, all_of_it=not clip.row.scene.trim_end)
        if at:
            views.append(
                {
                    "line_id": voice.line_id, "scene_id": clip.row.id, "take_id": voice.take.id,
                    "take": voice.take.number, "character": voice.character, "text": voice.text,
                    "start": _rounded(at.start), "duration": _rounded(at.seconds), "skip": _rounded(at.skip),
                }
            )  # fmt: skip
    return views


def _effect_views(clip: Clip, place: Place, fps: int) -> Sequence[View]:
    views = []
    for number, (effect, sound) in enumerate(clip.effects):
        at = heard(place, effect.at, sound.duration, fps, all_of_it=False)
        if at:
            views.append(
                {
                    "scene_id": clip.row.id, "index": number, "ref": sound.ref, "name": sound.name,
                    "level": effect.level, "start": _rounded(at.start), "duration": _rounded(at.seconds),
                    "skip": _rounded(at.skip),
                }
            )  # fmt: skip
    return views


def _music_view(found: CutList, seconds: float) -> View | None:
    music, sound = found.queue.music, found.music
    if music is None or sound is None:
        return None
    end = min(music.end or sound.duration, sound.duration)
    return {
        "ref": sound.ref, "sha256": sound.ref.removeprefix("asset:"), "name": sound.name, "level": music.level,
        "start": music.start, "end": music.end, "file_duration": _rounded(sound.duration),
        "duration": _rounded(max(0.0, min(end - music.start, seconds))),
    }  # fmt: skip


def _credits_view(found: CutList, start: float) -> View:
    return {"start": _rounded(start), "duration": found.tail, "text": found.queue.cut.credits}

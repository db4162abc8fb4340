"""The rules of preflight: what is wrong with one scene, and with the way scenes read each other. Pure: facts in,
findings out. Knows no store, no disk and no clock.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from studio.domain import SceneBase, State, TalkingAvatar, lay_lines
from studio.errors import StudioError
from studio.pipelines.base import Limits, Machine
from studio.pipelines.speech.sentences import spoken_text
from studio.service.engines import Choice, limit_problems
from studio.service.spoken import Spoken, language_of
from studio.story.problem import Problem

Level = Literal["error", "warning", "info"]
RANGE = ("seconds", "low", "high")
LONG_ON_CPU = 1800.0  # seconds of a scene's steps without a GPU from which on somebody should look
GROWS_MUCH = 2.0  # times the wished duration: more than that is looked at, less is only said


@dataclass(frozen=True, slots=True)
class Finding:
    """`error`: it cannot run. `warning`: it will run, but look. `info`: worth knowing."""

    level: Level
    problem: Problem


@dataclass(frozen=True, slots=True)
class Item:
    """One scene that is looked at, stored or still in a file."""

    key: str  # its id; in a file its index
    number: int  # from 1
    label: str
    task: str
    scene: SceneBase | None  # None: the file's entry was not understood
    state: State = State.DRAFT
    findings: tuple[Finding, ...] = ()

    def found(self, findings: Iterable[Finding]) -> "Item":
        return replace(self, findings=(*self.findings, *findings))

    @property
    def cannot_run(self) -> bool:
        return any(finding.level == "error" for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Said:
    """The lines of a scene: how long each is, which must be spoken; and seconds of the files that it is made of."""

    lines: Sequence[Spoken] = ()
    afresh: Sequence[int] = ()
    recording: float | None = None
    clip: float | None = None  # seconds of the clip that it continues; None: there is none, or nobody knows yet
    draws: bool = True  # False: only its lines are made, its picture stays


@dataclass(frozen=True, slots=True)
class Length:
    """Seconds of the picture: most likely, and the range where its lines are not spoken yet."""

    seconds: float
    low: float
    high: float
    wished: float | None = None
    exact: bool = True

    @property
    def grows(self) -> float:
        """Seconds that speech makes it longer than was wished."""
        return max(0.0, self.seconds - self.wished) if self.wished else 0.0


def length_of(scene: SceneBase, said: Said) -> Length:
    """How long the scene becomes: the recording, or the lines and the wish, or the wish."""
    wished = getattr(scene, "duration", None)
    if said.recording is not None:
        return Length(said.recording, said.recording, said.recording)
    if scene.kind == "image":
        return Length(0.0, 0.0, 0.0)
    if scene.kind == "audio":
        seconds, low, high = (sum(getattr(line, name) for line in said.lines) for name in RANGE)
        return Length(seconds, low, high, exact=all(line.exact for line in said.lines))
    if not said.lines:
        return Length(wished or 0.0, wished or 0.0, wished or 0.0, wished)
    seconds, low, high = (lay_lines([getattr(line, name) for line in said.lines], wished)[1] for name in RANGE)
    return Length(seconds, low, high, wished, all(line.exact for line in said.lines))


# ------------------------------------------------------------------------------------------------ one scene
def rules(
    scene: SceneBase, choice: Choice, said: Said, length: Length, allow_8bit: bool, parts: Sequence[float] = ()
) -> Iterator[Finding]:  # fmt: skip
    """Everything that the chosen engine and the speech have against a scene. `parts`: seconds of the scenes that it is
    going to be split into."""
    for refused in limit_problems(choice.engine, scene):
        yield error(refused)
    yield from _fits(scene, choice, said, length, parts)
    yield from _continues(choice, said, length)
    yield from _frames(scene, choice.engine.limits, length)
    if scene.profile == "stream8" and choice.engine.lane == "gpu" and not allow_8bit:
        yield Finding("error", Problem("profile", "preflight.eight_bit", {"engine": choice.engine.id}))


def slow(engine: str, machine: Machine, seconds: float) -> Iterator[Finding]:
    """`seconds`: of all steps, as they were reckoned. A large model on a computer without a GPU takes its time."""
    if not machine.gpu and seconds > LONG_ON_CPU:
        yield Finding("warning", Problem("engine", "preflight.slow_cpu", {"engine": engine, "hours": _hours(seconds)}))


def _hours(seconds: float) -> float:
    hours = seconds / 3600
    return round(hours, 1) if hours < 10 else round(hours)


def _fits(
    scene: SceneBase, choice: Choice, said: Said, length: Length, parts: Sequence[float]
) -> Iterator[Finding]:  # fmt: skip
    limits, engine = choice.engine.limits, choice.engine.id
    if said.recording is not None and isinstance(scene, TalkingAvatar):
        least, most = limits.audio
        if not least <= said.recording <= most:
            params = {"engine": engine, "seconds": round(said.recording, 1), "least": least, "most": most}
            yield Finding("error", Problem("input_audio", "engine.limit_audio", params))
    if not said.lines or scene.kind != "video":
        return
    most = most_seconds(scene, choice)
    params = {"engine": engine, "seconds": round(length.seconds, 1), "most": most}
    if parts:
        shown = " + ".join(f"{seconds:.0f} s" for seconds in parts)
        yield Finding("warning", Problem("lines", "preflight.splits", {**params, "count": len(parts), "parts": shown}))
    elif length.low > most:
        yield Finding("error", Problem("lines", "preflight.speech_long", params))
    elif length.high > most:
        yield Finding("warning", Problem("lines", "preflight.speech_tight", params))
    if length.grows >= 0.05 and length.low <= most:
        level: Level = "warning" if length.seconds > GROWS_MUCH * (length.wished or 0) else "info"
        grown = {"wished": length.wished, "seconds": round(length.seconds, 1), "more": round(length.grows, 1)}
        yield Finding(level, Problem("duration", "preflight.grows", grown))


def most_seconds(scene: SceneBase, choice: Choice) -> float:
    """How long the engine makes this scene at most."""
    return choice.engine.limits.seconds.get(scene.task_type, (0.0, float("inf")))[1]  # type: ignore[attr-defined]


def _continues(choice: Choice, said: Said, length: Length) -> Iterator[Finding]:
    """A clip that is too short for the engine to go on from."""
    limits = choice.engine.limits
    needed = limits.of_clip(length.seconds)
    if said.clip is not None and round(said.clip * limits.fps) < needed:
        params = {"engine": choice.engine.id, "seconds": round(said.clip, 2), "needed": round(needed / limits.fps, 2)}
        yield Finding("error", Problem("input_video", "preflight.clip_short", params))


def _frames(scene: SceneBase, limits: Limits, length: Length) -> Iterator[Finding]:
    """An engine that makes only certain numbers of frames rounds up; said where it is more than a frame."""
    if limits.frame_step <= 1 or scene.kind != "video" or not length.seconds:
        return
    wanted, frames = max(1, round(length.seconds * limits.fps)), limits.frames(length.seconds)
    if frames - wanted > 1:
        params = {"frames": frames, "seconds": round(frames / limits.fps, 2), "wished": round(length.seconds, 2)}
        yield Finding("info", Problem("duration", "preflight.frames", params))


def line_rules(scene: SceneBase, afresh: Sequence[int], voices: Sequence[Choice | None]) -> Iterator[Finding]:
    """What the lines that must be spoken have to do with who speaks them (None: nobody can)."""
    for number, choice in zip(afresh, voices, strict=True):
        line, where = scene.lines[number], f"lines.{number}"
        if not spoken_text(line.text):
            yield Finding("error", Problem(where, "speech.nothing_to_say", {"text": line.text[:80]}))
        elif choice and (language := language_of(line)) not in choice.engine.limits.languages:
            known = ", ".join(choice.engine.limits.languages)
            params = {"engine": choice.engine.id, "language": language, "known": known}
            yield Finding("error" if line.language else "warning", Problem(where, "engine.limit_language", params))


def error(refused: StudioError) -> Finding:
    return Finding("error", Problem(refused.params.get("field", ""), refused.code, refused.params))


# ------------------------------------------------------------------------------------------------ scenes read scenes
def with_circles(items: Mapping[str, Item], reads: Mapping[str, Sequence[tuple[str, str]]]) -> dict[str, Item]:
    """Scenes that wait for themselves. `reads`: by key, (field, key of the scene that is read)."""
    left = {key: {source for _, source in reads.get(key, ()) if source in items} for key in items}
    left = _peeled(left)  # those that wait for nothing, again and again
    left = _peeled(_turned(left))  # those that nobody waits for
    checked = dict(items)
    for key in left:
        field_name, source = next((name, source) for name, source in reads[key] if source in left)
        params = {"number": items[source].number}
        checked[key] = items[key].found([Finding("error", Problem(field_name, "reference.circle", params))])
    return checked


def _peeled(waits: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """What is left when whatever waits for nothing has been taken away, until nothing more can be."""
    counts = {key: len(sources) for key, sources in waits.items()}
    readers = _turned(waits)
    free = [key for key, count in counts.items() if not count]
    gone: set[str] = set()
    while free:
        key = free.pop()
        gone.add(key)
        for reader in readers[key]:
            counts[reader] -= 1
            if not counts[reader]:
                free.append(reader)
    return {key: sources - gone for key, sources in waits.items() if key not in gone}


def _turned(waits: Mapping[str, set[str]]) -> dict[str, set[str]]:
    turned: dict[str, set[str]] = {key: set() for key in waits}
    for key, sources in waits.items():
        for source in sources:
            turned[source].add(key)
    return turned


def with_bad_sources(
    items: Mapping[str, Item],
    reads: Mapping[str, Sequence[tuple[str, str]]],
    has_take: Callable[[str], bool],
) -> dict[str, Item]:
    """Scenes that read one that cannot run and has no take to go on with; and so on along the chain."""
    checked = dict(items)
    readers: dict[str, list[tuple[str, str]]] = {}
    for key, sources in reads.items():
        for field_name, source in sources:
            readers.setdefault(source, []).append((field_name, key))
    todo = [key for key, item in items.items() if item.cannot_run and not has_take(key)]
    while todo:
        bad = todo.pop()
        for field_name, key in readers.get(bad, ()):
            if checked[key].cannot_run:
                continue
            params = {"number": checked[bad].number}
            checked[key] = checked[key].found([Finding("error", Problem(field_name, "reference.bad_scene", params))])
            if not has_take(key):
                todo.append(key)
    return checked

"""What an episode file holds, as faces show it before anything is written: understood, missing, translated, left open.

Facts in, plain dicts out. Knows no store, no disk and no language.
"""

from collections.abc import Mapping, Sequence

from studio.domain import SceneBase, TalkingAvatar, slug
from studio.service.views import View
from studio.story.episode import Entry, Episode
from studio.story.problem import Problem
from studio.story.translation import speaker_in

# the file behind an input is not to be had; every other problem is about what is in it
MISSING = frozenset({"input.missing", "input.outside", "input.gone", "asset.unknown"})
MAKE_DO = frozenset({"translated.can_make", "translated.can_do_without"})  # notes: the scene can do without its file


def report(episode: Episode, head: Sequence[Problem], seconds: Mapping[int, float], voices: Mapping[str, str]) -> View:
    """`head`: what is wrong with what is no scene's (the music). `seconds`: of each understood scene.
    `voices`: by slug, of the characters that are known already."""
    rows = [_row(entry, seconds.get(entry.index)) for entry in episode.entries]
    bad = sum(not row["ok"] for row in rows)
    missing = _missing(episode, head)
    return {
        "title": episode.head.title,
        "dialect": episode.dialect,
        "scenes": rows,
        "valid": len(rows) - bad,
        "problems": bad,
        "head": [as_dict(problem) for problem in head],
        "missing": missing,
        "cast": _cast(episode, voices),
        "totals": {
            "scenes": len(rows),
            "seconds": round(sum(_in_film(entry, seconds) for entry in episode.entries), 2),
            "ok": len(rows) - bad,
            "missing": len(missing),
            "translated": sum(bool(row["notes"]) for row in rows),
        },
    }


def _row(entry: Entry, seconds: float | None) -> View:
    missing = missing_of(entry)
    gone = {field for field, _, _ in missing}
    notes = [note for note in entry.notes if note.code not in MAKE_DO or note.field in gone]
    return {
        "index": entry.index,
        "number": entry.index + 1,
        "label": entry.label or (entry.scene.prompt[:80] if entry.scene else ""),
        "task_type": entry.task_type,
        "ok": not entry.problems,
        "seconds": None if seconds is None else round(seconds, 2),
        "problems": [as_dict(problem) for problem in entry.problems],
        "missing": [{"field": field, "name": name} for field, _, name in missing],
        "defaults": list(entry.defaults),
        "notes": [as_dict(note) for note in notes],
    }


def as_dict(problem: Problem) -> View:
    return {"field": problem.field, "code": problem.code, "params": dict(problem.params)}


def called(entry: Entry) -> str:
    """A scene of a file as errors name it: `3 · Lamp`."""
    return f"{entry.index + 1} · {entry.label}".rstrip(" ·")


# ------------------------------------------------------------------------------------------------ what is missing
def missing_of(entry: Entry) -> list[tuple[str, str, str]]:
    """(field, kind, name) of the inputs of a scene that are not to be had, as the file names them."""
    if entry.scene is None:
        return []
    fields = {problem.field for problem in entry.problems if problem.code in MISSING}
    inputs = (*entry.scene.inputs(), *entry.scene.sounds()) if fields else ()
    return [(item.field, item.kind, item.ref) for item in inputs if item.field in fields]


def spared(episode: Episode) -> frozenset[str]:
    """Missing files whose scenes can do without them: the picture is described, or the text is enough."""
    names = set()
    for entry in episode.entries:
        able = {note.field for note in entry.notes if note.code in MAKE_DO}
        names |= {name for field, _, name in missing_of(entry) if field in able}
    return frozenset(names)


def _missing(episode: Episode, head: Sequence[Problem]) -> list[View]:
    """Each missing file once, with the numbers of the scenes that read it; none for the music."""
    able = spared(episode)
    found: dict[str, View] = {}
    for entry in episode.entries:
        for _, kind, name in missing_of(entry):
            row = found.setdefault(name, {"name": name, "kind": kind, "scenes": [], "can_make_do": name in able})
            if entry.index + 1 not in row["scenes"]:
                row["scenes"].append(entry.index + 1)
    music = episode.head.music
    if music and any(problem.code in MISSING for problem in head):
        found.setdefault(music.ref, {"name": music.ref, "kind": "audio", "scenes": [], "can_make_do": True})
    return list(found.values())


# ------------------------------------------------------------------------------------------------ who speaks
def _cast(episode: Episode, voices: Mapping[str, str]) -> list[View]:
    """Everybody who speaks, in the order in which they begin; `name` is "" for lines that are nobody's."""
    known = dict(voices) | {slug(row.name): row.voice for row in episode.head.cast}
    found: dict[str, View] = {}
    for entry in episode.entries:
        for name in _speakers(entry.scene) if entry.scene else ():
            key = slug(name)
            row = found.setdefault(
                key, {"name": name, "voice": known.get(key, ""), "known": key in known, "scenes": []}
            )
            if entry.index + 1 not in row["scenes"]:
                row["scenes"].append(entry.index + 1)
    return list(found.values())


def _speakers(scene: SceneBase) -> list[str]:
    """By its lines; a recording that speaks is its label's speaker, where the label names one."""
    if scene.lines:
        return [line.character for line in scene.lines]
    return [speaker_in(scene.label)] if isinstance(scene, TalkingAvatar) else []


def _in_film(entry: Entry, seconds: Mapping[int, float]) -> float:
    shown = entry.scene is not None and entry.scene.in_cut and entry.scene.kind == "video"
    return seconds.get(entry.index, 0.0) if shown else 0.0

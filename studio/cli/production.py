"""The verbs of a production: bring an episode in, run it, look at it, cut it, take it elsewhere.

Results go to stdout, as sentences or with `json` as one document; progress and warnings go to stderr.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from studio.cli.desk import Desk, View, as_json, open_desk, the_one
from studio.cli.speech import Speaker
from studio.cli.verbs import LOOK_SECONDS, UNFINISHED, finished, tell_failures, watched
from studio.errors import NotFound, Refused, StudioError
from studio.settings import Settings


@contextmanager
def _desk(settings: Settings) -> Iterator[Desk]:
    desk = open_desk(settings)
    try:
        yield desk
    finally:
        desk.close()


# ------------------------------------------------------------------------------------------------ bringing in
def check(settings: Settings, speaker: Speaker, source: Path, json: bool) -> int:
    """A file, or a queue where no such file is there. 1 when a scene cannot be taken or run as it is."""
    with _desk(settings) as desk:
        if not source.exists() and (queue := _named(desk, str(source))):
            return _preflight(speaker, queue[0], desk.preflight(queue[0]["id"]), json)
        files = desk.check(source)
    if json:
        speaker.out.print(as_json(list(files)))
    else:
        for one in files:
            _tell_report(speaker, one)
    return int(any("error" in one or one["report"]["problems"] for one in files))


def _tell_report(speaker: Speaker, one: View) -> None:
    if "error" in one:
        speaker.warn(
            "cli.file_failed", file=one["file"], why=speaker.words.error(one["error"], speaker.lang)["message"]
        )
        return
    report = one["report"]
    totals = report["totals"]
    speaker.say(
        "cli.check", file=one["file"], scenes=totals["scenes"], ok=totals["ok"], missing=totals["missing"],
        translated=totals["translated"], seconds=f"{totals['seconds']:.0f}",
    )  # fmt: skip
    for scene in report["scenes"]:
        name = f"  {scene['number']} · {scene['label']}".rstrip(" ·")
        for problem in scene["problems"]:
            speaker.out.print(f"{name}  {problem['field']}: {_said(speaker, problem)}")
    _tell_time(speaker, report.get("preflight"))


def _preflight(speaker: Speaker, queue: View, found: View, json: bool) -> int:
    """What a run of a queue would meet."""
    if json:
        speaker.out.print(as_json(found))
        return int(not found["ok"])
    counts = found["counts"]
    speaker.say(
        "cli.preflight", name=queue["name"], count=counts["total"], errors=counts["errors"],
        warnings=counts["warnings"],
    )  # fmt: skip
    for problem in found["problems"]:
        speaker.out.print("  " + _said(speaker, problem))
    for scene in found["scenes"]:
        for problem in scene["problems"]:
            if problem["level"] != "info":
                speaker.out.print(f"  {scene['number']} · {scene['title']}  {_said(speaker, problem)}")
    _tell_time(speaker, found)
    return int(not found["ok"])


def _said(speaker: Speaker, problem: View) -> str:
    return speaker.words.error({"code": problem["code"], "params": problem["params"]}, speaker.lang)["message"]


def _tell_time(speaker: Speaker, preflight: View | None) -> None:
    """How long it will take, and whether that is a guess."""
    if preflight:
        about = preflight["time"]["seconds"]
        key = "cli.takes_guess" if about["guess"] else "cli.takes_about"
        speaker.say(key, about=_clock(about["median"]), low=_clock(about["low"]), high=_clock(about["high"]))


def _clock(seconds: float) -> str:
    """`45 s`, `12 min`, `2 h 05 min`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"


def bring_in(
    settings: Settings, speaker: Speaker, source: Path, name: str, only_valid: bool, installation: bool, json: bool
) -> int:
    with _desk(settings) as desk:
        if installation:
            return _bring_installation(desk, speaker, source, json)
        files = desk.bring(source, name, only_valid)
    if len(files) == 1:
        the_one(files)  # its own error, with every scene that is not right
    if json:
        speaker.out.print(as_json([one.get("queue") or one for one in files]))
    else:
        for one in files:
            _tell_brought(speaker, one)
    return int(any("error" in one for one in files))


def _tell_brought(speaker: Speaker, one: View) -> None:
    if "error" in one:
        _tell_report(speaker, one)
    else:
        queue = one["queue"]
        speaker.say("cli.brought", code=queue["code"], name=queue["name"], count=queue["counts"]["total"])


def _bring_installation(desk: Desk, speaker: Speaker, folder: Path, json: bool) -> int:
    """Nothing is rendered: finished videos become takes."""
    arrival = desk.install(folder)
    with speaker.err.status(speaker.text("cli.installing")):
        while arrival["state"] in UNFINISHED:
            time.sleep(LOOK_SECONDS)
            arrival = desk.installation(arrival["id"])
    if json:
        speaker.out.print(as_json(arrival))
        return int(arrival["state"] != "done")
    for queue in arrival["queues"]:
        speaker.say("cli.installed", name=queue["name"], scenes=queue["scenes"], takes=queue["takes"])
    for problem in arrival["problems"]:
        speaker.err.print(_said(speaker, problem), style="yellow")
    if arrival["error"]:
        raise StudioError(arrival["error"]["code"], **arrival["error"]["params"])
    return 0


# ------------------------------------------------------------------------------------------------ running
def run(
    settings: Settings, speaker: Speaker, name: str, only: str, override: bool, no_wait: bool, json: bool
) -> int:  # fmt: skip
    with _desk(settings) as desk:
        queue = queue_named(desk, name)
        wanted = _numbered(desk, queue["id"], only) if only else None
        begun = desk.run(queue["id"], wanted, override)
        if begun.get("left_out"):
            speaker.warn("cli.left_out", count=len(begun["left_out"]))
        return _followed(desk, speaker, queue["id"], wanted, no_wait, json)


def retry(settings: Settings, speaker: Speaker, name: str, no_wait: bool, json: bool) -> int:
    with _desk(settings) as desk:
        queue = queue_named(desk, name)
        desk.retry(queue["id"])
        return _followed(desk, speaker, queue["id"], None, no_wait, json)


def enough(settings: Settings, speaker: Speaker, name: str) -> int:
    with _desk(settings) as desk:
        queue = queue_named(desk, name)
        scenes = [scene for scene, at in desk.snapshot(queue["id"])["progress"].items() if at["layer"] == "picture"]
        if not scenes:
            raise Refused("cli.nothing_runs", queue=queue["name"])
        for scene in scenes:
            desk.enough(scene)
        speaker.say("cli.enough", count=len(scenes))
        return 0


def _followed(
    desk: Desk, speaker: Speaker, queue_id: str, only: Sequence[str] | None, no_wait: bool, json: bool
) -> int:  # fmt: skip
    """Until nothing of it can go on; 1 when something failed. `no_wait` needs a studio that goes on without us."""
    if no_wait:
        if not desk.goes_on:
            desk.stop(queue_id)
            raise Refused("cli.nobody_there")
        cards = [card for card in desk.snapshot(queue_id)["scenes"] if only is None or card["id"] in only]
    else:
        cards = watched(desk, speaker, queue_id, only, lambda: desk.stop(queue_id))
    if json:
        speaker.out.print(as_json({"queue_id": queue_id, "scenes": cards}))
    if no_wait:
        return 0
    failed = tell_failures(speaker, cards)
    if not json:
        speaker.say("cli.ran", done=sum(card["state"] == "done" for card in cards), count=len(cards))
    return int(failed > 0)


def _named(desk: Desk, name: str) -> list[View]:
    """The queues with this code, id or name."""
    queues = desk.queues()
    exact = [queue for queue in queues if name in (queue["id"], queue["code"])]
    return exact or [queue for queue in queues if queue["name"].casefold() == name.casefold()]


def queue_named(desk: Desk, name: str) -> View:
    """By code, id or name. Raises NotFound, or Refused("cli.two_queues") when a name is not enough."""
    named = _named(desk, name)
    if not named:
        queues = desk.queues()
        raise NotFound(
            "cli.no_queue", name=name, known=", ".join(f"{one['code']} {one['name']}" for one in queues[:20])
        )
    if len(named) > 1:
        raise Refused("cli.two_queues", name=name, ids=", ".join(queue["id"] for queue in named))
    return named[0]


def _numbered(desk: Desk, queue_id: str, wanted: str) -> list[str]:
    """Scene ids of `1-5,8`. Raises Refused("cli.numbers")."""
    cards = {card["number"]: card["id"] for card in desk.snapshot(queue_id)["scenes"]}
    numbers: list[int] = []
    for part in wanted.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise Refused("cli.numbers", value=wanted[:80], count=len(cards))
        numbers += range(int(first), min(int(last or first), len(cards)) + 1) if dash else [int(first)]
    unknown = [number for number in numbers if number not in cards]
    if unknown or not numbers:
        raise Refused("cli.numbers", value=wanted[:80], count=len(cards))
    return [cards[number] for number in dict.fromkeys(numbers)]


# ------------------------------------------------------------------------------------------------ looking
def status(settings: Settings, speaker: Speaker, name: str, json: bool) -> int:
    with _desk(settings) as desk:
        if name:
            queue = queue_named(desk, name)
            cards = desk.snapshot(queue["id"])["scenes"]
            found: Any = {**queue, "scenes": sorted(cards, key=lambda card: card["number"])}
        else:
            found = list(desk.queues())
    if json:
        speaker.out.print(as_json(found))
    elif name:
        _table(speaker, found["scenes"], _scene_row)
    else:
        _table(speaker, found, _queue_row)
    return 0


def _table(speaker: Speaker, rows: Sequence[View], row: Callable[[Speaker, View], tuple[str, ...]]) -> None:
    if rows:
        speaker.table([row(speaker, one) for one in rows])
    else:
        speaker.say("cli.nothing_there")


def _queue_row(speaker: Speaker, queue: View) -> tuple[str, ...]:
    counts = queue["counts"]
    trouble = speaker.text("cli.failed", count=counts["failed"]) if counts["failed"] else ""
    state = speaker.text(f"state.{queue['state']}")
    return queue["code"], queue["name"], state, f"{counts['done']}/{counts['total']}", trouble


def _scene_row(speaker: Speaker, card: View) -> tuple[str, ...]:
    why = card["error"] or card["blocked"]
    told = speaker.words.error(why, speaker.lang)["message"] if why else ""
    seconds = f"{card['duration']:.1f} s" if card["duration"] else ""
    return str(card["number"]), card["title"], speaker.text(f"state.{card['state']}"), seconds, told


# ------------------------------------------------------------------------------------------------ taking out
def cut(settings: Settings, speaker: Speaker, name: str, wanted: View, out: Path | None, json: bool) -> int:
    with _desk(settings) as desk:
        export = finished(desk, speaker, desk.cut(queue_named(desk, name)["id"], wanted, out))
        return _told(desk, speaker, export, out, json)


def export(
    settings: Settings, speaker: Speaker, name: str, kind: str, takes: str, out: Path | None, json: bool
) -> int:  # fmt: skip
    with _desk(settings) as desk:
        queue = queue_named(desk, name)
        if kind == "episode":
            return _write_episode(desk, speaker, queue, out, json)
        begun = desk.pack(queue["id"], takes, out) if kind == "package" else desk.cut(queue["id"], {"kind": kind}, out)
        return _told(desk, speaker, finished(desk, speaker, begun), out, json)


def _told(desk: Desk, speaker: Speaker, export: View, out: Path | None, json: bool) -> int:
    where = desk.exported(export["id"], out)
    if json:
        speaker.out.print(as_json({**export, "path": where}))
    else:
        speaker.say("cli.exported", path=where, mb=f"{export['bytes'] / 1e6:.1f}")
    return 0


def _write_episode(desk: Desk, speaker: Speaker, queue: View, out: Path | None, json: bool) -> int:
    """To a file, or to stdout where none was named."""
    content = as_json(desk.episode(queue["id"]))
    if out is None:
        speaker.out.print(content)
        return 0
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(content + "\n", "utf-8")
    where = str(out.absolute())
    if json:
        speaker.out.print(as_json({"path": where}))
    else:
        speaker.say("cli.exported", path=where, mb=f"{out.stat().st_size / 1e6:.1f}")
    return 0

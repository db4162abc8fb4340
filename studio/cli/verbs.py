"""The verbs that make something: render an episode, generate one scene, cut the film; and the benchmarks."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.cli.desk import Desk, View, open_desk, the_one
from studio.cli.progress import progress
from studio.cli.speech import Speaker
from studio.errors import StudioError
from studio.settings import Settings

if TYPE_CHECKING:
    from studio.bench.memory import Wanted

LOOK_SECONDS = 0.3
UNFINISHED = ("queued", "running")
FULL = "note.disk_full"


def render(
    settings: Settings,
    speaker: Speaker,
    episode: Path | None,
    *,
    engine: str = "auto",
    out: Path | None = None,
    missing: str = "stop",
    only_valid: bool = False,
) -> int:
    """Import, run, cut. 0: a film with every scene; 1: something failed. Ctrl+C stops what it started."""
    desk = open_desk(settings)
    try:
        queue = desk.sample() if episode is None else the_one(desk.bring(episode, only_valid=only_valid))["queue"]
        speaker.say("cli.imported", name=queue["name"], count=queue["counts"]["total"])
        if engine != "auto":
            for card in desk.snapshot(queue["id"])["scenes"]:
                desk.set_engine(card["id"], engine)
        desk.run(queue["id"])
        cards = watched(desk, speaker, queue["id"], None, lambda: desk.stop(queue["id"]))
        failed = tell_failures(speaker, cards)
        export = finished(desk, speaker, desk.cut(queue["id"], {"missing": missing}, out))
        where = desk.exported(export["id"], out)
        speaker.say("cli.film", path=where, seconds=f"{export['seconds']:.1f}", mb=f"{export['bytes'] / 1e6:.1f}")
        return int(failed > 0)
    finally:
        desk.close()


def generate(settings: Settings, speaker: Speaker, scene: View, asked: list[str], *, out: Path | None = None) -> int:
    """One scene into the Inbox, rendered. `asked`: SkyReels flags that choose how a model is loaded."""
    for name in asked:
        speaker.warn(f"cli.flag_{name.strip('-')}", flag=name)
    desk = open_desk(settings)
    try:
        made = desk.generate(scene)
        cards = watched(desk, speaker, made["queue_id"], [made["id"]], lambda: desk.cancel(made["id"]))
        if tell_failures(speaker, cards):
            return 1
        speaker.say("cli.take", path=desk.take(cards[0]["take"]["id"], out))
        return 0
    finally:
        desk.close()


def watched(
    desk: Desk, speaker: Speaker, queue_id: str, only: Sequence[str] | None, stop: Callable[[], None]
) -> list[dict[str, Any]]:
    """Shows how far a queue (or some scenes of it) is until nothing of it can go on. Returns its cards."""
    with progress(speaker) as show:
        try:
            while True:
                snapshot = desk.snapshot(queue_id)
                cards = [card for card in snapshot["scenes"] if only is None or card["id"] in only]
                show(cards, snapshot["progress"])
                if not any(card["state"] in UNFINISHED and not card["blocked"] for card in cards):
                    return cards
                if snapshot["queue"]["paused"] and any(card["note"] == FULL for card in cards):
                    return cards  # nobody is here to make room and go on
                time.sleep(LOOK_SECONDS)
        except KeyboardInterrupt:
            stop()
            raise


def tell_failures(speaker: Speaker, cards: list[dict[str, Any]]) -> int:
    bad = [card for card in cards if card["state"] != "done"]
    for card in bad:
        state = speaker.text(FULL if card["note"] == FULL else f"state.{card['state']}")
        why = card["error"] or card["blocked"] or {"code": "cli.not_done", "params": {"state": state}}
        told = speaker.words.error(why, speaker.lang)
        speaker.warn("cli.scene_failed", number=card["number"], title=card["title"], why=told["message"])
        if told["hint"]:
            speaker.err.print("  " + told["hint"])
    return len(bad)


def finished(desk: Desk, speaker: Speaker, export: View) -> View:
    """The export when it is done; Ctrl+C cancels it. Raises its own error."""
    with speaker.err.status(speaker.text("cli.cutting")):
        try:
            while (export := desk.export(export["id"]))["state"] in UNFINISHED:
                time.sleep(LOOK_SECONDS / 3)
        except KeyboardInterrupt:
            desk.cancel_export(export["id"])
            raise
    if export["state"] != "done":
        raise StudioError(export["error"]["code"], **export["error"]["params"])
    return export


def bench_draft(settings: Settings, speaker: Speaker) -> None:
    """The table that docs/benchmarks.md shows, for this machine."""
    from studio.bench import draft

    settings.export()
    speaker.warn("cli.bench_wait")
    draft.main()


def bench_memory(settings: Settings, speaker: Speaker, asked: "Wanted", out: Path | None) -> None:
    """The table of docs/benchmarks.md, for this machine."""
    from studio.bench import memory

    settings.export()
    speaker.out.print(
        memory.main(
            asked, out, lambda number, name: speaker.warn("cli.bench_round", round=number, of=asked.rounds, name=name)
        )
    )

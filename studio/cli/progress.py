"""Progress of a run: two moving bars on a terminal, one line per finished scene in a log."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from studio.cli.speech import Speaker

Cards = Sequence[Mapping[str, Any]]
Show = Callable[[Cards, Mapping[str, Any]], None]


@contextmanager
def progress(speaker: Speaker) -> Iterator[Show]:
    """Gives `show(cards, progress by scene id)`, to be called as often as you like."""
    if not speaker.err.is_terminal:
        yield _lines(speaker)
        return
    bars = Progress(
        TextColumn("{task.description}"), BarColumn(bar_width=28), MofNCompleteColumn(), TimeElapsedColumn(),
        console=speaker.err, transient=True,
    )  # fmt: skip
    with bars:
        everything = bars.add_task(speaker.text("cli.scenes"), total=None)
        current = bars.add_task("", total=None, visible=False)

        def show(cards: Cards, live: Mapping[str, Any]) -> None:
            done = sum(card["state"] not in ("queued", "running") for card in cards)
            bars.update(everything, completed=done, total=len(cards))
            running = next((card for card in cards if card["id"] in live), None)
            if running:
                now = live[running["id"]]
                name = f"{running['number']} · {running['title']}"[:48]
                bars.update(current, description=name, completed=now["done"], total=now["total"] or None, visible=True)
            else:
                bars.update(current, visible=False)

        yield show


def _lines(speaker: Speaker) -> Show:
    told: set[str] = set()

    def show(cards: Cards, live: Mapping[str, Any]) -> None:
        for card in cards:
            if card["state"] == "done" and card["id"] not in told:
                told.add(card["id"])
                seconds = f"{card['duration']:.1f} s" if card["duration"] else ""
                speaker.err.print(f"[{len(told)}/{len(cards)}] {card['number']} · {card['title']}  {seconds}".rstrip())

    return show

"""Contact sheet of a queue: every scene by the picture that it shows, with its marks. A page to print, or one PNG.

The page needs nothing beside itself: pictures stand in it as data, and every word of the user is escaped.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from threading import Lock

from studio.domain import Take
from studio.errors import Refused, StudioError
from studio.runner import Runner
from studio.service.views import title_of
from studio.service.words import Words
from studio.store import Queue, SceneRow, Store

MOST_CELLS = 400  # of a PNG: a longer queue is printed from the page
POSTER = ".poster.jpg"


@dataclass(frozen=True, slots=True)
class Cell:
    """One scene on the sheet."""

    number: int
    title: str
    facts: str  # "take 2 · 4.0 s · ★★★"
    note: str
    poster: Path | None


class ContactSheets:
    def __init__(self, store: Store, runner: Runner, words: Words, cache: Path) -> None:
        self._store, self._runner, self._words = store, runner, words
        self._folder = cache / "sheets"
        self._drawing = Lock()  # one sheet at a time: they share a temporary name

    def html(self, queue_id: str, lang: str) -> Iterator[str]:
        """The page, piece by piece: a queue may have thousands of scenes. Raises NotFound before the first one."""
        queue = self._store.queues.get(queue_id)
        rows = self._store.queues.scenes(queue_id)
        return self._pieces(queue, rows, lang)

    def _pieces(self, queue: Queue, rows: list[SceneRow], lang: str) -> Iterator[str]:
        name = escape(self._name(queue, lang))
        yield _HEAD.format(lang=escape(lang or "en"), name=name, facts=escape(self._facts(rows, lang)))
        for cell in self._cells(rows, lang):
            poster = f'<img alt="" src="{_embedded(cell.poster)}">' if cell.poster else ""
            note = f"<p>{escape(cell.note)}</p>" if cell.note else ""
            yield (
                f"<figure><div>{poster}</div><figcaption><b>{cell.number:02}</b> {escape(cell.title)}"
                f"<small>{escape(cell.facts)}</small>{note}</figcaption></figure>\n"
            )
        yield "</main></body></html>\n"

    def png(self, queue_id: str, lang: str) -> Path:
        """The sheet as one picture. Raises Refused("sheet.too_many") where that would be too tall to look at."""
        queue = self._store.queues.get(queue_id)
        rows = self._store.queues.scenes(queue_id)
        if len(rows) > MOST_CELLS:
            raise Refused("sheet.too_many", count=len(rows), most=MOST_CELLS)
        cells = [
            {
                "number": cell.number, "title": cell.title, "facts": cell.facts, "note": cell.note,
                "poster": str(cell.poster) if cell.poster else None,
            }
            for cell in self._cells(rows, lang)
        ]  # fmt: skip
        self._folder.mkdir(parents=True, exist_ok=True)
        out = self._folder / f"{queue_id}.png"
        arguments = {
            "title": self._name(queue, lang), "facts": self._facts(rows, lang), "cells": cells, "out": str(out),
        }  # fmt: skip
        with self._drawing:
            self._runner.ask(self._runner.lanes.tools[0], "contact_sheet", arguments)
        return out

    def _name(self, queue: Queue, lang: str) -> str:
        return self._words.text("queues.inbox", lang) if queue.inbox else queue.name

    def _facts(self, rows: list[SceneRow], lang: str) -> str:
        return self._words.text("sheet.scenes", lang, count=len(rows))

    def _cells(self, rows: list[SceneRow], lang: str) -> Iterator[Cell]:
        takes = self._store.takes.selected([row.id for row in rows])
        for row in rows:
            take, scene = takes.get(row.id), row.scene
            said = " ".join(line.text for line in scene.lines)
            yield Cell(
                number=row.position + 1,
                title=title_of(scene.label, scene.prompt or said),
                facts=self._marks(take, lang),
                note=row.retake or "",
                poster=self._poster(take) if take and not take.private else None,  # a sheet is made to be shown
            )

    def _marks(self, take: Take | None, lang: str) -> str:
        if take is None:
            return self._words.text("stage.no_take", lang)
        length = "" if take.kind == "image" else f"{take.duration:.1f} s"
        return " · ".join(
            filter(None, [self._words.text("take.number", lang, n=take.number), length, "★" * take.rating])
        )

    def _poster(self, take: Take) -> Path | None:
        """None where its file has gone: a sheet with a hole is better than none."""
        try:
            return self._runner.small_picture(take.path, self._runner.assigner.posters(take.job_id), POSTER)
        except StudioError:
            return None


def _embedded(poster: Path) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(poster.read_bytes()).decode()


_HEAD = """<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8"><title>{name}</title>
<meta name="viewport" content="width=device-width">
<style>
body{{margin:24px;background:#0d0f12;color:#ece9e2;font:13px/1.45 Inter,"PingFang SC","Noto Sans CJK SC",sans-serif}}
header{{display:flex;justify-content:space-between;align-items:baseline;gap:24px;margin-bottom:18px}}
h1{{font:400 26px "Instrument Serif",Georgia,serif;margin:0;overflow-wrap:anywhere}}
main{{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:20px 16px}}
figure{{margin:0;break-inside:avoid}}
figure div{{aspect-ratio:16/9;background:#1a1e23;border-radius:5px;overflow:hidden}}
img{{width:100%;height:100%;object-fit:contain;display:block}}
figcaption{{margin-top:6px;overflow-wrap:anywhere}}
b,small{{font-family:"Geist Mono",ui-monospace,monospace;font-weight:500;color:#7f848b}}
small{{display:block;font-size:11px}}p{{margin:2px 0 0;color:#e8a855}}
@media print{{body{{background:#fff;color:#000;margin:0}}main{{grid-template-columns:repeat(4,1fr)}}p{{color:#8a5a10}}}}
</style></head><body><header><h1>{name}</h1><small>{facts}</small></header><main>
"""

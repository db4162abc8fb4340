"""A run's report as one HTML page: no other file, no script, dark and light, made to be printed.

Every text goes through `escape` on its way in: names and labels are strangers' words. Knows no store.
"""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any

from studio.service.views import View
from studio.service.words import Words

Say = Callable[..., str]  # (key, **params) -> escaped words


def page(report: View, words: Words, lang: str, style: str, posters: Mapping[str, bytes]) -> str:
    """`posters`: small JPEGs by scene."""

    def say(key: str, **params: Any) -> str:
        return escape(words.text(f"report.{key}", lang, **params))

    run, queue = report["run"], report["queue"]
    name = words.text("queues.inbox", lang) if queue["inbox"] else queue["name"]
    body = "".join(
        [
            _head(say, run, queue, escape(name)),
            _figures(say, report),
            _failures(say, report["failures"]),
            _scenes(say, report["scenes"], posters),
            _engines(say, run["engines"]),
            _left(say, report["left"]),
        ]
    )
    return (
        f'<!doctype html><html lang="{"zh-Hans" if lang == "zh" else lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escape(name)} · {say('title')}</title><style>{style}</style></head><body><main>{body}"
        f"<footer>Lanterna</footer></main></body></html>"
    )


def _head(say: Say, run: View, queue: View, name: str) -> str:
    began, ended = _when(run["started"]), _when(run["ended"]) if run["ended"] else say("going_on")
    return (
        f'<header><p class="kicker">{say("title")} · {escape(queue["code"])}</p><h1>{name}</h1>'
        f'<p><span class="state {escape(run["state"])}">{say("state." + run["state"])}</span>'
        f"<span>{say('from_to', start=began, end=ended)}</span></p></header>"
    )


def _figures(say: Say, report: View) -> str:
    run, totals = report["run"], report["totals"]
    counts = run["counts"]
    shown = [
        ("done", f"{counts['done']} / {counts['scenes']}"),
        ("failed", counts["failed"]),
        ("left", counts["left"] + counts["cancelled"]),
        ("takes", run["takes"]),
        ("drafts", run["drafts"]),
        ("film", _clock(totals["film"])),
        ("time", _clock(run["seconds"])),
        ("rendered", _clock(totals["rendered"])),
        ("loads", run["loads"]),
        ("crashes", run["crashes"]),
        ("cost", _money(totals["cost"])),
    ]
    cells = "".join(f"<div><dt>{say('sum.' + key)}</dt><dd>{escape(str(value))}</dd></div>" for key, value in shown)
    return f"<dl>{cells}</dl>"


def _failures(say: Say, failures: Sequence[View]) -> str:
    if not failures:
        return ""
    rows = "".join(
        f"<li><b>{_called(scene)}</b><span>{escape((scene['error'] or {}).get('message', ''))}</span>"
        f'<span class="hint">{escape((scene["error"] or {}).get("hint", ""))}</span></li>'
        for scene in failures
    )
    return f'<section><h2>{say("failures")}</h2><ul class="failures">{rows}</ul></section>'


def _scenes(say: Say, scenes: Iterable[View], posters: Mapping[str, bytes]) -> str:
    names = ("scene", "state", "takes", "engine", "waited", "rendered", "cost")
    head = "".join(f"<th>{say('column.' + name)}</th>" for name in names)
    rows = "".join(_scene(say, scene, posters.get(scene["id"])) for scene in scenes)
    return (
        f'<section><h2>{say("scenes")}</h2><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _scene(say: Say, scene: View, poster: bytes | None) -> str:
    image = f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(poster).decode()}">' if poster else "<i></i>"
    notes = []
    if scene["crashes"]:
        notes.append(say("crashed", n=scene["crashes"]))
    if scene["stood_in"]:
        notes.append(escape(scene["stood_in"]["message"]))
    note = "".join(f'<span class="hint">{text}</span>' for text in notes)
    takes = "".join(f"<span>{_take(say, take)}</span>" for take in scene["takes"]) or "–"
    state = escape(str(scene["state"]))
    return (
        f'<tr><td class="scene">{image}<span>{_called(scene)}{note}</span></td>'
        f'<td><span class="state {state}">{say("state." + str(scene["state"]))}</span></td>'
        f'<td class="takes">{takes}</td><td>{escape(", ".join(scene["engines"])) or "–"}</td>'
        f"<td>{_clock(scene['waited'])}</td><td>{_clock(scene['seconds'])}</td><td>{_money(scene['cost'])}</td></tr>"
    )


def _take(say: Say, take: View) -> str:
    size = f" · {take['width']} × {take['height']}" if take["width"] else ""
    draft = f" · {say('draft')}" if take["draft"] else ""
    return f"{say('layer.' + take['layer'])} {take['number']} · {take['duration']:.1f} s{size}{draft}"


def _engines(say: Say, engines: Mapping[str, View]) -> str:
    if not engines:
        return ""
    names = ("engine", "jobs", "rendered", "loads", "loading", "cost")
    head = "".join(f"<th>{say('column.' + name)}</th>" for name in names)
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{row['jobs']}</td><td>{_clock(row['seconds'])}</td><td>{row['loads']}</td>"
        f"<td>{_clock(row['load_seconds'])}</td><td>{_money(row['cost'])}</td></tr>"
        for name, row in engines.items()
    )
    return (
        f'<section><h2>{say("engines")}</h2><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _left(say: Say, left: Sequence[View]) -> str:
    if not left:
        return f'<section><h2>{say("left")}</h2><p class="hint">{say("nothing_left")}</p></section>'
    rows = "".join(
        f'<li><b>{_called(scene)}</b><span class="hint">{say("state." + str(scene["state"]))}</span></li>'
        for scene in left
    )
    return f"<section><h2>{say('left')}</h2><ul>{rows}</ul></section>"


def _called(scene: View) -> str:
    return escape(f"{scene['number']:02d} · {scene['title']}".rstrip(" ·"))


def _clock(seconds: float | None) -> str:
    """75 -> 0:01:15; below ten seconds with tenths."""
    if seconds is None:
        return "–"
    return f"{seconds:.1f} s" if seconds < 10 else str(timedelta(seconds=round(seconds)))


def _money(cost: float) -> str:
    return f"{cost:.2f}" if cost else "–"


def _when(iso: str) -> str:
    """2026-11-20T10:00:00.000Z -> 2026-11-20 11:00, by this computer's clock."""
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M")

"""How a notice reads, and the request that carries it: one function for each kind of hook. Sends nothing.

A notice is the dict that studio.store.notices wrote. User text (names, labels) goes into JSON or into encoded headers
only; Telegram is sent plain text, and for Discord every sign of its markup is escaped: nothing in it is ever a link
with another name, or a mention.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from email.header import Header
from typing import Any, Literal
from urllib.parse import quote

from studio.domain import one_line
from studio.service.views import View, peer_path, title_of
from studio.service.words import Words
from studio.store.notices import Delivery, Hook

HookKind = Literal["generic", "ntfy", "telegram", "discord"]
TELEGRAM = "https://api.telegram.org"
COLOURS = {"finished": 0x6FB39C, "resumed": 0xE8A855}  # of Discord's stripe; everything else is red
RED = 0xDD6F5F
MOST_TEXT = 1500  # characters; Discord takes 4096, ntfy 4096 bytes


@dataclass(frozen=True, slots=True)
class Message:
    url: str = field(repr=False)  # may hold a token
    body: bytes
    headers: Mapping[str, str] = field(repr=False)


# ------------------------------------------------------------------------------------------------ in words
def said(words: Words, notice: Mapping[str, Any], lang: str) -> View:
    """{title, text} of a notice."""
    queue = notice["queue"]
    name = words.text("queues.inbox", lang) if queue.get("inbox") else queue["name"]
    kind, run = notice["kind"], notice.get("run") or {}
    if kind == "finished":
        title = words.text(f"notice.finished.{run['state']}", lang, queue=name)
        return {"title": title, "text": _sums(words, run, lang)}
    scene = notice.get("scene") or {}
    called = title_of(scene.get("label") or "", scene.get("prompt") or "")
    shown = f"{scene.get('number', '')} · {called}".rstrip(" ·")
    error = words.error(notice["error"], lang) if notice.get("error") else {"message": "", "hint": ""}
    about = f"{error['message']} {error['hint']}".strip()
    if kind == "resumed":
        about = words.text("notice.resumed.text", lang)
    return {"title": words.text(f"notice.{kind}", lang, queue=name, scene=shown), "text": about}


def _sums(words: Words, run: Mapping[str, Any], lang: str) -> str:
    counts = run["counts"]
    took = str(timedelta(seconds=round(run.get("seconds") or 0)))
    parts = [words.text("notice.sums", lang, done=counts["done"], scenes=counts["scenes"], time=took)]
    for name in ("failed", "left"):
        if counts[name]:
            parts.append(words.text(f"notice.sums.{name}", lang, n=counts[name]))
    return " · ".join(parts)


def place(base: str, notice: Mapping[str, Any]) -> str:
    """Where the page shows what a notice is about."""
    scene = (notice.get("scene") or {}).get("id")
    return f"{base}/?queue={notice['queue']['id']}" + (f"&scene={scene}" if scene else "")


# ------------------------------------------------------------------------------------------------ requests
def message(words: Words, delivery: Delivery, hook: Hook, base: str) -> Message:
    """What is sent to a hook."""
    text = said(words, delivery.body, hook.lang)
    url, body, headers = FORMATS[hook.kind](hook, delivery, text, place(base, delivery.body), words)
    return _signed(url, body, {**headers, "X-Lanterna-Delivery": delivery.id}, _signing(hook))


def callback(delivery: Delivery, secret: str) -> Message:
    """What SkyReels posts to `callback_url`, signed when there is a secret."""
    notice = delivery.body
    run, queue = notice["run"], notice["queue"]
    body = {
        "queue_id": queue["id"],
        "queue_name": queue["name"],
        "project": queue["project"],
        "status": "done" if run["state"] == "done" else "error",
        "duration_s": round(run["seconds"] or 0),
        "output_videos": [peer_path(take["task_type"], take) for take in notice.get("outputs", [])],
        "failed_jobs": [
            {
                "index": scene["number"] - 1, "label": scene["label"], "seed": scene["seed"],
                "task_type": scene["task_type"],
            }
            for scene in notice["failed"]
        ],
    }  # fmt: skip
    headers = {"Content-Type": "application/json", "X-Lanterna-Delivery": delivery.id}
    return _signed(delivery.url, _json(body), headers, secret)


def _signing(hook: Hook) -> str:
    """Only a generic hook's secret signs; those of the others are their tokens."""
    return hook.secret if hook.kind == "generic" else ""


def _signed(url: str, body: bytes, headers: dict[str, str], secret: str) -> Message:
    if secret:
        headers["X-Lanterna-Signature"] = signature(secret, body)
    return Message(url, body, headers)


def signature(secret: str, body: bytes) -> str:
    """`sha256=…` over exactly what is sent; the body says `at` what time, so that an old one is known for old."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


Format = Callable[[Hook, Delivery, View, str, Words], tuple[str, bytes, dict[str, str]]]


def _generic(
    hook: Hook, delivery: Delivery, text: View, link: str, words: Words
) -> tuple[str, bytes, dict[str, str]]:  # fmt: skip
    notice = delivery.body
    body = {
        "event": delivery.event,
        "kind": notice["kind"],
        "delivery": delivery.id,
        "at": notice["at"],
        "queue": notice["queue"],
        "run": notice.get("run"),
        "counts": (notice.get("run") or {}).get("counts"),
        "scene": notice.get("scene"),
        "error": words.error(notice["error"], hook.lang) if notice.get("error") else None,
        "failed_scenes": _failed(notice.get("failed", ()), words, hook.lang),
        "title": text["title"],
        "text": text["text"],
        "url": link,
    }
    return hook.url, _json(body), {"Content-Type": "application/json", "X-Lanterna-Event": delivery.event}


def _failed(scenes: Sequence[Mapping[str, Any]], words: Words, lang: str) -> list[View]:
    return [{**scene, "error": words.error(scene["error"], lang) if scene["error"] else None} for scene in scenes]


def _ntfy(hook: Hook, delivery: Delivery, text: View, link: str, words: Words) -> tuple[str, bytes, dict[str, str]]:
    headers = {
        "Title": _header(text["title"]),
        "Priority": "default" if _is_good(delivery.body) else "high",
        "Click": quote(link, safe=":/?&=#[]%"),
        "Content-Type": "text/plain; charset=utf-8",
    }
    if hook.secret:
        headers["Authorization"] = f"Bearer {hook.secret}"
    return hook.url, text["text"][:MOST_TEXT].encode(), headers


def _telegram(hook: Hook, delivery: Delivery, text: View, link: str, words: Words) -> tuple[str, bytes, dict[str, str]]:
    body = {
        "chat_id": hook.target,
        "text": f"{text['title']}\n{text['text'][:MOST_TEXT]}",
        "disable_web_page_preview": True,
        "disable_notification": False,
    }
    url = f"{hook.url.rstrip('/')}/bot{quote(hook.secret, safe=':')}/sendMessage"
    return url, _json(body), {"Content-Type": "application/json"}


def _discord(hook: Hook, delivery: Delivery, text: View, link: str, words: Words) -> tuple[str, bytes, dict[str, str]]:
    kind = delivery.body["kind"]
    colour = COLOURS.get(kind, RED) if kind != "finished" or _is_good(delivery.body) else RED
    body = {
        "content": "",
        "embeds": [{"title": _literal(text["title"], 250), "description": _literal(text["text"]), "color": colour}],
        "allowed_mentions": {"parse": []},
    }
    return hook.url, _json(body), {"Content-Type": "application/json"}


def _literal(text: str, most: int = MOST_TEXT) -> str:
    """Text in which Discord finds no markup."""
    return _MARKUP.sub(r"\\\g<0>", text[:most])[:most]


_MARKUP = re.compile(r"[\\*_~`|<>\[\]()#@]")


FORMATS: Mapping[str, Format] = {
    "generic": _generic, "ntfy": _ntfy, "telegram": _telegram, "discord": _discord,
}  # fmt: skip


def _is_good(notice: Mapping[str, Any]) -> bool:
    return bool(notice["kind"] == "finished" and notice["run"]["state"] != "failed")


def _header(text: str) -> str:
    """One line of ASCII: other letters as RFC 2047 has them."""
    line = one_line(text)
    return line if line.isascii() else Header(line, "utf-8", maxlinelen=10_000).encode()


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()

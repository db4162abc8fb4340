"""The page on which a client reviews a film, in one document: style, script, words and first facts. Knows no store.

What strangers wrote reaches it as JSON, or through `escape`; the script draws it as text. The page is made of the files
in assets/review, so that nothing has to be fetched before it can be used, and its Content-Security-Policy names them by
their hashes.
"""

import base64
import json
import re
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

from studio.service.views import View
from studio.service.words import Words

SCRIPTS = ("base", "film", "scenes", "sending", "comments", "box", "composer", "head", "keys")  # in this order
WORDS = "review.page."
PLAIN, AWAY = ("list", "none", "closed", "title", "verdict."), ("save", "film.missing", "kept", "send.keep")
"""Beginnings of words that only pages without a film say, and only the page that was taken away."""
MOST_SAID = 2500  # bytes of comments and verdicts in the document; more are asked for once it is there
API = "../api/"  # from /review/{review_id}, under whatever prefix the studio answers
TAGS = {"en": "en", "pt": "pt-BR", "zh": "zh-Hans"}
UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")  # would end the block, or cannot be sent
PLACE = re.compile(r"\{\{([\w.]+)\}\}")

Page = tuple[str, str]  # the document and its Content-Security-Policy


class ReviewPages:
    def __init__(self, words: Words, assets: Path) -> None:
        """`assets`: the bundled folder."""
        self._words, self._folder, self._tokens = words, assets / "review", assets / "css" / "tokens.css"

    def online(self, view: View, lang: str) -> Page:
        """`view`: what GET /api/reviews/{id} answers. The film and everything later comes from that API."""
        film = f"{API}reviews/{view['id']}/versions/{view['version']['number']}/"
        return self._film(view, lang, offline=False, film=film + "film", poster=film + "poster.jpg"), self._policy()

    def offline(self, view: View, lang: str, film: str = "film.mp4", subtitles: str = "") -> str:
        """For a folder with the film beside the page. Comments are kept in the browser and saved as a file.

        `subtitles`: the text of a WebVTT file; a page that was opened from a disk cannot read one.
        """
        return self._film(view, lang, offline=True, film=film, subtitles=subtitles)

    def listing(self, reviews: list[View], lang: str) -> Page:
        """The films somebody may review. Without a script."""
        say = self._sayer(lang)
        rows = "".join(self._row(review, say) for review in reviews)
        body = (
            f'<h1>{say("list")}</h1><ul class="films">{rows}</ul>' if rows else _message(say("none"), say("none.hint"))
        )
        return self._plain(lang, say("list"), body)

    def failing(self, error: Mapping[str, Any], lang: str) -> Page:
        """`error`: {message, hint} of what keeps a film from being shown."""
        body = _message(escape(error["message"]), escape(error["hint"]))
        say = self._sayer(lang)
        return self._plain(lang, say("title"), f'{body}<p><a class="btn" href="../review">{say("to_list")}</a></p>')

    # ------------------------------------------------------------------------------------------ parts
    def _film(self, view: View, lang: str, *, offline: bool, film: str, poster: str = "", subtitles: str = "") -> str:
        later = not offline and len(json.dumps([view["comments"], view["verdicts"]])) > MOST_SAID
        facts = {
            "view": view | {"comments": [], "verdicts": []} if later else view, "later": later, "offline": offline,
            "lang": TAGS[lang], "api": API, "film": film, "subtitles": subtitles,
            "words": self._said_by_script(lang, offline),
        }  # fmt: skip
        parts = {
            "lang": TAGS[lang],
            "name": _shown(view["name"]),
            "film": escape(film),
            "poster": f' poster="{escape(poster)}"' if poster else "",
            "policy": f'<meta http-equiv="content-security-policy" content="{self._policy(True)}">' if offline else "",
            "logo": self._logo,
            "icons": self._icons,
            "style": self._style,
            "facts": in_script(facts),
            "script": self._script,
        }
        return self._filled("page.html", parts, lang)

    def _said_by_script(self, lang: str, offline: bool) -> dict[str, str]:
        own = {key[len(WORDS) :]: text for key, text in self._words.dictionary(lang).items() if key.startswith(WORDS)}
        others = PLAIN if offline else PLAIN + AWAY
        return {key: text for key, text in own.items() if not key.startswith(others) or key == "closed.hint"}

    def _plain(self, lang: str, title: str, body: str) -> Page:
        parts = {"lang": TAGS[lang], "title": title, "body": body, "logo": self._logo, "style": self._style}
        return self._filled("plain.html", parts, lang), self._policy()

    def _filled(self, name: str, parts: Mapping[str, str], lang: str) -> str:
        """In one pass, so that nothing that is filled in is looked through for places."""
        say = self._sayer(lang)
        return PLACE.sub(lambda found: parts[found[1]] if found[1] in parts else say(found[1]), self._read(name))

    def _row(self, review: View, say: "_Sayer") -> str:
        facts = [say("version", n=review["version"]), say("count", n=review["comments"])]
        if review["verdict"] is not None:
            facts.append(say("verdict.approved" if review["verdict"] else "verdict.retake"))
        if not review["open"]:
            facts.append(say("closed"))
        link = f"review/{escape(review['id'])}"
        poster = f"api/reviews/{escape(review['id'])}/versions/{review['version']}/poster.jpg"
        return (
            f'<li><a href="{link}"><img alt="" loading="lazy" src="{poster}"><span><b>{_shown(review["name"])}</b>'
            f"<small>{' · '.join(facts)}</small></span></a></li>"
        )

    def _sayer(self, lang: str) -> "_Sayer":
        return _Sayer(self._words, lang)

    def _policy(self, offline: bool = False) -> str:
        """`offline`: the document itself says it, and its neighbours are files."""
        here = "'self'"
        own = f"{here} file:" if offline else here
        return "; ".join(
            [
                "default-src 'none'",
                f"script-src '{_hash(self._script)}'",
                f"style-src '{_hash(self._style)}'",
                f"img-src {own} data: blob:",
                f"media-src {own} blob:",
                f"connect-src {here}",
                "base-uri 'none'",
                f"form-action {here}",
                *([] if offline else ["frame-ancestors 'none'"]),
            ]
        )

    @cached_property
    def _script(self) -> str:
        parts = "\n".join(_bare(self._read(f"{name}.js")) for name in SCRIPTS)
        return f'(()=>{{"use strict";\n{parts}\n}})()'

    @cached_property
    def _style(self) -> str:
        tokens = self._tokens.read_text("utf-8")
        return tokens[tokens.index(":root{") :].strip() + "\n" + _bare(self._read("page.css"))

    @cached_property
    def _icons(self) -> str:
        return _bare(self._read("icons.svg"))

    @cached_property
    def _logo(self) -> str:
        return (self._folder.parent / "logo.svg").read_text("utf-8").strip()

    def _read(self, name: str) -> str:
        return (self._folder / name).read_text("utf-8")


class _Sayer:
    """Words of this page, ready for HTML."""

    def __init__(self, words: Words, lang: str) -> None:
        self._words, self._lang = words, lang

    def __call__(self, key: str, **params: Any) -> str:
        known = self._words.dictionary(self._lang)
        one = f"{WORDS}{key}.one"
        chosen = one if params.get("n") == 1 and one in known else WORDS + key
        return escape(self._words.text(chosen, self._lang, **params))


def in_script(facts: Mapping[str, Any]) -> str:
    """JSON that cannot end the script element it stands in, and that UTF-8 can carry."""
    text = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _shown(text: str) -> str:
    """A stranger's text for HTML, without half emoji."""
    return escape(text.encode("utf-8", "replace").decode())


def _message(title: str, hint: str) -> str:
    return f'<h1>{title}</h1><p class="lead">{hint}</p>'


def _bare(source: str) -> str:
    """Without indents and whole-line comments: our own files have neither inside of a text."""
    lines = (line.strip() for line in source.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(("//", "/*", "<!--")))


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(sha256(source.encode()).digest()).decode()

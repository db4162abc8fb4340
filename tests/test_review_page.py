"""The review page as a document: what strangers wrote stays text, its policy names what it contains, it is small."""

import base64
import gzip
import json
import re
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from studio.api.guard import VISITOR
from studio.api.review_page import routes
from studio.domain import Visitor
from studio.errors import NotFound
from studio.service import LANGUAGES
from studio.service.review_page import SCRIPTS, TAGS, WORDS, ReviewPages, in_script
from studio.service.words import Words

ASSETS = Path(__file__).parent.parent / "assets"
MOST_BYTES = 25 * 1024  # of the document, gzipped
HOSTILE = [
    "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "<!-- <script>", "${alert(1)} `x` \\u003c",
    "line\u2028and\u2029line", "half \ud83d emoji", "{{script}} {{name}}", "\"'&lt;&amp;\0",
]  # fmt: skip


@pytest.fixture(scope="module")
def pages() -> ReviewPages:
    return ReviewPages(Words(ASSETS / "locales"), ASSETS)


def scene(number: int, title: str = "Into the pines", change: str = "") -> dict[str, Any]:
    return {
        "scene_id": f"01M7Y0MJBTTQW4P3V5K{number:07}", "number": number, "title": f"{title} {number}",
        "start": 4.123 * (number - 1), "duration": 4.123, "change": change,
    }  # fmt: skip


def comment(number: int, text: str) -> dict[str, Any]:
    return {
        "id": f"01M7Y0S5TKKBT5XJ5{number:09}", "review_id": "01M7Y0S5TKKBT5XJ51XC18W82A", "version": 2,
        "at": 1.5 * number, "scene_id": scene(1)["scene_id"], "number": 1, "region": [0.1, 0.2, 0.3, 0.4], "text": text,
        "wish": "retake", "state": "open", "author": "Ana", "created": "2026-11-21T03:00:46.035Z", "imported": False,
        "frame": True, "mine": True,
    }  # fmt: skip


def view(scenes: int = 13, texts: list[str] | None = None, name: str = "The Lamp at Cabo Branco") -> dict[str, Any]:
    return {
        "id": "01M7Y0S5TKKBT5XJ51XC18W82A", "queue_id": "01M7Y0MJBTTQW4P3V5KJ2MYY6V", "name": name, "open": True,
        "me": {"name": "Ana", "role": "reviewer"},
        "version": {
            "number": 2, "seconds": 4.123 * scenes, "fps": 24.0, "width": 1280, "height": 720,
            "created": "2026-11-21T03:00:46.035Z", "film": True, "subtitles": True, "withheld": [],
            "scenes": [scene(n + 1, change="retaken" if n % 5 == 0 else "") for n in range(scenes)],
            "removed": [{"number": 7, "title": "Closer"}],
        },
        "versions": [{"number": n, "created": "2026-11-21T03:00:46.035Z"} for n in (1, 2)],
        "comments": [comment(n, text) for n, text in enumerate(texts or [])], "verdicts": [],
    }  # fmt: skip


class Read(HTMLParser):
    """Elements, their text, and the attributes of all of them."""

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.attributes: list[tuple[str, str, str | None]] = []
        self.tags: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self._inside = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        self._inside = "json" if ("type", "application/json") in attrs else tag
        self.tags.append(self._inside)
        self.texts.setdefault(self._inside, []).append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[self._inside][-1] += data

    def facts(self) -> dict[str, Any]:
        (text,) = self.texts["json"]
        return dict(json.loads(text))


def hashed(source: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(source.encode()).digest()).decode()}'"


# ------------------------------------------------------------------------------------------------ strangers' words
@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_stranger_writes_is_data(pages: ReviewPages, text: str) -> None:
    plain = Read(pages.online(view(texts=["x"], name="x"), "en")[0])
    for document in (pages.online(view(texts=[text], name=text), "en")[0], pages.offline(view(texts=[text]), "en")):
        document.encode()  # nothing in it that UTF-8 cannot carry
        read = Read(document)
        assert read.tags.count("script") == 1 and read.tags.count("json") == 1
        assert read.tags.count("img") == plain.tags.count("img") == 0
        assert [said["text"] for said in read.facts()["view"]["comments"]] == [text]
        assert read.texts["script"] == plain.texts["script"]


def test_a_name_is_escaped_where_it_is_drawn(pages: ReviewPages) -> None:
    document, _ = pages.online(view(name='<b onclick="x">{{facts}}'), "en")
    assert document.count("&lt;b onclick=&quot;x&quot;&gt;{{facts}}") == 2  # title, headline
    listed, _ = pages.listing(
        [{"id": 'a"><script>', "name": "<script>", "open": True, "version": 1, "comments": 0, "verdict": None}], "en"
    )
    failed, _ = pages.failing({"message": "<script>", "hint": "<img>"}, "en")
    for plain in (listed, failed):
        assert "script" not in Read(plain).tags and "<img>" not in plain


def test_facts_never_end_their_element() -> None:
    written = in_script({"text": "".join(HOSTILE), "chinese": "灯塔"})
    assert not set(written) & set("<>&\u2028\u2029\ud83d") and "灯塔" in written
    assert json.loads(written)["text"] == "".join(HOSTILE)


def test_no_element_carries_a_handler_or_a_style(pages: ReviewPages) -> None:
    for document in (pages.online(view(), "pt")[0], pages.offline(view(), "zh")):
        read = Read(document)
        assert not [one for one in read.attributes if one[1].startswith("on") or one[1] == "style"]


def test_the_script_never_writes_markup() -> None:
    for name in SCRIPTS:
        source = (ASSETS / "review" / f"{name}.js").read_text("utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", source), (
            name
        )


# ------------------------------------------------------------------------------------------------ its policy
def test_the_policy_names_script_and_style_by_their_hashes(pages: ReviewPages) -> None:
    document, policy = pages.online(view(), "en")
    read = Read(document)
    assert f"script-src {hashed(read.texts['script'][0])};" in policy
    assert f"style-src {hashed(read.texts['style'][0])};" in policy
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http:" not in policy
    for page, policy in (pages.listing([], "en"), pages.failing({"message": "a", "hint": "b"}, "en")):
        assert f"style-src {hashed(Read(page).texts['style'][0])};" in policy


def test_the_page_that_is_taken_away_brings_its_policy(pages: ReviewPages) -> None:
    read = Read(pages.offline(view(), "en"))
    policy = next(
        value for tag, name, value in read.attributes if (tag, name) == ("meta", "content") and value and "src" in value
    )
    assert hashed(read.texts["script"][0]) in policy and "media-src 'self' file: blob:" in policy
    assert "frame-ancestors" not in policy  # means nothing in a document


def test_nothing_is_asked_of_another_site(pages: ReviewPages) -> None:
    for document in (pages.online(view(), "en")[0], pages.offline(view(), "en")):
        links = [
            value or "" for _, name, value in Read(document).attributes if name in ("src", "href", "poster", "action")
        ]
        assert links and not [link for link in links if "//" in link or link.startswith("/")]
    assert "../api/" not in "".join(v or "" for *_, v in Read(pages.offline(view(), "en")).attributes)


# ------------------------------------------------------------------------------------------------ its size
@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_document_is_small(pages: ReviewPages, lang: str) -> None:
    long = "She looks at the wrong side here; the lamp is behind her, is it not?"
    for shown in (view(2), view(59), view(59, [long] * 200), view(59, [long] * 5)):
        document, _ = pages.online(shown, lang)
        assert len(gzip.compress(document.encode(), 9)) < MOST_BYTES


def test_many_comments_come_after_the_page(pages: ReviewPages) -> None:
    few, many = view(texts=["a"] * 3), view(texts=["a" * 500] * 30)
    assert not Read(pages.online(few, "en")[0]).facts()["later"]
    later = Read(pages.online(many, "en")[0]).facts()
    assert later["later"] and later["view"]["comments"] == []
    assert len(Read(pages.offline(many, "en")).facts()["view"]["comments"]) == 30  # nobody to be asked there


# ------------------------------------------------------------------------------------------------ its words
@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_word_of_the_page_exists(pages: ReviewPages, lang: str) -> None:
    document, _ = pages.online(view(), lang)
    there = Read(document).facts()["words"] | Read(pages.offline(view(), lang)).facts()["words"]
    assert WORDS not in document and f'lang="{TAGS[lang]}"' in document
    source = "".join((ASSETS / "review" / f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    asked = set(re.findall(r'\bt\("([a-z_.]+)"', source))
    asked |= {
        key for choice in re.findall(r"\bt\(([^()`]*\?[^()]*)", source) for key in re.findall(r'"([a-z_.]+)"', choice)
    }
    asked |= set(re.findall(r'\], "([a-z_.]+)"\]', source)) | set(re.findall(r'data-do="(\w+)"', document))
    asked |= {f"change.{change}" for change in ("new", "retaken", "trimmed", "moved", "removed")}
    asked |= {f"role.{role}" for role in ("owner", "editor", "reviewer")} | {"earlier", "dealt"}
    assert len(asked) > 80 and not asked - set(there)


def test_the_script_gets_no_word_that_it_never_says(pages: ReviewPages) -> None:
    source = "".join((ASSETS / "review" / f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    source += (ASSETS / "review" / "page.html").read_text("utf-8")
    said = set(Read(pages.online(view(), "en")[0]).facts()["words"]) | set(
        Read(pages.offline(view(), "en")).facts()["words"]
    )
    named = {key for key in said if not re.search(rf"""["'`{{]{re.escape(key)}["'`}}]""", source)}
    assert not {
        key for key in named if not key.endswith((".one", ".short")) and not key.startswith(("change.", "role."))
    }


def test_the_offline_page_carries_film_and_subtitles(pages: ReviewPages) -> None:
    text = "WEBVTT\n\n00:01.000 --> 00:02.000\n</script><b>Olá</b>\n"
    read = Read(pages.offline(view(), "pt", film="film.mp4", subtitles=text))
    assert read.facts()["subtitles"] == text and read.facts()["offline"] is True
    assert ("video", "src", "film.mp4") in read.attributes and read.tags.count("script") == 1


# ------------------------------------------------------------------------------------------------ its address
def seen_by(visitor: Visitor, reviews: int = 1) -> TestClient:
    """The pages of a studio with some films, for somebody whom the door let in."""

    def found(review_id: str, who: Visitor, version: int | None) -> dict[str, Any]:
        if review_id != view()["id"]:
            raise NotFound("review.unknown", review=review_id)
        return view() | {"me": {"name": who.name, "role": who.role}, "asked": version}

    listed = [
        {"id": view()["id"], "name": f"Film {n}", "open": True, "version": 2, "comments": n, "verdict": None}
        for n in range(reviews)
    ]
    studio: Any = SimpleNamespace(
        words=Words(ASSETS / "locales"), settings=SimpleNamespace(assets_dir=ASSETS),
        reviewing=SimpleNamespace(list=lambda who: listed, view=found),
    )  # fmt: skip
    site = Starlette(routes=routes(studio))

    async def let_in(scope: Any, receive: Any, send: Any) -> None:
        await site(scope | {VISITOR: visitor}, receive, send)

    return TestClient(let_in, follow_redirects=False)


ANA = Visitor(person_id="p", name="Ana", role="reviewer", way="share")
GUEST = Visitor(person_id="g", name="Guest", role="reviewer", way="share", queue_id="q")
FILM = f"/review/{view()['id']}"


def test_the_answer_is_packed_private_and_has_its_policy() -> None:
    answer = seen_by(ANA).get(FILM)
    assert answer.headers["content-encoding"] == "gzip" and answer.headers["cache-control"] == "no-store"
    assert hashed(Read(answer.text).texts["script"][0]) in answer.headers["content-security-policy"]
    plain = seen_by(ANA).get(FILM, headers={"accept-encoding": "identity"})
    assert plain.text == answer.text and "content-encoding" not in plain.headers
    assert Read(answer.text).facts()["view"]["me"] == {"name": "Ana", "role": "reviewer"}


def test_a_version_is_asked_for_by_its_number() -> None:
    client = seen_by(ANA)
    assert Read(client.get(f"{FILM}?version=1").text).facts()["view"]["asked"] == 1
    for wrong in ("x", "-1", "1.5", "9" * 30, "\u0661"):
        answer = client.get(FILM, params={"version": wrong})
        assert answer.status_code == 404 and "<h1>This review has no version" in answer.text


def test_what_is_not_there_says_what_to_do() -> None:
    answer = seen_by(ANA).get("/review/unknown?lang=pt")
    words = Words(ASSETS / "locales").error({"code": "review.unknown", "params": {}}, "pt")
    assert answer.status_code == 404 and words["message"] in answer.text and words["hint"] in answer.text
    assert "script" not in Read(answer.text).tags


def test_who_was_invited_to_one_film_is_taken_to_it() -> None:
    answer = seen_by(GUEST).get("/review")
    assert (answer.status_code, answer.headers["location"]) == (303, FILM[1:])
    assert seen_by(GUEST, reviews=0).get("/review").status_code == 200
    listed = Read(seen_by(ANA, reviews=2).get("/review").text)
    assert listed.texts["b"] == ["Film 0", "Film 1"] and "1 comment" in listed.texts["small"][1]


def test_the_page_speaks_the_visitors_language() -> None:
    client = seen_by(ANA)
    assert 'lang="pt-BR"' in client.get(FILM, headers={"accept-language": "pt-PT,en;q=0.5"}).text
    assert 'lang="zh-Hans"' in client.get(FILM, headers={"cookie": "lanterna_lang=zh", "accept-language": "pt"}).text
    assert 'lang="en"' in client.get(f"{FILM}?lang=en", headers={"cookie": "lanterna_lang=zh"}).text

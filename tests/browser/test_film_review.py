"""The review page in a real Chromium: a film from the draft engine is watched, commented on, approved, taken away."""

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect

DOCUMENT_BYTES = 25 * 1024
FRAME_S = 1 / 24
TIME = "document.getElementById('video').currentTime"
SETTLED = "() => { const v = document.getElementById('video'); return v.readyState >= 2 && !v.seeking; }"
LOWEST_CONTRAST = 4.5
SMALLEST_THUMB = 44  # CSS pixels

PROBES = (Path(__file__).parent / "probes.js").read_text("utf-8")


@dataclass(frozen=True)
class Film:
    """A published film of two scenes."""

    id: str
    queue_id: str
    scenes: list[dict[str, Any]]

    def address(self, site: Any) -> str:
        return f"{site.url}/review/{self.id}"

    def view(self, site: Any) -> dict[str, Any]:
        return dict(site.call("GET", f"/reviews/{self.id}"))

    def said(self, site: Any, text: str) -> list[dict[str, Any]]:
        return [comment for comment in self.view(site)["comments"] if comment["text"] == text]


def cut(site: Any, queue_id: str) -> str:
    export = site.call("POST", f"/queues/{queue_id}/exports", {})
    while export["state"] in ("queued", "running"):
        export = site.call("GET", f"/exports/{export['id']}")
    assert export["state"] == "done", export["error"]
    return str(export["id"])


def made(site: Any, name: str) -> Film:
    scenes = [
        {"label": label, "task_type": "text_to_video", "prompt": prompt, "duration": 2}
        for label, prompt in (("Harbour, neon rain", "a harbour in neon rain"), ("灯塔 <b>", "a lighthouse at dusk"))
    ]
    queue_id = site.episode(name, scenes)
    site.call("POST", f"/queues/{queue_id}/run")
    site.wait(queue_id)
    review = site.call("POST", f"/queues/{queue_id}/review", {"export_id": cut(site, queue_id)})
    return Film(review["id"], queue_id, review["version"]["scenes"])


@pytest.fixture(scope="module")
def film(site: Any) -> Film:
    return made(site, "The Lamp <script>")


@pytest.fixture
def visit(site: Any, chromium: Any) -> Iterator[Callable[..., Any]]:
    """visit(film or address, width, height, lang) -> its page in a fresh browser, blank for None; fails on page errors,
    on what the policy forbids and on outside requests."""
    contexts, wrong = list[Any](), list[str]()

    def watched(page: Any) -> None:
        page.on("pageerror", lambda error: wrong.append(f"page error: {error}"))
        page.on("console", lambda said: "Content Security" in said.text and wrong.append(said.text))
        page.on("request", lambda one: _ours(site, one.url) or wrong.append(f"outside: {one.url}"))

    def visited(where: Film | str | None, width: int = 1366, height: int = 768, lang: str = "en") -> Any:
        phone = width < 500
        context = chromium.new_context(
            viewport={"width": width, "height": height}, has_touch=phone, is_mobile=phone, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        watched(page)
        if where:
            page.goto(f"{where.address(site) if isinstance(where, Film) else where}?lang={lang}")
        return page

    yield visited
    for context in contexts:
        context.close()
    assert not wrong, wrong


def _ours(site: Any, url: str) -> bool:
    return url.startswith((site.url, "data:", "blob:", "file:"))


def at(page: Any) -> float:
    page.wait_for_function(SETTLED)
    return float(page.evaluate(TIME))


def write(page: Any, text: str, wish: str = "comment") -> None:
    page.get_by_label("Your comment").fill(text)
    page.locator(f"input[value={wish}]").check()
    page.locator("#send").click()


# ------------------------------------------------------------------------------------------------ watching
def test_the_film_plays_and_is_sought(film: Film, visit: Any) -> None:
    page = visit(film)
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function(f"() => {TIME} > 0.3")
    page.get_by_role("button", name="Pause").click()
    page.locator("#scenes .go").nth(1).click()
    assert at(page) == pytest.approx(film.scenes[1]["start"], abs=FRAME_S)
    expect(page.locator("#scenes .go").nth(1)).to_have_attribute("aria-current", "true")
    expect(page.locator("#moment")).to_contain_text("02 灯塔 <b>")
    page.get_by_role("slider").fill("0.5")
    assert at(page) == pytest.approx(0.5, abs=FRAME_S)
    expect(page.get_by_role("slider")).to_have_attribute(
        "aria-valuetext", re.compile("^0:00.5 of .*01 Harbour, neon rain$")
    )
    expect(page).to_have_title("The Lamp <script> · Lanterna")


def test_the_page_is_light(film: Film, site: Any, visit: Any) -> None:
    """Bytes and requests: times depend on the machine, scripts/bench_review_page.py prints them."""
    page = visit(None)
    asked = list[Any]()
    page.on("request", lambda request: asked.append(request))
    with page.expect_response(lambda one: one.url.endswith("/film")) as answered:
        page.goto(film.address(site))
    page.wait_for_function(SETTLED)
    assert answered.value.status == 206 and answered.value.headers["content-range"]
    sizes = asked[0].sizes()
    assert sizes["responseBodySize"] < DOCUMENT_BYTES
    paths = {urlsplit(one.url).path.removeprefix(f"/api/reviews/{film.id}/versions/1/") for one in asked}
    stills = {f"scenes/{scene['scene_id']}/poster.jpg" for scene in film.scenes}
    assert paths - stills <= {f"/review/{film.id}", "film", "poster.jpg", "subtitles.vtt"}


def test_scenes_show_a_still_before_the_film_is_seen(film: Film, site: Any, visit: Any) -> None:
    page = visit(film)
    shown = page.locator("#scenes .pic img.there")
    expect(shown).to_have_count(len(film.scenes))
    assert shown.first.evaluate("image => image.naturalWidth") > 0


# ------------------------------------------------------------------------------------------------ saying something
def test_a_comment_belongs_to_the_moment_that_is_shown(film: Film, site: Any, visit: Any) -> None:
    page = visit(film)
    page.locator("#scenes .go").nth(1).click()
    moment = at(page)
    write(page, "Lovely light <img src=x onerror=alert(1)>")
    row = page.locator(".entry", has_text="Lovely light")
    expect(row.locator(".words")).to_have_text("Lovely light <img src=x onerror=alert(1)>")
    expect(row.locator("img")).to_have_js_property("complete", True)
    (said,) = film.said(site, "Lovely light <img src=x onerror=alert(1)>")
    assert said["at"] == pytest.approx(moment, abs=0.002) and said["scene_id"] == film.scenes[1]["scene_id"]
    page.get_by_role("slider").fill("0.2")
    row.get_by_role("button", name=re.compile("^Go to 0:02")).click()
    assert at(page) == pytest.approx(moment, abs=0.002)
    expect(page.locator("#text")).to_have_value("")


def test_words_stay_with_their_moment(film: Film, site: Any, visit: Any) -> None:
    page = visit(film)
    page.get_by_role("slider").fill("1")
    at(page)
    page.get_by_label("Your comment").fill("Here it began")
    page.get_by_role("slider").fill("3")
    expect(page.locator("#moment b")).to_have_text("0:01.0")
    page.get_by_role("button", name="Move it to 0:03.0").click()
    expect(page.locator("#moment b")).to_have_text("0:03.0")
    page.reload()
    expect(page.get_by_label("Your comment")).to_have_value("Here it began")  # a phone may close a page at any time
    assert at(page) == pytest.approx(3, abs=0.002)
    page.get_by_role("slider").fill("0.5")
    page.locator("#send").click()
    expect(page.locator(".entry", has_text="Here it began")).to_be_visible()
    assert film.said(site, "Here it began")[0]["at"] == 3


def test_a_box_is_drawn_on_the_frame_and_a_retake_asked_for(film: Film, site: Any, visit: Any) -> None:
    page = visit(film)
    at(page)
    page.get_by_role("button", name="Draw a box on the frame").click()
    frame = page.locator("#board").bounding_box()
    corner = [(frame["x"] + frame["width"] * x, frame["y"] + frame["height"] * y) for x, y in ((0.2, 0.3), (0.5, 0.7))]
    page.mouse.move(*corner[0])
    page.mouse.down()
    page.mouse.move(*corner[1], steps=4)
    page.mouse.up()
    expect(page.get_by_role("group", name=re.compile("^Box on the frame"))).to_be_visible()
    write(page, "The rain is too strong", "retake")
    row = page.locator(".entry", has_text="The rain is too strong")
    expect(row.locator(".kind")).to_have_text("Retake")
    (said,) = film.said(site, "The rain is too strong")
    assert said["region"] == pytest.approx([0.2, 0.3, 0.5, 0.7], abs=0.01) and said["wish"] == "retake"
    row.locator(".at").click()
    expect(page.locator("#regions .region")).to_have_count(1)
    card = next(card for card in site.cards(film.queue_id) if card["id"] == film.scenes[0]["scene_id"])
    assert card["comments"]["retake"] >= 1


def test_an_empty_comment_is_not_sent(film: Film, visit: Any) -> None:
    page = visit(film)
    page.locator("#send").click()
    expect(page.locator("#problem")).to_have_text("Write a few words first.")
    expect(page.get_by_label("Your comment")).to_be_focused()


def test_a_comment_is_deleted_by_who_wrote_it(film: Film, site: Any, visit: Any) -> None:
    page = visit(film)
    with page.expect_response("**/comments"):
        write(page, "Never mind")
    row = page.locator(".entry", has_text="Never mind")
    expect(page.locator("#link")).to_be_hidden()
    row.get_by_role("button", name="Delete").click()
    row.get_by_role("button", name="Really delete?").click()
    expect(row).to_have_count(0)
    assert not film.said(site, "Never mind")


def test_scenes_and_film_are_approved(film: Film, site: Any, visit: Any) -> None:
    page = visit(film)
    scene = page.get_by_role("button", name="Approve scene 01 Harbour, neon rain")
    scene.click()
    page.get_by_role("button", name="Approve the film").click()
    expect(scene).to_have_attribute("aria-pressed", "true")
    whole = page.get_by_role("button", name="Film approved")
    expect(whole).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#link")).to_be_hidden()
    approved = {verdict["scene_id"] for verdict in film.view(site)["verdicts"] if verdict["approved"]}
    assert approved == {"", film.scenes[0]["scene_id"]}
    page.reload()
    expect(scene).to_have_attribute("aria-pressed", "true")
    whole.click()
    scene.click()
    expect(page.locator("#link")).to_be_hidden()
    assert film.view(site)["verdicts"] == []


# ------------------------------------------------------------------------------------------------ a line that breaks
def test_a_comment_waits_for_the_line_and_is_there_once(film: Film, site: Any, visit: Any) -> None:
    page = visit(film)
    page.route("**/comments", lambda route: route.abort())
    write(page, "Sent in a tunnel")
    row = page.locator(".entry", has_text="Sent in a tunnel")
    expect(row.locator(".waits")).to_contain_text("Not sent yet")
    expect(page.locator("#link")).to_contain_text("1 not sent yet")
    page.reload()
    expect(row.locator(".waits")).to_be_visible()

    def answer_is_lost(route: Any) -> None:
        route.fetch()
        route.abort()

    page.unroute("**/comments")
    page.route("**/comments", answer_is_lost, times=1)
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#link")).to_contain_text("The studio cannot be reached")
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(row.locator(".waits")).to_have_count(0)
    expect(row).to_have_count(1)
    assert len(film.said(site, "Sent in a tunnel")) == 1
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", film.said(site, "Sent in a tunnel")[0]["id"])


def test_it_looks_again_after_an_outage(film: Film, site: Any, visit: Any) -> None:
    page = visit(None)
    page.clock.install()
    page.goto(film.address(site))
    page.route(f"**/api/reviews/{film.id}?*", lambda route: route.abort())
    page.clock.fast_forward(31_000)
    expect(page.locator("#link")).to_contain_text("The studio cannot be reached")
    page.unroute(f"**/api/reviews/{film.id}?*")
    page.clock.fast_forward(31_000)
    expect(page.locator("#link")).to_be_hidden()
    site.call("POST", f"/reviews/{film.id}/comments", {"version": 1, "at": 1, "text": "Said by another"})
    page.clock.fast_forward(31_000)
    expect(page.locator(".entry", has_text="Said by another")).to_be_visible()


def test_nothing_is_sent_in_the_name_of_another(film: Film, site: Any, visit: Any) -> None:
    """Who signs in after somebody else, in the same browser, finds nothing of theirs."""
    page = visit(film)
    page.evaluate(
        "([id, said]) => localStorage.setItem(`lanterna.review.${id}.Ana.outbox`, JSON.stringify([said]))",
        [film.id, {"kind": "comment", "id": "0" * 26, "version": 1, "at": 1, "text": "By Ana", "wish": "comment"}],
    )
    page.reload()
    write(page, "By the next one")
    expect(page.locator(".entry", has_text="By the next one").locator(".waits")).to_have_count(0)
    expect(page.locator(".entry", has_text="By Ana")).to_have_count(0)
    assert not film.said(site, "By Ana")


def test_what_the_studio_refuses_can_be_edited(film: Film, site: Any, visit: Any) -> None:
    page = visit(film)
    told = {"error": {"code": "comment.empty", "message": "No room.", "hint": "Write less."}}
    page.route("**/comments", lambda route: route.fulfill(status=422, json=told), times=1)
    write(page, "A word too many")
    row = page.locator(".entry", has_text="A word too many")
    expect(row.locator(".problem")).to_contain_text("No room. Write less.")
    row.get_by_role("button", name="Edit").click()
    expect(page.get_by_label("Your comment")).to_have_value("A word too many")
    page.get_by_label("Your comment").press("Control+Enter")
    expect(row.locator(".waits")).to_have_count(0)
    assert len(film.said(site, "A word too many")) == 1


def test_who_is_signed_out_is_led_back(film: Film, visit: Any) -> None:
    page = visit(film)
    page.route("**/comments", lambda route: route.fulfill(status=401, json={"error": {"code": "guard.signed_out"}}))
    write(page, "Kept while signed out")
    notice = page.locator(".notice", has_text="You are signed out")
    expect(notice.get_by_role("link", name="Sign in")).to_have_attribute(
        "href", re.compile(rf"^\.\./sign-in\?next=%2Freview%2F{film.id}")
    )
    expect(page.locator(".entry", has_text="Kept while signed out")).to_be_visible()


def test_a_film_that_stops_arriving_goes_on(film: Film, site: Any, visit: Any) -> None:
    page = visit(None)
    page.route("**/film", lambda route: route.abort())
    page.goto(film.address(site))
    trouble = page.locator("#trouble")
    expect(trouble).to_contain_text("The film stopped arriving")
    page.unroute("**/film")
    trouble.get_by_role("button", name="Try again").click()
    expect(trouble).to_be_hidden()
    assert at(page) == 0


@pytest.mark.parametrize("code", ["review.closed", "review.withheld", "review.unknown"])
def test_a_film_that_goes_away_says_what_to_do(film: Film, visit: Any, code: str) -> None:
    page = visit(film)
    told = {"error": {"code": code, "message": "It is gone.", "hint": "Ask for another."}}
    page.route(f"**/api/reviews/{film.id}?*", lambda route: route.fulfill(status=404, json=told))
    page.evaluate("dispatchEvent(new Event('online'))")
    trouble = page.get_by_role("alert").filter(has_text="It is gone.")
    expect(trouble).to_contain_text("Ask for another.")
    expect(trouble.get_by_role("link", name="Films to review")).to_have_attribute("href", "../review")


# ------------------------------------------------------------------------------------------------ versions
def test_a_new_version_appears_at_the_same_link(site: Any, visit: Any) -> None:
    film = made(site, "Two versions")
    page = visit(None)
    page.clock.install()
    page.goto(film.address(site))
    write(page, "Of the first version")
    expect(page.locator(".waits")).to_have_count(0)
    site.call("POST", f"/queues/{film.queue_id}/run", {"only": [film.scenes[1]["scene_id"]]})
    site.wait(film.queue_id)
    site.call("POST", f"/queues/{film.queue_id}/review", {"export_id": cut(site, film.queue_id)})
    page.clock.fast_forward(31_000)
    expect(page.locator(".notice")).to_contain_text("Version 2 is here.")
    expect(page.locator("#said")).to_have_text("Version 2 is here.")
    page.get_by_role("link", name="Watch version 2").click()
    page.get_by_role("button", name="Version 2 1 change").click()
    changes = page.locator("#changes")
    expect(changes.locator("li", has_text="灯塔 <b>")).to_contain_text("Retaken")
    expect(changes.get_by_role("link", name=re.compile("^Version 2"))).to_have_attribute("aria-current", "page")
    expect(page.locator("#scenes li").nth(1).locator(".badge")).to_have_text("Retaken")
    page.locator("summary", has_text="On other versions (1)").click()
    expect(page.locator(".entry", has_text="Of the first version")).to_contain_text("Version 1")
    page.get_by_role("button", name="Version 2 1 change").click()
    changes.get_by_role("link", name=re.compile("^Version 1")).click()
    notice = page.locator(".notice", has_text="You are watching version 1. The newest is version 2.")
    notice.get_by_role("button", name="Close").click()
    with page.expect_response(lambda one: f"/api/reviews/{film.id}?" in one.url):
        page.clock.fast_forward(31_000)
    expect(page.get_by_role("button", name="Version 1")).to_be_visible()
    expect(notice).to_have_count(0)


def test_a_film_that_was_deleted_says_so(site: Any, visit: Any) -> None:
    film = made(site, "Deleted")
    export = film.view(site)["versions"][0]["export_id"]
    site.call("DELETE", f"/exports/{export}?forever=true")
    page = visit(film)
    expect(page.get_by_role("alert").filter(has_text="was deleted")).to_contain_text("ask the studio for a new one")


def test_the_list_leads_to_the_film(film: Film, site: Any, visit: Any) -> None:
    page = visit(f"{site.url}/review")
    link = page.get_by_role("link", name=re.compile("^The Lamp <script> Version 1"))
    link.click()
    page.wait_for_url(f"**/review/{film.id}")
    expect(page.get_by_role("heading", name="The Lamp <script>")).to_be_visible()


# ------------------------------------------------------------------------------------------------ keys, readers, thumbs
def test_everything_is_done_by_keys(film: Film, site: Any, visit: Any) -> None:
    page = visit(film)
    at(page)
    press = page.keyboard.press
    press("k")
    page.wait_for_function(f"() => {TIME} > 0.1")
    press(" ")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    press("n")
    assert at(page) == pytest.approx(film.scenes[1]["start"], abs=FRAME_S)
    press(".")
    press(".")
    assert at(page) == pytest.approx(film.scenes[1]["start"] + 2.5 * FRAME_S, abs=FRAME_S / 2)
    press("ArrowRight")
    press(",")
    assert at(page) == pytest.approx(film.scenes[1]["start"] + 1 + 1.5 * FRAME_S, abs=FRAME_S)
    press("j")
    assert at(page) == 0
    press("m")
    expect(page.get_by_role("button", name="Mute")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#said")).to_have_text("Sound off")
    press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    press("Escape")
    press("b")
    expect(page.get_by_role("group", name=re.compile("^Box on the frame"))).to_be_focused()
    for key in ("ArrowRight", "Shift+ArrowDown", "Enter"):
        press(key)
    expect(page.get_by_label("Your comment")).to_be_focused()
    page.keyboard.type("By keys: k n b m")
    press("Tab")
    press("Tab")
    press("ArrowRight")
    press("Tab")
    press("Enter")
    expect(page.locator(".entry", has_text="By keys")).to_contain_text("Retake")
    (said,) = film.said(site, "By keys: k n b m")
    assert said["wish"] == "retake" and said["region"] == pytest.approx([0.37, 0.3, 0.67, 0.72], abs=0.001)
    press("?")
    page.get_by_role("checkbox").uncheck()
    press("Escape")
    press("l")
    assert at(page) == 0  # one letter does nothing any more, an arrow does
    press("ArrowRight")
    assert at(page) == pytest.approx(1, abs=0.01)


def test_every_stop_of_tab_is_seen(film: Film, visit: Any) -> None:
    page = visit(film)
    seen = list[str]()
    for _ in range(80):
        page.keyboard.press("Tab")
        name, marked = page.evaluate(f"{PROBES}.focus()")
        if name == "" or (seen and name == seen[0] and len(seen) > 5):
            break
        assert marked, name
        seen.append(name)
    for stop in (
        "approve",
        "me",
        "seek",
        "previous",
        "play",
        "next",
        "mute",
        "full",
        "help",
        "text",
        "box",
        "send",
        "go",
        "ok",
    ):
        assert stop in seen, (stop, seen)
    assert seen.index("seek") < seen.index("text") < seen.index("send") < seen.index("go")


def test_every_control_has_a_name(film: Film, visit: Any) -> None:
    page = visit(film)
    write(page, "For the tree")
    expect(page.locator(".entry", has_text="For the tree").locator(".waits")).to_have_count(0)
    session = page.context.new_cdp_session(page)
    for opener in ("#version", "#me"):
        with suppress(Exception):
            page.locator(opener).click(timeout=500)
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        controls = [
            node for node in nodes
            if not node["ignored"] and node["role"]["value"] in
            ("button", "link", "slider", "textbox", "radio", "checkbox", "DisclosureTriangle", "region", "group")
        ]  # fmt: skip
        unnamed = [node for node in controls if not node.get("name", {}).get("value")]
        assert len(controls) > 20
        assert not [node for node in unnamed if node["role"]["value"] != "group"], unnamed
    roles = page.locator("main").aria_snapshot()
    for heading in ("What do you think of this moment?", "Scenes", "Comments"):
        assert f'heading "{heading}' in roles


@pytest.mark.parametrize(("width", "lang"), [(1600, "en"), (390, "zh")])
def test_every_text_stands_out(film: Film, visit: Any, shot: Any, width: int, lang: str) -> None:
    page = visit(film, width, 900, lang)
    shot(page, f"review_{width}_{lang}")
    page.locator("#me").click()
    page.wait_for_function("() => document.querySelectorAll('#scenes li').length === 2")
    assert page.evaluate(f"{PROBES}.faint({LOWEST_CONTRAST})") == []
    assert "review.page" not in page.locator("body").inner_text()


def test_a_phone_holds_it(film: Film, visit: Any) -> None:
    page = visit(film, 390, 844)
    expect(page.locator("#scenes li")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    frame = page.locator("#frame").bounding_box()
    assert frame["width"] == 390 and frame["y"] < 140
    small = page.evaluate(f"{PROBES}.small({SMALLEST_THUMB})")
    assert small == []
    page.get_by_label("Your comment").tap()
    page.set_viewport_size({"width": 390, "height": 430})  # a keyboard takes the rest
    page.wait_for_function(
        """() => {
          const field = document.getElementById("text").getBoundingClientRect();
          const film = document.getElementById("frame").getBoundingClientRect();
          return field.top >= film.bottom - 1 && field.bottom <= innerHeight;
        }"""
    )


# ------------------------------------------------------------------------------------------------ taken away
def test_the_folder_that_is_taken_away_works_and_comes_back(film: Film, site: Any, visit: Any, tmp_path: Path) -> None:
    with urlopen(f"{site.url}/api/reviews/{film.id}/package?lang=en") as answer:
        zipfile.ZipFile(io.BytesIO(answer.read())).extractall(tmp_path)
    (index,) = tmp_path.rglob("index.html")
    page = visit(index.as_uri())
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function(f"() => {TIME} > 0.2")
    page.get_by_role("button", name="Pause").click()
    write(page, "Written on a train", "retake")
    page.get_by_role("button", name="Approve the film").click()
    page.reload()
    expect(page.locator(".entry", has_text="Written on a train")).to_be_visible()
    page.get_by_role("button", name="Save comments").click()
    page.get_by_role("button", name="Save 2 as a file").click()
    expect(page.get_by_role("alert").filter(has_text="Write your name")).to_be_visible()
    page.get_by_label("Your name").fill("Tomás")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save 2 as a file").click()
    path = tmp_path / "comments.json"
    saved.value.save_as(path)
    content = json.loads(path.read_text("utf-8"))
    first = site.call("POST", f"/reviews/{film.id}/comments/import", content)
    again = site.call("POST", f"/reviews/{film.id}/comments/import", content)
    assert (first["added"], first["verdicts"], again["added"], again["known"]) == (1, 1, 0, 1)
    (said,) = film.said(site, "Written on a train")
    assert said["author"] == "Tomás" and said["wish"] == "retake" and said["imported"]

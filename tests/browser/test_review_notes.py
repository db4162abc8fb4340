"""What reviewers said, as the makers see it in a real Chromium: notes stand on scenes with frame and region, the
player goes there, what is dealt with goes; a film opened for review, its versions, package and file."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

HOSTILE = '<img src=x onerror="globalThis.__pwned=1">${globalThis.__pwned=2}'
FRAME = {"width": 320, "height": 180, "fps": 24}
SECONDS = 1.0
REGION = [0.25, 0.2, 0.75, 0.6]


def finish(site: Any, queue_id: str) -> str:
    """A finished film of the queue as it is."""
    export = site.call("POST", f"/queues/{queue_id}/exports", {})["id"]
    end = time.monotonic() + 120
    while (state := site.call("GET", f"/exports/{export}")["state"]) != "done":
        assert time.monotonic() < end and state in ("queued", "running"), state
        time.sleep(0.2)
    return str(export)


@pytest.fixture(scope="module")
def queue(site: Any) -> str:
    """Two shots of a second each, and a film of them that nobody reviews yet."""
    shots = [
        {"task_type": "text_to_video", "label": label, "prompt": label, "engine": "draft", "duration": SECONDS}
        for label in ("The lamp", "Harbour")
    ]
    queue_id = str(site.episode("Night pier", shots, FRAME))
    site.call("POST", f"/queues/{queue_id}/run", {})
    site.wait(queue_id)
    finish(site, queue_id)
    return queue_id


def look(open_page: Callable[..., Any], queue_id: str, width: int = 1366, lang: str = "en") -> Any:
    page = open_page(width, 844 if width < 500 else 800, lang)
    page.locator(f'.l-queue[data-id="{queue_id}"]').click()
    page.locator(".l-scene").nth(1).wait_for()
    return page


def film_dialog(page: Any, section: str) -> Any:
    page.evaluate(f"import('/ui/js/film_dialog.js').then((module) => module.openFilm('{section}'))")
    return page.locator(".l-film-dialog")


# the tests of this module follow one another: version 1, notes on it, version 2
def test_a_finished_film_is_opened_for_review_at_a_press(
    site: Any, queue: str, open_page: Callable[..., Any], shot: Callable[[Any, str], None]
) -> None:
    page = look(open_page, queue)
    dialog = film_dialog(page, "review")
    expect(dialog).to_contain_text("Nobody reviews this film yet")
    page.locator("#film-tab-export").click()
    dialog.locator(".l-export").get_by_role("button", name="Open for review").click()
    expect(page.locator("#film-tab-review")).to_be_focused()
    expect(dialog).to_contain_text("Reviewers see version 1")
    review = site.call("GET", f"/queues/{queue}/review")
    expect(dialog.locator(".l-share-url")).to_have_value(re.compile(rf"/review/{review['id']}$"))
    expect(dialog).to_contain_text("Nobody has said anything yet")
    shot(page, "review_opened_1366")
    page.locator("#film-tab-export").click()
    expect(dialog.locator(".l-export .l-tag")).to_have_text("Version 1")
    page.locator("#film-tab-review").click()
    page.locator("#review-invite").click()
    expect(page.locator("#share-tab-invite")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#share-panel-invite")).to_contain_text("Turn on a way in first")


@pytest.fixture(scope="module")
def notes(site: Any, queue: str) -> dict[str, Any]:
    """Somebody wishes for a retake of the second shot, likes the first one, and approves it."""
    review = site.call("GET", f"/queues/{queue}/review")
    wish = {"id": "retake-of-harbour", "at": SECONDS + 0.5, "text": HOSTILE, "wish": "retake", "region": REGION}
    praise = {"id": "praise-of-lamp", "at": 0.2, "text": "Lovely"}
    for said in (wish, praise):
        site.call("POST", f"/reviews/{review['id']}/comments", {"version": 1, **said})
    first = review["version"]["scenes"][0]["scene_id"]
    site.call("PUT", f"/reviews/{review['id']}/verdict", {"version": 1, "scene_id": first, "approved": True})
    return dict(review)


@pytest.mark.parametrize(("width", "lang"), [(1600, "pt"), (1366, "en"), (390, "zh")])
def test_a_note_stands_on_its_scene_with_the_frame_and_leads_there(
    queue: str, notes: dict[str, Any], open_page: Callable[..., Any], shot: Any, width: int, lang: str
) -> None:
    page = look(open_page, queue, width, lang)
    lamp, harbour = page.locator(".l-scene").nth(0), page.locator(".l-scene").nth(1)
    expect(lamp.locator(".l-scene-approved")).to_be_visible()
    expect(lamp.locator(".l-scene-notes")).to_have_text("1")
    expect(harbour.locator(".l-scene-approved")).to_be_hidden()
    expect(harbour.locator(".l-scene-notes")).to_have_text("1")
    harbour.locator(".l-scene-main").click()
    if width < 1181:
        page.locator(".l-stage-tools .l-only-narrow").click()
    note = page.locator("#l-insp .l-note")
    expect(note).to_have_count(1)
    expect(note.locator("p")).to_have_text(HOSTILE)
    expect(note.locator("b")).to_have_text("Producer")
    page.wait_for_function("() => document.querySelector('#l-insp .l-note img').naturalWidth > 0")
    frame, region = (note.locator(name).bounding_box() for name in (".l-note-frame", ".l-note-region"))
    assert region["x"] - frame["x"] == pytest.approx(REGION[0] * frame["width"], abs=1.5)
    assert region["width"] == pytest.approx((REGION[2] - REGION[0]) * frame["width"], abs=1.5)
    shot(page, f"notes_{width}_{lang}")
    note.locator(".l-note-show").click()
    dialog = page.locator(".l-note-dialog")
    expect(dialog.locator(".l-note-text")).to_have_text(HOSTILE)
    expect(dialog.locator("img")).to_be_visible()
    shot(page, f"note_{width}_{lang}")
    # half a second into the second shot's own take
    page.wait_for_function("() => Math.abs(document.querySelector('.l-frame video').currentTime - 0.5) < 0.05")
    box = dialog.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= width
    assert not page.evaluate("globalThis.__pwned")


def test_scenes_with_notes_are_found_and_notes_are_dealt_with(
    site: Any, queue: str, notes: dict[str, Any], open_page: Callable[..., Any], shot: Callable[[Any, str], None]
) -> None:
    page = look(open_page, queue)
    harbour = page.locator(".l-scene", has_text="Harbour")
    expect(harbour.locator(".l-state")).to_have_text("Retake")
    harbour.locator(".l-scene-main").click()
    expect(page.locator(".l-retake-note")).to_contain_text("See the notes below")
    page.get_by_label("Show which scenes").click()
    page.get_by_role("menuitem", name="Notes from the review").click()
    expect(page.locator(".l-scene")).to_have_count(2)
    page.locator("#l-insp .l-note").get_by_role("button", name="Mark as done").click()
    expect(page.locator(".l-scene")).to_have_count(1)  # the other one waits for nobody any more
    expect(page.locator("#l-insp .l-note")).to_have_count(0)
    expect(page.locator(".l-retake-note")).to_have_count(0)
    assert site.cards(queue)[1]["retake"] is None
    page.locator("#l-insp").get_by_role("button", name="Show 1 that is done").click()
    done = page.locator('#l-insp .l-note[data-state="done"]')
    shot(page, "notes_done_1366")
    done.get_by_role("button", name="Open it again").click()
    expect(page.locator('#l-insp .l-note[data-state="open"]')).to_have_count(1)
    assert "retake" in site.cards(queue)[1]["review"]


def test_a_film_has_versions_and_what_was_said_comes_and_goes_as_files(
    site: Any, queue: str, notes: dict[str, Any], tmp_path: Path, open_page: Callable[..., Any], shot: Any
) -> None:
    second = site.cards(queue)[1]["id"]
    site.call("POST", f"/scenes/{second}/seeds", {"seeds": [77]})
    site.wait(queue)
    finish(site, queue)
    page = look(open_page, queue)
    dialog = film_dialog(page, "export")
    dialog.get_by_role("button", name="Show as version 2").click()
    versions = dialog.locator("#film-panel-review .l-share-row")
    expect(versions.first).to_contain_text("Version 2")
    expect(versions.first).to_contain_text("1 retaken")
    expect(versions.nth(1)).to_contain_text("2 comments")
    expect(dialog.locator(".l-note")).to_have_count(2)
    shot(page, "review_versions_1366")

    page.locator("#review-open").click()
    expect(dialog).to_contain_text("Closed: reviewers see nothing of it")
    page.locator("#review-open").click()
    expect(dialog).to_contain_text("Reviewers see version 2")

    with page.expect_download() as package:
        page.locator("#review-package").click()
    assert package.value.suggested_filename.endswith(".zip")
    file = tmp_path / "comments.json"
    sent = {"id": "came-in-a-file", "version": 2, "at": 0.1, "text": HOSTILE, "wish": "comment", "region": None}
    file.write_text(json.dumps({"lanterna_review": 1, "review_id": notes["id"], "author": "Rui", "comments": [sent]}))
    page.locator("#review-file").set_input_files(file)
    expect(page.locator("#l-toasts")).to_contain_text("1 comment came in")
    brought = dialog.locator(".l-note", has_text="Rui")
    expect(brought).to_contain_text("from a file")
    expect(brought.locator("p")).to_have_text(HOSTILE)
    file.write_text("{}")
    page.locator("#review-file").set_input_files(file)
    expect(page.locator("#l-toasts .l-toast-bad")).to_be_visible()

    dialog.locator(".l-note", has_text="Rui").locator(".l-note-time").click()  # nothing lies over the player any more
    expect(dialog).to_have_count(0)
    page.wait_for_function("() => document.querySelector('.l-frame video').src.includes('/versions/2/film')")
    assert not page.evaluate("globalThis.__pwned")

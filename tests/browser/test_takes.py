"""Choosing takes in a real Chromium: two in step, keys of the review, the palette, room on the disk."""

import re
from typing import Any

import pytest
from playwright.sync_api import expect

FPS = 24
# by frame that the first one showed: how far the other one was away, in seconds
WATCH = """() => {
  const [a, b] = document.querySelectorAll(".l-compare video");
  window.drifts = [];
  const look = () => {
    const away = Math.abs(b.currentTime - a.currentTime);
    if (!a.paused && !b.paused && b.currentTime < b.duration - 0.1) window.drifts.push(away);
    a.requestVideoFrameCallback(look);
  };
  a.requestVideoFrameCallback(look);
}"""
PLACES = (
    """() => [...document.querySelectorAll(".l-compare video")].map((video) => [video.currentTime, video.paused])"""
)


@pytest.fixture(scope="module")
def queue(site: Any) -> str:
    """Two scenes: the first with three takes, the second with one. Nothing has been looked at."""
    names = ("The lamp", "Harbour")
    scenes = [
        {"task_type": "text_to_video", "label": name, "prompt": name, "resolution": "480P", "duration": 2, "seed": 7}
        for name in names
    ]
    queue_id = str(site.episode("To review", scenes))
    site.call("POST", f"/queues/{queue_id}/run", {})
    site.call("POST", f"/scenes/{site.cards(queue_id)[0]['id']}/seeds", {"seeds": [8, 9]})
    site.wait(queue_id)
    assert [card["takes"] for card in site.cards(queue_id)] == [3, 1]
    return queue_id


def open_queue(page: Any, queue_id: str) -> None:
    page.locator(f'.l-queue[data-id="{queue_id}"]').click()
    page.locator(".l-scene").nth(1).wait_for()
    page.locator(".l-scene-main").first.click()
    page.locator(".l-pick").nth(2).wait_for()


def test_two_takes_play_in_step_and_stop_on_the_same_frame(site: Any, queue: str, open_page: Any, shot: Any) -> None:
    page = open_page()
    open_queue(page, queue)
    page.get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.l-compare video')].every((v) => v.readyState >= 3 && v.videoWidth > 0)"
    )
    page.evaluate(WATCH)
    page.keyboard.press("Space")
    page.wait_for_function("() => window.drifts.length > 30", timeout=20_000)
    page.keyboard.press("k")
    drifts = page.evaluate("window.drifts")
    assert sum(drift > 1 / FPS for drift in drifts) <= len(drifts) * 0.05, max(drifts)
    (first, paused), (second, also) = page.evaluate(PLACES)
    assert paused and also and first == second
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"() => document.querySelector('.l-compare video').currentTime > {first}")
    (third, _), (fourth, _) = page.evaluate(PLACES)
    assert third == fourth and third - first == pytest.approx(1 / FPS, abs=1e-3)
    shot(page, "takes_compare")

    muted = "() => [...document.querySelectorAll('.l-compare video')].map((v) => v.muted)"
    assert page.evaluate(muted) == [False, True]
    page.locator(".l-compare-sound button").nth(1).click()
    assert page.evaluate(muted) == [True, False]
    page.locator(".l-compare-bar").nth(1).get_by_label("Use this take").click()
    page.wait_for_function("() => document.querySelectorAll('.l-pick')[1].dataset.selected === 'true'")
    selected = [take["number"] for take in site.call("GET", f"/takes?queue={queue}")["takes"] if take["selected"]]
    assert sorted(selected) == [1, 2]


def test_takes_are_reviewed_with_the_keyboard(site: Any, queue: str, open_page: Any) -> None:
    page = open_page()
    open_queue(page, queue)
    page.keyboard.press("4")
    expect(page.locator('.l-pick[data-selected="true"] .l-stars [aria-pressed="true"]')).to_have_count(4)
    page.keyboard.press("n")
    expect(page.locator(".l-stage-title")).to_have_text("Harbour")
    page.keyboard.press("r")
    page.locator("dialog textarea").fill("slower, <b>please</b>")
    page.keyboard.press("Enter")
    expect(page.locator('.l-scene[data-review="retake"] .l-state')).to_have_text("Retake · slower, <b>please</b>")
    assert [card["review"] for card in site.cards(queue)] == ["seen", "retake"]
    page.keyboard.press("n")
    expect(page.locator(".l-toast-ok").last).to_contain_text("Every take has been looked at")

    page.get_by_label("Show which scenes").click()
    page.get_by_role("menuitem", name="Need a retake").click()
    expect(page.locator(".l-scene")).to_have_count(1)
    expect(page.locator(".l-filter-line")).to_contain_text("Need a retake · 1")
    page.get_by_role("button", name="All scenes").click()
    expect(page.locator(".l-scene")).to_have_count(2)


def test_the_same_again_is_shown_instead_of_rendered(site: Any, queue: str, open_page: Any) -> None:
    page = open_page()
    open_queue(page, queue)
    before = site.cards(queue)[0]["takes"]
    page.keyboard.press("Control+Enter")
    dialog = page.locator("dialog")
    expect(dialog).to_contain_text("Take 1 is exactly this", timeout=15_000)
    dialog.get_by_role("button", name="Show it").click()
    page.wait_for_function("() => document.querySelectorAll('.l-pick')[2].dataset.selected === 'true'")
    assert site.cards(queue)[0]["takes"] == before


def test_everything_is_found_by_a_few_letters(queue: str, open_page: Any, shot: Any) -> None:
    page = open_page(lang="pt")
    open_queue(page, queue)
    page.keyboard.press("Control+k")
    rows = page.locator(".l-palette-row")
    page.keyboard.type("armazen")
    expect(rows.first).to_contain_text("Armazenamento")
    page.keyboard.press("Enter")
    expect(page.locator("dialog h2")).to_have_text("Armazenamento")
    expect(page.locator(".l-storage-row").first).to_contain_text("To review")
    shot(page, "takes_storage_pt")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    expect(rows.first).to_contain_text("Armazenamento")  # what was chosen last comes first
    page.keyboard.type("harb")
    page.keyboard.press("Enter")
    expect(page.locator(".l-stage-title")).to_have_text("Harbour")
    page.keyboard.press("Control+k")
    page.keyboard.type("galeria")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.body.dataset.tab === 'gallery'")
    page.keyboard.press("Control+k")
    expect(page.locator("dialog.l-palette")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog.l-palette")).to_have_count(0)


def test_what_is_in_the_trash_is_deleted_for_ever_from_the_gallery(site: Any, queue: str, open_page: Any) -> None:
    scene = site.cards(queue)[0]["id"]
    gone = site.call("GET", f"/scenes/{scene}")["take_list"][0]["id"]
    site.call("DELETE", f"/takes/{gone}")
    page = open_page(width=1366, height=800)
    page.locator('#l-nav button[data-tab-id="gallery"]').click()
    page.locator("#gallery-trash").click()
    page.locator(f'.l-tile[data-id="{gone}"]').click()
    page.locator("#take-forever").click()
    page.locator("dialog").last.get_by_role("button", name="Delete for ever").click()
    expect(page.locator("#gallery-empty")).to_contain_text(re.compile("trash is empty", re.IGNORECASE))
    assert site.call("GET", "/takes?trashed=true")["total"] == 0

"""Preflight in a real Chromium: Run looks first, the dialog answers, a row leads to its scene."""

from typing import Any

import pytest
from playwright.sync_api import expect

SHOTS = [
    {"task_type": "text_to_video", "resolution": "480P", "label": name, "prompt": "Night", "duration": 0.5}
    for name in ("Lamp", "Reef", "Tide")
]


@pytest.fixture
def queue(site: Any) -> str:
    """Three shots, the second with a line in which there is nothing to say."""
    queue_id = site.episode("Before the night", SHOTS)
    bad = site.cards(queue_id)[1]["id"]
    site.call("PATCH", f"/scenes/{bad}", {"lines": [{"text": "…🙂"}]})
    return str(queue_id)


def opened(page: Any, queue_id: str) -> Any:
    page.locator(f'.l-queue[data-id="{queue_id}"]').click()
    page.locator(".l-scene").first.wait_for()
    return page.locator("dialog.l-preflight-dialog")


def test_run_shows_what_cannot_run_and_runs_the_rest(site: Any, open_page: Any, shot: Any, queue: str) -> None:
    page = open_page()
    dialog = opened(page, queue)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(dialog.locator(".l-pf-errors").first).to_contain_text("1")
    expect(dialog.locator(".l-pf-row")).to_have_count(3)
    shot(page, "preflight_1600")
    dialog.get_by_role("button", name="Only problems 1").click()
    expect(dialog.locator(".l-pf-row")).to_have_count(1)
    dialog.locator("#preflight-ready").fill("7")
    dialog.locator("#preflight-ready").press("Tab")
    expect(dialog.locator("#preflight-ready")).to_have_value("07:00")
    dialog.locator(".l-pf-row").click()
    expect(dialog).to_have_count(0)
    expect(page.locator(".l-scene[data-selected] .l-scene-title")).to_have_text("Reef")
    page.locator(".l-btn-check").click()
    dialog.get_by_role("button", name="Run the 2 that can, leave out 1").click()
    expect(dialog).to_have_count(0)
    site.wait(queue)
    assert [card["state"] for card in site.cards(queue)] == ["done", "draft", "done"]
    asked = site.call("GET", f"/queues/{queue}")["queue"]
    assert asked["asked"] and asked["ready_by"] == "07:00"


def test_a_clean_queue_that_was_asked_just_runs(site: Any, open_page: Any) -> None:
    queue_id = site.episode("Clean", SHOTS[:1])
    site.call("PATCH", f"/queues/{queue_id}", {"asked": True})
    page = open_page()
    dialog = opened(page, queue_id)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".l-toast-ok")).to_contain_text("Running")
    expect(dialog).to_have_count(0)


def test_on_a_phone_the_table_becomes_cards(open_page: Any, shot: Any, queue: str) -> None:
    page = open_page(390, 844, "pt")
    dialog = opened(page, queue)
    page.locator(".l-btn-check").click()
    row = dialog.locator(".l-pf-row").first
    row.wait_for()
    wide, foot = dialog.bounding_box(), dialog.locator(".l-dialog-foot").bounding_box()
    assert dialog.evaluate("(d) => d.querySelector('.l-dialog-body').scrollWidth <= d.clientWidth")
    assert wide["width"] <= 390 and foot["y"] + foot["height"] <= 844
    shot(page, "preflight_390")

"""The bell in a real Chromium: what happened is told, hostile names are text, hooks can be added, the report opens."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

HOSTILE = '<img src=x onerror="globalThis.__pwned=1">${globalThis.__pwned=2}'
SCENE = {"task_type": "text_to_video", "resolution": "480P", "duration": 0.5, "prompt": "A lamp at night", "seed": 3}


@pytest.fixture(scope="module")
def finished(site: Any) -> str:
    """The id of a queue with a name that means harm, whose run has ended."""
    queue_id = site.episode(HOSTILE, [{**SCENE, "label": HOSTILE}])
    site.call("POST", f"/queues/{queue_id}/run", {})
    site.wait(queue_id)
    return str(queue_id)


@pytest.mark.parametrize(("width", "lang"), [(1600, "en"), (1366, "pt"), (390, "zh")])
def test_what_happened_is_told_until_it_was_seen(
    finished: str, open_page: Callable[..., Any], shot: Callable[[Any, str], None], width: int, lang: str
) -> None:
    page = open_page(width, 844 if width < 500 else 900, lang)
    bell = page.locator("#notices-bell")
    expect(bell).to_have_attribute("data-unread", "", timeout=15_000)
    bell.click()
    notice = page.locator(".l-notices li").first
    expect(notice).to_contain_text(HOSTILE)
    shot(page, f"notices_{width}")
    box = page.locator(".l-notices").bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= width
    with page.context.expect_page() as opened:
        notice.locator("a").click()
    report = opened.value
    report.locator("table").first.wait_for()
    shot(report, f"report_{width}")
    assert HOSTILE in report.locator("h1").inner_text()
    assert not report.evaluate("globalThis.__pwned") and not page.evaluate("globalThis.__pwned")
    page.keyboard.press("Escape")
    expect(bell).not_to_have_attribute("data-unread", "")
    page.reload()
    page.locator("#l-sidebar .l-sidebar").wait_for(timeout=30_000)
    expect(bell).not_to_have_attribute("data-unread", "")


def test_a_hook_is_added_changed_and_its_secret_never_shown(
    site: Any, finished: str, open_page: Callable[..., Any], shot: Callable[[Any, str], None]
) -> None:
    page = open_page()
    page.locator("#notices-bell").click()
    page.locator("#notices-settings").click()
    page.locator("#hooks-add").click()
    page.locator("#hook-kind").select_option("telegram")
    page.locator("#hook-name").fill(HOSTILE)
    page.locator("#hook-target").fill("77")
    page.locator("#hook-secret").fill("12:token")
    page.locator("#hook-save").click()
    row = page.locator(".l-hooks li")
    expect(row).to_contain_text(HOSTILE)
    shot(page, "telling_1600")
    assert "12:token" not in page.content()
    (hook,) = site.call("GET", "/hooks")
    assert hook["has_secret"] and hook["target"] == "77"
    row.locator("button").nth(1).click()
    page.locator("#hook-name").fill("My phone")
    page.locator("#hook-save").click()
    expect(row).to_contain_text("My phone")
    assert site.call("GET", "/hooks")[0]["has_secret"]

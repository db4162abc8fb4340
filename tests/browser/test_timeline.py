"""The timeline under the player: it seeks, reorders, trims and asks for transitions, and the film follows."""

from collections.abc import Callable
from typing import Any

import pytest

SECONDS = 2.0


@pytest.fixture(scope="module")
def rendered(site: Any) -> str:
    """A queue of three rendered shots of two seconds; the second one speaks."""
    scenes = [
        {"task_type": "text_to_video", "label": name, "prompt": name, "duration": SECONDS, "resolution": "480P"}
        for name in ("pier", "buoy", "lamp")
    ]
    scenes[1]["lines"] = [{"character": "Ana", "text": "No."}]
    queue_id = str(site.episode("On a clock", scenes))
    site.call("POST", f"/queues/{queue_id}/run", {"override": True})
    site.wait(queue_id)
    return queue_id


def timeline(site: Any, queue_id: str) -> list[dict[str, Any]]:
    return list(site.call("GET", f"/queues/{queue_id}/timeline")["clips"])


def titles(site: Any, queue_id: str) -> list[str]:
    return [clip["title"] for clip in timeline(site, queue_id)]


@pytest.fixture
def page(open_page: Callable[..., Any], site: Any, rendered: str) -> Any:
    opened = open_page()
    opened.locator(".l-queue", has_text="On a clock").click()
    opened.locator(".l-tl .l-clip").nth(2).wait_for()
    return opened


def box(page: Any, selector: str, n: int) -> dict[str, float]:
    return dict(page.locator(selector).nth(n).bounding_box())


def drag(page: Any, x: float, y: float, to: float) -> None:
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move((x + to) / 2, y, steps=4)
    page.mouse.move(to, y, steps=4)
    page.mouse.up()


def test_a_click_shows_that_moment_of_the_film(page: Any, rendered: str, shot: Any) -> None:
    from playwright.sync_api import expect

    third = box(page, ".l-clip", 2)
    page.mouse.click(third["x"] + third["width"] / 2, third["y"] + 20)
    expect(page.locator(".l-clip").nth(2)).to_have_attribute("aria-current", "true")
    expect(page.get_by_role("button", name="Film", exact=True).first).to_have_attribute("aria-pressed", "true")
    second = float(page.locator(".l-tl .l-playhead").get_attribute("aria-valuenow"))
    assert 2 * SECONDS + 0.5 < second < 3 * SECONDS - 0.5
    page.locator(".l-tl-scroll").press("Home")
    expect(page.locator(".l-tl .l-playhead")).to_have_attribute("aria-valuenow", "0.00")
    expect(page.locator(".l-sound-voice canvas").first).to_be_visible()
    shot(page, "timeline")


def test_a_clip_that_is_dragged_changes_the_order_and_undo_takes_it_back(page: Any, site: Any, rendered: str) -> None:
    from playwright.sync_api import expect

    first, last = box(page, ".l-clip", 0), box(page, ".l-clip", 2)
    drag(page, first["x"] + 40, first["y"] + 30, last["x"] + last["width"] - 6)
    expect(page.locator(".l-clip-name").last).to_have_text("pier")
    page.wait_for_function("document.querySelector('.l-scene-title').textContent.startsWith('buoy')")
    assert titles(site, rendered) == ["buoy", "lamp", "pier"]
    page.keyboard.press("Control+z")
    expect(page.locator(".l-clip-name").first).to_have_text("pier")
    assert titles(site, rendered) == ["pier", "buoy", "lamp"]


def test_a_handle_trims_the_scene_and_the_film(page: Any, site: Any, rendered: str) -> None:
    from playwright.sync_api import expect

    first = box(page, ".l-clip", 0)
    with page.expect_response(lambda answer: answer.request.method == "PATCH") as patched:
        drag(page, first["x"] + first["width"] - 3, first["y"] + 20, first["x"] + first["width"] / 2)
    assert patched.value.ok
    clip = timeline(site, rendered)[0]
    assert 0.9 < clip["trim"][1] < 1.1 and clip["duration"] == pytest.approx(SECONDS - clip["trim"][1], abs=1e-3)
    assert clip["trim"][1] * 24 == pytest.approx(round(clip["trim"][1] * 24), abs=1e-2), "on a frame"
    expect(page.locator(".l-clip").nth(1)).to_be_visible()

    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        page.locator(".l-clip").nth(0).locator(".l-trim-start").press("Shift+ArrowRight")
    start, end = timeline(site, rendered)[0]["trim"]
    assert SECONDS - start - end == pytest.approx(0.3, abs=1 / 24), "never less than that"


def test_a_transition_is_chosen_between_two_clips(page: Any, site: Any, rendered: str) -> None:
    page.locator(".l-mark").nth(1).press("Enter")
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        page.get_by_role("menuitem", name="Dissolve").click()
    assert [clip["transition"] for clip in timeline(site, rendered)] == ["cut", "dissolve", "cut"]

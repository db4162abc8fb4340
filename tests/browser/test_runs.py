"""The ways to run a queue, as only a browser shows them: menu, options, list of queues, the countdown."""

import re
from typing import Any

from playwright.sync_api import expect


def shots(*labels: str) -> list[dict[str, Any]]:
    return [{"task_type": "text_to_video", "prompt": name, "label": name, "duration": 0.5} for name in labels]


def open_queue(page: Any, queue_id: str) -> None:
    page.locator(f'.l-queue[data-id="{queue_id}"]').click()


def choose(page: Any, name: str) -> None:
    page.locator(".l-split").get_by_label("Other ways to run").click()
    page.get_by_role("menuitem", name=name).click()


def test_a_queue_is_run_the_way_it_is_told(site: Any, open_page: Any, shot: Any) -> None:
    queue_id = site.episode("To schedule", shots("one", "two"))
    page = open_page()
    open_queue(page, queue_id)
    choose(page, "Run options")
    page.locator("#run-on-error").select_option("retry")
    page.get_by_label("How often it is tried again").fill("3")
    page.locator("#run-order").select_option("model")
    page.locator("#run-priority").select_option("5")
    page.locator("#run-starts").fill("2099-01-01T06:00")
    page.locator("#run-afterwards").select_option("shut_down")
    page.get_by_label("Draft where a real engine fails").check()
    shot(page, "run_options")
    page.locator("#run-save").click()
    expect(page.locator("dialog").last).to_contain_text("a minute after the last scene")
    page.locator("dialog").last.get_by_role("button", name="Cancel").click()  # rather not
    page.locator("#run-afterwards").select_option("nothing")
    page.locator("#run-save").click()
    expect(page.locator("dialog")).to_have_count(0)
    queue = site.call("GET", f"/queues/{queue_id}")["queue"]
    told = ("on_error", "retries", "order", "priority", "afterwards", "draft_on_failure")
    assert [queue[name] for name in told] == ["retry", 3, "model", 5, "nothing", True]
    site.call("POST", f"/queues/{queue_id}/run", {})
    row = page.locator(f'.l-queue[data-id="{queue_id}"]')
    expect(row).to_have_attribute("data-state", "scheduled")
    expect(row.locator(".l-queue-marks .l-ic")).to_have_count(2)  # a clock, an arrow
    choose(page, "Stop after this scene")
    expect(page.locator("#l-toasts")).to_contain_text("2 scenes go back")
    assert [card["state"] for card in site.cards(queue_id)] == ["draft", "draft"]
    choose(page, "Run selection")  # one is selected: it goes whatever the time
    page.locator('.l-scene[data-state="done"]').first.wait_for(timeout=60_000)
    assert [card["state"] for card in site.cards(queue_id)] == ["done", "draft"]


def test_a_queue_is_dragged_to_another_place(site: Any, open_page: Any) -> None:
    first, second = site.episode("First", shots("one")), site.episode("Second", shots("two"))
    page = open_page()
    page.locator(f'.l-queue[data-id="{second}"]').drag_to(
        page.locator(f'.l-queue[data-id="{first}"]'), target_position={"x": 40, "y": 4}
    )
    expect(page.locator(f'[role=listitem]:has([data-id="{second}"]) + [role=listitem] .l-queue')).to_have_attribute(
        "data-id", first
    )
    order = [queue["id"] for queue in site.call("GET", "/queues")]
    assert order.index(second) < order.index(first)


def test_the_countdown_is_shown_and_can_be_cancelled(site: Any, open_page: Any, shot: Any) -> None:
    """The computer of whoever runs the tests is not to fall asleep: the studio's answer is played."""
    site.episode("To sleep", shots("one"))
    page = open_page()
    cancelled: list[str] = []

    def played(route: Any) -> None:
        answer = route.fetch()
        body = answer.json()
        if "now" in body:
            body["now"]["power"] = None if cancelled else {"what": "sleep", "in": 42}
        route.fulfill(response=answer, json=body)

    def cancel(route: Any) -> None:
        cancelled.append(route.request.method)
        route.fulfill(json={"cancelled": True})

    page.route(re.compile(r"/api/queues/\w{26}"), played)
    page.route(re.compile(r"/api/power/cancel"), cancel)
    expect(page.locator(".l-now-title")).to_have_text("Sleeps in 42 s", timeout=15_000)
    shot(page, "run_countdown")
    page.get_by_role("button", name="Stay on").click()
    expect(page.locator(".l-now-title")).to_have_text("Nothing is rendering", timeout=15_000)
    assert cancelled == ["POST"]


def test_a_stand_in_is_said_in_words(open_page: Any) -> None:
    """Of an engine by the title of its model, however long the list of those that failed."""
    page = open_page()
    why = {"code": "engine.out_of_memory", "params": {"engine": "infinitetalk-multi"}}
    params = {"engine": "wan2gp", "failed": "infinitetalk, infinitetalk-multi", "why": why}
    said = page.evaluate(
        "async (degraded) => (await import('/ui/js/words_of.js')).standInText({degraded})",
        {"code": "job.stood_in", "params": params},
    )
    assert said.startswith("Rendered by Wan2GP, because InfiniteTalk") and "infinitetalk" not in said
    assert (
        page.evaluate(
            "async () => (await import('/ui/js/words_of.js')).standInText({degraded: {code: 'old words', params: {}}})"
        )
        == "Another engine stood in: old words"
    )

"""Several scenes at once in a real Chromium: pick, change, undo by keyboard, delete what others read, drop a scene."""

from typing import Any

import pytest
from playwright.sync_api import expect

SHOT = {"task_type": "text_to_video", "resolution": "480P", "duration": 1.0, "prompt": "A lighthouse wakes"}


@pytest.fixture
def queue(site: Any) -> str:
    """A queue of three scenes, of which the third reads the first."""
    reader = {**SHOT, "task_type": "image_to_video", "input_image": "{{job:0}}", "label": "After"}
    return str(site.episode("Edited", [{**SHOT, "label": "Lamp"}, {**SHOT, "label": "Pier"}, reader]))


@pytest.fixture
def page(open_page: Any, queue: str) -> Any:
    page = open_page()
    page.locator(f'.l-queue[data-id="{queue}"]').click()
    page.locator(".l-scene").nth(2).wait_for()
    return page


def fields(site: Any, queue: str, name: str) -> list[Any]:
    return [site.call("GET", f"/scenes/{card['id']}")["scene"].get(name) for card in site.cards(queue)]


def test_picked_scenes_are_changed_together_and_ctrl_z_takes_it_back(page: Any, site: Any, queue: str) -> None:
    rows = page.locator(".l-scene-main")
    rows.nth(0).click(modifiers=["Control"])
    rows.nth(2).click(modifiers=["Shift"])
    bar = page.get_by_role("toolbar", name="Picked scenes")
    expect(bar).to_contain_text("3 picked")
    bar.get_by_role("button", name="Resolution").click()
    page.get_by_role("menuitem", name="540P").click()
    expect(page.locator(".l-toast").last).to_contain_text("3 scenes changed")
    assert fields(site, queue, "resolution") == ["540P"] * 3
    page.keyboard.press("Escape")
    expect(bar).to_be_hidden()
    page.locator("#l-scene-prompt textarea").click()
    page.keyboard.press("Control+z")  # in a text box it is the browser's
    assert fields(site, queue, "resolution") == ["540P"] * 3
    rows.nth(1).click()
    page.keyboard.press("Control+z")
    expect(page.locator(".l-toast").last).to_contain_text("Undone: the edit of 3 scenes")
    assert fields(site, queue, "resolution") == ["480P"] * 3


def test_deleting_what_others_read_asks_and_undo_brings_it_back(page: Any, site: Any, queue: str) -> None:
    page.locator(".l-scene-main").nth(0).click()
    page.locator("#l-insp-head").get_by_label("More").first.click()
    page.get_by_role("menuitem", name="Delete").click()
    page.locator("dialog").get_by_role("button", name="Delete", exact=True).click()
    dialog = page.locator("dialog[open]").filter(has_text="3 · After")
    dialog.get_by_role("button", name="Delete all the same").click()
    expect(page.locator(".l-scene")).to_have_count(2)
    page.keyboard.press("Control+z")
    expect(page.locator(".l-scene")).to_have_count(3)
    assert [card["title"] for card in site.cards(queue)] == ["Lamp", "Pier", "After"]


def test_a_scene_that_is_dropped_on_a_well_becomes_its_input(page: Any, site: Any, queue: str) -> None:
    page.locator(".l-scene-main").nth(2).click()
    well = page.locator("#l-scene-input_image .l-well")
    well.wait_for(timeout=15_000)
    page.locator(".l-scene").nth(1).drag_to(well)
    expect(well).to_contain_text("Pier")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".l-insp-saved")).to_have_text("Saved", timeout=15_000)
    second = site.cards(queue)[1]["id"]
    assert fields(site, queue, "input_image")[2] == f"scene:{second}#last"

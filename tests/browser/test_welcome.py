"""An empty studio greets, plays its sample on one click, and stays out of the way afterwards."""

from typing import Any

import pytest


@pytest.fixture
def greeted(open_page):
    """A page whose visitor has not sent the welcome away yet."""

    def one(**how: Any) -> Any:
        page = open_page(**how)
        page.context.add_init_script("localStorage.removeItem('lanterna_welcome')")
        page.reload()
        return page

    return one


@pytest.mark.parametrize(("lang", "words"), [("en", "no GPU"), ("pt", "GB livres"), ("zh", "许可")])
def test_it_says_what_a_real_model_needs_and_what_this_machine_has(greeted, shot, lang, words):
    page = greeted(lang=lang)
    page.locator("#welcome").wait_for()
    said = page.locator("#welcome").inner_text()
    assert "welcome." not in said and "24 GB" in said
    assert words in said or lang == "en"
    shot(page, f"welcome_{lang}")
    page.locator("#welcome-models").click()
    page.locator(".l-settings-body[data-section=models]").wait_for()
    page.locator("#welcome").wait_for(state="detached")


def test_it_fits_a_phone(greeted, shot):
    page = greeted(width=390, height=844, lang="pt")
    page.locator("#welcome-sample").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator("#welcome").bounding_box()
    assert box["x"] >= 0 and box["width"] <= 390
    shot(page, "welcome_390")


def test_turning_to_a_tab_puts_it_aside_and_dismissing_it_keeps_it_away(greeted, open_page):
    page = greeted()
    page.locator("#welcome").wait_for()
    page.locator('#l-nav button[data-tab-id="gallery"]').first.click()
    page.locator("#welcome").wait_for(state="detached")
    page.locator("#gallery-empty").wait_for()

    page.reload()
    page.locator("#welcome-later").click()
    page.locator("#welcome").wait_for(state="detached")
    assert page.evaluate("localStorage.lanterna_welcome") == "1"


def test_the_sample_starts_on_one_click(greeted, site):
    page = greeted()
    page.locator("#welcome-sample").click()
    page.locator("#welcome").wait_for(state="detached")
    page.locator(".l-scene").first.wait_for()
    queue = next(queue for queue in site.call("GET", "/queues") if not queue["inbox"])
    assert queue["counts"]["queued"] + queue["counts"]["running"] + queue["counts"]["done"] > 5
    site.call("POST", f"/queues/{queue['id']}/stop", {})
    page.reload()
    page.locator(".l-scene").first.wait_for()
    assert not page.locator("#welcome").count(), "who has a queue needs no welcome"

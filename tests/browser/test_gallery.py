"""The Gallery tab as a person uses it: find, look closely, hide, delete, bring back, and start again from a take."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from studio.domain import new_id

HOSTILE = "Lamp ${globalThis.pwned=1} `x` {{7*7}} <img src=x onerror='globalThis.pwned=2'>"
MANY = 130
FRAMES = """async (video) => {
  const shown = () => video.getVideoPlaybackQuality().totalVideoFrames;
  while (shown() <= 5) await new Promise((done) => requestAnimationFrame(done));
  return video.videoWidth;
}"""
OPENED = "dialog.l-take-dialog"


@pytest.fixture(scope="module")
def library(site: Any) -> Any:
    """MANY takes: two rendered ones, the others rows that share their files."""
    scenes = [
        {"task_type": "text_to_video", "prompt": HOSTILE, "seed": 11, "label": "The lamp"},
        {"task_type": "text_to_image", "prompt": "Glass water at dawn", "seed": 12},
    ]
    queue = site.episode(
        "Trailer", [{"resolution": "480P", "duration": 1.0} | scene for scene in scenes[:1]] + scenes[1:]
    )
    site.call("POST", f"/queues/{queue}/run", {})
    site.wait(queue)
    with closing(sqlite3.connect(site.root / "data" / "studio.db", timeout=20)) as rows, rows:
        rows.row_factory = sqlite3.Row
        made = [dict(row) for row in rows.execute("select * from takes order by id").fetchall()]
        for number in range(MANY - len(made)):
            copy = made[number % len(made)] | {"id": new_id(), "job_id": new_id(), "selected": 0, "number": number + 2}
            names = ", ".join(copy)
            rows.execute(f"insert into takes ({names}) values ({', '.join(f':{name}' for name in copy)})", copy)
    return site


@pytest.fixture
def gallery(open_page, library):
    page = open_page()
    show(page)
    page.locator(".l-grid .l-tile").first.wait_for()
    return page


def show(page) -> None:
    page.locator('#l-nav button[data-tab-id="gallery"]').first.click()
    page.locator("#gallery-search").wait_for()


def count(page) -> int:
    return page.locator(".l-grid .l-tile").count()


def wait_for_count(page, wanted: int) -> None:
    page.wait_for_function("(n) => document.querySelectorAll('.l-grid .l-tile').length === n", arg=wanted)


def test_an_empty_gallery_says_what_to_do_next(open_page, site):
    if site.call("GET", "/takes")["total"]:
        pytest.skip("ran after the gallery was filled")
    page = open_page(lang="pt")
    show(page)
    page.locator("#gallery-empty button").click()
    page.locator("#generate-go").wait_for()


def test_pages_come_as_they_are_scrolled_to(gallery):
    assert count(gallery) < MANY, "only a first page"
    posters = gallery.evaluate("document.querySelectorAll('.l-grid img').length")
    assert posters < count(gallery), "no poster far below the screen"
    assert not gallery.locator(".l-grid video").count(), "no clip before a hover"
    while count(gallery) < MANY:
        before = count(gallery)
        gallery.locator(".l-gallery-scroll").evaluate("(box) => box.scrollTo(0, box.scrollHeight)")
        gallery.wait_for_function("(n) => document.querySelectorAll('.l-grid .l-tile').length > n", arg=before)
    ids = gallery.evaluate("[...document.querySelectorAll('.l-grid .l-tile')].map((tile) => tile.dataset.id)")
    assert len(set(ids)) == MANY and ids == sorted(ids, reverse=True)


def test_a_clip_plays_on_hover_and_large_in_the_dialog(gallery, library, shot):
    tile = gallery.locator(".l-grid .l-tile", has_text="The lamp").first
    tile.hover()
    assert tile.locator("video").evaluate(FRAMES) > 0
    gallery.locator("#gallery-search").hover()
    tile.locator("video").wait_for(state="detached")
    tile.click()
    assert gallery.locator(f"{OPENED} video:not([hidden])").evaluate(FRAMES) > 0
    assert HOSTILE in gallery.locator(f"{OPENED} .l-take-prompt").inner_text()
    facts = gallery.locator(f"{OPENED} .l-take-facts").inner_text()
    assert "11" in facts and "Trailer" in facts and "480 × 272" in facts
    assert gallery.evaluate("globalThis.pwned") is None
    shot(gallery, "take")


def test_search_and_filters_narrow_the_grid(gallery, shot):
    gallery.locator("#gallery-kind").select_option("image")
    gallery.wait_for_function("() => !document.querySelector('.l-grid')?.innerText.includes('lamp')")
    gallery.locator("#gallery-search").fill("no such words")
    gallery.locator("#gallery-empty").wait_for()
    gallery.locator("#gallery-empty button").click()
    gallery.locator(".l-grid .l-tile", has_text="The lamp").first.wait_for()
    gallery.locator("#gallery-search").fill("glass water")
    gallery.wait_for_function("() => !document.querySelector('.l-grid')?.textContent.includes('The lamp')")
    assert count(gallery)
    shot(gallery, "gallery")
    gallery.locator("#gallery-mark").select_option("final")  # everything here was drawn by the draft engine
    gallery.locator("#gallery-empty").wait_for()
    gallery.locator("#gallery-mark").select_option("draft")
    gallery.locator(".l-grid .l-tile").first.wait_for()


def test_the_settings_of_a_take_fill_the_form(gallery):
    gallery.locator(".l-grid .l-tile", has_text="The lamp").first.click()
    gallery.locator("#take-use").click()
    prompt = gallery.locator("#generate-prompt textarea")
    prompt.wait_for()
    gallery.wait_for_function(
        "(words) => document.querySelector('#generate-prompt textarea')?.value === words", arg=HOSTILE
    )
    assert gallery.locator("#generate-seed input").input_value() == "11"
    assert gallery.locator("#generate-duration input[type=number]").input_value() == "1"
    show(gallery)
    gallery.locator(".l-grid .l-tile:not(:has-text('The lamp'))").first.click()
    gallery.locator("#take-use").click()
    gallery.locator("#generate-task-text_to_image[aria-pressed=true]").wait_for()
    gallery.wait_for_function("() => document.querySelector('#generate-seed input')?.value === '12'")


def test_what_is_private_is_covered_and_can_be_hidden(gallery, library):
    first = gallery.locator(".l-grid .l-tile").first
    name = first.get_attribute("data-id")
    first.click()
    gallery.locator("#take-private[aria-pressed=false]").click()
    gallery.locator("#take-private[aria-pressed=true]").wait_for()
    gallery.keyboard.press("Escape")
    covered = gallery.locator(f'.l-tile-private[data-id="{name}"]')
    covered.wait_for()
    assert not covered.locator("img").count(), "covered means that not even the poster is fetched"
    gallery.locator("#gallery-hide-private").click()
    covered.wait_for(state="detached")
    gallery.locator("#gallery-hide-private").click()
    covered.wait_for()
    library.call("PATCH", f"/takes/{name}", {"private": False})


def test_several_go_to_the_trash_come_back_and_go_again(gallery, library):
    total = library.call("GET", "/takes")["total"]
    gallery.locator("#gallery-choose").click()
    tiles = gallery.locator(".l-grid .l-tile")
    names = [tiles.nth(at).get_attribute("data-id") for at in range(3)]
    tiles.nth(0).click()
    tiles.nth(2).click(modifiers=["Shift"])
    gallery.locator("#gallery-picks .l-btn", has_text="Delete").click()
    gallery.locator("dialog .l-btn-danger").click()
    gallery.locator(f'.l-tile[data-id="{names[0]}"]').wait_for(state="detached")
    assert library.call("GET", "/takes")["total"] == total - 3
    gallery.locator("#gallery-undo").click()
    gallery.locator(f'.l-tile[data-id="{names[2]}"]').wait_for()
    assert library.call("GET", "/takes")["total"] == total

    library.call("DELETE", f"/takes/{names[0]}")
    gallery.locator("#gallery-trash").click()
    wait_for_count(gallery, 1)
    gallery.locator(".l-grid .l-tile").click()
    gallery.locator("#take-restore").click()
    gallery.locator("#gallery-empty").wait_for()
    gallery.locator("#gallery-empty button").click()
    gallery.locator(f'.l-tile[data-id="{names[0]}"]').wait_for()


def test_a_take_can_be_downloaded_and_its_prompt_copied(gallery):
    gallery.context.grant_permissions(["clipboard-read", "clipboard-write"])
    gallery.locator(".l-grid .l-tile", has_text="The lamp").first.click()
    gallery.locator("#take-copy-prompt").click()
    gallery.locator("#l-toasts .l-toast-ok").wait_for()
    assert gallery.evaluate("navigator.clipboard.readText()") == HOSTILE
    with gallery.expect_download() as download:
        gallery.locator("#take-download").click()
    assert download.value.path().stat().st_size > 1000


@pytest.mark.parametrize(("width", "height", "lang"), [(1366, 768, "pt"), (390, 844, "zh")])
def test_the_grid_fits_smaller_screens(open_page, library, shot, width, height, lang):
    page = open_page(width=width, height=height, lang=lang)
    show(page)
    page.locator(".l-grid img").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator(".l-grid").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert "gallery." not in page.locator("#gallery").inner_text()
    shot(page, f"gallery_{width}")

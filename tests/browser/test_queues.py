"""The Queues tab in a real Chromium: import, run, play, edit, reorder, finish; and hostile words everywhere."""

import json
import re
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

HOSTILE = '`${globalThis.__pwned=1}` {{7*7}} <img src=x onerror="globalThis.__pwned=2">'
SCENES = [
    {"label": "The lamp is lit", "prompt": "Night. A lighthouse wakes, slow push-in", "seed": 7},
    {
        "label": "Harbour",
        "prompt": "A harbour in the rain",
        "seed": 8,
        "lines": [{"character": "Inês", "text": "Now."}],
    },
    {"label": HOSTILE, "prompt": f"Glass water at dawn {HOSTILE}", "seed": 9},
]
BAD = [
    {"label": "Five references", "task_type": "reference_to_video", "prompt": "x", "ref_imgs": list("abcde")},
    {"label": "No such task", "task_type": "text_to_opera", "prompt": "x"},
]
DECODED = """async () => {
  const video = [...document.querySelectorAll("#l-stage video")].find((v) => !v.hidden);
  return { width: video.videoWidth, frames: video.getVideoPlaybackQuality().totalVideoFrames, at: video.currentTime };
}"""


def shots_of(*scenes: dict[str, Any], seconds: float = 1.0) -> list[dict[str, Any]]:
    return [{"task_type": "text_to_video", "resolution": "480P", "duration": seconds, **scene} for scene in scenes]


def rows(page: Any) -> Any:
    return page.locator(".l-scene")


def titles(page: Any) -> list[str]:
    return list(page.locator(".l-scene-title").all_text_contents())


@pytest.fixture(scope="module")
def finished(site: Any) -> str:
    """The id of a queue whose three scenes are rendered."""
    queue_id = site.episode("A rendered queue", shots_of(*SCENES))
    site.call("POST", f"/queues/{queue_id}/run", {})
    site.wait(queue_id)
    assert [card["state"] for card in site.cards(queue_id)] == ["done"] * 3
    return str(queue_id)


def open_queue(page: Any, queue_id: str) -> None:
    page.locator(f'.l-queue[data-id="{queue_id}"]').click()
    page.wait_for_function("(id) => document.querySelector('.l-queue[aria-current]')?.dataset.id === id", arg=queue_id)
    rows(page).first.wait_for()
    page.locator("#l-insp-form:not([data-loading])").wait_for(state="attached", timeout=15_000)


def test_an_episode_is_looked_at_imported_run_and_played(site: Any, open_page: Any, shot: Any, tmp_path: Path) -> None:
    file = tmp_path / "episode.json"
    file.write_text(json.dumps({"title": "From a file", "scenes": shots_of(*SCENES[:2]) + BAD}))
    page = open_page()
    page.locator("#l-sidebar").get_by_label("Import an episode").click()
    with page.expect_file_chooser() as chooser:
        page.locator("#import-file").click()
    chooser.value.set_files(file)
    report = page.locator("dialog .l-report")
    expect(report.locator(".l-report-row")).to_have_count(4)
    expect(report).to_contain_text("takes at most 4, has 5")
    expect(report).to_contain_text("text_to_opera")
    shot(page, "queues_import")
    page.get_by_role("button", name="Import the 2 that are complete").click()
    expect(rows(page)).to_have_count(2)
    assert titles(page) == ["The lamp is lit", "Harbour"]

    page.get_by_role("button", name="Run", exact=True).click()
    page.locator("#preflight-run").click()  # the draft engine stands in: that is asked once
    expect(page.locator(".l-now-title")).to_have_text(re.compile("Scene 0"), timeout=30_000)
    expect(page.locator('.l-scene[data-state="done"]')).to_have_count(2, timeout=90_000)
    expect(page.locator(".l-now")).to_have_attribute("data-mode", "idle", timeout=10_000)

    page.get_by_role("button", name="Play film").click()
    page.wait_for_function("() => document.querySelector('.l-chip-words').textContent.startsWith('02')", timeout=15_000)
    page.wait_for_function(f"async () => {{ const seen = await ({DECODED})(); return seen.width && seen.frames > 5; }}")


def test_a_dropped_file_that_is_no_episode_says_so(open_page: Any) -> None:
    page = open_page()
    page.evaluate("""() => {
      const drop = new DataTransfer();
      drop.items.add(new File(["{ not json"], "broken.json", { type: "application/json" }));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: drop, bubbles: true, cancelable: true }));
    }""")
    expect(page.locator(".l-toast-bad")).to_be_visible()


def test_hostile_words_stay_words(site: Any, open_page: Any, finished: str, shot: Any) -> None:
    page = open_page()
    open_queue(page, finished)
    page.get_by_label("Expand all").click()
    rows(page).nth(2).locator(".l-scene-main").click()
    expect(page.locator(".l-stage-title")).to_have_text(HOSTILE)
    expect(page.locator("#l-scene-prompt textarea")).to_have_value(f"Glass water at dawn {HOSTILE}", timeout=15_000)
    assert titles(page)[2] == HOSTILE
    assert HOSTILE in rows(page).nth(2).locator(".l-scene-prompt").text_content()
    page.wait_for_timeout(400)
    assert page.evaluate("globalThis.__pwned") is None
    assert page.locator('img[src="x"]').count() == 0
    shot(page, "queues_hostile")


def test_space_plays_and_decodes_frames(open_page: Any, finished: str) -> None:
    page = open_page()
    open_queue(page, finished)
    rows(page).nth(0).locator(".l-scene-main").click()
    page.wait_for_function("() => [...document.querySelectorAll('#l-stage video')].some((v) => v.readyState >= 2)")
    page.keyboard.press("Space")
    page.wait_for_timeout(800)
    seen = page.evaluate(DECODED)
    assert seen["width"] > 0 and seen["frames"] > 5 and seen["at"] > 0.2
    page.keyboard.press("k")
    assert page.evaluate("[...document.querySelectorAll('#l-stage video')].every((v) => v.paused)")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".l-scene[data-selected] .l-scene-title")).to_have_text("Harbour")


def test_an_edit_is_saved_and_a_stale_one_is_told(site: Any, open_page: Any) -> None:
    queue_id = site.episode("To edit", shots_of({"prompt": "one"}, {"prompt": "two"}))
    first = site.cards(queue_id)[0]
    page = open_page()
    open_queue(page, queue_id)
    rows(page).nth(0).locator(".l-scene-main").click()
    box = page.locator("#l-scene-prompt textarea")
    expect(box).to_have_value("one", timeout=15_000)
    box.fill(HOSTILE)
    expect(page.locator(".l-insp-saved")).to_have_text("Unsaved changes")
    page.locator("#l-insp-foot").get_by_role("button", name="Save").click()
    expect(page.locator(".l-insp-saved")).to_have_text("Saved", timeout=15_000)
    assert site.call("GET", f"/scenes/{first['id']}")["scene"]["prompt"] == HOSTILE
    expect(page.locator(".l-scene-title").first).to_have_text(HOSTILE)

    box.fill("mine")
    site.call("PATCH", f"/scenes/{first['id']}", {"prompt": "theirs"})
    page.locator("#l-insp-foot").get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Load the newer version").click()
    expect(box).to_have_value("theirs", timeout=15_000)


def test_a_field_that_is_wrong_is_marked(site: Any, open_page: Any) -> None:
    queue_id = site.episode("Wrong field", shots_of({"prompt": "one"}))
    page = open_page()
    open_queue(page, queue_id)
    box = page.locator("#l-scene-prompt textarea")
    expect(box).to_have_value("one", timeout=15_000)
    box.fill("")
    page.locator("#l-insp-foot").get_by_role("button", name="Save").click()
    expect(page.locator("#l-insp-form [role=alert]")).to_have_text("Must not be empty", timeout=15_000)
    expect(page.locator("#l-scene-prompt")).to_have_class(re.compile("l-wrong"))


def test_scenes_are_moved_duplicated_searched_and_deleted(site: Any, open_page: Any) -> None:
    queue_id = site.episode("To sort", shots_of(*({"label": name, "prompt": name} for name in ("one", "two", "three"))))
    page = open_page()
    open_queue(page, queue_id)
    page.get_by_label("Expand all").click()
    rows(page).nth(2).get_by_label("Move up").click()
    expect(page.locator(".l-scene-title")).to_have_text(["one", "three", "two"])
    rows(page).nth(0).locator(".l-scene-main").focus()
    page.keyboard.press("Alt+ArrowDown")
    expect(page.locator(".l-scene-title")).to_have_text(["three", "one", "two"])
    rows(page).nth(1).get_by_label("Duplicate").click()
    expect(rows(page)).to_have_count(4)
    rows(page).nth(0).get_by_label("Delete").click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    expect(rows(page)).to_have_count(3)
    page.locator("#l-sidebar").get_by_role("button", name="Search in scenes").click()
    page.locator(".l-search").fill("two")
    expect(rows(page)).to_have_count(1)
    assert [card["number"] for card in site.cards(queue_id)] == [1, 2, 3]


def test_rows_are_dragged_into_place(site: Any, open_page: Any) -> None:
    queue_id = site.episode("To drag", shots_of(*({"label": name, "prompt": name} for name in ("one", "two", "three"))))
    page = open_page()
    open_queue(page, queue_id)
    expect(rows(page)).to_have_count(3)
    rows(page).nth(0).drag_to(rows(page).nth(2), target_position={"x": 60, "y": 50})
    expect(page.locator(".l-scene-title")).to_have_text(["two", "three", "one"])


def test_the_film_asks_about_missing_scenes_then_is_cut_and_plays(site: Any, open_page: Any, shot: Any) -> None:
    queue_id = site.episode("To cut", shots_of({"prompt": "a pier"}, {"prompt": "never rendered"}))
    site.call("POST", f"/queues/{queue_id}/run", {"only": [site.cards(queue_id)[0]["id"]]})
    site.wait(queue_id)
    page = open_page()
    open_queue(page, queue_id)
    page.get_by_role("button", name="Finish film").click()
    page.locator("#film-finish").click()
    expect(page.locator("dialog").last).to_contain_text("One scene has no take yet")
    page.get_by_role("button", name="Leave them out").click()
    page.locator(".l-export").get_by_label("Play the finished film").click(timeout=60_000)
    expect(page.locator(".l-stage-sub")).to_contain_text("Finished film", timeout=60_000)
    page.wait_for_timeout(700)
    seen = page.evaluate(DECODED)
    assert seen["width"] == 480 and seen["frames"] > 5
    shot(page, "queues_film")
    page.get_by_role("button", name="Film", exact=True).last.click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name=re.compile("Download film")).click()
    assert Path(download.value.path()).stat().st_size > 1000


def test_the_language_switch_reaches_gradio_too(open_page: Any, finished: str, shot: Any) -> None:
    page = open_page()
    page.get_by_label("Language").click()
    page.get_by_role("menuitem", name="Português").click()
    expect(page.locator('#l-nav button[data-tab-id="queues"]')).to_have_text("Filas")
    expect(page.locator("#l-sidebar h2").first).to_have_text("Filas")
    assert page.evaluate("document.cookie").count("lanterna_lang=pt") == 1
    page.get_by_label("Idioma").click()
    page.get_by_role("menuitem", name="中文").click()
    expect(page.locator('#l-nav button[data-tab-id="queues"]')).to_have_text("队列")
    open_queue(page, finished)
    expect(page.locator("#l-insp-form")).to_contain_text("提示词", timeout=15_000)
    shot(page, "queues_zh")


@pytest.mark.parametrize(("width", "height"), [(1600, 1000), (1366, 768), (1100, 760), (390, 844)])
def test_nothing_hangs_over_the_edge(
    open_page: Callable[..., Any], finished: str, shot: Any, width: int, height: int
) -> None:
    page = open_page(width, height)
    open_queue(page, finished)
    page.wait_for_timeout(800)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width < 1181:
        page.locator(".l-stage-tools").get_by_label("Details").click()
        expect(page.locator("#l-scene-prompt textarea")).to_be_visible(timeout=15_000)
        shot(page, f"queues_sheet_{width}")
        page.locator("#l-insp-head").get_by_label("Close").click()
    shot(page, f"queues_{width}")


def test_every_control_has_a_name_and_can_be_reached(open_page: Any, finished: str) -> None:
    page = open_page()
    open_queue(page, finished)
    page.get_by_label("Expand all").click()
    expect(page.locator("#l-scene-prompt textarea")).to_be_visible(timeout=15_000)
    nameless = page.evaluate("""() => [...document.querySelectorAll(".l-host button, .l-host input, [role=slider]")]
      .filter((node) => node.offsetParent && !node.ariaLabel && !node.textContent.trim() && !node.title)
      .map((node) => node.outerHTML.slice(0, 120))""")
    assert nameless == []
    page.locator(".l-scene-main").first.focus()
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.tagName")
        )
    assert {"Move up", "Move down", "Duplicate", "Delete"} <= reached


def test_the_log_of_a_scene_is_one_click_away(open_page: Any, finished: str) -> None:
    page = open_page()
    open_queue(page, finished)
    page.locator("#l-insp-head").get_by_label("Log").click()
    expect(page.locator("dialog .l-log")).to_be_visible()


def test_one_request_at_a_time_and_none_for_events(site: Any, open_page: Any, finished: str) -> None:
    """Six tabs share six connections: the page polls, and never holds one open."""
    page = open_page()
    open_queue(page, finished)
    page.wait_for_timeout(500)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(5600)
    polls = [url for url in asked if "/api/queues/" in url]
    assert 1 <= len(polls) <= 4 and all("since=" in url for url in polls)
    assert not [url for url in asked if "heartbeat" in url or url.endswith("/events")]


def test_a_queue_is_paused_stopped_and_taken_up_again(site: Any, open_page: Any, shot: Any) -> None:
    queue_id = site.episode("To stop", shots_of(*({"prompt": f"a pier at dusk {n}"} for n in range(6)), seconds=4.0))
    page = open_page()
    open_queue(page, queue_id)
    page.get_by_role("button", name="Run", exact=True).click()
    page.locator("#preflight-run").click()
    expect(page.locator(".l-now")).to_have_attribute("data-mode", "running", timeout=30_000)
    page.locator(".l-now").get_by_label("Pause after this scene").click()
    expect(page.locator(".l-queue-bar").get_by_role("button", name="Resume")).to_be_visible()
    expect(page.locator(".l-now").get_by_label("Go on")).to_be_visible()
    shot(page, "queues_paused")
    page.locator(".l-queue-bar").get_by_label("Stop").click()
    page.locator("dialog").get_by_role("button", name="Stop").click()
    expect(page.locator('.l-scene[data-state="cancelled"]').first).to_be_visible(timeout=20_000)
    expect(page.locator(".l-now")).to_have_attribute("data-mode", "idle", timeout=20_000)
    assert page.get_by_role("button", name=re.compile("^Retry [1-6]$")).is_visible()


def test_control_and_enter_saves_then_renders_the_scene(site: Any, open_page: Any) -> None:
    queue_id = site.episode("To render", shots_of({"prompt": "one"}, {"prompt": "two"}))
    page = open_page()
    open_queue(page, queue_id)
    box = page.locator("#l-scene-prompt textarea")
    expect(box).to_have_value("one", timeout=15_000)
    box.fill("a buoy in the fog")
    page.keyboard.press("Control+Enter")
    expect(rows(page).nth(0)).to_have_attribute("data-state", "done", timeout=60_000)
    assert [card["state"] for card in site.cards(queue_id)] == ["done", "draft"]
    assert site.cards(queue_id)[0]["prompt"] == "a buoy in the fog"


def test_the_film_of_a_queue_is_set_on_screen(site: Any, open_page: Any, tmp_path: Path, shot: Any) -> None:
    queue_id = site.episode("To set", shots_of({"prompt": "one"}))
    page = open_page()
    open_queue(page, queue_id)
    music = tmp_path / "tide.wav"
    with wave.open(str(music), "wb") as sound:
        sound.setparams((1, 2, 24000, 0, "NONE", ""))
        sound.writeframes(bytes(48000))
    page.locator(".l-queue-bar").get_by_label("More").click()
    page.get_by_role("menuitem", name="Film settings").click()
    page.locator("#film-size").select_option("720x1280")
    page.locator("#film-music-file").set_input_files(music)
    expect(page.locator(".l-music-name")).to_contain_text("tide.wav")
    shot(page, "queues_film_settings")
    page.locator("#film-save").click()
    expect(page.locator("dialog")).to_have_count(0)
    queue = site.call("GET", f"/queues/{queue_id}")["queue"]
    assert queue["frame"] == {"width": 720, "height": 1280, "fps": 24}
    assert queue["music"]["ref"].startswith("asset:") and queue["music"]["level"] == -24


def test_a_queue_is_made_named_and_deleted(site: Any, open_page: Any) -> None:
    page = open_page()
    page.locator("#l-sidebar").get_by_label("New queue").click()
    page.keyboard.type(HOSTILE)
    page.keyboard.press("Enter")
    expect(page.locator(".l-queue[aria-current] .l-queue-name")).to_have_text(HOSTILE)
    expect(page.locator("dialog")).to_have_count(0)
    page.locator(".l-queue-bar").get_by_label("More").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.locator("dialog input").fill("Harbour")
    page.keyboard.press("Enter")
    expect(page.locator(".l-queue[aria-current] .l-queue-name")).to_have_text("Harbour")
    page.locator("#l-sidebar").get_by_label("Add a scene").first.click()
    page.locator("dialog textarea").fill("A rope creaks")
    page.locator("dialog").get_by_role("button", name="Add a scene").click()
    expect(page.locator(".l-scene-title")).to_have_text(["A rope creaks"])
    page.locator(".l-queue-bar").get_by_label("More").click()
    page.get_by_role("menuitem", name="Delete the queue").click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".l-queue-name", has_text="Harbour")).to_have_count(0)

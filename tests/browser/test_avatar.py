"""The Avatar tab as a person uses it: a portrait, a line, its draft in place; two people; many lines into a queue."""

import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect

sys.path.insert(0, str(Path(__file__).parents[1]))
from drawn_faces import cartoon, landscape  # noqa: E402

WAIT = 90_000  # milliseconds that a draft render may take on a busy machine
HOSTILE = "The lamp ${globalThis.pwned=1} `is` <img src=x onerror='globalThis.pwned=2'> lit."
PLAYED = """async (video) => {
  await video.play();
  const begun = video.currentTime;
  while (video.currentTime <= begun || video.getVideoPlaybackQuality().totalVideoFrames <= 5)
    await new Promise((done) => requestAnimationFrame(done));
  return [video.videoWidth, video.videoHeight, video.duration];
}"""
Draw = Callable[[np.ndarray], Path]


@pytest.fixture
def drawn(tmp_path: Path) -> Draw:
    """drawn(picture) -> a PNG of it."""

    def write(picture: np.ndarray) -> Path:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.png"
        cv2.imwrite(str(path), picture)
        return path

    return write


def avatar(open_page: Any, **how: Any) -> Any:
    page = open_page(**how)
    open_tab(page)
    return page


def open_tab(page: Any) -> None:
    page.locator('#l-nav button[data-tab-id="avatar"]').first.click()
    page.locator("#avatar-go").wait_for()


def choose(page: Any, file: Path) -> None:
    """Upload a portrait and wait until it was looked at."""
    page.locator("#avatar-file").set_input_files(file)
    page.locator("#avatar-crop:not([disabled])").wait_for(timeout=WAIT)


def say(page: Any, *lines: tuple[str, str]) -> None:
    """(character, text) into the rows of the script."""
    for number, (character, text) in enumerate(lines):
        if number:
            page.locator("#avatar-line-add").click()
        row = page.locator("#avatar-lines .l-av-line").nth(number)
        row.locator("[data-field=character]").fill(character)
        row.locator("textarea").fill(text)


def tone(path: Path, seconds: float) -> Path:
    """A WAV of a hum that swells and fades, as a voice does."""
    at = np.arange(int(seconds * 16_000)) / 16_000
    samples = 0.4 * np.sin(2 * np.pi * 140 * at) * np.abs(np.sin(2 * np.pi * 3 * at))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((samples * 32_767).astype("<i2").tobytes())
    return path


def scenes_of(site: Any) -> list[dict[str, Any]]:
    """Talking avatars, wherever they are, newest first."""
    takes = site.call("GET", "/takes?task=talking_avatar&layer=picture")["takes"]
    return [site.call("GET", f"/takes/{take['id']}") for take in takes]


def test_a_portrait_and_a_line_become_a_draft_that_plays_in_place(open_page, site, drawn, shot):
    page = avatar(open_page)
    go, why = page.locator("#avatar-go"), page.locator("#avatar-why")
    expect(why).to_have_text("Choose a portrait.")
    expect(go).to_be_disabled()
    choose(page, drawn(cartoon()))
    expect(page.locator("#avatar-board .l-av-face")).to_have_count(1)
    expect(why).to_have_text("Write what is said.")
    expect(go).to_be_disabled()
    say(page, ("Inês", HOSTILE))
    expect(page.locator("#avatar-lines .l-av-seconds")).to_contain_text(" s")
    expect(go).to_be_enabled()
    page.locator("#avatar-draft").click()
    video = page.locator("#avatar-result video:not([hidden])").first
    video.wait_for(timeout=WAIT)
    width, height, seconds = video.evaluate(PLAYED)
    assert width > 0 and height > width and seconds > 1, "as tall as the portrait, as long as the line"
    expect(page.locator("#avatar-truths .l-av-draft")).to_have_text("Draft")
    expect(page.locator("#avatar-recent .l-tile").first).to_be_visible()
    shot(page, "avatar")
    assert page.evaluate("globalThis.pwned") is None, "a line is text, never code"
    take = next(take for take in scenes_of(site) if take["settings"]["lines"][0]["text"] == HOSTILE)
    assert take["draft"] and take["engine"] == "draft" and take["settings"]["aspect"] == "3:4"

    page.reload()
    open_tab(page)
    expect(page.locator("#avatar-result video:not([hidden])").first).to_be_visible()
    expect(page.locator("#avatar-lines textarea").first).to_have_value(HOSTILE)


def test_the_voice_that_was_heard_in_the_draft_is_heard_in_the_render(open_page, site, drawn):
    page = avatar(open_page)
    choose(page, drawn(cartoon(skin=(80, 120, 170))))
    say(page, ("", "Spoken once, seen twice."))
    recent = page.locator("#avatar-recent .l-tile")
    before = recent.count()
    for number, button in enumerate(("#avatar-draft", "#avatar-go"), 1):
        page.locator(button).click()
        expect(recent).to_have_count(before + number, timeout=WAIT)
        expect(page.locator("#avatar-go")).to_be_enabled(timeout=WAIT)
    found = [take for take in scenes_of(site) if take["settings"]["lines"][0]["text"] == "Spoken once, seen twice."]
    assert len({take["scene_id"] for take in found}) == 1 and len(found) == 2
    voices = site.call("GET", "/takes?layer=voice")["takes"]
    assert len([take for take in voices if take["scene_id"] == found[0]["scene_id"]]) == 1


def test_a_recording_speaks_and_sets_the_length_and_two_are_two_people(open_page, site, drawn, tmp_path):
    page = avatar(open_page)
    choose(page, drawn(cartoon(hair=(20, 90, 60))))
    page.locator("#avatar-mode-recording").click()
    expect(page.locator("#avatar-why")).to_contain_text("Record something")
    page.locator("#avatar-sounds").set_input_files(tone(tmp_path / "keeper.wav", 1.5))
    expect(page.locator(".l-av-sound audio")).to_have_count(1, timeout=WAIT)
    expect(page.locator("#avatar-sum")).to_contain_text("1 recording")
    page.locator("#avatar-draft").click()
    page.locator("#avatar-result video:not([hidden])").first.wait_for(timeout=WAIT)
    take = next(take for take in scenes_of(site) if take["title"] == "keeper")
    assert take["duration"] == pytest.approx(1.5, abs=0.06), "a recording of the user's sets the length exactly"
    page.locator("#avatar-view-portrait").click()
    page.locator("#avatar-sounds").set_input_files(tone(tmp_path / "boy.wav", 1.0))
    expect(page.locator(".l-av-sound audio")).to_have_count(2, timeout=WAIT)
    expect(page.locator(".l-av-half")).to_have_count(2)
    expect(page.locator("#avatar-sound-choose")).to_be_hidden()


def test_a_recording_that_is_none_is_refused_with_the_cure(open_page, tmp_path):
    page = avatar(open_page)
    page.locator("#avatar-mode-recording").click()
    fake = tmp_path / "fake.wav"
    fake.write_text("not a sound")
    page.locator("#avatar-sounds").set_input_files(fake)
    toast = page.locator("#l-toasts .l-toast-bad")
    toast.wait_for(timeout=WAIT)
    assert "fake.wav" in toast.inner_text() and toast.locator(".l-hint").inner_text()
    expect(page.locator(".l-av-sound")).to_have_count(0)


def test_the_lips_of_a_draft_are_measured_and_in_step(open_page, drawn):
    page = avatar(open_page)
    choose(page, drawn(cartoon()))
    say(page, ("", "The harbour lights are burning low tonight."))
    page.locator("#avatar-draft").click()
    lips = page.locator("#avatar-lips")
    lips.wait_for(timeout=WAIT)
    expect(lips).to_have_text("Lips in sync")


def test_a_picture_without_a_face_says_so_and_three_clicks_mend_it(open_page, drawn, site):
    page = avatar(open_page)
    choose(page, drawn(landscape()))
    expect(page.locator("#avatar-advice li").first).to_contain_text("No face was found")
    expect(page.locator("#avatar-board .l-av-face")).to_have_count(0)
    page.locator("#avatar-marks").click()
    keep = page.locator("#avatar-marks-keep")
    board = page.locator("#avatar-board .l-av-layer").bounding_box()
    for x, y in ((0.5, 0.6), (0.6, 0.4), (0.4, 0.4)):
        expect(keep).to_be_disabled()
        page.mouse.click(board["x"] + board["width"] * x, board["y"] + board["height"] * y)
    expect(page.locator(".l-av-mark")).to_have_count(3)
    page.locator("#avatar-marks-undo").click()
    expect(page.locator(".l-av-mark")).to_have_count(2)
    page.mouse.click(board["x"] + board["width"] * 0.4, board["y"] + board["height"] * 0.4)
    keep.click()
    expect(page.locator("#avatar-advice li")).to_have_count(0)
    say(page, ("", "A hill that speaks."))
    page.locator("#avatar-draft").click()
    page.locator("#avatar-result video:not([hidden])").first.wait_for(timeout=WAIT)
    take = next(take for take in scenes_of(site) if take["settings"]["lines"][0]["text"] == "A hill that speaks.")
    face = take["settings"]["options"]["draft"]["face"]
    assert face["mouth"][:2] == pytest.approx([0.5, 0.6], abs=0.01) and 0.1 < face["mouth"][2] < 0.25
    assert face["eyes"] == [pytest.approx([0.4, 0.4], abs=0.01), pytest.approx([0.6, 0.4], abs=0.01)]


def test_mouth_and_eyes_are_marked_by_keys_alone(open_page, drawn):
    page = avatar(open_page)
    choose(page, drawn(cartoon()))
    page.locator("#avatar-marks").focus()
    page.keyboard.press("Enter")
    for key in ("Enter", "Shift+ArrowUp", "Shift+ArrowLeft", "Enter", "Shift+ArrowRight", "Shift+ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(".l-av-mark")).to_have_count(3)
    page.keyboard.press("Backspace")
    expect(page.locator(".l-av-mark")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.locator(".l-av-mark")).to_have_count(0)
    expect(page.locator("#avatar-marks")).to_be_visible()


def test_a_portrait_is_cropped_with_pointer_and_keys_and_given_back_whole(open_page, drawn):
    page = avatar(open_page)
    choose(page, drawn(cartoon(size=(600, 800))))
    page.locator("#avatar-crop").click()
    box = page.locator(".l-av-box-crop")
    corner = box.locator("[data-corner=se]").bounding_box()
    page.mouse.move(corner["x"] + 9, corner["y"] + 9)
    page.mouse.down()
    page.mouse.move(corner["x"] - 60, corner["y"] - 90, steps=4)
    page.mouse.up()
    box.press("ArrowUp")
    before = box.evaluate("(node) => [parseFloat(node.style.top), parseFloat(node.style.width)]")
    box.press("Shift+ArrowLeft")
    after = box.evaluate("(node) => [parseFloat(node.style.top), parseFloat(node.style.width)]")
    assert after[0] == before[0] and after[1] == pytest.approx(before[1] - 1, abs=0.2)
    box.press("Enter")
    picture = page.locator("#avatar-board > img")
    undo = page.locator("#avatar-crop-undo")
    undo.wait_for(timeout=WAIT)
    page.wait_for_function("() => document.querySelector('#avatar-board > img').naturalWidth")
    assert picture.evaluate("(image) => image.naturalWidth") < 600
    page.locator("#avatar-crop:not([disabled])").wait_for(timeout=WAIT)
    undo.click()
    page.wait_for_function("() => document.querySelector('#avatar-board > img').naturalWidth === 600")


def test_two_people_are_framed_and_swapped(open_page, site, drawn):
    page = avatar(open_page)
    pair = np.hstack([cartoon(), cartoon(skin=(80, 120, 170), hair=(25, 20, 25))])
    choose(page, drawn(pair))
    expect(page.locator("#avatar-board .l-av-face")).to_have_count(2)
    say(page, ("Inês", "The lamp is lit."), ("Tomás", "Then we wait."))
    expect(page.locator(".l-av-half")).to_have_count(2)
    page.locator("#avatar-boxes").click()
    expect(page.locator(".l-av-box-person")).to_have_count(2)
    page.locator("#avatar-swap").click()
    first = page.locator(".l-av-box-person").first
    expect(first).to_contain_text("1 · Inês")
    first.focus()
    for _ in range(3):
        page.keyboard.press("Shift+ArrowUp")  # three times by the same hand: the frame keeps the focus
    assert first.evaluate("(node) => parseFloat(node.style.height)") == pytest.approx(97, abs=0.2)
    page.locator("#avatar-queue").click()
    page.get_by_role("menuitem").last.click()
    page.locator("dialog input").fill("Two on the pier")
    page.keyboard.press("Enter")
    page.locator("#l-toasts", has_text="Two on the pier").wait_for()
    queue = next(queue for queue in site.call("GET", "/queues") if queue["name"] == "Two on the pier")
    card = site.call("GET", f"/queues/{queue['id']}")["scenes"][0]
    left, right = site.call("GET", f"/scenes/{card['id']}")["scene"]["speaker_boxes"]
    assert left[0] == right[2] == pytest.approx(0.5, abs=0.03) and left[2] == 1 and right[0] == 0
    say_third = page.locator("#avatar-line-add")
    say_third.click()
    third = page.locator("#avatar-lines .l-av-line").nth(2)
    third.locator("[data-field=character]").fill("Lin")
    third.locator("textarea").fill("And I?")
    expect(page.locator("#avatar-why")).to_contain_text("at most two names")
    expect(page.locator("#avatar-go")).to_be_disabled()


def test_many_lines_over_one_portrait_land_in_a_queue(open_page, site, drawn):
    page = avatar(open_page)
    choose(page, drawn(cartoon()))
    page.locator("#avatar-mode-many").click()
    batch = page.locator("#avatar-batch")
    expect(batch).to_be_disabled()
    page.locator("#avatar-many").fill("The lamp is lit.\n\n  The boat is late.  \nThen we wait.")
    expect(batch).to_have_text("3 scenes to a queue")
    expect(page.locator("#avatar-sum")).to_contain_text("3 scenes · about")
    batch.click()
    page.get_by_role("menuitem").last.click()
    page.locator("dialog input").fill("Lines ${1}")
    page.keyboard.press("Enter")
    toast = page.locator("#l-toasts", has_text="3 scenes are in Lines ${1}")
    toast.wait_for()
    queue = next(queue for queue in site.call("GET", "/queues") if queue["name"] == "Lines ${1}")
    cards = site.call("GET", f"/queues/{queue['id']}")["scenes"]
    said = [site.call("GET", f"/scenes/{card['id']}")["scene"]["lines"][0]["text"] for card in cards]
    assert said == ["The lamp is lit.", "The boat is late.", "Then we wait."]
    assert {card["task_type"] for card in cards} == {"talking_avatar"} and {card["state"] for card in cards} == {
        "draft"
    }
    toast.get_by_role("button", name="Open the queue").click()
    expect(page.locator("#l-sidebar .l-scene")).to_have_count(3)


def test_what_lies_on_the_desk_is_there_after_another_tab_and_a_reload(open_page, drawn):
    page = avatar(open_page)
    choose(page, drawn(cartoon()))
    say(page, ("Inês", "The lamp is lit."))
    page.locator("#avatar-lines [data-field=direction]").fill("softly")
    page.locator("#avatar-resolution label", has_text="480P").click()
    page.locator('#l-nav button[data-tab-id="queues"]').first.click()
    page.reload()
    open_tab(page)
    expect(page.locator("#avatar-board .l-av-face")).to_have_count(1)
    row = page.locator("#avatar-lines .l-av-line").first
    expect(row.locator("[data-field=character]")).to_have_value("Inês")
    expect(row.locator("[data-field=direction]")).to_have_value("softly")
    expect(page.locator("#avatar-resolution input[value='480P']")).to_be_checked()


def test_a_take_lays_what_made_it_on_the_desk_again(open_page, site, drawn):
    page = avatar(open_page)
    choose(page, drawn(cartoon(background=(90, 90, 40))))
    say(page, ("Lin", "Say it once more."))
    page.locator("#avatar-draft").click()
    page.locator("#avatar-result video:not([hidden])").first.wait_for(timeout=WAIT)
    page.locator("#avatar-view-portrait").click()
    page.locator("#avatar-remove").click()
    page.locator("#avatar-lines textarea").first.fill("Something else.")
    expect(page.locator("#avatar-empty")).to_be_visible()
    page.locator("#avatar-recent .l-tile", has_text="Lin: Say it once more.").click()
    page.locator("#avatar-use").click()
    expect(page.locator("#avatar-lines textarea").first).to_have_value("Say it once more.")
    expect(page.locator("#avatar-lines [data-field=character]").first).to_have_value("Lin")
    expect(page.locator("#avatar-board .l-av-face")).to_have_count(1)


def test_an_engine_says_what_it_needs_and_renders_nothing_before(open_page, drawn):
    page = avatar(open_page)
    choose(page, drawn(cartoon()))
    say(page, ("", "The lamp is lit."))
    page.locator("#avatar-engines summary").click()
    row = page.locator(".l-av-engine[data-engine=infinitetalk]")
    expect(row).to_contain_text("GB")
    expect(row.get_by_role("button", name="Get")).to_be_visible()
    row.locator("input").check()
    expect(page.locator("#avatar-go")).to_be_disabled()
    expect(page.locator("#avatar-draft")).to_be_enabled()
    page.locator(".l-av-engine[data-engine=draft] input").check()
    expect(page.locator("#avatar-go")).to_be_enabled()


@pytest.mark.parametrize("lang", ["en", "pt", "zh"])
def test_nothing_is_cut_off_on_a_phone(open_page, drawn, shot, lang):
    page = avatar(open_page, lang=lang, width=390, height=844)
    choose(page, drawn(cartoon()))
    say(page, ("Inês", "The lamp is lit."))
    page.locator("#avatar-engines summary").click()
    for name in ("draft", "go", "queue", "prompt", "aspect", "crop", "marks"):
        node = page.locator(f"#avatar-{name}")
        node.scroll_into_view_if_needed()
        box = node.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 391, name
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(".l-avatar").evaluate("(node) => node.scrollWidth") <= 390
    assert "avatar." not in page.locator(".l-avatar").inner_text(), "no key without words"
    shot(page, f"avatar_390_{lang}")

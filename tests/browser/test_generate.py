"""The Generate tab as a person uses it: write, render, watch, reload, and be told plainly what is wrong."""

import struct
import zlib
from pathlib import Path

import pytest
from playwright.sync_api import expect

WAIT = 90_000  # milliseconds that a draft render may take on a busy machine
HOSTILE = "A lamp ${globalThis.pwned=1} `x` <img src=x onerror='globalThis.pwned=2'> \"quoted\""
FRAMES = """async (video) => {
  video.muted = true;
  await video.play();
  const shown = () => video.getVideoPlaybackQuality().totalVideoFrames;
  while (shown() <= 5) await new Promise((done) => requestAnimationFrame(done));
  return [video.videoWidth, video.videoHeight];
}"""


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A PNG of 64 x 48 pixels, written by hand."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = b"".join(b"\0" + bytes([200, 120 + y, 60]) * 64 for y in range(48))
    path = tmp_path / "face.png"
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


def generate(open_page, **how):
    page = open_page(**how)
    open_tab(page)
    return page


def open_tab(page) -> None:
    page.locator('#l-nav button[data-tab-id="generate"]').first.click()
    page.locator("#generate-go").wait_for()


def choose(page, task: str) -> None:
    page.locator(f"#generate-task-{task}").click()
    page.locator(f"#generate-actions [data-task={task}]").wait_for()


def small(page) -> None:
    """480P and one second: a draft of it takes a moment."""
    page.locator("#generate-resolution label", has_text="480P").click()
    if page.locator("#generate-duration").count():
        page.locator("#generate-duration input[type=number]").fill("1")


def test_a_shot_is_written_rendered_and_played(open_page, site, shot):
    page = generate(open_page)
    assert "no model installed" in page.locator("#generate-by").inner_text(), "who renders is said before"
    page.locator("#generate-prompt textarea").fill(HOSTILE)
    small(page)
    page.keyboard.press("Control+Enter")
    video = page.locator("#generate-result video:not([hidden])").first
    video.wait_for(timeout=WAIT)
    width, height = video.evaluate(FRAMES)
    assert width > 0 and height > 0
    page.locator("#generate-recent .l-tile").first.wait_for()
    shot(page, "generate")
    assert page.evaluate("globalThis.pwned") is None, "a prompt is text, never code"
    assert page.locator(".l-stage-title", has_text="${globalThis.pwned=1}").count()

    take = site.call("GET", "/takes")["takes"][0]
    full = site.call("GET", f"/takes/{take['id']}")
    assert take["draft"] and full["settings"]["prompt"] == HOSTILE and full["settings"]["duration"] == 1
    assert full["settings"]["resolution"] == "480P"

    page.reload()
    open_tab(page)
    video = page.locator("#generate-result video:not([hidden])").first
    video.wait_for()
    assert page.locator("#generate-prompt textarea").input_value() == HOSTILE, "a reload loses nothing"


def test_every_task_has_its_form_and_a_line_about_itself(open_page):
    page = generate(open_page, lang="pt")
    tasks = page.locator(".l-task")
    assert tasks.count() == 8
    for about in page.locator(".l-task-about").all_inner_texts():
        assert about and "generate.task" not in about
    fields = {"image_to_video": "end_image", "reference_to_video": "ref_imgs", "talking_avatar": "input_audio",
              "single_shot_extension": "input_video", "shot_switching_extension": "prompt-cut", "speech": "lines",
              "text_to_image": "prompt", "text_to_video": "duration"}  # fmt: skip
    for task, field in fields.items():
        choose(page, task)
        page.locator(f"#generate-{field}").wait_for()
        assert "form." not in page.locator("#generate-form-column").inner_text(), "no key without words"
        assert page.locator("#generate-form-column .block").count() < 60


def test_a_box_keeps_no_words_of_the_form_before(open_page):
    """Gradio's page reuses the boxes of one form for the next; a hint of one field once stood under another."""
    page = generate(open_page)
    choose(page, "speech")
    page.locator("#generate-lines").get_by_text("One row per line").wait_for()
    choose(page, "text_to_image")
    page.locator("#generate-prompt textarea").wait_for()
    page.locator("#generate-lines").wait_for(state="detached")
    assert "One row per line" not in page.locator("#generate-form-column").inner_text()


def test_what_is_missing_is_said_beside_its_field_in_the_language_of_the_page(open_page):
    page = generate(open_page, lang="pt")
    choose(page, "reference_to_video")
    page.locator("#generate-ref_imgs").wait_for()
    page.locator("#generate-go").click()
    problem = page.locator("#generate-ref_imgs + .l-problem")
    problem.wait_for()
    assert "pelo menos 1" in problem.inner_text()
    assert page.locator("#generate-ref_imgs.l-wrong").count() == 1


def test_pictures_go_to_the_library_and_stay_after_a_reload(open_page, picture):
    page = generate(open_page)
    choose(page, "image_to_video")
    well = page.locator("#generate-input_image")
    well.locator("input[type=file]").set_input_files(picture)
    well.locator(".l-well-item img").wait_for(timeout=WAIT)
    page.wait_for_function("() => document.querySelector('#generate-input_image img').naturalWidth === 64")
    page.reload()
    open_tab(page)
    page.locator("#generate-input_image .l-well-item img").wait_for()
    page.locator("#generate-input_image .l-ib").click()
    page.locator("#generate-input_image .l-well-empty").wait_for()


def test_a_file_that_is_no_picture_is_refused_with_the_cure(open_page, tmp_path):
    page = generate(open_page)
    choose(page, "image_to_video")
    well = page.locator("#generate-input_image")
    well.locator(".l-well-empty, .l-well-item").first.wait_for()
    if well.locator(".l-well-item .l-ib").count():  # the form before is one for all windows of a studio
        well.locator(".l-ib").click()
    fake = tmp_path / "fake.png"
    fake.write_text("not a picture")
    well.locator("input[type=file]").set_input_files(fake)
    toast = page.locator("#l-toasts .l-toast-bad")
    toast.wait_for(timeout=WAIT)
    assert "fake.png" in toast.inner_text() and toast.locator(".l-hint").inner_text()
    well.locator(".l-well-empty").wait_for()


def test_two_people_are_framed_on_their_portrait(open_page, site, picture):
    page = generate(open_page)
    choose(page, "talking_avatar")
    well = page.locator("#generate-input_image")
    well.locator(".l-well-empty, .l-well-item").first.wait_for()
    if not well.locator(".l-well-item img").count():
        well.locator("input[type=file]").set_input_files(picture)
    well.locator(".l-well-item img").wait_for(timeout=WAIT)
    page.locator("#generate-people > button").click()
    layer = page.locator("#generate-speaker_boxes .l-boxes-layer")
    layer.scroll_into_view_if_needed()
    frame = layer.bounding_box()
    for left, right in ((0.1, 0.4), (0.6, 0.9)):
        page.mouse.move(frame["x"] + frame["width"] * right, frame["y"] + frame["height"] * 0.8)
        page.mouse.down()
        page.mouse.move(frame["x"] + frame["width"] * left, frame["y"] + frame["height"] * 0.2, steps=4)
        page.mouse.up()
    assert page.locator("#generate-speaker_boxes .l-box").count() == 2
    page.locator("#generate-lines textarea").fill("Inês: The lamp is lit.\nTomás: Then we wait.")
    page.locator("#generate-enqueue").click()
    page.get_by_role("menuitem").last.click()
    page.locator("dialog input").fill("Two people")
    page.keyboard.press("Enter")
    page.locator("#l-toasts", has_text="Two people").wait_for()
    queue = next(queue for queue in site.call("GET", "/queues") if queue["name"] == "Two people")
    scene = site.call("GET", f"/queues/{queue['id']}")["scenes"][0]
    boxes = site.call("GET", f"/scenes/{scene['id']}")["scene"]["speaker_boxes"]
    assert boxes == [pytest.approx([0.1, 0.2, 0.4, 0.8], abs=0.02), pytest.approx([0.6, 0.2, 0.9, 0.8], abs=0.02)]


def test_a_scene_goes_to_a_new_queue_and_to_one_that_is_there(open_page, site):
    page = generate(open_page)
    choose(page, "text_to_image")
    page.locator("#generate-prompt textarea").fill("A lighthouse, violet dusk")
    page.locator("#generate-enqueue").click()
    page.get_by_role("menuitem").last.click()
    page.locator("dialog input").fill("Trailer ${1}")
    page.keyboard.press("Enter")
    page.locator("#l-toasts", has_text="Trailer ${1}").wait_for()
    page.locator("#generate-enqueue").click()
    page.get_by_role("menuitem", name="Trailer ${1}").click()
    page.wait_for_function("""async () => {
      const queues = await (await fetch('/api/queues')).json();
      return queues.some((queue) => queue.name === 'Trailer ${1}' && queue.counts.total === 2);
    }""")


def test_lines_are_typed_like_a_play(open_page, site):
    page = generate(open_page)
    choose(page, "speech")
    page.locator("#generate-lines textarea").fill("Inês (low): The lamp is lit.\nTomás: Then we wait.")
    page.locator("#generate-go").click()
    page.locator("#generate-result .l-player-note:not([hidden])", has_text="Then we wait.").wait_for(timeout=WAIT)


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (390, 844)])
def test_nothing_is_cut_off_on_smaller_screens(open_page, shot, width, height):
    page = generate(open_page, lang="zh", width=width, height=height)
    choose(page, "text_to_video")
    page.locator("#generate-prompt textarea").scroll_into_view_if_needed()
    for name in ("prompt", "go", "enqueue"):
        box = page.locator(f"#generate-{name}").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width + 1, name
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shot(page, f"generate_{width}")


def test_a_pasted_seed_is_a_seed_and_no_new_one(open_page):
    page = generate(open_page)
    choose(page, "speech")
    choose(page, "text_to_image")
    page.wait_for_timeout(500)
    box = page.locator("#generate-seed-new input")
    box.check()
    page.locator("#generate-seed input").click()
    page.keyboard.insert_text("418220917")  # as a paste does: without a key
    expect(box).not_to_be_checked()

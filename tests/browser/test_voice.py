"""The Voice tab in a real Chromium: a recording by microphone or file becomes a voice that is heard, compared and cast;
nothing without consent. No model is here, so the draft voice speaks."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import expect

from studio.domain import Line
from studio.pipelines.draft.speech import VOICES, speak

TEXT = "When the fog came in over the harbour, she lit the lamp and counted the boats. Nobody answered from the pier."
HOSTILE = "Inês ${globalThis.pwned=1} {{7*7}} <img src=x onerror='globalThis.pwned=2'>"
RAW_KEY = re.compile(r"\b(?:voice|models|engines|form|common|generate|settings|gallery)\.[a-z_]+(?:\.\w+)*\b")
MADE_S = 90_000  # milliseconds: two busy cores, and a worker that starts
SPOKEN = ".l-spoken[data-state=done]"
HEARD = """async (box) => {
  const audio = box.querySelector('audio');
  while (!(audio.currentTime > 0.05)) await new Promise((done) => setTimeout(done, 50));
  return audio.duration;
}"""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some eight seconds of one voice."""
    samples, rate, _ = speak(Line(text=TEXT), VOICES["woman-1"], 1)
    path = tmp_path_factory.mktemp("recording") / "keeper.wav"
    soundfile.write(path, samples, rate)
    return path


@pytest.fixture(scope="module")
def more_flags(recording: Path) -> list[str]:
    """A microphone that hears the recording again and again."""
    media = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    return [*media, f"--use-file-for-fake-audio-capture={recording}"]


def shown(page: Any) -> Any:
    page.locator('#l-nav button[data-tab-id="voice"]').first.click()
    page.locator("#voice-page > :not(.l-set-waiting)").first.wait_for(state="attached")  # phones show the list first
    return page


@pytest.fixture
def tab(open_page: Any, site: Any) -> Any:
    return shown(open_page())


def made(site: Any, name: str, **more: Any) -> dict[str, Any]:
    """A voice that an engine brings along, or with `recorded` one from that recording. A test that is run again begins
    without it."""
    for voice in site.call("GET", "/voices")["voices"]:
        if voice["name"] == name:
            site.call("DELETE", f"/voices/{voice['id']}?force=true")
    recorded: Path | None = more.pop("recorded", None)
    if recorded is None:
        return dict(site.call("POST", "/voices", {"name": name, "engine": "draft", "preset": "woman-1", **more}))
    lies = site.root / "outputs" / f"{name}.wav"
    lies.write_bytes(recorded.read_bytes())
    sample = site.call("POST", "/voices/look", {"ref": str(lies)})["sample"]["sha256"]
    return dict(
        site.call("POST", "/voices", {"name": name, "sample": sample, "consent": "Ana", "language": "en", **more})
    )


def opened(page: Any, name: str) -> None:
    page.locator(".l-vitem", has_text=name).locator(".l-vitem-main").click()
    expect(page.locator(".l-vview h1")).to_have_text(name)


def measured(page: Any) -> None:
    """Until the recording was looked at."""
    page.locator("#voice-checks .l-set-note").first.wait_for(timeout=MADE_S)


# ------------------------------------------------------------------------------------------------ made, and heard
def test_a_recording_by_microphone_becomes_a_voice_that_speaks(tab: Any, site: Any, shot: Any) -> None:
    tab.locator("#voice-new").click()
    tab.locator("#voice-from-record").click()
    tab.locator("#voice-record").click()
    tab.locator(".l-rec-meter").wait_for()
    tab.wait_for_function("() => /^0:0[6-9]/.test(document.querySelector('.l-rec-bar .l-mono')?.textContent)")
    tab.locator("#voice-record").click()
    measured(tab)
    tab.locator("#voice-name").fill("Keeper")
    tab.locator("#voice-language").select_option("en")
    tab.locator("#voice-consent").check()
    tab.locator("#voice-consent-by").fill("Joana Reis")
    shot(tab, "voice_maker")
    tab.locator("#voice-create").click()
    expect(tab.locator(".l-vview h1")).to_have_text("Keeper", timeout=MADE_S)
    expect(tab.locator(".l-plot")).to_be_visible()
    expect(tab.locator(".l-vagreed")).to_contain_text("Joana Reis")
    tab.locator("#voice-text").fill("The lamp is lit.")
    tab.locator("#voice-speak").click()
    spoken = tab.locator(SPOKEN)
    spoken.wait_for(timeout=MADE_S)
    assert spoken.evaluate(HEARD) > 0.4
    expect(spoken.locator("b")).to_have_text("Draft voice: matched pitch, pace and tone")
    assert "clone" not in spoken.inner_text().lower()
    shot(tab, "voice")
    (voice,) = [one for one in site.call("GET", "/voices")["voices"] if one["name"] == "Keeper"]
    assert voice["consent"]["by"] == "Joana Reis" and voice["profile"]["pitch_hz"] > 100


def test_nothing_is_made_without_consent(tab: Any, site: Any, recording: Path) -> None:
    tab.locator("#voice-new").click()
    why, create = tab.locator("#voice-why"), tab.locator("#voice-create")
    expect(why).to_have_text("Choose or record a recording first.")
    tab.locator("#voice-file").set_input_files(recording)
    measured(tab)
    tab.locator("#voice-name").fill("")
    expect(why).to_have_text("It needs a name.")
    tab.locator("#voice-name").fill("Nobody asked")
    expect(why).to_have_text("Tick that the speaker agreed.")
    expect(create).to_be_disabled()
    tab.locator("#voice-consent").check()
    expect(why).to_have_text("Write who says so.")
    expect(create).to_be_disabled()
    tab.locator("#voice-consent-by").fill("Ana")
    expect(create).to_be_enabled()
    tab.locator("#voice-consent").uncheck()
    expect(create).to_be_disabled()
    assert "Nobody asked" not in [voice["name"] for voice in site.call("GET", "/voices")["voices"]]


def test_a_microphone_that_is_refused_is_said_plainly(open_page: Any, site: Any) -> None:
    page = shown(open_page())
    page.evaluate("""() => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'));
    }""")
    page.evaluate("document.querySelector('#voice-new').click()")
    page.locator("#voice-from-record").click()
    page.locator("#voice-record").click()
    expect(page.locator(".l-rec [role=alert]")).to_contain_text("allow the microphone")
    expect(page.locator("#voice-record")).to_be_enabled()


def test_a_recording_in_which_nobody_speaks_says_so_and_another_may_follow(
    tab: Any, tmp_path: Path, recording: Path
) -> None:
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(16_000 * 4, np.float32), 16_000)
    tab.locator("#voice-new").click()
    tab.locator("#voice-file").set_input_files(silence)
    expect(tab.locator("#voice-checks [role=alert]")).to_contain_text("Nobody speaks", timeout=MADE_S)
    expect(tab.locator("#voice-create")).to_be_disabled()
    tab.locator("#voice-source-remove").click()
    tab.locator("#voice-file").set_input_files(recording)
    expect(tab.locator("#voice-checks .l-vprepared")).to_be_visible(timeout=MADE_S)


def test_the_part_is_chosen_by_keyboard_heard_and_measured_again(tab: Any, recording: Path) -> None:
    tab.locator("#voice-new").click()
    asked: list[Any] = []
    tab.on("request", lambda one: asked.append(one.post_data_json) if "/voices/look" in one.url else None)
    tab.locator("#voice-file").set_input_files(recording)
    measured(tab)
    start = tab.locator("#voice-trim-start")
    start.focus()
    for _ in range(10):
        tab.keyboard.press("ArrowRight")
    assert float(start.get_attribute("aria-valuenow")) == pytest.approx(1.0)
    expect(tab.locator("#voice-create")).to_be_disabled()
    tab.locator("#voice-checks .l-vprepared").wait_for(timeout=MADE_S)
    assert asked[-1]["start"] == pytest.approx(1.0) and asked[-1]["denoise"] is False
    tab.locator("#voice-denoise").check()
    tab.locator("#voice-checks .l-vprepared").wait_for(timeout=MADE_S)
    assert asked[-1]["denoise"] is True
    tab.locator("#voice-trim-play").click()
    played = tab.locator(".l-vtrim audio").evaluate("""async (audio) => {
      while (!(audio.currentTime > 1.05)) await new Promise((done) => setTimeout(done, 50));
      return audio.currentTime;
    }""")
    assert played < 5


def test_a_voice_is_cut_out_of_a_take(tab: Any, site: Any) -> None:
    voice = made(site, "Take source")
    words = f"Cut me out. {TEXT}"
    said = site.call("POST", f"/voices/{voice['id']}/say", {"text": words, "engine": "draft"})
    site.wait(said["queue_id"])
    tab.locator("#voice-new").click()
    tab.locator("#voice-from-take").click()
    tab.locator(".l-vtakes .l-tile", has_text="Cut me out").first.click()
    tab.locator("#voice-checks .l-vprepared").wait_for(timeout=MADE_S)
    expect(tab.locator(".l-vsource-chosen")).to_contain_text("Cut me out")


# ------------------------------------------------------------------------------------------------ without a recording
def test_an_engines_own_voice_needs_no_consent_and_is_found(tab: Any, site: Any) -> None:
    tab.locator("#voice-new").click()
    tab.locator("#voice-way-own").click()
    tab.locator("#voice-engine").select_option("draft")
    tab.locator("#voice-preset").select_option("man-2")
    expect(tab.locator("#voice-consent")).to_be_hidden()
    tab.locator("#voice-name").fill(HOSTILE)
    tab.locator("#voice-create").click()
    expect(tab.locator(".l-vview h1")).to_have_text(HOSTILE)
    (voice,) = [one for one in site.call("GET", "/voices")["voices"] if one["name"] == HOSTILE]
    assert (voice["engine"], voice["preset"], voice["consent"]) == ("draft", "man-2", None)
    tab.locator("#voice-search").fill("globalthis")
    expect(tab.locator(".l-vitem")).to_have_count(1)
    tab.locator("#voice-filter-kind").select_option("sample")
    expect(tab.locator(".l-vitem")).to_have_count(0)
    expect(tab.locator(".l-vnone")).to_be_visible()
    assert tab.evaluate("globalThis.pwned") is None


def test_two_are_compared_one_after_the_other_and_blindly(tab: Any, site: Any) -> None:
    made(site, "Compared")
    tab.reload()
    shown(tab)
    opened(tab, "Compared")
    tab.locator("#voice-mode-two").click()
    tab.locator("#voice-text").fill("Good night.")
    tab.locator("#voice-blind").check()
    tab.locator("#voice-compare").click()
    expect(tab.locator(f".l-vplace {SPOKEN}")).to_have_count(2, timeout=MADE_S)
    expect(tab.locator(".l-vplace b").first).to_have_text("Number 1")
    assert "Draft" not in tab.locator(".l-vplaces").inner_text()
    for place in (0, 1):  # the second begins by itself
        assert tab.locator(".l-vplace .l-spoken").nth(place).evaluate(HEARD) > 0.3
    tab.locator(".l-vcompare .l-btn", has_text="Number 2").click()
    expect(tab.locator(".l-vplace [data-liked] b")).to_contain_text("Draft")


# ------------------------------------------------------------------------------------------------ used
def test_a_character_is_given_a_voice_and_gives_it_back(tab: Any, site: Any) -> None:
    voice = made(site, "For the cook")
    line = {"character": "Cook", "text": "Soup."}
    queue = site.episode("Kitchen", [{"task_type": "text_to_video", "prompt": "x", "duration": 1, "lines": [line]}])
    (role,) = site.call("GET", f"/queues/{queue}/casting")["roles"]
    site.call("POST", f"/queues/{queue}/casting", {"cast": {role["key"]: {"name": "Cook", "voice": ""}}})
    tab.reload()
    shown(tab)
    opened(tab, "For the cook")
    tab.locator("#voice-give").select_option(tab.locator("#voice-give option", has_text="Cook").get_attribute("value"))
    expect(tab.locator(".l-vusers li")).to_contain_text("Cook")
    expect(tab.locator(".l-vitem[aria-current] .l-vwho")).to_have_text("Cook")
    tab.locator("#voice-more").click()
    tab.locator(".l-menu-danger").click()
    tab.locator("dialog .l-btn-danger").click()
    expect(tab.locator("dialog")).to_contain_text("Cook")
    tab.locator("dialog .l-btn", has_text="Cancel").click()
    tab.locator(".l-vusers li button").click()
    expect(tab.locator(".l-vusers li")).to_have_count(0)
    assert site.call("GET", f"/voices/{voice['id']}")["used_by"] == []
    tab.locator("#voice-more").click()
    tab.locator(".l-menu-danger").click()
    tab.locator("dialog .l-btn-danger").click()
    expect(tab.locator(".l-vitem", has_text="For the cook")).to_have_count(0)


def test_a_voice_is_renamed_exported_and_brought_back(tab: Any, site: Any, recording: Path) -> None:
    made(site, "Traveller", recorded=recording)
    tab.reload()
    shown(tab)
    opened(tab, "Traveller")
    tab.locator("#voice-edit").click()
    tab.locator("#voice-name").fill("Wanderer")
    tab.locator("#voice-create").click()
    expect(tab.locator(".l-vview h1")).to_have_text("Wanderer", timeout=MADE_S)
    with tab.expect_download() as download:
        tab.locator("#voice-more").click()
        tab.locator(".l-menu button", has_text="Export").click()
    (voice,) = [one for one in site.call("GET", "/voices")["voices"] if one["name"] == "Wanderer"]
    site.call("DELETE", f"/voices/{voice['id']}")
    tab.locator("#voice-import-file").set_input_files(
        {"name": "wanderer.voice.zip", "mimeType": "application/zip", "buffer": download.value.path().read_bytes()}
    )
    expect(tab.locator("#l-toasts .l-toast-ok", has_text="Wanderer was imported")).to_be_visible(timeout=MADE_S)
    expect(tab.locator(".l-vview h1")).to_have_text("Wanderer")


def test_words_are_said_as_they_are_written_down(tab: Any, site: Any) -> None:
    tab.locator("#voice-words").click()
    tab.locator("#words-add").click()
    row = tab.locator(".l-vword:not(.l-vword-head)").last
    row.locator("[data-name=word]").fill("Skerryvore")
    row.locator("[data-name=said]").fill("skerry-vore")
    row.locator("select").select_option("en")
    expect(tab.locator(".l-vdict [role=status]").first).to_have_text("Saved")
    (project,) = {queue["project"] for queue in site.call("GET", "/queues")}
    entries = site.call("GET", f"/projects/{project}/pronunciations")["entries"]
    assert {"word": "Skerryvore", "said": "skerry-vore", "language": "en"} in entries
    row.locator("button").last.click()
    tab.wait_for_function(
        "async (path) => !(await (await fetch(path)).text()).includes('Skerry')",
        arg=f"/api/projects/{project}/pronunciations",
    )


# ------------------------------------------------------------------------------------------------ screens
@pytest.mark.parametrize("lang", ["en", "pt", "zh"])
def test_it_fits_a_phone_in_every_language(open_page: Any, site: Any, shot: Any, lang: str) -> None:
    name = f"Phone {lang}"
    made(site, name, language=lang)
    page = shown(open_page(width=390, height=844, lang=lang))

    def fits(view: str) -> None:
        box = page.locator("#voice-page" if view != "list" else ".l-vlist-side")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, view
        assert box.evaluate("(box) => box.scrollWidth - box.clientWidth") <= 0, view
        assert not RAW_KEY.findall(page.locator("#voice").inner_text()), view
        shot(page, f"voice_390_{lang}_{view}")

    fits("list")
    opened(page, name)
    fits("voice")
    page.locator("#voice-mode-two").click()
    fits("compare")
    page.locator(".l-vback").first.click()
    page.locator("#voice-new").click()
    page.locator("#voice-way-own").click()
    fits("own")
    page.locator("#voice-way-sample").click()
    page.locator("#voice-from-record").click()
    fits("new")
    page.locator(".l-vmaker-foot .l-btn").first.click()
    page.locator("#voice-words").click()
    page.locator("#words-add").click()
    fits("words")

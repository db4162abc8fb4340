"""One way through the studio: a recording becomes a voice, a portrait speaks a line with it, and it plays."""

from pathlib import Path

import pytest
import soundfile
from playwright.sync_api import expect
from test_avatar import PLAYED, WAIT, choose, open_tab, say
from test_voice import HEARD, SPOKEN, TEXT, measured, shown

from studio.domain import Line
from studio.pipelines.draft.speech import VOICES, speak

LINE = "When the fog came in over the harbour, she lit the lamp and counted every boat."
PORTRAIT = Path(__file__).parents[2] / "assets" / "samples" / "ines.png"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    samples, rate, _ = speak(Line(text=TEXT), VOICES["woman-3"], 1)
    soundfile.write(tmp_path / "keeper.wav", samples, rate)
    return tmp_path / "keeper.wav"


def test_from_a_recording_to_a_face_that_speaks_with_its_voice(open_page, site, recording, shot):
    page = shown(open_page())
    page.locator("#voice-new").click()
    page.locator("#voice-file").set_input_files(recording)
    measured(page)
    page.locator("#voice-name").fill("Harbour")
    page.locator("#voice-language").select_option("en")
    page.locator("#voice-consent").check()
    page.locator("#voice-consent-by").fill("Joana Reis")
    page.locator("#voice-create").click()
    expect(page.locator(".l-vview h1")).to_have_text("Harbour", timeout=WAIT)
    page.locator("#voice-text").fill("The lamp is lit.")
    page.locator("#voice-speak").click()
    page.locator(SPOKEN).wait_for(timeout=WAIT)
    assert page.locator(SPOKEN).evaluate(HEARD) > 0.4

    open_tab(page)
    choose(page, PORTRAIT)
    say(page, ("Inês", LINE))
    page.locator("#avatar-lines .l-av-line [data-field=voice]").first.select_option("Harbour")
    page.locator("#avatar-draft").click()
    video = page.locator("#avatar-result video:not([hidden])").first
    video.wait_for(timeout=WAIT)
    width, _, seconds = video.evaluate(PLAYED)
    assert width > 0 and seconds > 3
    expect(page.locator("#avatar-lips")).to_have_text("Lips in sync", timeout=WAIT)
    shot(page, "voice_to_avatar")
    take = next(
        take for take in site.call("GET", "/takes?task=talking_avatar&layer=picture")["takes"]
        if site.call("GET", f"/takes/{take['id']}")["settings"]["lines"][0]["text"] == LINE
    )  # fmt: skip
    scene = site.call("GET", f"/scenes/{take['scene_id']}")
    (voice,) = scene["line_takes"].values()
    assert scene["scene"]["lines"][0]["voice"] == "Harbour"
    said = site.call("GET", f"/takes/{voice['id']}")["facts"]
    assert abs(said["similarity"]["pitch_cents"]) < 150  # near the recording's: it is that voice that spoke
    lips = site.call("GET", f"/takes/{take['id']}")["facts"]["lipsync"]
    assert lips["in_sync"] and abs(lips["lag_ms"]) < 42

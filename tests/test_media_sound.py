import numpy as np
import pytest
from media_tools import tone, wav

from studio.errors import MediaError
from studio.media.probe import probe
from studio.media.sound import RATE, lay_sounds, load48, place, save, write_soundtrack


def stereo(seconds, hertz=220.0, level=0.3):
    return np.repeat(tone(seconds, hertz, level)[:, None], 2, axis=1)


def rms(samples):
    return float(np.sqrt(np.mean(np.square(samples))))


# ------------------------------------------------------------------------------------------------ samples
def test_any_rate_becomes_48_khz_stereo(tmp_path):
    save(tmp_path / "a.wav", tone(2.0, rate=22_050), 22_050)
    samples = load48(tmp_path / "a.wav")
    assert samples.shape == pytest.approx((96_000, 2), abs=40) and samples.dtype == np.float32
    assert np.abs(samples).max() == pytest.approx(0.3, abs=0.01)  # mono is doubled, not made quieter
    assert len(load48(tmp_path / "a.wav", 0.5)) == 24_000


def test_lines_stand_where_they_belong(tmp_path):
    one, two = wav(tmp_path / "1.wav", 1.0, 440), wav(tmp_path / "2.wav", 1.0, 880)
    laid = lay_sounds([(one, 0.25), (two, 1.75)], 3.2)
    assert laid.shape == (153_600, 2)
    assert rms(laid[:12_000]) == 0 and rms(laid[62_000:83_000]) == 0 and rms(laid[133_000:]) == 0
    assert rms(laid[14_000:58_000]) > 0.1 and rms(laid[86_000:130_000]) > 0.1
    spectrum = np.abs(np.fft.rfft(laid[86_000:130_000, 0]))
    assert np.argmax(spectrum) * RATE / 44_000 == pytest.approx(880, abs=5)


def test_lines_over_each_other_do_not_clip(tmp_path):
    path = wav(tmp_path / "1.wav", 1.0, 440, 0.9)
    assert np.abs(lay_sounds([(path, 0.0), (path, 0.0)], 1.0)).max() <= 1.0


def test_what_reaches_past_an_end_is_left_out():
    bus = np.zeros((10, 2), np.float32)
    place(bus, np.ones((8, 2), np.float32), 6 / RATE)
    place(bus, np.ones((8, 2), np.float32), -6 / RATE)
    assert bus[:, 0].tolist() == [1, 1, 0, 0, 0, 0, 1, 1, 1, 1]


def test_a_soundtrack_lasts_exactly_as_long_as_the_scene(tmp_path):
    write_soundtrack(tmp_path / "s.wav", [(wav(tmp_path / "1.wav"), 0.25)], 2.5)
    facts = probe(tmp_path / "s.wav")
    assert (facts.duration, facts.sample_rate, facts.channels) == (2.5, 48_000, 2)


def test_a_silent_soundtrack_is_a_soundtrack(tmp_path):
    write_soundtrack(tmp_path / "s.wav", [], 1.0)
    assert not load48(tmp_path / "s.wav").any()


def test_a_picture_has_no_sound(tmp_path):
    from media_tools import clip

    with pytest.raises(MediaError) as caught:
        load48(clip(tmp_path / "a.mp4"))
    assert caught.value.code == "media.no_sound"

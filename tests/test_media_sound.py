import numpy as np
import pytest
from media_tools import tone, wav

from studio.domain import SpokenLine
from studio.errors import MediaError
from studio.media import mix as mixing
from studio.media.mix import DUCK_DB, Heard, bed, duck, limited, loudness, mastered, mix, true_envelope
from studio.media.probe import probe
from studio.media.sound import RATE, lay_lines, load48, place, save, write_soundtrack


def stereo(seconds, hertz=220.0, level=0.3):
    return np.repeat(tone(seconds, hertz, level)[:, None], 2, axis=1)


def decibels(ratio):
    return 20 * np.log10(ratio)


def rms(samples):
    return float(np.sqrt(np.mean(np.square(samples))))


def line(path, start, duration=1.0):
    return SpokenLine("l", "Mira", "Hello", path, start, duration)


# ------------------------------------------------------------------------------------------------ samples
def test_any_rate_becomes_48_khz_stereo(tmp_path):
    save(tmp_path / "a.wav", tone(2.0, rate=22_050), 22_050)
    samples = load48(tmp_path / "a.wav")
    assert samples.shape == pytest.approx((96_000, 2), abs=40) and samples.dtype == np.float32
    assert np.abs(samples).max() == pytest.approx(0.3, abs=0.01)  # mono is doubled, not made quieter
    assert len(load48(tmp_path / "a.wav", 0.5)) == 24_000


def test_lines_stand_where_they_belong(tmp_path):
    one, two = wav(tmp_path / "1.wav", 1.0, 440), wav(tmp_path / "2.wav", 1.0, 880)
    laid = lay_lines([line(one, 0.25), line(two, 1.75)], 3.2)
    assert laid.shape == (153_600, 2)
    assert rms(laid[:12_000]) == 0 and rms(laid[62_000:83_000]) == 0 and rms(laid[133_000:]) == 0
    assert rms(laid[14_000:58_000]) > 0.1 and rms(laid[86_000:130_000]) > 0.1
    spectrum = np.abs(np.fft.rfft(laid[86_000:130_000, 0]))
    assert np.argmax(spectrum) * RATE / 44_000 == pytest.approx(880, abs=5)


def test_lines_over_each_other_do_not_clip(tmp_path):
    path = wav(tmp_path / "1.wav", 1.0, 440, 0.9)
    assert np.abs(lay_lines([line(path, 0.0), line(path, 0.0)], 1.0)).max() <= 1.0


def test_what_reaches_past_an_end_is_left_out():
    bus = np.zeros((10, 2), np.float32)
    place(bus, np.ones((8, 2), np.float32), 6 / RATE)
    place(bus, np.ones((8, 2), np.float32), -6 / RATE)
    assert bus[:, 0].tolist() == [1, 1, 0, 0, 0, 0, 1, 1, 1, 1]


def test_a_soundtrack_lasts_exactly_as_long_as_the_scene(tmp_path):
    write_soundtrack(tmp_path / "s.wav", [line(wav(tmp_path / "1.wav"), 0.25)], 2.5)
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


# ------------------------------------------------------------------------------------------------ the mix
@pytest.mark.parametrize("level", [0.01, 0.2, 0.95])
def test_every_film_ends_at_sixteen_lufs(level):
    done = mix(8.0, [Heard(1.0, stereo(2.0, level=level)), Heard(5.0, stereo(1.5, 330, level / 3))], stereo(9, 110))
    assert len(done.samples) == 8 * RATE
    assert loudness(done.samples) == pytest.approx(-16, abs=0.5) == done.lufs
    assert done.true_peak <= -1.9


def test_sparse_clicks_over_quiet_speech_stay_under_the_ceiling():
    samples = stereo(6.0, level=0.05)
    samples[::4_800] = 1.0
    done = mastered(samples)
    assert done.lufs == pytest.approx(-16, abs=1) and done.true_peak <= -1.9


def test_the_limiter_sees_peaks_between_samples():
    """A tone at a quarter of the rate, sampled off its crests: every sample is 0.707 of the real peak."""
    t = np.arange(RATE)
    wave = np.repeat((0.99 * np.sin(np.pi / 2 * t + np.pi / 4)).astype(np.float32)[:, None], 2, axis=1)
    assert np.abs(wave).max() < 0.71 and true_envelope(wave, 0.0).max() > 0.95
    assert true_envelope(limited(wave, 0.8), 0.0).max() <= 0.8 + 1e-4


def test_the_limiter_leaves_quiet_sound_alone():
    wave = stereo(1.0, level=0.3)
    assert limited(wave, 0.8) is wave


def test_voices_of_different_loudness_meet():
    loud, quiet = stereo(2.0, 300, 0.9), stereo(2.0, 300, 0.03)
    done = mix(6.0, [Heard(0.5, loud), Heard(3.5, quiet)]).samples
    assert abs(decibels(rms(done[30_000:110_000]) / rms(done[175_000:255_000]))) < 0.5


def test_the_music_steps_back_before_the_first_word_and_stays_in_short_pauses():
    gain = decibels(duck(12 * RATE, [(4.0, 5.0), (5.8, 7.0)]))
    at = lambda seconds: gain[round(seconds * RATE)]  # noqa: E731
    assert at(0) == at(3.8) == 0
    assert DUCK_DB < at(3.9) < 0
    assert at(4.0) == at(4.9) == at(5.4) == at(6.9) == pytest.approx(DUCK_DB)  # no pumping in the pause
    assert DUCK_DB < at(7.25) < 0 and at(7.6) == at(11.9) == 0


def test_a_line_on_the_first_frame_finds_the_music_down():
    gain = decibels(duck(4 * RATE, [(0.0, 1.0)]))
    assert gain[0] == pytest.approx(DUCK_DB) and gain[-1] == 0


def test_ducking_is_heard_in_the_mix():
    """Music alone at 110 Hz, line at 1 kHz: the music's own band drops by 12 dB under the line."""
    done = mix(12.0, [Heard(5.0, stereo(2.0, 1000, 0.3))], stereo(12, 110)).samples[:, 0]

    def music_at(seconds):
        part = done[round(seconds * RATE) :][: RATE // 2] * np.hanning(RATE // 2)
        return np.abs(np.fft.rfft(part))[50:60].max()

    assert decibels(music_at(6.0) / music_at(3.0)) == pytest.approx(DUCK_DB, abs=1.0)
    assert decibels(music_at(8.5) / music_at(3.0)) == pytest.approx(0, abs=1.0)


def test_a_short_song_goes_on_to_the_end_without_a_gap():
    noise = np.random.default_rng(0).normal(0, 0.1, (5 * RATE, 2)).astype(np.float32)
    laid = bed(noise, 23 * RATE, -24.0)
    loud = [rms(laid[at : at + RATE // 10]) for at in range(2 * RATE, 20 * RATE, RATE // 10)]
    assert min(loud) > 0.8 * max(loud)
    assert rms(laid[: RATE // 20]) < 0.1 * max(loud) > rms(laid[-RATE // 10 :])
    steps = np.abs(np.diff(bed(stereo(5.0, 200), 23 * RATE, -24.0)[:, 0]))
    assert steps.max() < 0.02  # a click at the seam would be a jump


def test_a_long_song_is_cut():
    assert len(bed(stereo(10), 3 * RATE, -24.0)) == 3 * RATE


def test_silence_is_silence():
    done = mix(2.0, [Heard(0.0, np.zeros((RATE, 2), np.float32))])
    assert done.lufs is None and done.true_peak is None and not done.samples.any()


def test_short_sounds_are_measured():
    assert -30 < loudness(stereo(0.2)) < -5 and loudness(np.zeros((100, 2), np.float32)) == -np.inf
    assert mixing.TARGET_LUFS == -16


def test_the_limiter_turns_down_and_does_not_clip():
    """A tone three times too loud stays a tone: its third harmonic is far below it."""
    wave = np.repeat((3.0 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)).astype(np.float32)[:, None], 2, axis=1)
    spectrum = np.abs(np.fft.rfft(limited(wave, 0.8)[:, 0] * np.hanning(RATE)))
    assert decibels(spectrum[3000] / spectrum[1000]) < -60

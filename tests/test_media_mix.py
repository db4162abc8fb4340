"""The sound of a film: measured, not listened to."""

import errno

import numpy as np
import pyloudnorm
import pytest
from media_tools import tone

from studio.errors import Cancelled, DiskFull
from studio.media import bus as buses
from studio.media.bus import Bus
from studio.media.loudness import CONTEXT, Meter, limiter_gain, loudness, true_envelope
from studio.media.mix import DUCK_DB, STEMS, Duck, Heard, Sounds, mix
from studio.media.sound import RATE, save


def stereo(seconds, hertz=220.0, level=0.3):
    return np.repeat(tone(seconds, hertz, level)[:, None], 2, axis=1)


def decibels(ratio):
    return 20 * np.log10(ratio)


def rms(samples):
    return float(np.sqrt(np.mean(np.square(samples))))


@pytest.fixture
def file(tmp_path):
    def one(samples):
        path = tmp_path / f"{len(list(tmp_path.glob('*.wav')))}.wav"
        save(path, samples)
        return path

    return one


@pytest.fixture
def mixed(tmp_path):
    """The mix of a film, and what was measured."""

    def one(total, dialogue=(), music=None, **more):
        effects = more.pop("effects", ())
        with mix(Sounds(total, dialogue, effects, music), tmp_path / "scratch", **more) as done:
            samples = np.concatenate(list(done))
        assert not list(tmp_path.glob("*.part"))
        return samples, done

    return one


def bed(path, seconds=None, skip=0.0):
    return Heard(path, 0.0, skip, seconds, -24.0, 1.0, 2.5, by_part=True)


def at(samples, seconds, hertz, length=0.4):
    """How strong one frequency is from `seconds` on."""
    part = samples[round(seconds * RATE) :, 0][: round(length * RATE)]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
    middle = round(hertz * length)
    return spectrum[middle - 4 : middle + 5].max()


# ------------------------------------------------------------------------------------------------ loudness
def test_the_meter_agrees_with_pyloudnorm_however_it_is_fed():
    rng = np.random.default_rng(1)
    samples = stereo(7.3, level=0.2) + rng.normal(0, 0.02, (round(7.3 * RATE), 2)).astype(np.float32)
    samples[3 * RATE : 5 * RATE] *= 0.001  # the gate has something to leave out
    wanted = pyloudnorm.Meter(RATE).integrated_loudness(samples)
    meter = Meter()
    for start in range(0, len(samples), 7001):
        meter.hear(samples[start : start + 7001])
    assert meter.lufs() == pytest.approx(wanted, abs=0.05) == loudness(samples)


def test_short_sounds_are_measured_and_silence_is_silence():
    assert -30 < loudness(stereo(0.2)) < -5 and loudness(np.zeros((100, 2), np.float32)) == -np.inf
    assert loudness(np.zeros((3 * RATE, 2), np.float32)) == -np.inf == Meter().lufs()


def test_peaks_between_samples_are_seen():
    """A tone at a quarter of the rate, sampled off its crests: every sample is 0.707 of the real peak."""
    t = np.arange(RATE)
    wave = np.repeat((0.99 * np.sin(np.pi / 2 * t + np.pi / 4)).astype(np.float32)[:, None], 2, axis=1)
    assert np.abs(wave).max() < 0.71 and true_envelope(wave, 0.0).max() > 0.95
    assert true_envelope(wave * limiter_gain(wave, 0.8)[:, None], 0.0).max() <= 0.81


def test_the_limiter_leaves_quiet_sound_alone():
    assert (limiter_gain(stereo(1.0, level=0.3), 0.8) == 1).all()


def test_the_limiter_turns_down_and_does_not_clip():
    """A tone three times too loud stays a tone: its third harmonic is far below it."""
    wave = np.repeat((3.0 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)).astype(np.float32)[:, None], 2, axis=1)
    held = wave * limiter_gain(wave, 0.8)[:, None]
    spectrum = np.abs(np.fft.rfft(held[:, 0] * np.hanning(RATE)))
    assert decibels(spectrum[3000] / spectrum[1000]) < -60


def test_the_limiter_is_up_again_right_after_a_peak():
    wave = stereo(1.0, level=0.3)
    wave[RATE // 2] = 2.0
    gain = limiter_gain(wave, 0.8)
    away = round(0.02 * RATE)
    assert gain[RATE // 2] <= 0.41 and gain[RATE // 2 - away] == gain[RATE // 2 + away] == 1


def test_pieces_are_limited_as_the_whole_is(monkeypatch, mixed, file):
    rng = np.random.default_rng(2)
    path = file((0.1 * rng.standard_t(3, (4 * RATE, 2))).clip(-1, 1).astype(np.float32))
    whole, _ = mixed(4.0, [Heard(path, 0.0)])
    monkeypatch.setattr(buses, "PIECE", 10_007)
    parts, _ = mixed(4.0, [Heard(path, 0.0)])
    assert np.abs(whole - parts).max() < 2e-3 and CONTEXT > 720


# ------------------------------------------------------------------------------------------------ the mix
@pytest.mark.parametrize("target", [-23, -16, -14])
@pytest.mark.parametrize("level", [0.01, 0.95])
def test_every_film_ends_at_its_loudness(mixed, file, level, target):
    lines = [Heard(file(stereo(2.0, level=level)), 1.0), Heard(file(stereo(1.5, 330, level / 3)), 5.0)]
    samples, done = mixed(8.0, lines, bed(file(stereo(9, 110))), target=target)
    assert len(samples) == 8 * RATE
    assert loudness(samples) == pytest.approx(target, abs=0.3) and done.lufs == pytest.approx(target, abs=0.3)
    assert decibels(true_envelope(samples, 0.0).max()) <= -1.99 + 0.01 and done.true_peak <= -1.99


def test_sparse_clicks_over_quiet_speech_stay_under_the_ceiling(mixed, file):
    samples = stereo(6.0, level=0.05)
    samples[::4_800] = 1.0
    samples, done = mixed(6.0, [Heard(file(samples), 0.0)])
    assert done.lufs == pytest.approx(-16, abs=1) and decibels(true_envelope(samples, 0.0).max()) <= -1.98


def test_voices_of_different_loudness_meet(mixed, file):
    loud, quiet = file(stereo(2.0, 300, 0.9)), file(stereo(2.0, 300, 0.03))
    samples, _ = mixed(6.0, [Heard(loud, 0.5), Heard(quiet, 3.5)])
    assert abs(decibels(rms(samples[30_000:110_000]) / rms(samples[175_000:255_000]))) < 0.5


def test_a_cut_recording_keeps_its_level_and_fades(mixed, file):
    """Half of a line is as loud as in the whole line, and ends softly where the trim cuts it."""
    path = file(stereo(2.0, 300))
    whole, _ = mixed(4.0, [Heard(path, 1.0), Heard(path, 3.1)])
    part, _ = mixed(4.0, [Heard(path, 1.0, 0.5, 1.0, fade_out=0.06), Heard(path, 3.1)])
    assert at(part, 1.3, 300) / at(part, 3.3, 300) == pytest.approx(at(whole, 1.8, 300) / at(whole, 3.3, 300), rel=0.1)
    assert not part[2 * RATE + 10 : 3 * RATE].any() and rms(part[round(1.995 * RATE) : 2 * RATE]) < 0.02
    assert np.abs(np.diff(part[:, 0])).max() < 0.1


def test_music_begins_and_ends_in_its_file_and_is_not_repeated(mixed, file):
    song = np.concatenate([stereo(2, 200), stereo(4, 500), stereo(2, 900)])
    samples, _ = mixed(8.0, music=bed(file(song), 4.0, 2.0))
    assert at(samples, 1.2, 500) > 100 * max(at(samples, 1.2, 200), at(samples, 1.2, 900))
    assert not samples[round(4.01 * RATE) :].any()
    assert rms(samples[: RATE // 20]) < 0.1 * rms(samples[RATE : 2 * RATE]) > rms(samples[round(3.9 * RATE) : 4 * RATE])


def test_effects_stand_at_their_time_and_level(mixed, file):
    samples, _ = mixed(
        6.0, [Heard(file(stereo(1.5, 300)), 0.5)], effects=[Heard(file(stereo(1.5, 300, 0.05)), 3.5, level=-28)]
    )
    assert decibels(at(samples, 4.0, 300) / at(samples, 1.0, 300)) == pytest.approx(-12, abs=0.5)
    assert not samples[round(2.1 * RATE) : round(3.49 * RATE)].any()


def test_the_music_steps_back_before_the_first_word_and_stays_in_short_pauses():
    gain = decibels(Duck([(4.0, 5.0), (5.8, 7.0)]).gain(0, 12 * RATE))
    level = lambda seconds: gain[round(seconds * RATE)]  # noqa: E731
    assert level(0) == level(3.8) == 0
    assert DUCK_DB < level(3.9) < 0
    assert level(4.0) == level(4.9) == level(5.4) == level(6.9) == pytest.approx(DUCK_DB)  # no pumping in the pause
    assert DUCK_DB < level(7.25) < 0 and level(7.6) == level(11.9) == 0


def test_a_line_on_the_first_frame_finds_the_music_down():
    gain = decibels(Duck([(0.0, 1.0)]).gain(0, 4 * RATE))
    assert gain[0] == pytest.approx(DUCK_DB) and gain[-1] == 0


def test_ducking_is_heard_in_the_mix(mixed, file):
    """Music alone at 110 Hz, line at 1 kHz: the music's own band drops by 12 dB under the line."""
    samples, _ = mixed(12.0, [Heard(file(stereo(2.0, 1000, 0.3)), 5.0)], bed(file(stereo(14, 110))))
    assert decibels(at(samples, 6.0, 110) / at(samples, 3.0, 110)) == pytest.approx(DUCK_DB, abs=1.0)
    assert decibels(at(samples, 8.5, 110) / at(samples, 3.0, 110)) == pytest.approx(0, abs=1.0)


def test_the_stems_add_up_to_the_mix(tmp_path, file):
    sounds = Sounds(
        4.0, [Heard(file(stereo(1, 300, 0.9)), 1.0)], [Heard(file(stereo(1, 2000)), 2.5, level=-20)],
        bed(file(stereo(6, 110))),
    )  # fmt: skip
    with mix(sounds, tmp_path / "scratch", stems=True, target=-14) as done:
        pieces = list(done.pieces())
    whole, *apart = (np.concatenate([piece[name] for piece in pieces]) for name in ("mix", *STEMS))
    assert [len(each) for each in (whole, *apart)] == [4 * RATE] * 4 and all(each.any() for each in apart)
    assert np.abs(whole - sum(apart)).max() < 1e-5
    assert at(apart[0], 1.3, 300) > 1000 * at(apart[1], 1.3, 300)


def test_a_silent_film(mixed, file):
    samples, done = mixed(2.0, [Heard(file(np.zeros((RATE, 2), np.float32)), 0.0)])
    assert done.lufs is None and done.true_peak is None and not samples.any()


# ------------------------------------------------------------------------------------------------ the disk
def test_a_bus_takes_what_reaches_past_its_ends(tmp_path):
    with Bus(tmp_path / "a.part", 10) as bus:
        bus.add(np.ones((4, 2), np.float32), -2)
        bus.add(np.ones((4, 2), np.float32), 8)
        bus.add(np.ones((4, 2), np.float32), 12)
        bus.add(np.ones((2, 2), np.float32), 1)
        assert bus.read(-5, 50)[:, 0].tolist() == [1, 2, 1, 0, 0, 0, 0, 0, 1, 1]
    assert not list(tmp_path.iterdir())


def test_progress_goes_up_and_a_stop_leaves_nothing(tmp_path, mixed, file):
    seen = []
    lines = [Heard(file(stereo(1.0)), 0.0), Heard(file(stereo(1.0)), 1.5)]
    mixed(3.0, lines, step=seen.append)
    assert seen == sorted(seen) and seen[-1] == 1.0

    def stop(share):
        if share >= 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        mixed(3.0, lines, step=stop)
    assert not list(tmp_path.glob("*.part"))


def test_a_full_disk_has_our_words(tmp_path, mixed, file, monkeypatch):
    def full(self, samples, at):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Bus, "add", full)
    with pytest.raises(DiskFull):
        mixed(3.0, [Heard(file(stereo(1.0)), 0.0)])
    assert not list(tmp_path.glob("*.part"))

"""What the network that moves mouths hears, on a tiny wav2vec2 of the real class."""

import av
import numpy as np
import pyloudnorm
import pytest
import torch
from media_tools import clip, tone
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from studio.errors import MediaError
from studio.media.sound import save
from studio.pipelines.skyreels_v3 import audio
from studio.pipelines.skyreels_v3.audio import RATE, features, levelled, load16, windows_of

LAYERS, CHANNELS = 3, 16


@pytest.fixture(scope="module", params=["group", "layer"])
def model(request):
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=CHANNELS, num_hidden_layers=LAYERS, num_attention_heads=2, intermediate_size=16, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2, feat_extract_norm=request.param,
        do_stable_layer_norm=request.param == "layer",
    )  # fmt: skip
    return Wav2Vec2Model(config).eval()


@pytest.fixture(scope="module")
def processor():
    return Wav2Vec2FeatureExtractor(sampling_rate=RATE, do_normalize=True)


def mp3(path, samples, rate=48_000):
    """(n, 2) in -1..1"""
    with av.open(str(path), "w", format="mp3") as target:
        stream = target.add_stream("libmp3lame", rate=rate, layout="stereo")
        for start in range(0, len(samples), 1152):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples[start : start + 1152].T, np.float32), format="fltp", layout="stereo"
            )
            frame.sample_rate, frame.pts = rate, start
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def hertz(track):
    return np.abs(np.fft.rfft(track)).argmax() * RATE / len(track)


# ------------------------------------------------------------------------------------------------ samples
def test_a_stereo_mp3_of_48_khz_becomes_mono_of_16(tmp_path):
    both = np.stack([tone(2.0, 440.0), np.zeros(96_000, np.float32)], 1)
    track = load16(mp3(tmp_path / "a.mp3", both))
    assert track.dtype == np.float32 and track.ndim == 1 and len(track) == pytest.approx(32_000, abs=1200)  # padding
    assert hertz(track) == pytest.approx(440, abs=2)
    assert np.abs(track).max() == pytest.approx(0.15, abs=0.02)  # the mean of a channel and silence


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_a_wav_of_any_rate_keeps_its_length_and_height(tmp_path, rate):
    save(tmp_path / "a.wav", tone(1.5, 330.0, rate=rate), rate)
    track = load16(tmp_path / "a.wav")
    assert len(track) == pytest.approx(24_000, abs=20) and hertz(track) == pytest.approx(330, abs=2)
    assert np.abs(track).max() == pytest.approx(0.3, abs=0.02)


def test_a_film_without_sound_is_told(tmp_path):
    with pytest.raises(MediaError) as caught:
        load16(clip(tmp_path / "a.mp4"))
    assert caught.value.code == "media.no_sound"


@pytest.mark.parametrize("seconds", [0.4, 3.0])
@pytest.mark.parametrize("level", [0.9, 0.01])
def test_every_voice_is_brought_to_one_loudness(seconds, level):
    track = levelled(tone(seconds, level=level, rate=RATE))
    assert track.dtype == np.float32
    assert pyloudnorm.Meter(RATE).integrated_loudness(track) == pytest.approx(-23.0, abs=0.05)


def test_what_no_meter_can_measure_stays_as_it_is():
    silence, click = np.zeros(RATE, np.float32), tone(0.3, rate=RATE)
    assert levelled(silence) is silence and levelled(click) is click


# ------------------------------------------------------------------------------------------------ features
def by_hand(model, processor, track, frames):
    """wav2vec2 with its convolutions' rate changed to 25, layer by layer."""
    values = processor(track, sampling_rate=RATE, return_tensors="pt").input_values
    with torch.no_grad():
        heard = model.feature_extractor(values)  # (1, C, T)
        at = torch.linspace(0, heard.shape[2] - 1, frames)
        low = at.floor().long().clamp(max=heard.shape[2] - 2)
        share = at - low
        heard = heard[:, :, low] * (1 - share) + heard[:, :, low + 1] * share
        hidden = model.feature_projection(heard.transpose(1, 2))[0]
        hidden = hidden + model.encoder.pos_conv_embed(hidden)
        if not model.config.do_stable_layer_norm:
            hidden = model.encoder.layer_norm(hidden)
        layers = []
        for layer in model.encoder.layers:
            hidden = layer(hidden)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
            layers.append(hidden[0])
    return torch.stack(layers, 1)


@pytest.mark.parametrize(("seconds", "frames"), [(0.4, 10), (3.2, 80), (3.24, 81), (20.0, 500)])
def test_every_layer_says_something_of_every_frame(model, processor, seconds, frames):
    track = tone(seconds, rate=RATE)
    found = features(model, processor, track, frames)
    assert found.shape == (frames, LAYERS, CHANNELS) and found.dtype == torch.float32
    torch.testing.assert_close(found, by_hand(model, processor, track, frames), rtol=0, atol=1e-4)
    assert not any(layer._forward_hooks for layer in model.encoder.layers)


def test_a_long_sound_goes_through_in_pieces_and_comes_out_the_same(model, monkeypatch):
    processor = Wav2Vec2FeatureExtractor(sampling_rate=RATE, do_normalize=False)
    track = tone(9.0, rate=RATE) * np.linspace(0.05, 1, 9 * RATE, dtype=np.float32) + 0.5  # no piece is like another
    whole = features(model, processor, track, 225)
    sizes = []
    hook = model.feature_extractor.conv_layers[0].conv.register_forward_hook(
        lambda layer, given, made: sizes.append(made.shape[2])
    )
    monkeypatch.setattr(audio, "PIECE", 37)
    pieces = features(model, processor, track, 225)
    hook.remove()
    torch.testing.assert_close(pieces, whole, rtol=0, atol=1e-4)
    assert max(sizes) < 38 * 64 < 9 * RATE / 5


def test_silence_has_features_too(model, processor):
    found = features(model, processor, np.zeros(RATE, np.float32), 25)
    assert found.isfinite().all()


def test_each_frame_hears_those_that_the_window_says():
    given = torch.arange(6.0).reshape(6, 1, 1).expand(6, LAYERS, CHANNELS)
    heard = windows_of(given, ((0, 0, 0, 1, 2), (3, 4, 5, 5, 5)))
    assert heard.shape == (2, 5, LAYERS, CHANNELS)
    assert heard[:, :, 0, 0].tolist() == [[0, 0, 0, 1, 2], [3, 4, 5, 5, 5]]

"""Speakers compared: nothing without the model, and with it (tiny, random) a voice is like itself."""

from pathlib import Path

import numpy as np
import pytest
import voice_samples

from studio.media import voices
from studio.pipelines.parts import Shelf
from studio.pipelines.speech import likeness
from studio.service import Studio


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    folder = tmp_path_factory.mktemp("voices")
    return (
        voice_samples.save(folder / "a.wav", voice_samples.said(4.0, "woman-1")),
        voice_samples.save(folder / "b.wav", voice_samples.said(4.0, "man-2")),
        voice_samples.save(folder / "short.wav", voice_samples.said(0.6, "man-2")),
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real class with 20,000 weights."""
    import torch
    from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMForXVector

    folder = tmp_path_factory.mktemp("wavlm")
    torch.manual_seed(0)
    config = WavLMConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(8, 8),
        conv_stride=(5, 4), conv_kernel=(10, 8), num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
        num_feat_extract_layers=2, tdnn_dim=(16, 16), tdnn_kernel=(3, 1), tdnn_dilation=(1, 1), xvector_output_dim=12,
        classifier_proj_size=8,
    )  # fmt: skip
    WavLMForXVector(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def test_without_the_model_there_is_no_cosine(studio: Studio, recordings: tuple[Path, Path, Path]) -> None:
    one, other, _ = recordings
    found = likeness.similarity(one, voices.profile_of(one), other)
    assert found["speaker"] is None and abs(found["pitch_cents"]) < 5


def test_a_voice_is_like_itself(
    tiny: Path, recordings: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shelf, "find", lambda self, part: tiny)
    one, other, short = recordings
    profile = voices.profile_of(one)
    assert likeness.similarity(one, profile, one)["speaker"] == 1.0
    assert likeness.similarity(other, profile, one)["speaker"] < 1.0
    assert likeness.similarity(one, profile, None)["speaker"] is None
    assert likeness.likeness(short, one) is None
    assert np.linalg.norm(likeness.embedding(one, str(tiny))) == pytest.approx(1.0, abs=1e-5)


def test_the_model_is_offered_with_its_licence(studio: Studio) -> None:
    model = studio.models.get("wavlm-sv")
    assert (model["serves"], model["state"], model["licence"]) == ("comparing", "missing", "CC-BY-SA-3.0")

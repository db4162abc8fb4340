"""How alike two voices are, as a model that tells speakers apart hears it. What it weighs is data here; torch is only
loaded to compare. Works on the CPU: the device belongs to whoever renders. Knows no voice and no scene.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.domain import JSON
from studio.pipelines.base import Engine
from studio.pipelines.parts import Part, Shelf

if TYPE_CHECKING:
    import numpy as np

RATE = 16_000  # Hz
SECONDS = 20.0  # of each recording; more says nothing more
LEAST = 1.0  # seconds; a shorter one has no speaker


class WavLMSpeaker(Engine):
    """A model that makes no scene: the cosine beside each clone. Two of them can be compared; one alone says little."""

    id = "wavlm-sv"
    tasks = frozenset()
    serves = "comparing"
    lane = "cpu"
    licence = "CC-BY-SA-3.0"
    parts = (  # its main branch holds pickled weights only
        Part("speaker", "microsoft/wavlm-base-sv", 404_400_000, folder="", revision="refs/pr/2",
             files=("config.json", "preprocessor_config.json", "model.safetensors")),
    )  # fmt: skip


def similarity(path: Path, profile: Mapping[str, JSON], sample: Path | None) -> dict[str, Any]:
    """{pitch_cents, spectrum_db, speaker}: how far what `path` says is from a voice's profile, as media.voices has it,
    and the cosine of its speaker and the sample's; null where the model or the sample is not here."""
    from studio.media import voices

    return {**voices.similarity(path, profile), "speaker": likeness(path, sample) if sample else None}


def likeness(path: Path, sample: Path) -> float | None:
    """Cosine of the speakers of two recordings, -1..1. None: the model is not here, or one is too short to tell."""
    folder = Shelf.here().find(WavLMSpeaker.parts[0])
    if folder is None:
        return None
    said, wanted = embedding(path, str(folder)), _of_sample(sample, sample.stat().st_mtime_ns, str(folder))
    return None if said is None or wanted is None else round(float(said @ wanted), 3)


@lru_cache(maxsize=64)
def _of_sample(sample: Path, changed: int, folder: str) -> "np.ndarray | None":
    """Of a voice's sample: every line of the voice is compared with it."""
    return embedding(sample, folder)


def embedding(path: Path, folder: str) -> "np.ndarray | None":
    """(512,) of length 1: who speaks. None: too short. Raises MediaError."""
    import librosa
    import numpy as np

    from studio.media.recording import read

    stretch = read(path, most=SECONDS)
    samples = librosa.resample(stretch.samples, orig_sr=stretch.rate, target_sr=RATE)
    if len(samples) < LEAST * RATE:
        return None
    found = _Ear.of(folder).hear(samples)
    return found / max(float(np.linalg.norm(found)), 1e-9)


class _Ear:
    """A model that is loaded. The process holds one, and it goes with the process."""

    @staticmethod
    @lru_cache(maxsize=1)
    def of(folder: str) -> "_Ear":
        return _Ear(folder)

    def __init__(self, folder: str) -> None:
        import torch
        from transformers import AutoFeatureExtractor, WavLMForXVector

        self._features = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
        self._model = WavLMForXVector.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        ).eval()

    def hear(self, samples: "np.ndarray") -> "np.ndarray":
        """(512,) float32 of (n,) float32 at RATE."""
        import numpy as np
        import torch

        given = self._features(samples, sampling_rate=RATE, return_tensors="pt")
        with torch.inference_mode():
            return np.asarray(self._model(**given).embeddings[0].float().cpu().numpy())

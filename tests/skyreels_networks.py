"""The networks of SkyReels-V3 at tiny size, what they are called with, and the golden vectors that prove them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from tiny_models import WAN_TRANSFORMER

torch.set_num_threads(1)  # on tiny tensors threads only wait for each other

GOLDEN = Path(__file__).parent / "data" / "golden"
KINDS = ("r2v", "v2v_single_shot", "v2v_shot_switch", "a2v")
SOUND = {
    "in_channels": 36, "image_dim": 16, "added_kv_proj_dim": 24, "audio_layers": 2, "audio_channels": 6,
    "audio_inner_dim": 8, "audio_dim": 10, "audio_tokens": 3,
}  # fmt: skip


@dataclass
class Vectors:
    config: dict[str, Any]
    weights: dict[str, torch.Tensor]  # float32, under their published names
    inputs: dict[str, torch.Tensor]
    outputs: dict[str, torch.Tensor]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(tensor.shape) for name, tensor in self.weights.items()}


def vectors(kind: str) -> Vectors:
    with safe_open(GOLDEN / f"{kind}.safetensors", "pt") as file:
        names = list(file.keys())
        tensors = {name: file.get_tensor(name).float() for name in names}
        config = json.loads(file.metadata()["config"])

    def below(start: str) -> dict[str, torch.Tensor]:
        return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}

    return Vectors(config, below("weights."), below("inputs."), {n: t for n, t in tensors.items() if "output" in n})


def frame_wan(**more: Any) -> Any:
    from studio.pipelines.skyreels_v3.frame_wan import FrameWanTransformer3DModel

    return FrameWanTransformer3DModel(**{**WAN_TRANSFORMER, "num_layers": 2, "rope_max_seq_len": 2048, **more}).eval()


def audio_wan(**more: Any) -> Any:
    from studio.pipelines.skyreels_v3.audio_wan import WanAudioTransformer3DModel

    return WanAudioTransformer3DModel(**{**WAN_TRANSFORMER, "num_layers": 2, **SOUND, **more}).eval()


def audio_inputs(
    speakers: int = 1, frames: int = 3, rows: int = 16, columns: int = 16, samples: int = 1, words: int = 16
) -> dict[str, Any]:
    """Latents of frames x rows x columns; the second speaker stands on the right."""
    seeded = torch.Generator().manual_seed(1)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=seeded)

    masks = torch.zeros(3, rows * 8, columns * 8)
    masks[0, :, : columns * 3], masks[1, :, columns * 5 :] = 1, 1
    masks[2] = 1 - masks[0] - masks[1]
    return {
        "hidden_states": noise(samples, 36, frames, rows, columns),
        "timestep": torch.tensor([500] * samples),
        "encoder_hidden_states": noise(samples, words, 32),
        "encoder_hidden_states_image": noise(samples, 5, 16),
        "audio_embeds": noise(speakers, 4 * frames - 3, 5, 2, 6),
        "speaker_masks": masks,
        "return_dict": False,
    }

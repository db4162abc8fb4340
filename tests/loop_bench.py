"""SkyReels-V3's engines on tiny networks and a VAE of a few matrices, beside the plain reference on the same ones.

An engine runs as a whole, from its inputs to the frames that it hands to the Writer; only loading and placing are left
out. Frames are caught before they are rounded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import reference_loops as loops
import skyreels_networks
import tiny_models
import torch
from PIL import Image
from torch import Tensor

from studio.pipelines.base import Inputs, Plan, Run
from studio.pipelines.skyreels_v3.noise import generator

SEED = 7
SIDE = 32  # pixels of height and width
LATENT = 16  # channels
MEMORY = 0.3  # how much a latent frame and a decoded one know of those before


class CausalVae(torch.nn.Module):
    """AutoencoderKLWan in what is asked of it: four frames are one latent frame, the first stands alone, and nothing
    depends on what comes later."""

    dtype, device = torch.float32, torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        seeded = torch.Generator().manual_seed(3)
        one, four = 3 * 8 * 8, 4 * 3 * 8 * 8
        self.first = torch.randn(LATENT, one, generator=seeded) / one**0.5
        self.rest = torch.randn(LATENT, four, generator=seeded) / four**0.5
        self.to_first = torch.randn(one, LATENT, generator=seeded) / LATENT**0.5
        self.to_rest = torch.randn(four, LATENT, generator=seeded) / LATENT**0.5
        self.config = SimpleNamespace(
            z_dim=LATENT, scale_factor_temporal=4, scale_factor_spatial=8,
            latents_mean=torch.linspace(-0.5, 0.5, LATENT).tolist(),
            latents_std=torch.linspace(0.5, 1.5, LATENT).tolist(),
        )  # fmt: skip

    def encode(self, pixels: Tensor) -> Any:
        """(1, 3, F, H, W) -> (1, 16, f, h, w) as the mode of a distribution."""
        assert pixels.shape[2] % 4 == 1, "the VAE cuts such a film"
        cells = pixels[0].unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).permute(1, 2, 4, 0, 3, 5)  # (F, h, w, 3, 8, 8)
        found = [cells[0].flatten(2) @ self.first.T]
        for start in range(1, len(cells), 4):
            now = cells[start : start + 4].permute(1, 2, 0, 3, 4, 5).flatten(2) @ self.rest.T
            found.append(now + MEMORY * found[-1])
        latents = torch.stack(found).permute(3, 0, 1, 2)[None]
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: latents))

    def decode(self, latents: Tensor, return_dict: bool = False) -> tuple[Tensor]:
        before, frames = torch.zeros_like(latents[0, :, 0]), []
        for number in range(latents.shape[2]):
            before = latents[0, :, number] + MEMORY * before
            matrix = self.to_rest if number else self.to_first
            cells = torch.einsum("pc,chw->hwp", matrix, before).unflatten(2, (-1, 3, 8, 8))  # (h, w, n, 3, 8, 8)
            frames.append(cells.permute(3, 2, 0, 4, 1, 5).flatten(4, 5).flatten(2, 3))  # (3, n, H, W)
        return (torch.cat(frames, 1)[None].tanh(),)


class Looks(torch.nn.Module):
    """CLIPVisionModel that sees means of a picture's parts, faintly: the product shows it whole numbers, one of which
    rounded the other way would change more and more of them from window to window."""

    dtype, device = torch.float32, torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.mixed = torch.randn(3, 16, generator=torch.Generator().manual_seed(4)) / 50

    def forward(self, pixel_values: Tensor, output_hidden_states: bool) -> Any:
        seen = torch.nn.functional.adaptive_avg_pool2d(pixel_values, 2).flatten(2).transpose(1, 2)  # (1, 4, 3)
        layer = torch.cat([seen.mean(1, keepdim=True), seen], 1) @ self.mixed  # (1, 5, 16)
        return SimpleNamespace(hidden_states=(layer, layer, -layer))


class Everywhere:
    """A placement for which there is nothing to do."""

    @contextmanager
    def using(self, *names: str) -> Iterator[None]:
        yield

    def lower(self) -> bool:
        return False


class Screening(Run):
    """A run whose film nobody keeps."""

    def save_video(self, frames: Any, *args: Any, **named: Any) -> Path:
        self.rounded = list(frames)
        return Path("film")


def parts(kind: str, real_vae: bool) -> dict[str, Any]:
    """The modules of a pipeline: "avatar", "frames" for the extensions, "plain" for references."""
    torch.manual_seed(5)
    found = tiny_models.wan_parts()
    if not real_vae:
        found["vae"] = CausalVae()
    if kind != "avatar":
        network = skyreels_networks.frame_wan() if kind == "frames" else tiny_models.wan_transformer(num_layers=2)
        return {**found, "transformer": loud(network)}
    from transformers import CLIPImageProcessor, Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    listens = Wav2Vec2Config(
        hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    del found["scheduler"]
    return {
        **found, "image_encoder": Looks(), "audio_encoder": Wav2Vec2Model(listens).eval(),
        "image_processor": CLIPImageProcessor(crop_size=32, size=32), "audio_processor": Wav2Vec2FeatureExtractor(),
        "transformer": loud(skyreels_networks.audio_wan(audio_channels=8)),
    }  # fmt: skip


def loud(network: Any) -> Any:
    """Random weights are so small that hardly anything depends on sound, picture or words: these are larger."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.dim() > 1 and "norm" not in name:
                weight.normal_(0, weight[0].numel() ** -0.5)
    return network


@dataclass
class Bench:
    """An engine that needs no loading, and the reference's models on the same parts."""

    engine: Any
    folder: Path
    frames: list[Tensor]  # (3, H, W) in -1..1 of the last run

    def run(self, scene: Any, inputs: Inputs, **options: Any) -> list[Tensor]:
        self.frames.clear()
        chosen = self.engine.Options(width=SIDE, height=SIDE, **options)
        run = Screening(SEED, inputs, Plan(), self.folder / "made", self.folder / "small")
        self.engine.run(scene, chosen, run)
        assert len(run.rounded) == len(self.frames)
        return list(self.frames)

    def models(self, network: Any, short: bool = False) -> loops.Models:
        """`network`: the reference's, on the pipeline's. `short`: an avatar of less than 81 frames, whose only pass the
        product calls its first window."""
        vae, config = self.engine.pipe.vae, self.engine.pipe.vae.config
        mean = torch.tensor(config.latents_mean)[None, :, None, None, None]
        std = torch.tensor(config.latents_std)[None, :, None, None, None]

        def noise(purpose: str, index: Any, shape: tuple[int, ...]) -> Tensor:
            if purpose == "video":
                drawn = torch.Generator().manual_seed(SEED)
            elif purpose == "renoise":
                drawn = generator(SEED, f"renoise/{index[0]}", index[1])
            else:
                drawn = generator(SEED, "window" if short else purpose, index)
            return torch.randn(shape, generator=drawn)

        return loops.Models(
            network, lambda pixels: (vae.encode(pixels).latent_dist.mode() - mean) / std,
            lambda latents: vae.decode(latents * std + mean)[0], self.clip, noise,
        )  # fmt: skip

    def clip(self, frame: Tensor) -> Tensor:
        """CLIP is shown pictures of whole numbers."""
        whole = ((frame + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
        pipe = self.engine.pipe
        pixels = pipe.image_processor(images=Image.fromarray(whole), return_tensors="pt")
        return pipe.image_encoder(**pixels, output_hidden_states=True).hidden_states[-2]

    def words(self, prompt: str) -> Tensor:
        return self.engine.pipe.encode_prompt(prompt, do_classifier_free_guidance=False, max_sequence_length=512)[0]


def bench(engine_class: type, kind: str, folder: Path, real_vae: bool = False) -> Bench:
    from studio.pipelines.diffusion.loading import pipeline_on

    engine: Any = engine_class()
    engine.plan, engine.placement = Plan(), Everywhere()
    pipeline = pipeline_on("cpu", engine.pipeline)
    pipeline.works_on = "cpu"
    engine.pipe = pipeline(**parts(kind, real_vae))
    engine.pipe.set_progress_bar_config(disable=True)
    engine._keys = dict.fromkeys(engine.classes, "borrowed")
    engine._marks = {"transformer": "tiny"}
    engine._picture = lambda: None
    engine.remembered = lambda what, asked, make: make()
    caught: list[Tensor] = []
    if hasattr(engine, "ended"):
        ended = engine.ended

        def catching(film: Any, *args: Any, **named: Any) -> Any:
            pixels, left = ended(film, *args, **named)
            caught.extend(pixels[: film.num_frames - len(caught)])
            return pixels, left

        engine.ended = catching
    else:
        decoded = engine.decoded

        def keeping(latents: Tensor) -> Tensor:
            pixels = decoded(latents)
            caught.extend(pixels)
            return pixels

        engine.decoded = keeping
    return Bench(engine, folder, caught)


def picture(path: Path, number: int = 0, side: int = SIDE) -> Path:
    """A picture with something in every pixel, in a file."""
    seeded = np.random.default_rng(number)
    soft = seeded.integers(40, 200, (4, 4, 3)).repeat(side // 4, 0).repeat(side // 4, 1)
    Image.fromarray((soft + seeded.integers(-30, 30, soft.shape)).astype(np.uint8)).save(path)
    return path


def frame(path: Path) -> Tensor:
    """(3, H, W) in -1..1 of a picture's file."""
    return torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1).float() / 127.5 - 1


def sound(path: Path, seconds: float, tone: float = 220.0) -> Path:
    """Mono at 16 kHz, louder and softer."""
    import wave

    at = np.arange(round(seconds * 16000)) / 16000
    waves = np.sin(2 * np.pi * tone * at * (1 + 0.1 * at)) * (0.3 + 0.2 * np.sin(9 * at))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, len(at), "NONE", ""))
        file.writeframes((waves * 32767).astype("<i2").tobytes())
    return path


def furthest(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """The largest difference of any pixel; pixels are -1..1."""
    assert len(ours) == len(theirs)
    return max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))

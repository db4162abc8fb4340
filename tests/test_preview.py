"""Preview: latents to colours by one matrix that the VAE itself was asked for."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import wan_ti2v, wan_vae
from tiny_models_more import kl_vae, ltx_vae

from studio.pipelines.diffusion import preview
from studio.pipelines.diffusion.embeddings import Remembered

COLOURS = {"red": (1.0, -1.0, -1.0), "blue": (-1.0, -1.0, 1.0), "white": (1.0, 1.0, 1.0), "grey": (0.0, 0.0, 0.0)}


@pytest.mark.parametrize("channels", [4, 16, 48])
def test_colours_come_back_from_what_a_linear_vae_makes_of_them(channels: int) -> None:
    """More channels than colours say anything about, and noise in them: still the right colours."""
    generator = torch.Generator().manual_seed(0)
    mixing, offset = torch.randn(3, channels, generator=generator), torch.randn(channels, generator=generator)
    rgb = torch.rand(27, 3, generator=generator) * 2 - 1
    weights = preview.fit(rgb @ mixing + offset, rgb)
    assert weights.shape == (channels + 1, 3)
    for colour in COLOURS.values():
        latents = (torch.tensor(colour) @ mixing + offset).view(channels, 1, 1, 1).expand(channels, 5, 6, 8)
        shown = preview.picture(latents, weights)
        assert shown.shape == (24, 32, 3) and shown.dtype.name == "uint8"
        wanted = [(value + 1) * 127.5 for value in colour]
        assert all(abs(float(a) - b) < 6 for a, b in zip(shown[12, 16], wanted, strict=True))


def svd_vae() -> Any:
    """Encodes pictures one by one and decodes films."""
    from diffusers import AutoencoderKLTemporalDecoder

    return AutoencoderKLTemporalDecoder(
        block_out_channels=[32] * 4, down_block_types=["DownEncoderBlock2D"] * 4, latent_channels=4
    )


VAES = {
    "wan": (wan_vae, 16), "wan 2.2": (lambda: wan_ti2v().vae, 48), "sd": (kl_vae, 4), "svd": (svd_vae, 4),
    "ltx": (ltx_vae, None),
}  # fmt: skip


@pytest.mark.parametrize("family", VAES)
def test_every_vae_is_asked_once_and_answers_the_same(family: str, tmp_path: Path) -> None:
    make, channels = VAES[family]
    torch.manual_seed(0)
    vae, kept = make().eval(), Remembered(tmp_path)
    asked: list[int] = []
    real = vae.encode

    def encode(*args: Any, **named: Any) -> Any:
        asked.append(1)
        return real(*args, **named)

    vae.encode = encode
    with torch.no_grad():
        assert not preview.known({"vae": family}, kept)
        weights = preview.colours(vae, {"vae": family}, kept)
        assert preview.known({"vae": family}, kept) and len(asked) == 27
        again = preview.colours(vae, {"vae": family}, kept)
    assert torch.equal(weights, again) and len(asked) == 27 and weights.shape[1] == 3
    assert channels is None or weights.shape[0] == channels + 1
    assert torch.isfinite(weights).all()


def test_a_film_shows_its_middle() -> None:
    latents = torch.zeros(4, 3, 2, 2)
    for frame, value in enumerate((-1.0, 0.0, 1.0)):
        latents[0, frame] = value
    weights = torch.tensor([[1.0, 1.0, 1.0], *[[0.0] * 3] * 4])
    assert (preview.picture(latents, weights) == 128).all()
    shades = [preview.picture(latents[:, frame], weights)[0, 0, 0] for frame in range(3)]
    assert all(dark < light for dark, light in pairwise(map(int, shades)))

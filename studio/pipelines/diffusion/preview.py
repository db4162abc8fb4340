"""Latents to a small picture by one matrix, fitted once per VAE on flat colours. Knows no model family.

What a VAE's channels mean is in no configuration, so we ask the VAE: it encodes colours that we know, and least squares
finds the colours back. That takes moments, and the answer stays on disk. A preview is then one product of matrices,
cheap enough for every step and no reason to have the VAE on the device.
"""

from itertools import product
from typing import TYPE_CHECKING, Any

from studio.domain import JSON
from studio.pipelines.diffusion.embeddings import Remembered

if TYPE_CHECKING:
    import numpy as np
    import torch

SIDE = 128  # pixels of a colour's side: four latents at the coarsest scale (32), so that the middle knows no border
LEVELS = (-1.0, 0.0, 1.0)  # of each of red, green and blue
RIDGE = 1e-3  # of the channels' own spread: keeps what colours say nothing about from turning noise into colour
ENLARGE = 4  # latents are eight to thirty-two times smaller than the picture


def colours(vae: Any, identity: JSON, remembered: Remembered) -> "torch.Tensor":
    """(C + 1, 3): weights of the channels of the VAE's own latents, and an offset; RGB in -1..1.

    To be called while the VAE is in use, unless `known` says otherwise."""
    fitted: torch.Tensor = remembered.get(_key(identity), lambda: fit(*_seen(vae)))
    return fitted


def known(identity: JSON, remembered: Remembered) -> bool:
    """Was it fitted before?"""
    return remembered.has(_key(identity))


def picture(latents: "torch.Tensor", weights: "torch.Tensor") -> "np.ndarray":
    """(H, W, 3) uint8, four times larger than (C, h, w) or the middle of (C, F, h, w)."""
    import torch

    middle = latents[:, latents.shape[1] // 2] if latents.dim() == 4 else latents
    pixels = torch.einsum("chw,cn->nhw", middle.float(), weights[:-1].to(middle.device)).cpu()
    pixels = pixels + weights[-1].cpu().view(3, 1, 1)
    pixels = torch.nn.functional.interpolate(pixels[None], scale_factor=ENLARGE, mode="bilinear")[0]  # (3, H, W)
    shown: np.ndarray = (pixels * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    return shown


def fit(latents: "torch.Tensor", rgb: "torch.Tensor") -> "torch.Tensor":
    """(C + 1, 3) that takes (N, C) latents to (N, 3) colours best, by ridge regression in double precision."""
    import torch

    x, y = latents.double().cpu(), rgb.double().cpu()
    centre, mean = x.mean(0), y.mean(0)
    x, y = x - centre, y - mean
    gram = x.T @ x
    gram = gram + RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    weights = torch.linalg.solve(gram, x.T @ y)  # (C, 3)
    return torch.cat([weights, (mean - centre @ weights)[None]]).float()


def _seen(vae: Any) -> "tuple[torch.Tensor, torch.Tensor]":
    """(N, C) latents in the middle of N flat colours, and (N, 3) the colours in -1..1."""
    import torch

    rgb = torch.tensor(list(product(LEVELS, repeat=3)), dtype=torch.float32)  # (27, 3)
    weight = next(vae.encoder.parameters())
    films = any(isinstance(module, torch.nn.Conv3d) for module in vae.encoder.modules())
    found = []
    for colour in rgb:
        flat = colour.view(1, 3, 1, 1).expand(1, 3, SIDE, SIDE).to(weight.device, weight.dtype)
        latents = vae.encode(flat.unsqueeze(2) if films else flat)[0].mode()[0]  # (C, 1, h, w) of films, else (C, h, w)
        middle = latents[:, 0] if films else latents
        found.append(middle[:, middle.shape[1] // 2, middle.shape[2] // 2].float().cpu())
    return torch.stack(found), rgb


def _key(identity: JSON) -> dict[str, JSON]:
    return {"colours": identity, "side": SIDE, "levels": list(LEVELS), "ridge": RIDGE}

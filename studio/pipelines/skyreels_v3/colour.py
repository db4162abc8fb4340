"""The colours of a picture given to frames that drifted away from them, in CIE Lab. For workers. Knows no window.

sRGB and Lab under D65 with the constants of CIE 15 and IEC 61966-2-1 in the rounding that scikit-image has too.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
WHITE = (0.95047, 1.0, 1.08883)  # D65, 2 degrees
DARK, DARK_SLOPE, DARK_SHIFT = 0.008856, 7.787, 16 / 116  # where Lab's cube root becomes a line
LINEAR = 0.0031308  # of light, where sRGB's power becomes a line
LEAST_STD = 1e-6
CHUNK = 2  # frames at a time: 0.3 GB at 720P


def match(frames: "torch.Tensor", reference: "torch.Tensor") -> "torch.Tensor":
    """`frames` (F, 3, H, W) in -1..1, each with the mean and the spread that `reference` (3, h, w) has in every channel
    of Lab; same device and type.

    In float64: float32 rounds a frame of one colour to a spread that is more than LEAST_STD, and noise would be
    stretched to the reference's."""
    import torch

    wanted_mean, wanted_std = _spread(_lab(reference[None]))
    matched = torch.empty_like(frames)
    for start in range(0, len(frames), CHUNK):
        lab = _lab(frames[start : start + CHUNK])
        mean, std = _spread(lab)
        lab = (lab - mean) * (wanted_std / std.clamp(min=LEAST_STD)) + wanted_mean
        matched[start : start + CHUNK] = _pixels(lab).to(frames.dtype)
    return matched


def _spread(lab: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor]":
    """(F, 3, 1, 1) mean and population's standard deviation."""
    return lab.mean((2, 3), keepdim=True), lab.std((2, 3), correction=0, keepdim=True)


def _lab(pixels: "torch.Tensor") -> "torch.Tensor":
    """(F, 3, H, W) in -1..1 -> L 0..100, a, b in float64."""
    import torch

    rgb = (pixels.double() / 2 + 0.5).clamp(0, 1)
    light = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = _mixed(light, torch.tensor(TO_XYZ, dtype=torch.float64) / _white()[:, None])
    x, y, z = torch.where(xyz > DARK, xyz.clamp(min=DARK) ** (1 / 3), DARK_SLOPE * xyz + DARK_SHIFT).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def _pixels(lab: "torch.Tensor") -> "torch.Tensor":
    """What _lab made back again, held in -1..1."""
    import torch

    lightness, a, b = lab.unbind(1)
    y = (lightness + 16) / 116
    bent = torch.stack([y + a / 500, y, (y - b / 200).clamp(min=0)], 1)
    xyz = torch.where(bent > DARK_SLOPE * DARK + DARK_SHIFT, bent**3, (bent - DARK_SHIFT) / DARK_SLOPE)
    light = _mixed(xyz, torch.linalg.inv(torch.tensor(TO_XYZ, dtype=torch.float64)) * _white())
    rgb = torch.where(light > LINEAR, 1.055 * light.clamp(min=LINEAR) ** (1 / 2.4) - 0.055, light * 12.92)
    return rgb.clamp(0, 1) * 2 - 1


def _white() -> "torch.Tensor":
    import torch

    return torch.tensor(WHITE, dtype=torch.float64)


def _mixed(channels: "torch.Tensor", matrix: "torch.Tensor") -> "torch.Tensor":
    """(F, 3, H, W) by (3, 3): sums of products."""
    import torch

    weights = matrix.to(channels)
    return torch.stack([(channels * row[:, None, None]).sum(1) for row in weights], 1)  # (F, 3, H, W)

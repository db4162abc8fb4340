"""The portrait's colours on frames that drifted: against the formulas of CIE and sRGB in double precision."""

import numpy as np
import pytest
import torch

from studio.pipelines.skyreels_v3 import colour
from studio.pipelines.skyreels_v3.colour import match

# sRGB 8 bit -> CIE Lab (D65), as colour tables print them
KNOWN = {
    (255, 255, 255): (100.0, 0.0, 0.0),
    (0, 0, 0): (0.0, 0.0, 0.0),
    (255, 0, 0): (53.24, 80.09, 67.20),
    (0, 255, 0): (87.73, -86.18, 83.18),
    (0, 0, 255): (32.30, 79.19, -107.86),
    (128, 128, 128): (53.59, 0.0, 0.0),
    (10, 10, 10): (2.74, 0.0, 0.0),  # on the lines below the powers
}


def lab_of(rgb: np.ndarray) -> np.ndarray:
    """(..., 3) in 0..1 -> Lab, float64."""
    light = np.where(rgb <= 0.04045, rgb / 12.92, np.power((rgb + 0.055) / 1.055, 2.4))
    xyz = (
        light
        @ np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]).T
    )
    share = xyz / [0.95047, 1.0, 1.08883]
    root = np.where(share > 0.008856, np.cbrt(share), 7.787 * share + 16 / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def picture(seed: int, size=(3, 24, 32), low=0.0, high=1.0) -> torch.Tensor:
    """Noise in -1..1."""
    made = torch.rand(size, generator=torch.Generator().manual_seed(seed)) * (high - low) + low
    return made * 2 - 1


def lab_of_pixels(pixels: torch.Tensor) -> np.ndarray:
    """(3, H, W) in -1..1 -> (H * W, 3)"""
    return lab_of((pixels.double().numpy() / 2 + 0.5).reshape(3, -1).T)


@pytest.mark.parametrize("rgb", KNOWN)
def test_the_yardstick_says_what_tables_say(rgb):
    assert lab_of(np.array(rgb) / 255) == pytest.approx(KNOWN[rgb], abs=0.12)


def test_lab_is_what_the_formulas_say_and_comes_back():
    levels = torch.cartesian_prod(*[torch.linspace(0, 1, 21)] * 3).T.reshape(1, 3, 21, 441) * 2 - 1
    lab = colour._lab(levels)
    assert np.abs(lab[0].double().numpy().reshape(3, -1).T - lab_of_pixels(levels[0])).max() < 1e-3
    assert (colour._pixels(lab) - levels).abs().max() < 1e-3


def test_frames_take_mean_and_spread_of_the_picture():
    wanted = picture(1, (3, 40, 50), 0.35, 0.65)
    drifted = torch.stack(
        [picture(2, low=0.4, high=0.7), picture(3, low=0.2, high=0.4), picture(4, low=0.45, high=0.5)]
    )
    matched = match(drifted, wanted)
    want = lab_of_pixels(wanted)
    for frame in matched:
        got = lab_of_pixels(frame)
        assert got.mean(0) == pytest.approx(want.mean(0), abs=0.15) and got.std(0) == pytest.approx(
            want.std(0), rel=0.02
        )


def test_the_formula_frame_by_frame():
    wanted, drifted = picture(1, low=0.3, high=0.6), picture(2, (9, 3, 24, 32), 0.4, 0.6)  # more than a chunk
    reference, matched = lab_of_pixels(wanted), match(drifted, wanted)
    for before, after in zip(drifted, matched, strict=True):
        lab = lab_of_pixels(before)
        expected = (lab - lab.mean(0)) * (reference.std(0) / lab.std(0)) + reference.mean(0)  # population's
        inside = (after.reshape(3, -1).abs().max(0).values < 1).numpy()  # not held at the edge
        assert inside.mean() > 0.9
        assert np.abs(lab_of_pixels(after) - expected)[inside].max() < 2e-2


def test_the_spread_is_that_of_all_pixels_however_few_the_picture_has():
    few = picture(1, (3, 1, 3), 0.4, 0.6)
    (matched,) = match(picture(2, low=0.4, high=0.6)[None], few)
    assert lab_of_pixels(matched).std(0) == pytest.approx(lab_of_pixels(few).std(0), rel=0.02)


def test_a_picture_matched_to_itself_stays():
    same = picture(5)
    assert (match(same[None], same) - same).abs().max() < 1e-3


def test_one_flat_colour_takes_the_pictures_mean_and_stays_finite():
    flat = torch.full((1, 3, 8, 8), 0.2)
    matched = match(flat, picture(6))
    assert matched.isfinite().all() and matched.abs().max() <= 1
    assert lab_of_pixels(matched[0]).mean(0) == pytest.approx(lab_of_pixels(picture(6)).mean(0), abs=0.2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_type_and_frames_stay_as_they_are(dtype):
    frames = picture(7, (5, 3, 16, 16)).to(dtype)
    before = frames.clone()
    matched = match(frames, picture(8).to(dtype))
    assert matched.dtype == dtype and matched.shape == frames.shape and frames.equal(before)
    assert (
        matched.abs().max() <= 1
        and (matched.float() - match(before.float(), picture(8).to(dtype).float())).abs().max() < 0.01
    )

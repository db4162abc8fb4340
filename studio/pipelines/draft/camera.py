"""Camera moves as numbers: where the camera stands on every frame. Knows no pictures."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Curve = np.ndarray  # (num_frames,) float64


@dataclass(frozen=True, slots=True)
class CameraPath:
    """One value per frame. x, y: fraction of the frame's height, right and down; dolly: fraction of the way to the
    subject; roll: degrees."""

    x: Curve
    y: Curve
    dolly: Curve
    roll: Curve

    def __len__(self) -> int:
        return len(self.x)

    def at(self, index: int) -> tuple[float, float, float, float]:
        return float(self.x[index]), float(self.y[index]), float(self.dolly[index]), float(self.roll[index])


def smoother(x: np.ndarray | float) -> np.ndarray:
    """0..1 -> 0..1 with no speed and no acceleration at both ends."""
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * x * (x * (6 * x - 15) + 10))


def glide(x: np.ndarray, ramp: float = 0.18) -> np.ndarray:
    """0..1 -> 0..1 like a dolly on rails: constant speed, soft start and stop of `ramp` each."""
    x = np.clip(x, 0, 1)
    speed = 1 / (1 - ramp)
    start, stop = speed * x * x / (2 * ramp), 1 - speed * (1 - x) ** 2 / (2 * ramp)
    return np.where(x < ramp, start, np.where(x > 1 - ramp, stop, speed * (x - ramp / 2)))


def drift(rng: np.random.Generator, num_frames: int, fps: float, amplitude: float,
          slowest: float = 0.15, fastest: float = 1.6, waves: int = 7) -> Curve:  # fmt: skip
    """A smooth 1/f wander between -amplitude and amplitude; slowest, fastest in Hz."""
    seconds = np.arange(num_frames) / fps
    frequencies, phases = np.geomspace(slowest, fastest, waves), rng.uniform(0, 2 * np.pi, waves)
    wander = sum(np.sin(2 * np.pi * f * seconds + p) / f**0.7 for f, p in zip(frequencies, phases, strict=True))
    # divided by the largest possible sum, so that a short shot does not wander as far as a long one
    return np.asarray(amplitude * wander / np.sum(1 / frequencies**0.7))


def _dolly(start: float, end: float) -> Callable[[Curve, float], tuple[Curve, Curve, Curve]]:
    return lambda u, k: (0 * u, 0 * u, k * (start + (end - start) * u))


def _travel(x: float, y: float, dolly: float = 0.0) -> Callable[[Curve, float], tuple[Curve, Curve, Curve]]:
    return lambda u, k: (x * k * (2 * u - 1), y * k * (2 * u - 1), dolly * u)


# u: the glided way 0..1, k: strength. -> x, y, dolly
_MOVES: dict[str, Callable[[Curve, float], tuple[Curve, Curve, Curve]]] = {
    "push_in": _dolly(0, 0.16),
    "pull_out": _dolly(0.16, 0),
    "pan_right": _travel(0.22, 0),
    "pan_left": _travel(-0.22, 0),
    "tilt_up": _travel(0, -0.16),
    "tilt_down": _travel(0, 0.16),
    "track": _travel(0.15, 0, 0.05),
    "orbit": lambda u, k: (0.13 * k * (2 * u - 1), 0 * u, 0.04 + 0.03 * np.cos((u - 0.5) * np.pi)),
    "handheld": lambda u, k: (0 * u, 0 * u, 0.05 * u),
    "breathe": lambda u, k: (0 * u, 0 * u, 0.035 * u),
    "swell": lambda u, k: (0 * u, 0 * u, 0.10 * k * np.sin(np.pi * u) ** 2),  # starts and ends at rest
    "static": lambda u, k: (0 * u, 0 * u, 0 * u),
}


def camera_path(move: str, num_frames: int, fps: float, rng: np.random.Generator, strength: float = 1.0) -> CameraPath:
    """The path of one move. Long shots travel farther than short ones, within reason."""
    way = glide(np.linspace(0, 1, num_frames)) if num_frames > 1 else np.zeros(1)
    x, y, dolly = _MOVES[move](way, strength * min(1.4, max(0.6, num_frames / fps / 4)))
    roll = np.zeros(num_frames)
    if move == "handheld":
        x, y = x + drift(rng, num_frames, fps, 0.026), y + drift(rng, num_frames, fps, 0.02)
        roll = drift(rng, num_frames, fps, 0.65, fastest=1.1)
    elif move != "static":
        x = x + drift(rng, num_frames, fps, 0.0022, fastest=0.5)
        y = y + drift(rng, num_frames, fps, 0.0022, fastest=0.5)
    return CameraPath(x, y, dolly, roll)

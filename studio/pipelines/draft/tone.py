"""The tone of a voice: more of some bands, less of others, by a filter that delays nothing. Knows no voice by name."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

COUNT = 48  # bands, those of media.voice_profile
MOST = 16.0  # dB that a band is raised or lowered
_TAPS = 513


def toned(samples: "np.ndarray", rate: int, bands: Sequence[float]) -> "np.ndarray":
    """(N,) float32 with `bands` (dB, one for each band of a voice's spectrum) applied; none: as they are."""
    import numpy as np
    from scipy.signal import oaconvolve

    if len(bands) != COUNT:
        return samples
    taps = _filter(tuple(float(band) for band in bands), rate)
    return np.asarray(oaconvolve(samples, taps, "full")[_TAPS // 2 :][: len(samples)], np.float32)


@lru_cache(32)
def _filter(bands: tuple[float, ...], rate: int) -> "np.ndarray":
    import numpy as np
    from scipy.signal import firwin2

    from studio.media.voice_profile import BANDS

    below = 0.5 * rate > BANDS
    gains = 10 ** (np.clip(bands, -MOST, MOST)[below] / 20)
    frequencies = np.concatenate([[0.0], BANDS[below], [0.5 * rate]])
    return np.asarray(firwin2(_TAPS, frequencies, np.concatenate([gains[:1], gains, gains[-1:]]), fs=rate))

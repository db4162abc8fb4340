"""The sound of a film as four files of one length: dialogue, effects, music and their sum. 24-bit WAV in one zip."""

import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import numpy as np

from studio.domain import JSON
from studio.media.cut import Step
from studio.media.files import fsync_file, replace, whole_or_gone
from studio.media.film import Film, lay
from studio.media.mix import STEMS, mix
from studio.media.sound import RATE
from studio.media.writer import encoding

NAMES = ("mix", *STEMS)
FULL_SCALE = 2**31 - 1


def write_stems(film: Film, out: Path, *, cache: Path, step: Step, owner: str = "") -> dict[str, JSON]:
    """Sample for sample as in the film; the stems add up to the mix.

    Raises Refused, MediaError, DiskFull, Cancelled."""
    laid = lay(film)
    part = out.with_name(f"{out.name}.{owner}.part" if owner else f"{out.name}.part")
    scratch = cache / (f"stems.{owner}" if owner else "stems")
    total = round(laid.seconds * 100)
    out.parent.mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(whole_or_gone(part))
        mixed = stack.enter_context(
            mix(laid.sounds(), scratch, target=film.loudness, stems=True,
                step=lambda share: step(round(share * total), 3 * total, "sound"))
        )  # fmt: skip
        waves = {name: scratch.with_name(f"{scratch.name}.{name}.wav.part") for name in NAMES}
        for path in waves.values():
            stack.callback(path.unlink, missing_ok=True)
        _write_all(waves, mixed, lambda done: step(total + round(done * total), 3 * total, "stems"))
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for number, (name, path) in enumerate(waves.items(), start=1):
                archive.write(path, f"{out.stem}_{name}.wav")
                step(2 * total + total * number // len(waves), 3 * total, "stems")
        fsync_file(part)
        replace(part, out)
    return {
        "path": str(out), "duration": laid.seconds, "stems": list(NAMES),
        "lufs": None if mixed.lufs is None else round(mixed.lufs, 2),
        "true_peak": None if mixed.true_peak is None else round(mixed.true_peak, 2),
    }  # fmt: skip


def _write_all(waves: Mapping[str, Path], mixed: Any, done: Any) -> None:
    with ExitStack() as stack:
        files = {name: stack.enter_context(_Wave(path)) for name, path in waves.items()}
        heard = 0
        for piece in mixed.pieces():
            for name, file in files.items():
                file.write(piece[name])
            heard += len(piece["mix"])
            done(heard / mixed.length)


class _Wave:
    """A WAV under construction."""

    def __init__(self, path: Path) -> None:
        self._path, self._done = path, 0
        with encoding(path):
            self._file = av.open(str(path), "w", format="wav", options={"rf64": "auto"})
        self._stream: Any = self._file.add_stream("pcm_s24le", rate=RATE, layout="stereo")

    def __enter__(self) -> "_Wave":
        return self

    def write(self, samples: np.ndarray) -> None:
        whole = np.clip(samples.astype(np.float64), -1, 1) * FULL_SCALE
        packed = np.ascontiguousarray(whole.round().astype(np.int32).reshape(1, -1))  # (1, n * 2)
        frame = av.AudioFrame.from_ndarray(packed, format="s32", layout="stereo")
        frame.sample_rate, frame.pts = RATE, self._done
        self._done += len(samples)
        with encoding(self._path):
            self._file.mux(self._stream.encode(frame))

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        with encoding(self._path):
            if error is None:
                self._file.mux(self._stream.encode(None))
            self._file.close()

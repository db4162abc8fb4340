"""Windows of a film that are finished, on disk: their frames without loss, and what the next window needs of them.

After a crash the next attempt of the same job reads them back, if everything that they depend on is as it was. Knows
frames and tensors; no model and no policy.
"""

import errno
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.domain import JSON
from studio.media.files import fsync_file, replace, whole_or_gone
from studio.pipelines.base import Inputs, Run
from studio.pipelines.diffusion.embeddings import digest

if TYPE_CHECKING:
    import numpy as np
    import torch

KEPT = "windows"  # under which the run keeps what is finished
FORM = 1  # of what lies on disk and of how windows are drawn: a higher number makes earlier ones worthless
FULL = ("os error 28)", "os error 122)", "os error 112)")  # safetensors' words for a full disk, a quota, Windows' own


class Finished:
    """The finished windows of one run, in its scratch."""

    def __init__(self, run: Run, depends_on: JSON) -> None:
        """`depends_on`: all that decides how the film looks; windows of anything else are not found."""
        self._run, self._identity = run, digest([FORM, depends_on])
        self._done: list[dict[str, int]] = []
        self._holders: dict[str, int] = {}  # by the name of what was left: the window with which it lies
        self._find()
        self.resumed = len(self._done)  # windows that an earlier attempt made

    def __len__(self) -> int:
        return len(self._done)

    @property
    def num_frames(self) -> int:
        return sum(one["frames"] for one in self._done)

    def frames(self, number: int) -> "Iterator[np.ndarray]":
        """(H, W, 3) uint8 each, of one window."""
        if not self._done[number]["frames"]:
            return
        import av

        with av.open(str(self._film(number)), format="matroska") as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")

    def left(self) -> "dict[str, torch.Tensor]":
        """All that windows left to the next one, on the CPU."""
        from safetensors.torch import load_file

        files = {number: load_file(self._left(number)) for number in {*self._holders.values()}}
        return {name: files[number][name] for name, number in self._holders.items()}

    def add(self, frames: "np.ndarray", left: "Mapping[str, torch.Tensor]", whole: bool = True) -> None:
        """The next window: (n, H, W, 3) uint8, n may be 0, and what it leaves beside what others left, in place of what
        has the same name. Returns when it would be found after a power cut; what is not `whole` no other attempt finds.
        Raises DiskFull."""
        number = len(self)
        one = {"frames": len(frames), "film_bytes": 0, "left_bytes": 0}
        if len(frames):
            one["film_bytes"] = _whole(self._film(number), lambda part: _write(part, frames))
        if left:
            one["left_bytes"] = _whole(self._left(number), lambda part: _save(part, left))
        done, holders = [*self._done, one], self._holders | dict.fromkeys(left, number)
        if whole:
            self._run.keep(KEPT, {"identity": self._identity, "done": done, "left": holders})
            for old in {*self._holders.values()} - {*holders.values()}:
                self._left(old).unlink(missing_ok=True)
        self._done, self._holders = done, holders

    def _find(self) -> None:
        kept: Any = self._run.kept.get(KEPT)
        if not kept or kept["identity"] != self._identity:
            return
        done, holders = kept["done"], kept["left"]
        sizes = {self._film(number): one["film_bytes"] for number, one in enumerate(done) if one["frames"]}
        sizes |= {self._left(number): done[number]["left_bytes"] for number in holders.values()}
        if all(path.is_file() and path.stat().st_size == size for path, size in sizes.items()):
            self._done, self._holders = list(done), dict(holders)

    def _film(self, number: int) -> Path:
        return self._run.scratch(f"window-{number:03}.mkv")

    def _left(self, number: int) -> Path:
        return self._run.scratch(f"window-{number:03}.safetensors")


def inputs_of(inputs: Inputs) -> JSON:
    """What a scene reads, as files lie on disk now: by path, size and time of the last change. The soundtrack that is
    laid anew for every attempt counts by what it is laid of."""
    said: list[JSON] = [[_file(line.path), line.start, line.character] for line in inputs.lines]
    heard: list[JSON] = [[_file(path), start] for path, start in inputs.recordings]
    alone = inputs.soundtrack if not said and not heard else None
    return {
        "files": {name: _file(path) for name, path in inputs.files.items()},
        "lines": said, "recordings": heard, "soundtrack": _file(alone) if alone else None, "duration": inputs.duration,
    }  # fmt: skip


def _file(path: Path) -> JSON:
    facts = path.stat()
    return [str(path), facts.st_size, facts.st_mtime_ns]


def _whole(path: Path, write: Any) -> int:
    """Bytes of a file that is there as a whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    with whole_or_gone(part):
        write(part)
        fsync_file(part)
        replace(part, path)
    return path.stat().st_size


def _save(path: Path, left: "Mapping[str, torch.Tensor]") -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file({name: tensor.contiguous() for name, tensor in left.items()}, path)
    except SafetensorError as error:
        if any(word in str(error) for word in FULL):
            raise OSError(errno.ENOSPC, str(error)) from error
        raise


def _write(path: Path, frames: "np.ndarray") -> None:
    """FFV1 in RGB: half the bytes of the frames, and every one of them comes back."""
    import av

    from studio.media.writer import encoding

    with encoding(path), av.open(str(path), "w", format="matroska") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "bgr0"
        for array in frames:
            frame = av.VideoFrame.from_ndarray(array, format="rgb24").reformat(format="bgr0")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

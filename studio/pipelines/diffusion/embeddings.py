"""What encoders made, kept on disk by what it was made of. Knows tensors and files; no model, no prompt.

A second scene with the same words, references or guidance needs no encoder, so nobody reads one from disk. One file per
answer, complete or not there; the oldest go when there are too many.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from studio.domain import JSON, new_id

log = logging.getLogger(__name__)

CACHE = "LANTERNA_CACHE"  # environment: the studio's cache folder, set before workers start; without it nothing is kept
LEFT = 86_400  # seconds after which an answer that was never finished goes: its worker died
BOUND = 2_000_000_000  # bytes: some four hundred prompts of a large model


class Remembered:
    """Answers of encoders below one folder."""

    def __init__(self, folder: Path | None, bound: int = BOUND) -> None:
        self._folder, self._bound = folder, bound

    @classmethod
    def here(cls) -> "Remembered":
        """By the environment, the same for every worker."""
        cache = os.environ.get(CACHE)
        return cls(Path(cache) / "prompts" if cache else None)

    def get(self, key: Mapping[str, JSON], make: Callable[[], Any]) -> Any:
        """What `make()` gives: a tensor, or tuples of tensors and None. From disk where it was made before.

        `key`: all that the answer depends on. What is kept lies on the CPU."""
        if self._folder is None:
            return make()
        path = self._folder / f"{digest(key)}.safetensors"
        found = _read(path)
        if found is not None:
            with suppress(OSError):  # another worker may have removed it since
                os.utime(path)
            return found[0]
        from safetensors import SafetensorError

        tensors: dict[str, Any] = {}
        form = _form(make(), tensors)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _write(path, form, tensors)
            self._prune()
        except (OSError, SafetensorError) as error:  # a full disk: what was made is there all the same
            log.warning("an answer is not kept: %s", error)
        return _filled(form, tensors.__getitem__)

    def has(self, key: Mapping[str, JSON]) -> bool:
        return self._folder is not None and (self._folder / f"{digest(key)}.safetensors").is_file()

    def _prune(self) -> None:
        """Oldest out. Another worker may be at it: what is gone is gone."""
        assert self._folder is not None
        files = []
        for path in self._folder.iterdir():
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue
            if path.suffix == ".safetensors":
                files.append((facts.st_mtime_ns, facts.st_size, path))
            elif facts.st_mtime < time.time() - LEFT:
                path.unlink(missing_ok=True)
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self._bound:
                break
            path.unlink(missing_ok=True)
            total -= size


def digest(key: Any) -> str:
    """SHA-256 of JSON, whatever the order of its names."""
    return hashlib.sha256(json.dumps(key, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def content(value: Any) -> JSON:
    """An argument of an encoder as part of a key: what it says, not where it lies.

    Raises TypeError for what has no content that we know."""
    import torch
    from PIL import Image

    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, (list, tuple)):
        return [content(item) for item in value]
    if isinstance(value, Image.Image):
        return [value.mode, list(value.size), hashlib.sha256(value.tobytes()).hexdigest()]
    if isinstance(value, torch.Tensor):
        raw = value.detach().cpu().contiguous().view(torch.uint8) if value.dim() else value.detach().cpu().reshape(1)
        return [str(value.dtype), list(value.shape), hashlib.sha256(raw.numpy().tobytes()).hexdigest()]
    if isinstance(value, (torch.device, torch.dtype)):
        return str(value) if isinstance(value, torch.dtype) else ""  # the same words, wherever they are read
    raise TypeError(f"{type(value).__name__} has no content")


def _read(path: Path) -> tuple[Any] | None:
    """The answer in a tuple of its own, because None is one too."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            form = json.loads(file.metadata()["form"])
            return (_filled(form, file.get_tensor),)
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):  # a damaged file is one that is not there
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return None


def _write(path: Path, form: JSON, tensors: Mapping[str, Any]) -> None:
    from safetensors.torch import save_file

    part = path.with_name(f"{path.stem}.{new_id()}.part")
    try:
        save_file(dict(tensors), part, {"form": json.dumps(form)})
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _form(answer: Any, tensors: dict[str, Any]) -> JSON:
    """Its shape as JSON, where a number stands for a tensor that is put into `tensors`."""
    if answer is None:
        return None
    if isinstance(answer, (list, tuple)):
        return [_form(item, tensors) for item in answer]
    name = str(len(tensors))
    tensors[name] = answer.detach().cpu().contiguous().clone()
    return name


def _filled(form: JSON, tensor: Callable[[str], Any]) -> Any:
    if form is None:
        return None
    if isinstance(form, list):
        return tuple(_filled(item, tensor) for item in form)
    return tensor(str(form))

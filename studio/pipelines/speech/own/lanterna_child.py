"""The other end of own_python.py: lines of JSON come in, lines of JSON and samples go out. Ends when its studio does.

Runs under the Python of a package, which may be an older one: nothing of the studio is imported here.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

Sounds = Iterable["tuple[int, Any]"]  # (Hz, samples: an array of numpy or a tensor of torch, one channel)


def serve(load: Callable[[dict[str, Any]], Any], say: Callable[[Any, dict[str, Any]], Sounds]) -> None:
    """`load` makes the model of {parts: {name: folder}, device, dtype}; `say` speaks {text, language, seed, …}."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal: the studio decides
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # packages print: none of that is an answer
    asked: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    model: Any = None
    while True:
        request = asked.get()
        try:
            if "load" in request:
                model = load(request["load"])
            else:
                for rate, samples in say(model, request):
                    content = _bytes(samples)
                    _tell(out, {"rate": rate, "bytes": len(content)}, content)
            _tell(out, {"done": True})
        except Exception as error:  # whatever a package may raise: the studio says it, and goes on
            memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
            _tell(out, {"error": f"{type(error).__name__}: {error}"[:500], "memory": memory})


def _listen(asked: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin.buffer:
        asked.put(json.loads(line))
    os._exit(0)  # nobody is there any more, also where a sentence is being spoken


def _tell(out: Any, head: dict[str, Any], content: bytes = b"") -> None:
    out.write(json.dumps(head).encode() + b"\n" + content)
    out.flush()


def _bytes(samples: Any) -> bytes:
    """Float32, little end first."""
    import numpy as np

    if hasattr(samples, "detach"):
        samples = samples.detach().float().cpu().numpy()
    return bytes(np.asarray(samples, "<f4").reshape(-1).tobytes())


class Remembered:
    """What a package makes of a sample: the last few, so that a line pays for it once."""

    def __init__(self, make: Callable[..., Any], most: int = 8) -> None:
        self._make, self._most = make, most
        self._made: dict[Any, Any] = {}

    def __call__(self, *of: Any) -> Any:
        if of not in self._made:
            while len(self._made) >= self._most:
                del self._made[next(iter(self._made))]
            self._made[of] = self._make(*of)
        return self._made[of]


def seeded(seed: int) -> None:
    """The same sentence is read the same way each time."""
    import torch

    torch.manual_seed(seed)

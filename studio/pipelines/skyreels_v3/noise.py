"""Noise by purpose: what a window draws depends on the seed and on which window it is, never on what was drawn before.

So a film that went on after a crash has the noise of one that never stopped. Knows no shape.
"""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def generator(seed: int, purpose: str, index: int = 0) -> "torch.Generator":
    """On the CPU, the same on every machine. `index`: of the window, the step, whatever the purpose counts."""
    import torch

    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return torch.Generator("cpu").manual_seed(int.from_bytes(digest[:8], "big") >> 1)

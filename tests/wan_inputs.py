"""What a tiny Wan transformer is called with."""

from typing import Any

import torch

torch.set_num_threads(1)  # on tiny tensors threads only wait for each other


def wan_inputs(dtype: torch.dtype = torch.float32, size: int = 8, batch: int = 1, **more: Any) -> dict[str, Any]:
    """Three latent frames of size x size: 3 * (size / 2)^2 tokens; sixteen tokens of a prompt."""
    seeded = torch.Generator().manual_seed(1)
    return {
        "hidden_states": torch.randn(batch, 16, 3, size, size, generator=seeded).to(dtype),
        "timestep": torch.tensor([500] * batch),
        "encoder_hidden_states": torch.randn(batch, 16, 32, generator=seeded).to(dtype),
        "return_dict": False,
        **more,
    }

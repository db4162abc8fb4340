"""What a model weighs and what a shape costs, as constants that stand with its engine. Arithmetic only: no torch.

Source of the formulas: docs/memory.md. The constants of an activation are measured by the tracker on the meta device
(tests/test_footprint.py), so they describe the network's code and not a machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Shape:
    """What a run works on: pixels and frames of what comes out, and how many samples go through at once."""

    width: int
    height: int
    num_frames: int = 1
    batch: int = 1


@dataclass(frozen=True, slots=True)
class Network:
    """The denoising network: `blocks` equal ones that can be streamed, and a rest that stays."""

    blocks: int
    block_bytes: int  # of one in 16 bit
    block_bytes_8bit: int
    rest_bytes: int  # everything that is no block, in the precision it is kept in
    hidden: int  # width of a token
    patch: tuple[int, int, int] = (1, 2, 2)  # latent frames, rows, columns in a token
    activation: float = 11.1  # bytes alive at the peak of a block / (tokens * hidden * 2)
    activation_chunked: float = 5.2  # the same with token-chunked blocks; equal to `activation`: cannot be chunked
    flops_per_token: float = 0.0  # of a forward, without attention between the tokens
    count: int = 1  # networks that take turns (Wan 2.2 A14B: high and low noise)


@dataclass(frozen=True, slots=True)
class Footprint:
    """All that the planner knows of a model."""

    network: Network
    text_bytes: int = 0  # text encoders together, 16 bit
    text_layer_bytes: int = 0  # the largest streamed piece of one
    text_rest_bytes: int = 0  # what cannot be streamed: the token embedding
    image_encoder_bytes: int = 0
    vae_bytes: int = 0
    scale: tuple[int, int, int] = (4, 8, 8)  # frames, rows and columns of pixels in a latent
    extra_tokens: int = 0  # beside those of the picture: references, a register
    decode_bytes: float = 0.0  # alive at the peak of an untiled decode, per pixel of all frames
    decode_tile_bytes: float = 0.0  # the same, per pixel of one tile of all frames
    forwards: int = 1  # of the network in a step: 2 with guidance
    steps: int = 50
    tiles: bool = True  # its VAE decodes in tiles
    cpu: bool = False  # small enough that a CPU is a fair place for it
    facts: Mapping[str, float] = field(default_factory=dict)  # published figures, for the tests


# B fills in: tokens, denoise_bytes, decode_peak, text_peak, weights_bytes, forward_seconds …

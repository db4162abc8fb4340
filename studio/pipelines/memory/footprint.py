"""What a model weighs and what a shape costs, as constants that stand with its engine. Arithmetic only: no torch.

Source of the formulas: docs/memory.md. The constants of an activation and of a decode are measured by the tracker on
the meta device (tests/meta_tracker.py): they describe the code of a network, not a machine. Knows no profile.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import Literal


@dataclass(frozen=True, slots=True)
class Shape:
    """What a run works on: pixels and frames of what comes out, and how many samples go through at once."""

    width: int
    height: int
    num_frames: int = 1
    batch: int = 1  # samples in one forward: 2 where guidance is done in one, as SD and LTX do
    steps: int = 0  # 0: the footprint's
    forwards: int = 0  # of the network in a step, one after the other (Wan with guidance: 2); 0: the footprint's
    extra_frames: int = 0  # latent frames that go through beside those that come out: references, a prefix
    window: int = 0  # frames that go through at once at most, with those of a prefix; 0: all
    decoded: int = 0  # frames that are decoded at once at most, with those of `lead`; 0: all
    lead: int = 0  # frames of a given clip that are decoded before the new ones and left out
    encodes: bool = False  # the VAE works before the first step too, on pictures or a clip that are given

    @property
    def pixels(self) -> int:
        """Of one frame."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Network:
    """The denoising network: `blocks` that can be streamed, and a rest that stays."""

    blocks: int  # that can be streamed; 0: it works as a whole or not at all
    block_bytes: int  # of the largest one in 16 bit, with what it keeps in float32
    block_bytes_8bit: int  # of the same; 0: it cannot be stored in 8 bit
    rest_bytes: int  # everything that is no block, in the precision it is kept in
    hidden: int  # width of a token
    patch: tuple[int, int, int] = (1, 2, 2)  # latent frames, rows, columns in a token
    activation: float = 11.1  # bytes alive at the peak of a forward / (tokens * hidden * 2)
    activation_chunked: float = 5.2  # the same with token-chunked blocks; equal to `activation`: cannot be chunked
    activation_rest: int = 0  # bytes alive at that peak however many tokens there are: those of the text
    chunk_rest: int = 0  # the same with token-chunked blocks
    chunk_few: tuple[float, int] = (0.0, 0)  # where few tokens go through, another moment is the peak: factor, rest
    flops_per_token: float = 0.0  # of a forward, without attention between the tokens
    attention_width: int = 0  # widths of all layers of attention between the tokens, added; 0: hidden * blocks
    count: int = 1  # networks of this size that take turns (Wan 2.2 A14B: high and low noise)
    blocks_bytes: int = 0  # of all blocks together where they are not equal; 0: blocks * block_bytes

    @property
    def streamed_bytes(self) -> int:
        """Of all blocks of one network in 16 bit."""
        return self.blocks_bytes or self.blocks * self.block_bytes

    @property
    def bytes(self) -> int:
        """Of one network in 16 bit."""
        return self.streamed_bytes + self.rest_bytes

    @property
    def chunks(self) -> bool:
        """Can its blocks handle some tokens at a time?"""
        return self.activation_chunked < self.activation


@dataclass(frozen=True, slots=True)
class Footprint:
    """All that the planner knows of a model. Bytes are those of the device, in the precision a part is kept in."""

    network: Network
    text_bytes: int = 0  # text encoders together, 16 bit
    text_streamed_bytes: int = 0  # on the device while one is streamed: two layers, what is no layer; 0: never streamed
    text_working_bytes: int = 0  # alive beside them, 16 bit; of several encoders both are those of the greatest moment
    image_encoder_bytes: int = 0
    vae_bytes: int = 0
    scale: tuple[int, int, int] = (4, 8, 8)  # frames, rows and columns of pixels in a latent
    extra_tokens: int = 0  # beside those of the picture: a register, the sound
    encode_bytes: float = 0.0  # alive at the peak of an encode of what is given, per pixel of one frame
    decode_bytes: float = 0.0  # alive at the peak of a decode, per pixel of one frame (or of the tile)
    decode_frame_bytes: float = 0.0  # the same, per pixel of all frames: what is decoded so far, or all at once
    tiles: bool = True  # its VAE decodes in tiles
    tile: int = 256  # pixels of a tile's side
    tiled_bytes: float = 0.0  # of the tiles that wait on the device to be joined, per pixel of all frames
    forwards: int = 1  # of the network in a step, one after the other: 2 with guidance in two forwards
    steps: int = 50
    cpu: bool = False  # small enough that a CPU is a fair place for it
    spares: Literal["never", "need", "always"] = "never"  # the device, where there is one: it works on the CPU instead

    # ------------------------------------------------------------------------------------------ tokens and sums
    def tokens(self, shape: Shape) -> int:
        """Of one sample, as the blocks see them."""
        frames, rows, columns = self.network.patch
        latent_frames = self._latents(shape.num_frames) + shape.extra_frames
        if shape.window:
            latent_frames = min(latent_frames, self._latents(shape.window))
        latent_rows, latent_columns = shape.height // self.scale[1], shape.width // self.scale[2]
        return (latent_frames // frames) * (latent_rows // rows) * (latent_columns // columns) + self.extra_tokens

    def _latents(self, frames: int) -> int:
        return (frames - 1) // self.scale[0] + 1

    def forward_flops(self, shape: Shape) -> float:
        """Of one forward: what grows with the tokens, and attention, which grows with their square."""
        tokens, network = self.tokens(shape), self.network
        width = network.attention_width or network.hidden * network.blocks
        return shape.batch * (network.flops_per_token * tokens + 4.0 * tokens * tokens * width)

    # ------------------------------------------------------------------------------------------ bytes on the device
    def activation_bytes(self, shape: Shape, *, chunked: bool = False) -> int:
        """Alive at the peak of a forward, in 16 bit, beside the weights."""
        network = self.network
        tokens = self.tokens(shape) * network.hidden * 2
        if not chunked:
            return round(shape.batch * (tokens * network.activation + network.activation_rest))
        few, rest = network.chunk_few
        moments = tokens * network.activation_chunked + network.chunk_rest, tokens * few + rest
        return round(shape.batch * max(moments))

    def decode_peak(self, shape: Shape, tile: int = 0, *, to_ram: bool = False) -> int:
        """Alive at the peak of a decode beside the VAE's weights. `tile`: pixels of its side, 0 for the whole picture.
        `to_ram`: finished tiles leave the device at once."""
        frames = shape.num_frames + shape.lead
        frames = min(frames, shape.decoded or frames)
        if not tile or tile * tile >= shape.pixels:
            return round(shape.pixels * (self.decode_bytes + self.decode_frame_bytes * frames))
        one = min(tile, shape.width) * min(tile, shape.height)
        work = one * (self.decode_bytes + self.decode_frame_bytes * frames)
        waiting = 0.0 if to_ram else self.tiled_bytes * shape.pixels * frames
        return round(work + waiting)

    def encode_peak(self, shape: Shape) -> int:
        """Alive at the peak of an encode beside the VAE's weights: of what is given, whole, before the first step."""
        return round(shape.pixels * self.encode_bytes) if shape.encodes else 0

    @property
    def weights_bytes(self) -> int:
        """Of everything, in 16 bit."""
        others = self.text_bytes + self.image_encoder_bytes + self.vae_bytes
        return self.network.count * self.network.bytes + others

    def scaled(self, share: float) -> "Footprint":
        """Of a network whose weights are only so much of these: its bytes and sums are that much less too."""
        network = self.network
        whole = ("block_bytes", "block_bytes_8bit", "rest_bytes", "activation_rest", "chunk_rest", "blocks_bytes")
        few, rest = network.chunk_few
        parts = ("activation", "activation_chunked", "flops_per_token")
        small = replace(
            network,
            attention_width=max(1, round((network.attention_width or network.hidden * network.blocks) * share)),
            chunk_few=(few * share, ceil(rest * share)),
            **{name: ceil(getattr(network, name) * share) for name in whole},
            **{name: getattr(network, name) * share for name in parts},
        )
        names = ("text_bytes", "text_streamed_bytes", "text_working_bytes", "image_encoder_bytes", "vae_bytes")
        pixels = ("encode_bytes", "decode_bytes", "decode_frame_bytes", "tiled_bytes")
        return replace(
            self,
            network=small,
            **{name: round(getattr(self, name) * share) for name in names},
            **{name: getattr(self, name) * share for name in pixels},
        )

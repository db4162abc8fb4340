"""Latents to pixels by a plan: the whole picture or tile by tile, on the device or into RAM. Knows no model family.

The tiling is diffusers' own; this chooses the size of a tile and sends each tile to RAM as soon as it is done, so that
the device holds one tile and never the film. Blending is arithmetic on single values, each rounded once, so the pixels
are the same to the bit wherever it happens. Tiled pixels differ from untiled ones: the size of a tile belongs to a
take's settings.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from studio.pipelines.base import Plan

if TYPE_CHECKING:
    import torch

GRID = 4  # latents: a tile's side is a multiple of it, so that an overlap of a quarter is whole
FIELDS = (
    "use_tiling",
    "tile_sample_min_height", "tile_sample_min_width", "tile_sample_stride_height", "tile_sample_stride_width",
    "tile_sample_min_size", "tile_latent_min_size", "tile_overlap_factor",
)  # fmt: skip


def decode(vae: Any, latents: "torch.Tensor", plan: Plan, **more: Any) -> "torch.Tensor":
    """What `vae.decode(latents, **more)` gives, by the plan's `vae_tile` and `vae_tiles_to_ram`.

    `latents`: (B, C, F, h, w) of a video, (B, C, h, w) of a picture, or for AutoencoderKLTemporalDecoder (F, C, h, w)
    of one film, already scaled as the decoder wants them, of any precision. Returns the VAE's own shape and precision:
    (B, 3, F, H, W), (B, 3, H, W) or (F, 3, H, W); on the CPU where the plan sends tiles to RAM, else on the device.
    `more` goes to the decoder: LTX's timestep. To be called while the VAE is in use (`Placement.using`)."""
    latents = latents.to(vae.dtype)
    with ExitStack() as stack:
        stack.enter_context(tiled(vae, plan))
        if plan.vae_tiles_to_ram:
            hook = vae.decoder.register_forward_hook(lambda decoder, args, pixels: to_ram(pixels))
            stack.callback(hook.remove)
        if type(vae).__name__ == "AutoencoderKLTemporalDecoder":
            return _by_frames(vae, latents, plan)
        return vae.decode(latents, return_dict=False, **more)[0]


@contextmanager
def tiled(vae: Any, plan: Plan) -> Iterator[None]:
    """Inside, the VAE encodes and decodes in tiles of the plan's size: as it is, where the plan names none."""
    before = {name: getattr(vae, name) for name in FIELDS if hasattr(vae, name)}
    if plan.vae_tile and before:
        _set(vae, plan.vae_tile)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(vae, name, value)


def to_ram(pixels: "torch.Tensor") -> "torch.Tensor":
    """A finished tile, where there is room for all of them."""
    return pixels.cpu()


def _set(vae: Any, side: int) -> None:
    """Tiles of `side` pixels that overlap by a quarter; rounded down to what the latents' grid allows."""
    if hasattr(vae, "tile_latent_min_size"):  # AutoencoderKL: square tiles, the overlap is a share
        ratio = 2 ** (len(vae.config.block_out_channels) - 1)
        latents = max(GRID, side // (ratio * GRID) * GRID)
        vae.tile_latent_min_size, vae.tile_sample_min_size, vae.tile_overlap_factor = latents, latents * ratio, 0.25
        vae.enable_tiling()
        return
    grid = GRID * vae.spatial_compression_ratio
    side = max(grid, side // grid * grid)
    stride = side * 3 // 4
    vae.enable_tiling(
        tile_sample_min_height=side, tile_sample_min_width=side,
        tile_sample_stride_height=stride, tile_sample_stride_width=stride,
    )  # fmt: skip


def _by_frames(vae: Any, latents: "torch.Tensor", plan: Plan) -> "torch.Tensor":
    """(F, 3, H, W) by a decoder that cannot cut a picture: as many whole frames at once as a tile of all of them has
    pixels."""
    import torch

    frames, _, height, width = latents.shape
    ratio = 2 ** (len(vae.config.block_out_channels) - 1)
    most = max(1, plan.vae_tile**2 * frames // (height * width * ratio**2)) if plan.vae_tile else frames
    parts = [vae.decode(part, num_frames=len(part), return_dict=False)[0] for part in latents.split(most)]
    return torch.cat(parts)

"""Latent frames that are given go through Wan's network beside those that are drawn. For workers only.

diffusers' own WanPipeline makes the steps. Hooks on its network put the given frames where they belong and take their
part off the prediction: references, the end of a clip, the shot before a cut. Knows no file, no engine and no plan.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from diffusers.pipelines.wan.pipeline_wan import WanPipeline

if TYPE_CHECKING:
    from PIL.Image import Image

Named = dict[str, Any]  # what the network is called with


class BesidePipeline(WanPipeline):
    """WanPipeline with `given_latents`; a subclass says how they are laid."""

    def __call__(self, *args: Any, given_latents: torch.Tensor, **named: Any) -> Any:
        """As WanPipeline. `given_latents`: (1, C, f, h, w), normalised, as `encode_frames` gives them."""
        with self._beside(given_latents):
            return super().__call__(*args, **named)

    def laid(self, drawn: torch.Tensor, given: torch.Tensor, timestep: torch.Tensor) -> Named:
        """What the network sees for latents `drawn` (B, C, F, h, w) at `timestep` (B,)."""
        raise NotImplementedError

    def own(self, prediction: torch.Tensor, frames: int) -> torch.Tensor:
        """The part of a prediction that belongs to the `frames` that are drawn."""
        return prediction[:, :, :frames]

    def encode_frames(self, frames: "Sequence[Image]") -> torch.Tensor:
        """(1, C, f, h, w) of a clip in its own size, normalised; f = (frames - 1) / 4 + 1."""
        width, height = frames[0].size
        pixels = self.video_processor.preprocess_video(list(frames), height=height, width=width)  # (1, 3, F, H, W)
        return self.encode_pixels(pixels)

    def encode_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """(1, C, f, h, w) of (1, 3, F, H, W) in -1..1."""
        latents = self.vae.encode(pixels.to(self._execution_device, self.vae.dtype)).latent_dist.mode()
        mean, std = self._scale(latents)
        return (latents - mean) / std

    def decode_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """(1, C, f, h, w) at the VAE's own scale."""
        mean, std = self._scale(latents)
        return latents * std + mean

    def _scale(self, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        config = self.vae.config
        mean, std = (
            torch.tensor(values, device=latents.device, dtype=latents.dtype).view(1, -1, 1, 1, 1)
            for values in (config.latents_mean, config.latents_std)
        )
        return mean, std

    @contextmanager
    def _beside(self, given: torch.Tensor) -> Iterator[None]:
        drawn_frames = [0]

        def lay(network: Any, args: Any, named: Named) -> tuple[Any, Named]:
            drawn = named["hidden_states"]
            drawn_frames[0] = drawn.shape[2]
            return args, named | self.laid(drawn, given.to(drawn), named["timestep"])

        def cut(network: Any, args: Any, prediction: Any) -> tuple[torch.Tensor]:
            return (self.own(prediction[0], drawn_frames[0]),)

        hooks = [
            self.transformer.register_forward_pre_hook(lay, with_kwargs=True),
            self.transformer.register_forward_hook(cut),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

"""SkyReels-V3 V2V: a clip goes on, or the next shot after a cut, by a network that knows a noise level for each frame.

For workers only. What is given has noise level 0: the end of the clip lies before what is drawn, a shot before a cut
lies behind it, far away in time. Knows no file, no roll and no plan.
"""

import torch

from studio.pipelines.skyreels_v3.beside import BesidePipeline, Named

CONTEXT_PLACE = 1024  # in time, of the first frame of the shot before


class SkyReelsV3SingleShotPipeline(BesidePipeline):
    """WanPipeline with `given_latents` (1, C, p, h, w) of the clip's end. `num_frames` counts new ones: 4 n - 3 for n
    latent frames. What it gives does not hold the prefix, without which it cannot be decoded."""

    def laid(self, drawn: torch.Tensor, given: torch.Tensor, timestep: torch.Tensor) -> Named:
        return {
            "hidden_states": torch.cat([given, drawn], dim=2),
            "timestep": torch.cat([_clean(given), _levels(drawn, timestep)], dim=1),
        }

    def own(self, prediction: torch.Tensor, frames: int) -> torch.Tensor:
        return prediction[:, :, -frames:]


class SkyReelsV3ShotSwitchingPipeline(BesidePipeline):
    """WanPipeline with `given_latents` (1, C, c, h, w) of the end of the shot before."""

    def laid(self, drawn: torch.Tensor, given: torch.Tensor, timestep: torch.Tensor) -> Named:
        places = torch.arange(drawn.shape[2]), CONTEXT_PLACE + torch.arange(given.shape[2])
        return {
            "hidden_states": torch.cat([drawn, given], dim=2),
            "timestep": torch.cat([_levels(drawn, timestep), _clean(given)], dim=1),
            "frame_index": torch.cat(places),
        }


def _levels(drawn: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
    """(B, F)"""
    return timestep[:, None].expand(-1, drawn.shape[2])


def _clean(given: torch.Tensor) -> torch.Tensor:
    return torch.zeros(given.shape[0], given.shape[2], device=given.device)

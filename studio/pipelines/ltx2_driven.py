"""LTX2ConditionPipeline for sound that is given: the film follows it and it stays as it is. Workers only: diffusers.

Two more differences, both about memory: the text goes through the connectors when it is encoded, so that what is
remembered of a prompt is 13 MB and not 400, and no connector is there while the network works.
"""

from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, LTX2ConditionPipeline

Scheduler: Any = FlowMatchEulerDiscreteScheduler  # untyped libraries: for mypy
Pipeline: Any = LTX2ConditionPipeline


class Still(Scheduler):
    """A schedule without noise, whose steps change nothing: the network sees clean sound at every step."""

    sigmas: Any
    timesteps: Any

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,
        sigmas: Any = None,
        mu: float | None = None,
        timesteps: Any = None,
    ) -> None:
        super().set_timesteps(num_inference_steps, device=device, sigmas=sigmas, mu=mu, timesteps=timesteps)
        self.sigmas, self.timesteps = torch.zeros_like(self.sigmas), torch.zeros_like(self.timesteps)

    def step(self, model_output: Any, timestep: Any, sample: Any, *args: Any, **more: Any) -> Any:
        return (sample,)


class LTX2Driven(Pipeline):
    """`encode_prompt` gives the text of the film and of the sound side by side, as the connectors made it."""

    @property
    def connectors(self) -> Any:
        """What the loop asks, which was answered already."""
        return self._sides

    @connectors.setter
    def connectors(self, module: Any) -> None:
        self._connectors = module

    def _sides(self, both: torch.Tensor, mask: torch.Tensor, **more: Any) -> Any:
        """(B, L, film + sound) to (B, L, film), (B, L, sound) and the mask."""
        config = self.transformer.config
        film = config.caption_channels if config.use_prompt_embeddings else config.cross_attention_dim
        return both[..., :film], both[..., film:], mask

    def encode_prompt(
        self,
        prompt: Any,
        negative_prompt: Any = None,
        do_classifier_free_guidance: bool = True,
        num_videos_per_prompt: int = 1,
        prompt_embeds: Any = None,
        negative_prompt_embeds: Any = None,
        prompt_attention_mask: Any = None,
        negative_prompt_attention_mask: Any = None,
        max_sequence_length: int = 1024,
        device: Any = None,
    ) -> Any:
        """(words, their mask, the same two of what is not wanted), each (1, L, …); None where nobody guides."""
        words, mask, unwanted, unwanted_mask = super().encode_prompt(
            prompt, negative_prompt, do_classifier_free_guidance, num_videos_per_prompt, prompt_embeds,
            negative_prompt_embeds, prompt_attention_mask, negative_prompt_attention_mask, max_sequence_length,
            device=device,
        )  # fmt: skip
        if prompt_embeds is not None:
            return words, mask, unwanted, unwanted_mask
        pairs = [(unwanted, unwanted_mask)] * (unwanted is not None) + [(words, mask)]
        sides = [self._connected(*pair) for pair in pairs]
        return (*sides[-1], *(sides[0] if unwanted is not None else (None, None)))

    def _connected(self, embeds: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """One prompt at a time: two take twice the memory, and this is the greatest moment of the text."""
        film, sound, mask = self._connectors(embeds, mask, padding_side=self.tokenizer_padding_side)
        return torch.cat([film, sound], dim=-1), mask

    def prepare_audio_latents(self, *args: Any, noise_scale: float = 0.0, latents: Any = None, **named: Any) -> Any:
        clean = 0.0 if latents is not None else noise_scale
        return super().prepare_audio_latents(*args, noise_scale=clean, latents=latents, **named)

    def __call__(self, *args: Any, audio_latents: Any = None, **named: Any) -> Any:
        self.audio_scheduler = None if audio_latents is None else Still.from_config(self.scheduler.config)
        return super().__call__(*args, audio_latents=audio_latents, **named)

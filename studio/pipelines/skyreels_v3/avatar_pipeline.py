"""A window of a talking picture, in diffusers' manner: what the network is given, steps, guidance. For workers only.

Flow matching by Euler's method: x(t) = (1 - t / 1000) * film + t / 1000 * noise, and the network says noise - film.
Knows one window and no film; no file, no engine, no plan.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from diffusers.loaders import WanLoraLoaderMixin
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline

STRIDE = 4  # frames in a latent one; the first stands alone
HIGHEST, LOWEST = 1000.0, 1.0  # noise levels of the first and of the last step, before they are warped


class AvatarPipeline(DiffusionPipeline, WanLoraLoaderMixin):
    """Wan's picture-to-video with sound: SkyReels-V3 A2V, InfiniteTalk and MultiTalk.

    transformer: WanAudioTransformer3DModel; vae: AutoencoderKLWan; text_encoder: UMT5EncoderModel;
    image_encoder: CLIPVisionModel; audio_encoder: Wav2Vec2Model."""

    tokenizer: Any
    vae: Any
    image_encoder: Any
    audio_encoder: Any
    transformer: Any
    scheduler = None  # the levels are a function, below
    _get_t5_prompt_embeds = WanImageToVideoPipeline._get_t5_prompt_embeds
    encode_prompt = WanImageToVideoPipeline.encode_prompt
    encode_image = WanImageToVideoPipeline.encode_image

    def __init__(
        self, tokenizer: Any, text_encoder: Any, vae: Any, image_encoder: Any, image_processor: Any,
        audio_encoder: Any, audio_processor: Any, transformer: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        self.register_modules(
            tokenizer=tokenizer, text_encoder=text_encoder, vae=vae, image_encoder=image_encoder,
            image_processor=image_processor, audio_encoder=audio_encoder, audio_processor=audio_processor,
            transformer=transformer,
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------ what is given
    def encode_frames(self, frames: torch.Tensor) -> torch.Tensor:
        """(1, 16, f, h, w) float32, normalised, of (F, 3, H, W) in -1..1, F = 4 (f - 1) + 1."""
        pixels = frames.transpose(0, 1)[None].to(self._execution_device, self.vae.dtype)  # (1, 3, F, H, W)
        latents = self.vae.encode(pixels).latent_dist.mode().float()
        mean, std = (
            torch.tensor(values, device=latents.device).view(1, -1, 1, 1, 1)
            for values in (self.vae.config.latents_mean, self.vae.config.latents_std)
        )
        return (latents - mean) / std

    def prepare_condition(self, pictures: Mapping[int, torch.Tensor], num_frames: int) -> torch.Tensor:
        """(1, 20, f, h, w): which frames are given (4 channels), and the latents of a film of nothing else.

        `pictures`: (3, H, W) in -1..1 by number of the frame."""
        one = next(iter(pictures.values()))
        film, given = one.new_zeros(num_frames, *one.shape), torch.zeros(num_frames)
        for number, picture in pictures.items():
            film[number], given[number] = picture, 1
        latents = self.encode_frames(film)
        given = torch.cat([given[:1].expand(STRIDE), given[1:]])  # the first latent frame is one frame
        mask = given.view(-1, STRIDE).T.to(latents)[None, :, :, None, None]  # (1, 4, f, 1, 1)
        return torch.cat([mask.expand(-1, -1, -1, *latents.shape[3:]), latents], dim=1)

    # ------------------------------------------------------------------------------------------ the steps
    def __call__(
        self,
        *,
        latents: torch.Tensor,
        condition: torch.Tensor,
        prompt_embeds: torch.Tensor,
        negative_prompt_embeds: torch.Tensor | None,
        image_embeds: torch.Tensor,
        audio_embeds: torch.Tensor,
        speaker_masks: torch.Tensor | None = None,
        motion_latents: torch.Tensor | None = None,
        clean_motion: bool = False,
        renoise: Callable[[int], torch.Tensor] | None = None,
        num_inference_steps: int = 4,
        shift: float = 11.0,
        guidance_scale: float = 1.0,
        audio_guidance_scale: float = 1.0,
        callback_on_step_end: Callable[[Any, int, float, dict[str, Any]], Any] = lambda *_: None,
    ) -> torch.Tensor:
        """(1, 16, f, h, w) float32 of a window.

        `latents`: noise of that shape. `condition`: (1, 20, f, h, w). `audio_embeds`: (speakers, F, 5, layers,
        channels). `speaker_masks`: (speakers + 1, H, W), of two. `negative_prompt_embeds`: None where
        `guidance_scale` is 1. `motion_latents`: (1, 16, m, h, w) with which the window begins: with `clean_motion` as
        they are before each step and after the last; with `renoise`, which gives noise of their shape by number, as
        noisy as the rest before the first step (0) and after step i (i + 1). `callback_on_step_end`: after each step,
        with the film as far as it can be told, without noise, as "latents"."""
        levels = noise_levels(num_inference_steps, shift)
        motion = 0 if motion_latents is None else motion_latents.shape[2]

        def begun_with(x: torch.Tensor, first: torch.Tensor | None) -> torch.Tensor:
            return x if first is None else torch.cat([first, x[:, :, motion:]], dim=2)

        def noised(number: int) -> torch.Tensor | None:
            if renoise is None or motion_latents is None:
                return None
            level = levels[number] / HIGHEST
            return (1 - level) * motion_latents + level * renoise(number).to(motion_latents)

        def called(level: float, x: torch.Tensor, words: Any, audio: torch.Tensor, name: str) -> torch.Tensor:
            with self.transformer.cache_context(name):
                found = self.transformer(
                    torch.cat([x, condition], dim=1).to(self.transformer.dtype),
                    torch.tensor([level], device=x.device), words, encoder_hidden_states_image=image_embeds,
                    audio_embeds=audio, speaker_masks=speaker_masks if len(audio) > 1 else None, return_dict=False,
                )[0]  # fmt: skip
            return found.float()

        clean = motion_latents if clean_motion else None
        x = begun_with(latents, noised(0))
        for number, (level, following) in enumerate(zip(levels, levels[1:], strict=False)):
            x = begun_with(x, clean)
            velocity = guided(
                partial(called, level, x), prompt_embeds, negative_prompt_embeds, audio_embeds, guidance_scale,
                audio_guidance_scale,
            )  # fmt: skip
            told = begun_with(x - velocity * (level / HIGHEST), motion_latents)
            x = begun_with(x - velocity * ((level - following) / HIGHEST), noised(number + 1))
            callback_on_step_end(self, number, level, {"latents": told})
        return begun_with(x, clean)


def guided(
    called: Callable[[Any, torch.Tensor, str], torch.Tensor], words: Any, no_words: Any, audio: torch.Tensor,
    of_text: float, of_audio: float,
) -> torch.Tensor:  # fmt: skip
    """What the network says, led by words and by sound, by one, two or three calls of it. 1: not led."""
    silence = torch.zeros_like(audio[:1])  # of one speaker, however many there are
    full = called(words, audio, "full")
    if of_text == 1 and of_audio == 1:
        return full
    if of_text == 1:
        unheard = called(words, silence, "unheard")
        return unheard + of_audio * (full - unheard)
    untold = called(no_words, audio, "untold")
    if of_audio == 1:
        return untold + of_text * (full - untold)
    neither = called(no_words, silence, "neither")
    return neither + of_text * (full - untold) + of_audio * (untold - neither)


def noise_levels(steps: int, shift: float) -> list[float]:
    """`steps` from 1000 to 1, evenly, and 0; each warped towards the noise by `shift`."""
    fall = (HIGHEST - LOWEST) / max(steps - 1, 1)
    even = [(HIGHEST - number * fall) / HIGHEST for number in range(steps)] + [0.0]
    return [HIGHEST * shift * level / (1 + (shift - 1) * level) for level in even]

"""LTX-2 and LTX-2.3 (Lightricks): film with sound from words, from a picture, or led by a voice.

Numbers: docs/models.md, which cites where each comes from. A talking avatar is a film whose sound is given: the network
sees the voice without noise and draws the picture to it (ltx2_driven.py). What is heard in the take is the recording
itself, never the copy that was listened to. Knows no plan.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from studio.pipelines.base import Inputs, Limits, Run
from studio.pipelines.diffusion import pictures
from studio.pipelines.diffusion.engine import DiffusersEngine
from studio.pipelines.diffusion.loading import FileOptions
from studio.pipelines.memory.footprint import Footprint, Network, Shape
from studio.pipelines.memory.tiles import decode
from studio.pipelines.parts import Part

if TYPE_CHECKING:
    import numpy as np

    from studio.pipelines.diffusion.steps import Watch

OLDER, NEWER = "Lightricks/LTX-2", "diffusers/LTX-2.3-Distilled-Diffusers"
# Gemma 3 12B is the same in both; one of them on disk serves the other.
TEXT = (Part("tokenizer", NEWER, 38_000_000), Part("text_encoder", NEWER, 24_374_700_000))
SIGMAS = (1.0, 0.99375, 0.9875, 0.98125, 0.975, 0.909375, 0.725, 0.421875)  # that the distilled weights were made for
NEGATIVE = (  # of the model's authors, where a scene says nothing
    "shaky, glitchy, low quality, worst quality, deformed, distorted, disfigured, motion smear, motion artifacts, "
    "fused fingers, bad anatomy, weird hand, ugly, transition, static."
)
CONNECTORS = ("video_connector.transformer_blocks", "audio_connector.transformer_blocks")
SECONDS = (0.3, 20.0)
WINDOW = 1024  # samples of the spectrogram


class LTX2(DiffusersEngine):
    """What both share."""

    tasks = frozenset({"text_to_video", "image_to_video", "talking_avatar"})
    licence = "LTX-2 Community"
    pipeline = "studio.pipelines.ltx2_driven:LTX2Driven"
    multiple = 32
    encoders = ("text_encoder", "connectors")
    placed: ClassVar[Mapping[str, tuple[str, ...]]] = {"prepare_latents": ("vae",)}
    blocks: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "transformer": ("transformer_blocks",), "connectors": CONNECTORS,
    }  # fmt: skip
    classes: ClassVar[Mapping[str, str]] = {
        "tokenizer": "transformers:AutoTokenizer",
        "text_encoder": "transformers:Gemma3ForConditionalGeneration",
        "connectors": "diffusers.pipelines.ltx2.connectors:LTX2TextConnectors",
        "transformer": "diffusers:LTX2VideoTransformer3DModel",
        "vae": "diffusers:AutoencoderKLLTX2Video",
        "audio_vae": "diffusers:AutoencoderKLLTX2Audio",
        "scheduler": "diffusers:FlowMatchEulerDiscreteScheduler",
    }
    limits = Limits(
        seconds=dict.fromkeys(("text_to_video", "image_to_video", "talking_avatar"), SECONDS), fps=24.0, frame_step=8,
        audio=(0.4, SECONDS[1]), speakers=2,
    )  # fmt: skip
    cross_timestep: ClassVar[bool]  # how film and sound are told of each other's noise

    class Options(FileOptions, DiffusersEngine.Options):
        sound: bool = Field(True, description="the sound that comes with the film; a scene's own sound always wins")

    def shape(self, scene: Any, options: Any, inputs: Inputs) -> Shape:
        batch = 2 if options.guidance_scale > 1 else 1
        given = scene.task_type != "text_to_video"
        shape = super().shape(scene, options, inputs)
        return replace(shape, batch=batch, steps=options.num_inference_steps, encodes=given)

    # ------------------------------------------------------------------------------------------ the text
    def encoded(self, scene: Any, options: Any, run: Run) -> dict[str, Any]:
        words, mask, unwanted, unwanted_mask = self.pipe.encode_prompt(
            prompt=scene.prompt, negative_prompt=scene.negative_prompt or NEGATIVE,
            do_classifier_free_guidance=options.guidance_scale > 1,
        )  # fmt: skip
        return {
            "prompt_embeds": words, "prompt_attention_mask": mask, "negative_prompt_embeds": unwanted,
            "negative_prompt_attention_mask": unwanted_mask,
        }  # fmt: skip

    # ------------------------------------------------------------------------------------------ pictures and voices
    def arguments(self, scene: Any, options: Any, run: Run, shape: Shape) -> dict[str, Any]:
        led, vae = scene.task_type == "talking_avatar", self.pipe.vae
        length, side = vae.temporal_compression_ratio, vae.spatial_compression_ratio
        self._grid = (shape.num_frames - 1) // length + 1, shape.height // side, shape.width // side
        self._sounds = options.sound and not led and run.inputs.soundtrack is None
        return {
            **super().arguments(scene, options, run, shape), "frame_rate": self.limits.fps,
            "conditions": self._conditions(run.inputs, shape) or None,
            "audio_latents": self._listened(run.inputs.soundtrack, shape) if led else None,
            "use_cross_timestep": self.cross_timestep, "modality_scale": 1.0, "audio_modality_scale": 1.0,
            "stg_scale": 0.0, "audio_stg_scale": 0.0, "spatio_temporal_guidance_blocks": None,
            "audio_guidance_scale": options.guidance_scale,
        }  # fmt: skip

    def _conditions(self, inputs: Inputs, shape: Shape) -> list[Any]:
        """The first and the last frame, as far as they are given."""
        from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition

        return [
            LTX2VideoCondition(
                frames=pictures.picture(inputs.files[name], shape.width, shape.height), index=index, strength=1.0, crf=0
            )
            for name, index in (("input_image", 0), ("end_image", -1))
            if name in inputs.files
        ]

    def _listened(self, recording: Path | None, shape: Shape) -> Any:
        """(1, C, L, M) of a recording by the audio VAE, as long as the film; silence where there is none."""
        import torch

        vae, pipe, seconds = self.pipe.audio_vae, self.pipe, shape.num_frames / self.limits.fps
        mel = log_mel(recording, seconds, vae.config.sample_rate, vae.config.mel_hop_length, vae.config.mel_bins)
        with self.placement.using("audio_vae"):
            heard = torch.from_numpy(mel)[None].to(self.plan.device, vae.dtype)  # (1, 2, T, M)
            latents = vae.encode(heard).latent_dist.mode().float()
        per_second = pipe.audio_sampling_rate / pipe.audio_hop_length / pipe.audio_vae_temporal_compression_ratio
        return latents[:, :, : round(seconds * per_second)]

    # ------------------------------------------------------------------------------------------ film and sound
    def denoised(self, arguments: dict[str, Any], watch: "Watch") -> Any:
        """Latents of the film, (1, C, F, h, w), and of the sound, (1, C, L, M), at their VAEs' scale."""
        return self.pipe(**arguments, output_type="latent", return_dict=False, callback_on_step_end=watch.told)

    def pictured(self, latents: Any) -> Any:
        """The loop's latents are a list of tokens: (1, F * h * w, C), and those of a last frame after them."""
        frames, rows, columns = self._grid
        film = latents[0, : frames * rows * columns].T.unflatten(1, self._grid)  # (C, F, h, w)
        mean, std = (
            values.to(film.device, film.dtype).view(-1, 1, 1, 1)
            for values in (self.pipe.vae.latents_mean, self.pipe.vae.latents_std)
        )
        return film * std / self.pipe.vae.config.scaling_factor + mean

    def decoded(self, latents: Any) -> Any:
        return decode(self.pipe.vae, latents[0], self.plan)[0].transpose(0, 1)  # (F, 3, H, W)

    def saved(self, latents: Any, scene: Any, run: Run, audio: Path | None = None) -> Path:
        if not self._sounds:
            return super().saved(latents, scene, run)
        from studio.media import sound

        with self.placement.using("audio_vae", "vocoder"):
            heard = self.pipe.audio_vae.decode(latents[1].to(self.pipe.audio_vae.dtype), return_dict=False)[0]
            wave = self.pipe.vocoder(heard)[0].float().clamp(-1, 1).T.cpu().numpy()  # (N, 2)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "sound.wav"
            sound.save(path, wave, self.pipe.vocoder.config.output_sampling_rate)
            return super().saved(latents, scene, run, path)


class LTX23Distilled(LTX2):
    """Eight steps at noise levels that it was made for, without guidance."""

    id = "ltx2.3-distilled"
    classes: ClassVar[Mapping[str, str]] = {
        **LTX2.classes, "vocoder": "diffusers.pipelines.ltx2.vocoder:LTX2VocoderWithBWE",
    }  # fmt: skip
    cross_timestep = True
    parts = (
        *TEXT, Part("connectors", NEWER, 6_344_500_000), Part("vae", NEWER, 1_452_300_000),
        Part("audio_vae", NEWER, 106_500_000), Part("vocoder", NEWER, 258_200_000), Part("scheduler", NEWER, 600),
        Part("transformer", NEWER, 37_978_000_000),
    )  # fmt: skip
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"num_inference_steps": 8},
        "fast": {"num_inference_steps": 4},
    }
    footprint = Footprint(
        network=Network(
            blocks=48, block_bytes=773_390_720, block_bytes_8bit=387_121_920, rest_bytes=854_921_728, hidden=4096,
            patch=(1, 1, 1), activation=47.0, activation_chunked=47.0, activation_rest=18_400_000,
            flops_per_token=27.7e9,
        ),
        # The connectors' first layer reads all layers of Gemma at once: it is the greatest moment of the text.
        text_bytes=30_719_105_248, text_streamed_bytes=3_119_706_240, text_working_bytes=1_688_236_040,
        vae_bytes=1_815_783_126, encode_bytes=176.0, scale=(8, 32, 32), decode_bytes=64.0, decode_frame_bytes=72.0,
        tile=512, tiled_bytes=3.5, steps=8,
    )  # fmt: skip

    class Options(LTX2.Options):
        num_inference_steps: int = Field(8, ge=1, le=8, description="8; fewer leave out noise levels")
        guidance_scale: float = Field(1.0, ge=1, le=1, description="1: it was trained without")

    def _read(self, plan: Any) -> None:
        super()._read(plan)
        scheduler = self.pipe.scheduler
        self.pipe.scheduler = scheduler.from_config(scheduler.config, use_dynamic_shifting=False, shift_terminal=None)

    def arguments(self, scene: Any, options: Any, run: Run, shape: Shape) -> dict[str, Any]:
        steps = options.num_inference_steps
        sigmas = [SIGMAS[i * len(SIGMAS) // steps] for i in range(steps)]
        return {**super().arguments(scene, options, run, shape), "sigmas": sigmas}


class LTX20(LTX2):
    """The weights that were not distilled: guidance and many steps."""

    id = "ltx2"
    classes: ClassVar[Mapping[str, str]] = {
        **LTX2.classes, "vocoder": "diffusers.pipelines.ltx2.vocoder:LTX2Vocoder",
    }  # fmt: skip
    cross_timestep = False
    parts = (
        *TEXT, Part("connectors", OLDER, 2_863_000_000), Part("vae", OLDER, 2_445_000_000),
        Part("audio_vae", OLDER, 106_500_000), Part("vocoder", OLDER, 111_200_000),
        Part("scheduler", OLDER, 600), Part("transformer", OLDER, 37_752_600_000),
    )  # fmt: skip
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"num_inference_steps": 40},
        "fast": {"num_inference_steps": 20},
    }
    footprint = Footprint(
        network=Network(
            blocks=48, block_bytes=772_149_248, block_bytes_8bit=386_469_888, rest_bytes=689_185_280, hidden=4096,
            patch=(1, 1, 1), activation=41.0, activation_chunked=41.0, activation_rest=18_400_000,
            flops_per_token=27.7e9,
        ),
        text_bytes=27_237_600_480, text_streamed_bytes=2_154_992_640, text_working_bytes=2_890_147_232,
        vae_bytes=2_662_641_098, encode_bytes=176.0, scale=(8, 32, 32), decode_bytes=102.0, decode_frame_bytes=84.27,
        tile=512, tiled_bytes=3.6, steps=40,
    )  # fmt: skip

    class Options(LTX2.Options):
        num_inference_steps: int = Field(40, ge=1, le=200)
        guidance_scale: float = Field(4.0, ge=1, le=30)


def log_mel(recording: Path | None, seconds: float, rate: int, hop: int, bins: int) -> "np.ndarray":
    """(2, T, bins) float32 of the first `seconds`, filled up with silence: the spectrogram that the audio VAE was
    trained on (magnitudes, Slaney's scale and norm, natural logarithm from 1e-5)."""
    import numpy as np
    import torch
    from scipy.signal import resample_poly
    from transformers.audio_utils import mel_filter_bank

    from studio.media import sound

    samples = np.zeros((round(seconds * sound.RATE), 2), np.float32)
    if recording is not None:
        sound.place(samples, sound.load48(recording, seconds), 0.0)
    heard = torch.from_numpy(resample_poly(samples, rate, sound.RATE).T.astype(np.float32))  # (2, N)
    window = torch.hann_window(WINDOW)
    waves = torch.stft(heard, WINDOW, hop, window=window, center=True, pad_mode="reflect", return_complex=True).abs()
    bank = mel_filter_bank(WINDOW // 2 + 1, bins, 0.0, rate / 2, rate, norm="slaney", mel_scale="slaney")
    mel = torch.from_numpy(bank.T.astype(np.float32)) @ waves  # (2, bins, T)
    return mel.clamp(min=1e-5).log().transpose(1, 2).numpy()

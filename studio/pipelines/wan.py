"""Wan 2.1 and 2.2 (Alibaba, Apache-2.0) on diffusers' own pipelines: video from words, or from words and a picture.

Steps, guidance, shift and sizes: docs/models.md, which cites where each comes from. Knows no plan: what a model weighs
stands here as numbers, and profiles.py reckons with them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from studio.pipelines.base import Inputs, Limits, Run
from studio.pipelines.diffusion import pictures
from studio.pipelines.diffusion.acceleration import CacheOptions
from studio.pipelines.diffusion.engine import DiffusersEngine
from studio.pipelines.diffusion.loading import FileOptions, pipeline_on
from studio.pipelines.memory.footprint import Footprint, Network, Shape
from studio.pipelines.memory.tiles import decode
from studio.pipelines.parts import Part

if TYPE_CHECKING:
    from studio.pipelines.diffusion.steps import Watch

T2V_SMALL, T2V_LARGE = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "Wan-AI/Wan2.1-T2V-14B-Diffusers"
I2V_LARGE = "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers"
TI2V = "Wan-AI/Wan2.2-TI2V-5B-Diffusers"
T2V_A14B, I2V_A14B = "Wan-AI/Wan2.2-T2V-A14B-Diffusers", "Wan-AI/Wan2.2-I2V-A14B-Diffusers"

# Every Wan has the same text encoder; Wan 2.2 publishes it in 16 bit, which is half of what Wan 2.1 does.
TEXT = (Part("tokenizer", TI2V, 21_454_609), Part("text_encoder", TI2V, 11_361_851_208))
VAE = Part("vae", T2V_SMALL, 507_591_892)  # of Wan 2.1, Wan 2.2 A14B, VACE and SkyReels-V2
CLIP = (Part("image_encoder", I2V_LARGE, 2_523_000_000), Part("image_processor", I2V_LARGE, 1_000))
SCHEDULER_BYTES = 751

# What the model's authors ask not to see, where a scene says nothing (shared_config.py of Wan 2.1 and 2.2, in English)
NEGATIVE = (
    "Bright tones, overexposed, static, blurred details, subtitles, style, works, paintings, images, static, overall "
    "gray, worst quality, low quality, JPEG compression residue, ugly, incomplete, extra fingers, poorly drawn hands, "
    "poorly drawn faces, deformed, disfigured, misshapen limbs, fused fingers, still picture, messy background, three "
    "legs, many people in the background, walking backwards"
)
TEXT_TOKENS = 512  # to which a prompt is padded (text_len)

SMALL = Network(
    blocks=30, block_bytes=92_905_984, block_bytes_8bit=46_552_064, rest_bytes=57_068_672, hidden=1536,
    activation=16.0, activation_rest=1_631_232, activation_chunked=5.336, chunk_rest=1_606_656,
    chunk_few=(4.3334, 64_553_984), flops_per_token=2.501e9,
)  # fmt: skip
LARGE = Network(
    blocks=40, block_bytes=702_870_528, block_bytes_8bit=351_717_376, rest_bytes=520_530_048, hidden=5120,
    activation=11.1004, activation_rest=15_923_200, activation_chunked=5.1008, chunk_rest=5_355_520,
    chunk_few=(4.1, 215_160_832), flops_per_token=23.91e9,
)  # fmt: skip
WITH_CLIP = replace(
    LARGE,
    block_bytes=807_758_848,
    block_bytes_8bit=404_197_376,
    rest_bytes=537_797_248,
    activation_rest=21_186_560,
    chunk_rest=10_618_880,
)
MIDDLE = Network(  # a noise level for every token: the modulation is as long as the picture
    blocks=30, block_bytes=327_362_560, block_bytes_8bit=163_868_672, rest_bytes=200_644_992, hidden=3072,
    activation=32.5, activation_rest=3_145_728, activation_chunked=18.1667, chunk_rest=3_145_728,
    chunk_few=(14.1718, 304_914_432), flops_per_token=8.682e9,
)  # fmt: skip
FOOTPRINT = Footprint(
    network=LARGE, text_bytes=11_361_820_672, text_streamed_bytes=771_801_088, text_working_bytes=96_468_992,
    vae_bytes=507_570_124, encode_bytes=14_089.2, decode_bytes=19_454.0, decode_frame_bytes=12.24, tiled_bytes=37.7,
    forwards=2,
)  # fmt: skip


class Wan(DiffusersEngine):
    """What all Wan models share. A picture that is given goes through the VAE before the transformer needs the room."""

    licence = "Apache-2.0"
    pipeline = "WanPipeline"
    keep_float32 = frozenset({"vae"})
    classes: ClassVar[Mapping[str, str]] = {
        "tokenizer": "transformers:AutoTokenizer",
        "text_encoder": "transformers:UMT5EncoderModel",
        "image_encoder": "transformers:CLIPVisionModel",
        "image_processor": "transformers:CLIPImageProcessor",
        "vae": "diffusers:AutoencoderKLWan",
        "scheduler": "diffusers:UniPCMultistepScheduler",
        "transformer": "diffusers:WanTransformer3DModel",
        "transformer_2": "diffusers:WanTransformer3DModel",
    }
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"num_inference_steps": 50},
        "fast": {"num_inference_steps": 20},
    }
    shift_720p: ClassVar[float] = 5.0  # of the noise schedule: large pictures need more of the high noise
    shift_480p: ClassVar[float] = 3.0

    class Options(DiffusersEngine.Options):
        flow_shift: float | None = Field(None, ge=0.1, le=20, description="of the noise schedule; empty: by the size")

    def shape(self, scene: Any, options: Any, inputs: Inputs) -> Shape:
        forwards = 2 if options.guidance_scale > 1 else 1
        return replace(
            super().shape(scene, options, inputs), steps=options.num_inference_steps, forwards=forwards
        )  # fmt: skip

    def encoded(self, scene: Any, options: Any, run: Run) -> dict[str, Any]:
        return {**self.given(scene, options, run), **self.worded(scene, options)}

    def worded(self, scene: Any, options: Any) -> dict[str, Any]:
        guided = options.guidance_scale > 1
        prompt, negative = self.pipe.encode_prompt(
            scene.prompt, (scene.negative_prompt or NEGATIVE) if guided else None,
            do_classifier_free_guidance=guided, max_sequence_length=TEXT_TOKENS,
        )  # fmt: skip
        return {"prompt_embeds": prompt, "negative_prompt_embeds": negative}

    def given(self, scene: Any, options: Any, run: Run) -> dict[str, Any]:
        """Arguments made of the scene's pictures, and under "ahead" what methods of the pipeline would make of them."""
        return {}

    def arguments(self, scene: Any, options: Any, run: Run, shape: Shape) -> dict[str, Any]:
        shift = self.shift_720p if shape.width * shape.height > 640 * 640 else self.shift_480p
        self.pipe.scheduler.register_to_config(flow_shift=options.flow_shift or shift)
        return super().arguments(scene, options, run, shape)

    def denoised(self, arguments: dict[str, Any], watch: "Watch") -> Any:
        with answering(self.pipe, arguments.pop("ahead", {})):
            return super().denoised(arguments, watch)

    def decoded(self, latents: Any) -> Any:
        import torch

        config = self.pipe.vae.config
        latents = latents.to(self.pipe.vae.dtype)
        mean, std = (
            torch.tensor(values, device=latents.device, dtype=latents.dtype).view(1, -1, 1, 1, 1)
            for values in (config.latents_mean, config.latents_std)
        )
        return decode(self.pipe.vae, latents * std + mean, self.plan)[0].transpose(0, 1)  # (F, 3, H, W)


class WanI2V(Wan):
    """Image to video by WanImageToVideoPipeline."""

    tasks = frozenset({"image_to_video"})
    pipeline = "WanImageToVideoPipeline"

    def shape(self, scene: Any, options: Any, inputs: Inputs) -> Shape:
        return replace(super().shape(scene, options, inputs), encodes=scene.task_type == "image_to_video")

    def given(self, scene: Any, options: Any, run: Run) -> dict[str, Any]:
        shape = self.shape(scene, options, run.inputs)
        images = [
            pictures.picture(run.inputs.files[name], shape.width, shape.height)
            for name in ("input_image", "end_image")
            if name in run.inputs.files
        ]
        ahead = {"prepare_latents": self._latents(images, shape, run.seed)}
        if "image_encoder" in self.encoders:
            ahead["encode_image"] = self.pipe.encode_image(images if len(images) > 1 else images[0])
        return {"image": images[0], "last_image": images[1] if len(images) > 1 else None, "ahead": ahead}

    def _latents(self, images: Sequence[Any], shape: Shape, seed: int) -> Any:
        """What the pipeline's `prepare_latents` makes: noise, the pictures' latents, and for some a mask."""
        import torch

        pipe = self.pipe
        with self.placement.using("vae"):
            first, *last = (
                pipe.video_processor.preprocess(image, height=shape.height, width=shape.width).to(self.plan.device)
                for image in images
            )
            return pipe.prepare_latents(
                first, 1, pipe.vae.config.z_dim, shape.height, shape.width, shape.num_frames, torch.float32,
                torch.device(self.plan.device), torch.Generator("cpu").manual_seed(seed), None, *last,
            )  # fmt: skip


@contextmanager
def answering(owner: Any, answers: Mapping[str, Any]) -> Iterator[None]:
    """Inside, these methods of `owner` give what was worked out before, while another part had the device."""
    before = {name: vars(owner)[name] for name in answers if name in vars(owner)}
    for name, answer in answers.items():
        setattr(owner, name, lambda *args, _answer=answer, **named: _answer)
    try:
        yield
    finally:
        for name in answers:
            delattr(owner, name)
        for name, method in before.items():
            setattr(owner, name, method)


# ------------------------------------------------------------------------------------------------ Wan 2.1
class WanT2VSmall(Wan):
    id = "wan2.1-t2v-1.3b"
    tasks = frozenset({"text_to_video"})
    limits = Limits(resolutions=("480P",), seconds={"text_to_video": (0.3, 5.0)}, fps=16.0, frame_step=4)
    parts = (
        *TEXT, VAE, Part("scheduler", T2V_SMALL, SCHEDULER_BYTES), Part("transformer", T2V_SMALL, 5_676_144_409),
    )  # fmt: skip
    footprint = replace(FOOTPRINT, network=SMALL, cpu=True)

    class Options(CacheOptions, FileOptions, Wan.Options):
        """With a cache: one network makes all steps, of the kind that caches know. People trade it in one file."""


class WanT2VLarge(Wan):
    id = "wan2.1-t2v-14b"
    tasks = frozenset({"text_to_video"})
    limits = Limits(seconds={"text_to_video": (0.3, 5.0)}, fps=16.0, frame_step=4)
    parts = (
        *TEXT, VAE, Part("scheduler", T2V_LARGE, SCHEDULER_BYTES), Part("transformer", T2V_LARGE, 57_153_966_336),
    )  # fmt: skip
    footprint = FOOTPRINT

    class Options(CacheOptions, FileOptions, Wan.Options):
        """With a cache: one network makes all steps, of the kind that caches know. People trade it in one file."""


class WanI2VLarge(WanI2V):
    id = "wan2.1-i2v-14b"
    limits = Limits(
        resolutions=("480P",), seconds={"image_to_video": (0.3, 5.0)}, fps=16.0, frame_step=4, end_image=False
    )
    parts = (
        *TEXT, *CLIP, VAE,
        Part("scheduler", I2V_LARGE, SCHEDULER_BYTES), Part("transformer", I2V_LARGE, 65_579_515_136),
    )  # fmt: skip
    encoders = ("text_encoder", "image_encoder")
    keep_float32 = frozenset({"vae", "image_encoder"})
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"num_inference_steps": 40},
        "fast": {"num_inference_steps": 20},
    }
    footprint = replace(FOOTPRINT, network=WITH_CLIP, image_encoder_bytes=2_523_064_320, steps=40)

    class Options(CacheOptions, FileOptions, WanI2V.Options):
        num_inference_steps: int = Field(40, ge=1, le=200)


# ------------------------------------------------------------------------------------------------ Wan 2.2
class WanTI2V(WanI2V):
    """Both tasks with one set of weights; a given picture is the first latent frame, which has no noise."""

    id = "wan2.2-ti2v-5b"
    tasks = frozenset({"text_to_video", "image_to_video"})
    built_with: ClassVar[Mapping[str, Any]] = {"expand_timesteps": True}
    multiple = 32
    shift_480p = 5.0
    limits = Limits(
        resolutions=("720P",), seconds={"text_to_video": (0.3, 5.0), "image_to_video": (0.3, 5.0)}, fps=24.0,
        frame_step=4, end_image=False,
    )  # fmt: skip
    parts = (
        *TEXT, Part("vae", TI2V, 2_818_777_808),
        Part("scheduler", TI2V, SCHEDULER_BYTES), Part("transformer", TI2V, 19_999_150_848),
    )  # fmt: skip
    footprint = replace(
        FOOTPRINT, network=MIDDLE, vae_bytes=2_818_754_672, scale=(4, 16, 16), encode_bytes=1948.3,
        decode_bytes=21_494.6, decode_frame_bytes=12.86,
    )  # fmt: skip

    class Options(FileOptions, WanI2V.Options):
        """One network, which people trade in one file."""

    def given(self, scene: Any, options: Any, run: Run) -> dict[str, Any]:
        return super().given(scene, options, run) if scene.task_type == "image_to_video" else {}

    def denoised(self, arguments: dict[str, Any], watch: "Watch") -> Any:
        if "image" in arguments:
            return super().denoised(arguments, watch)
        parts = ("tokenizer", "text_encoder", "vae", "scheduler", "transformer")
        words_only = pipeline_on(self.plan.device, "WanPipeline")(
            **{name: getattr(self.pipe, name) for name in parts}, **self.built_with
        )
        words_only.set_progress_bar_config(disable=True)
        return words_only(**arguments, output_type="latent", return_dict=False, callback_on_step_end=watch.told)[0]


class WanA14B(Wan):
    """Two networks of 14 billion parameters take turns: one lays the picture out, the other finishes it."""

    blocks: ClassVar[Mapping[str, Sequence[str]]] = {"transformer": ("blocks",), "transformer_2": ("blocks",)}
    denoisers = ("transformer", "transformer_2")
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"num_inference_steps": 40},
        "fast": {"num_inference_steps": 20},
    }
    footprint = replace(FOOTPRINT, network=replace(LARGE, count=2), steps=40)

    def arguments(self, scene: Any, options: Any, run: Run, shape: Shape) -> dict[str, Any]:
        return {**super().arguments(scene, options, run, shape), "guidance_scale_2": options.guidance_scale_2}


class WanT2VA14B(WanA14B):
    id = "wan2.2-t2v-a14b"
    tasks = frozenset({"text_to_video"})
    built_with: ClassVar[Mapping[str, Any]] = {"boundary_ratio": 0.875}
    shift_720p = shift_480p = 12.0
    limits = Limits(seconds={"text_to_video": (0.3, 5.0)}, fps=16.0, frame_step=4)
    parts = (
        *TEXT, VAE, Part("scheduler", T2V_A14B, SCHEDULER_BYTES),
        Part("transformer", T2V_A14B, 57_153_966_336), Part("transformer_2", T2V_A14B, 57_153_966_336),
    )  # fmt: skip

    class Options(Wan.Options):
        num_inference_steps: int = Field(40, ge=1, le=200)
        guidance_scale: float = Field(4.0, ge=0, le=30, description="while the picture is laid out")
        guidance_scale_2: float = Field(3.0, ge=0, le=30, description="while it is finished")


class WanI2VA14B(WanA14B, WanI2V):
    id = "wan2.2-i2v-a14b"
    built_with: ClassVar[Mapping[str, Any]] = {"boundary_ratio": 0.9}
    shift_480p = 5.0
    limits = Limits(seconds={"image_to_video": (0.3, 5.0)}, fps=16.0, frame_step=4)
    parts = (
        *TEXT, VAE, Part("scheduler", I2V_A14B, SCHEDULER_BYTES),
        Part("transformer", I2V_A14B, 57_155_604_736), Part("transformer_2", I2V_A14B, 57_155_604_736),
    )  # fmt: skip

    class Options(Wan.Options):
        num_inference_steps: int = Field(40, ge=1, le=200)
        guidance_scale: float = Field(3.5, ge=0, le=30, description="while the picture is laid out")
        guidance_scale_2: float = Field(3.5, ge=0, le=30, description="while it is finished")

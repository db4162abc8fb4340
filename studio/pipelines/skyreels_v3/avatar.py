"""SkyReels-V3 A2V (Skywork): a portrait speaks a recording of up to 200 seconds. And what talking pictures share.

The picture chooses the size, the sound the length. Which frames each window hears, is given and keeps says a policy
(windows.py). Steps, guidance, shift: docs/models.md. Light: torch only in a run.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from studio.pipelines.base import Inputs, Limits, Run
from studio.pipelines.diffusion import pictures
from studio.pipelines.memory.footprint import Shape
from studio.pipelines.parts import Part
from studio.pipelines.skyreels_v3.footprints import AVATAR, LATENT_FRAMES
from studio.pipelines.skyreels_v3.sizes import nearest
from studio.pipelines.skyreels_v3.windowed import Film, Windowed
from studio.pipelines.skyreels_v3.windows import FPS, FRAMES, SkyReelsWindows, Window, WindowPolicy
from studio.pipelines.wan import CLIP, NEGATIVE, TEXT, TEXT_TOKENS, VAE, Wan

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from studio.pipelines.diffusion.steps import Watch

A2V = "Skywork/SkyReels-V3-A2V-19B"
WAV2VEC = "TencentGameMate/chinese-wav2vec2-base"
HEARING = (  # refs/pr/1 is where its safetensors are
    Part("audio_encoder", WAV2VEC, 380_300_000, "", "refs/pr/1", files=("config.json", "model.safetensors")),
    Part("audio_processor", WAV2VEC, 1_000, "", "refs/pr/1", files=("preprocessor_config.json",)),
)
RATE = 16_000  # Hz of the sound as it is listened to
SECONDS = (0.4, 200.0)
STRIDE = 4  # frames in a latent one


class Avatar(Windowed):
    """What SkyReels-V3 A2V and InfiniteTalk share."""

    tasks = frozenset({"talking_avatar"})
    pipeline = "studio.pipelines.skyreels_v3.avatar_pipeline:AvatarPipeline"
    classes: ClassVar[Mapping[str, str]] = {
        **{name: where for name, where in Wan.classes.items() if name not in ("scheduler", "transformer_2")},
        "audio_encoder": "transformers:Wav2Vec2Model",
        "audio_processor": "transformers:Wav2Vec2FeatureExtractor",
        "transformer": "studio.pipelines.skyreels_v3.audio_wan:WanAudioTransformer3DModel",
    }
    encoders = ("text_encoder", "image_encoder", "audio_encoder")
    keep_float32 = frozenset({"vae", "image_encoder", "audio_encoder"})
    readers: ClassVar[Mapping[str, str]] = {"transformer": "studio.pipelines.skyreels_v3.published"}
    shift_720p, shift_480p = 11.0, 11.0
    policy: ClassVar[WindowPolicy]

    class Options(Wan.Options):
        num_inference_steps: int = Field(4, ge=1, le=200)
        guidance_scale: float = Field(1.0, ge=1, le=30, description="by the prompt; above 1 a step takes longer")
        audio_guidance_scale: float = Field(1.0, ge=1, le=30, description="by the sound; above 1 a step takes longer")
        color_strength: float = Field(1.0, ge=0, le=1, description="how much each frame keeps the picture's colours")

    # ------------------------------------------------------------------------------------------ length and size
    def sounds(self, inputs: Inputs) -> int:
        """Frames of sound."""
        seconds = inputs.seconds
        return max(self.policy.sounds(round(seconds * RATE), RATE), self.limits.frames(seconds))

    def windows(self, scene: Any, options: Any, inputs: Inputs) -> Sequence[Window]:
        return self.policy.windows(self.sounds(inputs))

    def taken(self, scene: Any, options: Any, inputs: Inputs) -> int:
        return min(self.limits.frames(inputs.seconds), self.policy.frames(self.sounds(inputs)))

    def shape(self, scene: Any, options: Any, inputs: Inputs) -> Shape:
        """A window goes through the network and the VAE as a whole, however long the film is, and however short."""
        width, height = sized(scene, inputs)
        width, height = options.width or width, options.height or height
        self.must_fit(width, height)
        return Shape(
            width, height, self.taken(scene, options, inputs),
            steps=options.num_inference_steps * len(self.windows(scene, options, inputs)),
            forwards=1 + (options.guidance_scale > 1) + (options.audio_guidance_scale > 1),
            extra_frames=LATENT_FRAMES, window=FRAMES, decoded=FRAMES, lead=FRAMES, encodes=True,
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------ the first phase
    def encoded(self, scene: Any, options: Any, run: Run) -> dict[str, Any]:
        inputs, shape = run.inputs, self.shape(scene, options, run.inputs)
        image, audio = self._source(inputs, shape, 0), self._audio(inputs)
        if notes := self._notes(image, scene, options, inputs):
            run.describe(notes=notes)
        return {
            "words": self._words(scene, options, inputs), "image": image,
            "image_embeds": self.pipe.encode_image(image), "audio": audio,
            "speaker_masks": self._masks(scene, inputs, shape, len(audio)),
        }  # fmt: skip

    def _notes(self, image: "Image", scene: Any, options: Any, inputs: Inputs) -> list[Any]:
        """What whoever looks at the take should know: "gallery.note.…"."""
        notes = [] if _face_in(image) else ["no_face"]
        if "input_video" in inputs.files:
            last = self.windows(scene, options, inputs)[-1].source or 0
            if last >= round(_probed(inputs.files["input_video"]).duration * FPS):
                notes.append("video_held")
        return notes

    def _words(self, scene: Any, options: Any, inputs: Inputs) -> dict[str | None, Any]:
        """By the prompts of the windows: the prompt encoded, and what is not wanted, where that is used."""
        led = options.guidance_scale > 1
        unwanted = (scene.negative_prompt or NEGATIVE) if led else None
        return {
            prompt: self.pipe.encode_prompt(
                scene.prompt if prompt is None else prompt, unwanted, do_classifier_free_guidance=led,
                max_sequence_length=TEXT_TOKENS,
            )
            for prompt in dict.fromkeys(window.prompt for window in self.windows(scene, options, inputs))
        }  # fmt: skip

    def _audio(self, inputs: Inputs) -> "torch.Tensor":
        """(speakers, N, layers, channels) on the CPU, where it is listened to: the same on every machine. Somebody who
        is only given a duration keeps silent for so long."""
        import numpy as np
        import torch

        from studio.pipelines.skyreels_v3 import audio, speakers

        self._bring("audio_encoder")
        model, processor, count = self.pipe.audio_encoder, self.pipe.audio_processor, self.sounds(inputs)
        if inputs.recordings or inputs.lines or inputs.soundtrack:
            tracks = speakers.tracks(inputs, self.limits.speakers)
        else:
            tracks = [np.zeros(round(inputs.seconds * RATE), np.float32)]
        return torch.stack([audio.features(model, processor, track, count) for track in tracks])

    def _masks(self, scene: Any, inputs: Inputs, shape: Shape, count: int) -> "torch.Tensor | None":
        """(3, H, W): where each of two people is, and nobody; None of one."""
        import torch

        from studio.pipelines.skyreels_v3 import speakers

        if count == 1:
            speakers.check(count, scene.speaker_boxes)
            return None
        width, height = _probed(_seen(inputs)).upright
        masks = speakers.masks(count, scene.speaker_boxes, (height, width), (shape.height, shape.width))
        return torch.from_numpy(masks).to(self.plan.device)

    def _source(self, inputs: Inputs, shape: Shape, frame: int) -> "Image":
        """What is shown as the film's frame of that number: the portrait, or the video's."""
        if "input_video" in inputs.files:
            return pictures.frame_at(inputs.files["input_video"], frame, FPS, shape.width, shape.height)
        return pictures.picture(inputs.files["input_image"], shape.width, shape.height)

    # ------------------------------------------------------------------------------------------ a window
    def begun(self, film: Film, window: Window, left: "Mapping[str, torch.Tensor]") -> dict[str, Any]:
        from studio.pipelines.memory.tiles import tiled

        given, embeds = self._given(film, window, left)
        same = len(given) == 1 and embeds is film.given["image_embeds"]  # as for every window of a portrait
        with self.placement.using("vae"), tiled(self.pipe.vae, self.plan):
            condition = film.given.get("condition") if same else None
            if condition is None:
                condition = self.pipe.prepare_condition(given, FRAMES)
            motion = self._motion(window, condition, left)
        if same:
            film.given["condition"] = condition
        return {
            "condition": condition, "motion_latents": motion, "image_embeds": embeds,
            "latents": self._noise(film, "key" if window.number is None else "window", window.number or 0, condition),
            "audio_embeds": self._heard(film, window),
        }  # fmt: skip

    def _given(
        self, film: Film, window: Window, left: "Mapping[str, torch.Tensor]"
    ) -> "tuple[dict[int, torch.Tensor], torch.Tensor]":
        """Frames of its condition by number, and what CLIP sees in the first of them: asked of CLIP itself, because
        nobody will ask for the picture of one window again."""
        from studio.pipelines.skyreels_v3.avatar_pipeline import AvatarPipeline

        embeds, source = film.given["image_embeds"], window.source
        if source is not None and "input_video" not in film.run.inputs.files:
            source = 0  # a portrait is the same all the time
        if source is None:
            first = left["motion"][-len(window.condition) :]
        else:
            image = film.given["image"] if source == 0 else self._source(film.run.inputs, film.shape, source)
            first = _pixels(image)[None]
        pictured = dict(enumerate(first))
        if window.key is not None:
            pictured |= dict.fromkeys(range(FRAMES - window.key_frames, FRAMES), left["keys"][window.key])
        if source != 0:
            with self.placement.using("image_encoder"):
                embeds = AvatarPipeline.encode_image(self.pipe, _image(first[0]))
        return pictured, embeds

    def _motion(self, window: Window, condition: "torch.Tensor", left: "Mapping[str, torch.Tensor]") -> Any:
        """(1, 16, m, h, w) with which the window begins; None: with nothing."""
        if not window.motion_latents:
            return None
        if window.motion and window.motion != window.condition:
            return self.pipe.encode_frames(left["motion"])
        return condition[:, STRIDE:, : window.motion_latents]  # they are the first of the condition's

    def _noise(self, film: Film, purpose: str, number: int, like: "torch.Tensor") -> "torch.Tensor":
        """(1, 16, f, h, w) float32 with the last three sizes of `like`."""
        import torch

        from studio.pipelines.skyreels_v3.noise import generator

        shape = (1, self.pipe.vae.config.z_dim, *like.shape[2:])
        return torch.randn(shape, generator=generator(film.run.seed, purpose, number)).to(like.device)

    def _heard(self, film: Film, window: Window) -> "torch.Tensor":
        """(speakers, 81, 5, layers, channels)"""
        import torch

        from studio.pipelines.skyreels_v3.audio import windows_of

        return torch.stack([windows_of(one, window.audio) for one in film.given["audio"]]).to(
            self.plan.device, self.pipe.transformer.dtype
        )

    def stepped(self, film: Film, window: Window, begun: dict[str, Any], watch: "Watch") -> "torch.Tensor":
        options, motion = film.options, begun["motion_latents"]
        words, unwanted = film.given["words"][window.prompt]
        large = film.shape.pixels > 640 * 640

        def renoise(number: int) -> Any:
            return self._noise(film, f"renoise/{window.number}", number, motion)

        return self.pipe(
            **begun, prompt_embeds=words, negative_prompt_embeds=unwanted, speaker_masks=film.given["speaker_masks"],
            clean_motion=self.policy.clean_motion, renoise=renoise if window.motion else None,
            num_inference_steps=options.num_inference_steps,
            shift=options.flow_shift or (self.shift_720p if large else self.shift_480p),
            guidance_scale=options.guidance_scale, audio_guidance_scale=options.audio_guidance_scale,
            callback_on_step_end=watch.told,
        )  # fmt: skip

    def ended(
        self, film: Film, window: Window, begun: dict[str, Any], latents: "torch.Tensor", last: bool
    ) -> "tuple[torch.Tensor, dict[str, torch.Tensor]]":
        shown = window.shown if window.kept or not last else range(FRAMES)  # of a key pass nothing, usually
        wanted = max(shown.stop, max(window.keys, default=-1) + 1)
        frames = self.decoded(latents[:, :, : 1 - (1 - wanted) // STRIDE])  # what comes later changes none of these
        kept = self._recoloured(frames[shown.start : shown.stop], film)
        if window.kept:
            return kept, {"motion": kept[-self.policy.motion :]}
        keys = frames[list(window.keys)]
        return kept, {"keys": keys if len(kept) else self._recoloured(keys, film)}

    def _recoloured(self, frames: "torch.Tensor", film: Film) -> "torch.Tensor":
        """The same tensor, in place, in the picture's colours: some frames at a time where the network works, wherever
        they lie."""
        from studio.pipelines.skyreels_v3.colour import CHUNK, match

        strength, device = film.options.color_strength, self.plan.device
        if strength:
            reference = _pixels(film.given["image"]).to(device)
            for start in range(0, len(frames), CHUNK):
                piece = frames[start : start + CHUNK].to(device)
                matched = match(piece, reference)
                piece = matched if strength == 1 else (1 - strength) * piece + strength * matched
                frames[start : start + CHUNK] = piece.to(frames.device)
        return frames


def sized(scene: Any, inputs: Inputs) -> tuple[int, int]:
    """(width, height): the nearest to the picture that is made to speak; without one, to what the scene says."""
    width, height = _probed(_seen(inputs)).upright if inputs.files else scene.size
    height, width = nearest("avatar", scene.resolution, height, width)
    return width, height


def _seen(inputs: Inputs) -> Path:
    """The video, or the portrait."""
    return inputs.files.get("input_video") or inputs.files["input_image"]


def _probed(path: Path) -> Any:
    from studio.media.probe import probe

    return probe(path)


def _face_in(image: "Image") -> bool:
    import numpy as np

    from studio.media.faces import find_face

    return find_face(np.asarray(image)[:, :, ::-1].copy()) is not None


def _pixels(image: "Image") -> "torch.Tensor":
    """(3, H, W) in -1..1"""
    import numpy as np
    import torch

    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1


def _image(pixels: "torch.Tensor") -> "Image":
    from PIL import Image

    return Image.fromarray((pixels * 127.5 + 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy())


class SkyReelsA2V(Avatar):
    id = "skyreels-v3-a2v-19b"
    licence = "Skywork"
    policy = SkyReelsWindows()
    limits = Limits(resolutions=("480P", "720P"), seconds={"talking_avatar": SECONDS}, fps=float(FPS), audio=SECONDS)
    parts = (
        *TEXT, *CLIP, VAE, *HEARING,
        Part("transformer", A2V, 37_764_093_568, folder="", files=("config.json", "*.safetensors*")),
    )  # fmt: skip
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {"num_inference_steps": 4}}
    footprint = AVATAR

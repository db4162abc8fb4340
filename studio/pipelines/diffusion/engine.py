"""What every run on a stock diffusers pipeline has in common: encode, denoise, decode, save. Reads and places nothing.

A family (wan.py, svd.py …) says which parts there are and how the pipeline is called; see docs/engines.md. The phases
are apart, because each has the device to itself: text encoder, then transformer, then VAE. Nothing is encoded that was
encoded before.
"""

import gc
import inspect
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import ConfigDict, Field

from studio.domain import JSON
from studio.errors import OutOfMemory, Refused
from studio.pipelines.base import Engine, Inputs, Made, Run
from studio.pipelines.diffusion.acceleration import CacheOptions, accelerated, cached, chosen_attention
from studio.pipelines.diffusion.loading import LOOKS, SHARED, Loading
from studio.pipelines.diffusion.lora import MAX_LORAS, Lora, touched
from studio.pipelines.memory.footprint import Shape

if TYPE_CHECKING:
    import numpy as np

    from studio.pipelines.diffusion.steps import Watch

log = logging.getLogger(__name__)

T = TypeVar("T")

HEARS = frozenset({"audio_encoder", "audio_processor"})  # parts that encode sounds, which no prompt depends on
ENCODING = ("encode_prompt", "encode_image", "_encode_image")  # methods of pipelines whose answers are remembered


class DiffusersEngine(Loading):
    """Subclass it in the file of a model family."""

    stops_early = True
    multiple: ClassVar[int] = 16  # pixels: width and height are multiples of it

    class Options(Engine.Options):
        model_config = ConfigDict(extra="forbid")
        num_inference_steps: int = Field(50, ge=1, le=200)
        guidance_scale: float = Field(5.0, ge=0, le=30)
        width: int | None = Field(None, ge=16, le=4096, description="pixels; empty: by resolution and aspect")
        height: int | None = Field(None, ge=16, le=4096)
        compile: bool = Field(False, description="slower first run, faster next ones; not while blocks are streamed")
        loras: list[Lora] = Field(
            default_factory=list, max_length=MAX_LORAS, description="small files that change style"
        )

    # ------------------------------------------------------------------------------------------ what a family says
    def arguments(self, scene: Any, options: Any, run: Run, shape: Shape) -> dict[str, Any]:
        """What the pipeline is called with, beside the encoded prompts and the generator. Asked while the denoisers are
        in use; `with self.placement.using("vae")` where a reference is encoded first."""
        return {
            "width": shape.width, "height": shape.height, "num_frames": shape.num_frames,
            "num_inference_steps": options.num_inference_steps, "guidance_scale": options.guidance_scale,
        }  # fmt: skip

    def encoded(self, scene: Any, options: Any, run: Run) -> dict[str, Any]:
        """Tensors by the pipeline's arguments: the prompts. By the pipeline's own `encode_prompt` and `encode_image`:
        their answers are remembered by what they are asked, and only a new question fetches and places an encoder."""
        raise NotImplementedError

    def denoised(self, arguments: dict[str, Any], watch: "Watch") -> Any:
        """The latents, or whatever else `decoded` and `saved` want of one call of the pipeline."""
        return self.pipe(
            **arguments, output_type="latent", return_dict=False, callback_on_step_end=watch.told
        )[0]  # fmt: skip

    def pictured(self, latents: Any) -> Any:
        """(C, F, h, w) or (C, h, w) at the VAE's own scale, for the preview, from the latents of a step."""
        import torch

        config = self.pipe.vae.config
        if "latents_mean" in config and config.latents_mean is not None:
            mean, std = (
                torch.tensor(values, device=latents.device, dtype=latents.dtype).view(-1, *[1] * (latents.dim() - 2))
                for values in (config.latents_mean, config.latents_std)
            )
            return latents[0] * std + mean
        return latents[0] / config.scaling_factor

    def decoded(self, latents: Any) -> Any:
        """(F, 3, H, W) in -1..1 from what `denoised` returns, while the VAE is in use."""
        raise NotImplementedError

    def saved(self, latents: Any, scene: Any, run: Run, audio: Path | None = None) -> Path:
        """Decode and write the file. `audio`: made with it; without, the scene's soundtrack is heard."""
        with self.placement.using("vae"):
            frames = self.decoded(latents)  # (F, 3, H, W)
        run.phase("save")
        if scene.kind == "image":
            return run.save_image(next(rgb_frames(frames)))
        return run.save_video(
            rgb_frames(frames), self.limits.rate(run.inputs.seconds), len(frames), audio=audio, progress=False
        )

    def shape(self, scene: Any, options: Any, inputs: Inputs) -> Shape:
        width, height = scene.size
        width = options.width or width // self.multiple * self.multiple
        height = options.height or height // self.multiple * self.multiple
        self.must_fit(width, height)
        frames = 1 if scene.kind == "image" else self.limits.frames(inputs.seconds)
        return Shape(width, height, frames)

    def must_fit(self, width: int, height: int) -> None:
        """Raises Refused where the network cannot take so many pixels, naming the option that is to blame."""
        for name, pixels in (("width", width), ("height", height)):
            if pixels % self.multiple:
                raise Refused(
                    "engine.size_multiple", field=f"options.{self.id}.{name}", engine=self.id, width=width,
                    height=height, multiple=self.multiple,
                )  # fmt: skip

    # ------------------------------------------------------------------------------------------ loading
    def __init__(self) -> None:
        super().__init__()
        self._colours: Any = None  # of the preview
        self._encoding: ExitStack | None = None  # the first phase: what it brought to the device leaves with it
        self._in_use: set[str] = set()  # encoders, by that stack

    def close(self) -> None:
        super().close()
        self._colours = None

    def _built(self) -> None:
        for name in ENCODING:
            if hasattr(self.pipe, name):
                setattr(self.pipe, name, partial(self._encode, name, getattr(self.pipe, name)))
        super()._built()

    # ------------------------------------------------------------------------------------------ a run
    def run(self, scene: Any, options: Any, run: Run) -> Made:
        import torch

        from studio.pipelines.diffusion.steps import Cost

        self._dress(options)
        shape, cost = self.shape(scene, options, run.inputs), Cost(self.plan.device)
        with torch.no_grad():
            run.phase("text")
            with self._encoders():
                prompts = self.encoded(scene, options, run)
            run.phase("steps")
            latents, facts = self._steps(scene, options, run, shape, prompts, cost)
            run.phase("decode")
            made_by = self._facts(shape)
            run.describe(**made_by)
            path = self.saved(latents, scene, run)
        return Made(path, {**facts, **made_by, **cost.facts()})

    def _steps(
        self, scene: Any, options: Any, run: Run, shape: Shape, prompts: dict[str, Any], cost: Any
    ) -> tuple[Any, dict[str, JSON]]:
        """Latents, and how they came about. Out of memory: once more from the beginning, with less on the device. The
        seed decides all of it, so the second time makes what the first would have made."""
        (latents, facts), lowered = self.once_more_with_less(
            lambda: self._denoise(scene, options, run, shape, prompts, cost)
        )
        return latents, {**facts, **({"oom_retries": 1} if lowered else {})}

    def once_more_with_less(self, attempt: Callable[[], T]) -> tuple[T, bool]:
        """What `attempt` gives, and whether it ran out of memory at first: then it is made once more with less on the
        device. Raises OutOfMemory where that is not enough, or where there is nothing left to give up."""
        import torch

        from studio.pipelines.diffusion.steps import out_of_memory

        lowered = False
        while True:
            try:
                return attempt(), lowered
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                if lowered or not self.placement.lower():
                    raise OutOfMemory("engine.out_of_memory", engine=self.id) from error
                log.warning("out of memory, once more with less on the device: %s", error)
            lowered = True
            gc.collect()  # the failed step's tensors hang on its traceback
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def compiles(self, options: Any) -> bool:
        """Does a run with these options compile its networks? Raises Refused where the plan streams them."""
        compiled = bool(self.plan.compile or options.compile)
        if compiled and self.plan.transformer == "stream":
            raise Refused("engine.compile_streams", engine=self.id)
        return compiled

    def _denoise(
        self, scene: Any, options: Any, run: Run, shape: Shape, prompts: dict[str, Any], cost: Any
    ) -> tuple[Any, dict[str, JSON]]:
        import torch

        from studio.pipelines.diffusion.steps import Enough, Watch

        plan, steps = self.plan, options.num_inference_steps
        networks = {name: getattr(self.pipe, name) for name in self._networks()}
        attention = chosen_attention(plan.attention, plan.device)
        compiled = self.compiles(options)
        cache = options.cache if isinstance(options, CacheOptions) else "none"
        watch, started = Watch(run, shape.steps or steps, self._picture(), cost), time.monotonic()
        with (
            self.placement.using(*self.denoisers), watch.inside(self._blocks()),
            accelerated(networks, attention, compiled), cached(networks, cache, self.id, steps) as saved,
        ):  # fmt: skip
            arguments = {**prompts, **self.arguments(scene, options, run, shape)}
            arguments["generator"] = torch.Generator("cpu").manual_seed(run.seed)
            try:
                latents = self.denoised(arguments, watch)
            except Enough as enough:
                latents = enough.latents
        seconds = round(time.monotonic() - started, 3)
        return latents, {**watch.facts(), **saved.facts(), "denoise_seconds": seconds, "attention": attention}

    def _blocks(self) -> list[Any]:
        """The modules between which a long step can be left."""
        found = [
            attrgetter(path)(getattr(self.pipe, name)) for name in self.denoisers for path in self.blocks.get(name, ())
        ]
        return [block for blocks in found for block in blocks.children()]

    def _facts(self, shape: Shape) -> dict[str, JSON]:
        plan = self.plan
        facts: dict[str, JSON] = {
            "profile": plan.profile, "dtype": plan.dtype, "vae_tile": plan.vae_tile,
            "revision": self._file[1] if self._file else self._marks[self.denoisers[0]],
            "size": [shape.width, shape.height, shape.num_frames],
        }  # fmt: skip
        if self._file is not None:
            facts["checkpoint"] = self._file[0].name
        if self._stack.loras:
            facts["loras"] = self._stack.facts()
        return facts

    # ------------------------------------------------------------------------------------------ encoders, remembered
    def _encode(self, method: str, original: Any, *args: Any, **named: Any) -> Any:
        """`encode_prompt` and its like: from disk, or by the encoder, which is placed for it."""
        import torch

        from studio.pipelines.diffusion.embeddings import Remembered, content

        bound = inspect.signature(original).bind(*args, **named)
        bound.apply_defaults()
        asked = bound.arguments
        if method == "encode_prompt" and any(isinstance(value, torch.Tensor) for value in asked.values()):
            return original(*args, **named)  # the pipeline itself, which was given the prompts encoded
        looks = method != "encode_prompt"
        names = [part.name for part in self.parts if part.name in {*self.encoders, *SHARED} - {"vae", *HEARS}]
        names = [name for name in names if (name in LOOKS) == looks]
        key = {"asked": [[name, content(value)] for name, value in asked.items()], **self._identity(method, names)}
        answer = Remembered.here().get(key, partial(self._make, names, original, args, named))
        return _moved(answer, self.plan.device)

    def _make(self, names: Sequence[str], original: Any, args: Any, named: Any) -> Any:
        """The answer of encoders, which stay in use until the phase is over: it may ask them again."""
        with ExitStack() as alone:
            for name in names:
                if name in self.encoders and name not in self._in_use:
                    (self._encoding or alone).enter_context(self.placement.using(name))
                    if self._encoding:
                        self._in_use.add(name)
            return original(*args, **named)

    @contextmanager
    def _encoders(self) -> Iterator[None]:
        """The first phase."""
        try:
            with ExitStack() as self._encoding:
                yield
        finally:
            self._encoding = None
            self._in_use.clear()

    def _identity(self, what: str, names: Sequence[str]) -> dict[str, JSON]:
        """Of the parts that make an answer, as they lie on disk, and of the libraries that run them."""
        worn = [str(lora) for lora in self._stack.loras] if touched(self._stack) & {*names} else []
        return {
            "what": [self.pipeline, what],
            "parts": [[str(item) for item in self._key(self._part(name))] for name in names],
            "loras": worn,
            "with": [version("diffusers"), version("transformers")],
        }

    # ------------------------------------------------------------------------------------------ preview
    def _picture(self) -> Any:
        """Latents of a step to (H, W, 3) uint8."""
        from studio.pipelines.diffusion import preview
        from studio.pipelines.diffusion.embeddings import Remembered

        if self._colours is None:
            identity, remembered = self._identity("colours", ["vae"]), Remembered.here()
            with ExitStack() as stack:
                if not preview.known(identity, remembered):
                    stack.enter_context(self.placement.using("vae"))
                self._colours = preview.colours(self.pipe.vae, identity, remembered)
        return lambda latents: preview.picture(self.pictured(latents), self._colours)


def rgb_frames(frames: Any) -> "Iterator[np.ndarray]":
    """(H, W, 3) uint8 RGB each, rounded on the device, from (F, 3, H, W) in -1..1."""
    import torch

    for frame in frames:
        yield (frame.float() * 127.5 + 127.5).round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def _moved(answer: Any, device: str) -> Any:
    if isinstance(answer, (tuple, list)):
        return tuple(_moved(item, device) for item in answer)
    return None if answer is None else answer.to(device)

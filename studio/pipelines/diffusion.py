"""What every engine on a stock diffusers pipeline has in common: load the parts, place them, encode, denoise, decode.

A family (wan.py, svd.py …) says which parts there are and how the pipeline is called; see docs/engines.md. The phases
are apart, because each has the device to itself: text encoder, then transformer, then VAE.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, Field

from studio.errors import Refused
from studio.pipelines.base import Engine, Inputs, Made, Plan, Run
from studio.pipelines.footprint import Shape
from studio.pipelines.parts import Part, Shelf

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)


class DiffusersEngine(Engine):
    """Subclass it in the file of a model family."""

    pipeline: ClassVar[str]  # name of its class in diffusers
    classes: ClassVar[Mapping[str, str]]  # part -> "diffusers:WanTransformer3DModel"
    built_with: ClassVar[Mapping[str, Any]] = {}  # more arguments of the pipeline: expand_timesteps, boundary_ratio
    blocks: ClassVar[Mapping[str, Sequence[str]]] = {"transformer": ("blocks",)}  # what may be streamed, in order
    encoders: ClassVar[tuple[str, ...]] = ("text_encoder",)  # parts that the first phase needs
    denoisers: ClassVar[tuple[str, ...]] = ("transformer",)  # parts that the second phase needs
    keep_float32: ClassVar[frozenset[str]] = frozenset()  # parts that lose too much in 16 bit
    multiple: ClassVar[int] = 16  # pixels: width and height are multiples of it

    class Options(Engine.Options):
        model_config = ConfigDict(extra="forbid")
        num_inference_steps: int = Field(50, ge=1, le=200)
        guidance_scale: float = Field(5.0, ge=0, le=30)
        width: int | None = Field(None, ge=16, le=4096, description="pixels; empty: by resolution and aspect")
        height: int | None = Field(None, ge=16, le=4096)

    # ------------------------------------------------------------------------------------------ loading
    def load(self, plan: Plan) -> None:
        if getattr(self, "plan", None) == plan:
            return
        self.close()
        import torch

        self._keys: list[Any] = []
        parts = {part.name: self._part(part, getattr(torch, plan.dtype)) for part in self.parts}
        self.pipe = _on(plan.device, self.pipeline)(**parts, **self.built_with)
        self.pipe.set_progress_bar_config(disable=True)
        modules = {name: part for name, part in parts.items() if isinstance(part, torch.nn.Module)}
        from studio.pipelines.placing import Placement

        self.placement = Placement(plan, modules, self.blocks)
        self.plan = plan

    def _part(self, part: Part, dtype: Any) -> Any:
        folder = Shelf.here().find(part)
        if folder is None:
            raise Refused("model.part_missing", engine=self.id, part=part.name, repo=part.repo)
        precision = "float32" if part.name in self.keep_float32 else str(dtype)
        key = (part.repo, part.revision, part.where, precision)
        self._keys.append(key)
        return self.pool.borrow(key, lambda: _read(self.classes[part.name], folder, precision, dtype))

    def park(self) -> None:
        if getattr(self, "plan", None):
            self.placement.park()

    def close(self) -> None:
        if getattr(self, "plan", None):
            self.placement.close()
            for key in self._keys:
                self.pool.give_back(key)
            del self.pipe, self.placement, self.plan

    # ------------------------------------------------------------------------------------------ what a family says
    def arguments(self, scene: Any, options: Any, run: Run, shape: Shape) -> dict[str, Any]:
        """What the pipeline is called with, beside the encoded prompts and the generator."""
        return {
            "width": shape.width, "height": shape.height, "num_frames": shape.num_frames,
            "num_inference_steps": options.num_inference_steps, "guidance_scale": options.guidance_scale,
        }  # fmt: skip

    def encoded(self, scene: Any, options: Any, run: Run) -> dict[str, Any]:
        """Tensors by the pipeline's arguments: the prompts."""
        raise NotImplementedError

    def decoded(self, latents: Any) -> Any:
        """(F, 3, H, W) in -1..1 on the device, from what the pipeline returns as latents."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------ a run
    def shape(self, scene: Any, options: Any, inputs: Inputs) -> Shape:
        width, height = scene.size
        width = options.width or width // self.multiple * self.multiple
        height = options.height or height // self.multiple * self.multiple
        if width % self.multiple or height % self.multiple:
            raise Refused("engine.size_multiple", engine=self.id, width=width, height=height, multiple=self.multiple)
        frames = 1 if scene.kind == "image" else self.limits.frames(inputs.duration or 5.0)
        return Shape(width, height, frames)

    def run(self, scene: Any, options: Any, run: Run) -> Made:
        import torch

        shape, started = self.shape(scene, options, run.inputs), time.monotonic()
        with torch.inference_mode():
            with self.placement.using(*self.encoders):
                prompts = self.encoded(scene, options, run)
            with self.placement.using(*self.denoisers):
                latents = self.pipe(
                    **prompts, **self.arguments(scene, options, run, shape), output_type="latent", return_dict=False,
                    generator=torch.Generator("cpu").manual_seed(run.seed),
                    callback_on_step_end=self._stepped(run, options.num_inference_steps),
                )[0]  # fmt: skip
            seconds = time.monotonic() - started
            with self.placement.using("vae"):
                frames = self.decoded(latents)  # (F, 3, H, W)
        facts = {"steps": options.num_inference_steps, "denoise_seconds": round(seconds, 3)}
        if scene.kind == "image":
            return Made(run.save_image(next(_uint8(frames))), facts)
        path = run.save_video(_uint8(frames), self.limits.fps, len(frames), progress=False)
        return Made(path, facts)

    def _stepped(self, run: Run, total: int) -> Any:
        def told(pipe: Any, index: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            run.step(index + 1, total)
            return tensors

        return told


def _uint8(frames: Any) -> "Iterator[np.ndarray]":
    """(H, W, 3) uint8 RGB each, rounded on the device, from (F, 3, H, W) in -1..1."""
    import torch

    for frame in frames:
        yield (frame.float() * 127.5 + 127.5).round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def _read(where: str, folder: Path, precision: str, dtype: Any) -> Any:
    """One component from its folder, by its own `from_pretrained`."""
    import torch

    module, _, name = where.partition(":")
    cls = getattr(import_module(module), name)
    if not issubclass(cls, torch.nn.Module):
        return cls.from_pretrained(folder)
    named = {"dtype" if module == "transformers" else "torch_dtype": torch.float32 if precision == "float32" else dtype}
    return cls.from_pretrained(folder, use_safetensors=True, local_files_only=True, **named).eval()


def _on(device: str, name: str) -> type:
    """The pipeline's class, told where it works: it would guess that from where its first module lies."""
    import diffusers
    import torch

    cls = getattr(diffusers, name)
    where = property(lambda self: torch.device(device))
    return type(name, (cls,), {"_execution_device": where, "device": where, "__module__": cls.__module__})

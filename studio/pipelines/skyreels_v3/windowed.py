"""Films that are made window by window: what their engines share. Reads and places nothing, knows no model.

The first phase encodes what all windows need. Then a window at a time is denoised, decoded and handed to the Writer, so
that a film of minutes needs room for one window. What is finished lies in the job's scratch: after a crash the next
attempt goes on with the window that is next, and makes the same film to the bit.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from studio.domain import JSON
from studio.pipelines.base import Inputs, Made, Run
from studio.pipelines.diffusion.acceleration import accelerated, chosen_attention
from studio.pipelines.diffusion.engine import rgb_frames
from studio.pipelines.memory.footprint import Shape
from studio.pipelines.skyreels_v3.finished import Finished, inputs_of
from studio.pipelines.wan import Wan

if TYPE_CHECKING:
    import numpy as np
    import torch

    from studio.pipelines.diffusion.steps import Cost, Watch


class Stopped(Exception):
    """The user wants what is there; it lies in the scratch."""


@dataclass(slots=True)
class Film:
    """One run: what stays the same from window to window, and how its steps came about."""

    scene: Any
    options: Any
    run: Run
    shape: Shape
    windows: Sequence[Any]  # of the engine's own kind, in order
    num_frames: int  # that the windows make
    attention: str  # by diffusers' name of it
    given: dict[str, Any] = field(default_factory=dict)  # what the first phase made
    seconds: list[float] = field(default_factory=list)  # of each step
    done: int = 0  # steps of this run and of those before it
    stopped_at: int | None = None
    retries: int = 0
    denoise_seconds: float = 0.0

    @property
    def steps(self) -> int:
        """Of one window."""
        return int(self.options.num_inference_steps)

    def facts(self) -> dict[str, JSON]:
        facts: dict[str, JSON] = {
            "steps": self.done, "denoise_seconds": round(self.denoise_seconds, 3), "windows": len(self.windows),
            "attention": self.attention,
        }  # fmt: skip
        if self.seconds:
            facts["step_seconds"] = round(median(self.seconds), 4)
        if self.stopped_at is not None:
            facts["stopped_at"] = self.stopped_at
        return facts | ({"oom_retries": self.retries} if self.retries else {})


class Windowed(Wan):
    """Subclass it in the file of a model: say which windows there are, and what each needs, makes and leaves."""

    # ------------------------------------------------------------------------------------------ what a family says
    def windows(self, scene: Any, options: Any, inputs: Inputs) -> Sequence[Any]:
        """Every pass of the network over its steps, in order. Asked in the app too: it reads no weights."""
        raise NotImplementedError

    def begun(self, film: Film, window: Any, left: "Mapping[str, torch.Tensor]") -> dict[str, Any]:
        """What the steps of a window need beside `film.given`: conditions and noise, made while the transformer is not
        on the device. `left`: what the windows before left, on the CPU, by name."""
        raise NotImplementedError

    def stepped(self, film: Film, window: Any, begun: dict[str, Any], watch: "Watch") -> "torch.Tensor":
        """The latents of a window, while the transformer is in use. `watch.told` is to be called after each step with
        {"latents": …}; it raises Enough. Out of memory it is called once more with the same `begun`."""
        raise NotImplementedError

    def ended(
        self, film: Film, window: Any, begun: dict[str, Any], latents: "torch.Tensor", last: bool
    ) -> "tuple[torch.Tensor, dict[str, torch.Tensor]]":
        """The frames that it adds to the film, (n, 3, H, W) in -1..1, n may be 0, and what it leaves to later windows,
        by name: it stays until a window leaves something else by that name. Asked while the VAE is in use. `last`: the
        user wants no more, so that a pass which only leads others shows what it has."""
        raise NotImplementedError

    def played(self, frames: "Iterable[np.ndarray]", num_frames: int, film: Film) -> Path:
        """The file, of (H, W, 3) uint8 each."""
        return film.run.save_video(frames, self.limits.fps, num_frames, progress=False)

    def taken(self, scene: Any, options: Any, inputs: Inputs) -> int:
        """Frames of the take."""
        return self.limits.frames(inputs.seconds)

    # ------------------------------------------------------------------------------------------ a run
    def run(self, scene: Any, options: Any, run: Run) -> Made:
        import torch

        from studio.pipelines.diffusion.steps import Cost

        self._dress(options)
        cost, inputs = Cost(self.plan.device), run.inputs
        film = Film(
            scene, options, run, self.shape(scene, options, inputs), self.windows(scene, options, inputs),
            self.taken(scene, options, inputs), chosen_attention(self.plan.attention, self.plan.device),
        )  # fmt: skip
        made_by = self._facts(film.shape)
        run.describe(**made_by)
        finished = Finished(run, self._depends_on(film))
        with torch.no_grad():
            run.phase("text")
            with self._encoders():
                film.given = self.encoded(scene, options, run)
            try:
                path = self.played(self._frames(film, finished, cost), film.num_frames, film)
            except Stopped:
                run.phase("save")
                path = self.played(_all(finished), finished.num_frames, film)
        resumed: dict[str, JSON] = {"resumed_windows": finished.resumed} if finished.resumed else {}
        return Made(path, {**film.facts(), **resumed, **made_by, **cost.facts()})

    def _depends_on(self, film: Film) -> JSON:
        """All that decides how the film looks, but for the plan: another profile may finish it."""
        return {
            "engine": self.id,
            "scene": film.scene.model_dump(mode="json"),
            "options": film.options.model_dump(mode="json"),
            "seed": film.run.seed,
            "inputs": inputs_of(film.run.inputs),
            "size": [film.shape.width, film.shape.height],
            "weights": [dict(sorted(self._marks.items())), self._file[1] if self._file else ""],
            "loras": [str(lora) for lora in self._stack.loras],  # with the time of a file's last change
        }

    def _frames(self, film: Film, finished: Finished, cost: "Cost") -> "Iterator[np.ndarray]":
        """The whole film, each window as soon as it is there. Raises Stopped where the user wants no more of it."""
        for number in range(len(finished)):
            yield from finished.frames(number)
        film.done = film.steps * len(finished)
        left = finished.left()
        for number in range(len(finished), len(film.windows)):
            if film.run.enough and finished.num_frames:
                film.stopped_at = film.done
                raise Stopped
            window = film.windows[number]
            film.run.phase("steps")
            begun = self.begun(film, window, left)
            latents = self._latents(film, window, begun, cost, number * film.steps)
            last = film.stopped_at is not None
            if last and finished.num_frames and 2 * (film.done - number * film.steps) < film.steps:
                raise Stopped  # hardly begun: noise at the end of a film is worse than an earlier end
            film.run.phase("decode")
            with self.placement.using("vae"):
                pixels, new = self.ended(film, window, begun, latents, last)
                frames = _whole(pixels[: film.num_frames - finished.num_frames])
            new = {name: tensor.cpu() for name, tensor in new.items()}
            left |= new
            finished.add(frames, new, whole=not last)
            if last:
                raise Stopped
            del begun, latents, pixels
            yield from frames
            del frames
        film.run.phase("save")

    def _latents(self, film: Film, window: Any, begun: dict[str, Any], cost: "Cost", before: int) -> "torch.Tensor":
        """Of one window, `before` steps into the film. Out of memory: once more with less on the device."""
        latents, lowered = self.once_more_with_less(lambda: self._denoised(film, window, begun, cost, before))
        film.retries += lowered
        return latents

    def _denoised(self, film: Film, window: Any, begun: dict[str, Any], cost: "Cost", before: int) -> "torch.Tensor":
        from studio.pipelines.diffusion.steps import Enough, Watch

        compiled = self.compiles(film.options)
        networks = {name: getattr(self.pipe, name) for name in self._networks()}
        picture = self._picture()
        watch, started = Watch(film.run, film.steps * len(film.windows), picture, cost, before), time.monotonic()
        with (
            self.placement.using(*self.denoisers), watch.inside(self._blocks()),
            accelerated(networks, film.attention, compiled),
        ):  # fmt: skip
            try:
                latents = self.stepped(film, window, begun, watch)
            except Enough as enough:
                latents = enough.latents
        film.denoise_seconds += time.monotonic() - started
        film.seconds += watch.seconds
        film.done, film.stopped_at = before + len(watch.seconds), watch.stopped_at
        return latents


def _all(finished: Finished) -> "Iterator[np.ndarray]":
    for number in range(len(finished)):
        yield from finished.frames(number)


def _whole(pixels: "torch.Tensor") -> "np.ndarray":
    """(n, H, W, 3), rounded on the device a frame at a time, from (n, 3, H, W) in -1..1."""
    import numpy as np

    height, width = pixels.shape[2:]
    frames = np.empty((len(pixels), height, width, 3), np.uint8)
    for number, frame in enumerate(rgb_frames(pixels)):
        frames[number] = frame
    return frames

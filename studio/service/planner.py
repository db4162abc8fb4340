"""Which plan an engine gets for a scene on this machine, with what its runs have taught. Knows no face and no queue.

The arithmetic is pipelines.profiles'; this brings the numbers: the machine as it is now or as a whole, what our own
workers hold of it, what was measured and learnt, and the weights as they lie on the shelf.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import cache
from math import log2
from pathlib import Path
from typing import Any

from studio.domain import SCENE_CLASSES, SceneBase
from studio.errors import Refused
from studio.pipelines import ENGINES
from studio.pipelines.base import USUAL_SECONDS, Engine, Inputs, Machine, Plan
from studio.pipelines.memory.footprint import Footprint, Shape
from studio.pipelines.memory.profiles import CONTEXT_BYTES, GB, Fit, Learnt, every, plan_for
from studio.pipelines.parts import Shelf
from studio.runner import Runner
from studio.service.engines import bad_options
from studio.store import Store

OTHER_MODEL = 0.25  # of the published bytes: what is smaller is another network under the same name
ALIKE = 2  # steps of size from one network to another of twice the bytes: within one they stream equally fast
STEP_SECONDS = 0.5  # between the lengths that are tried as the next best


@dataclass(frozen=True, slots=True)
class Asked:
    """All that a plan depends on beside the machine."""

    engine: type[Engine]
    footprint: Footprint
    shape: Shape
    learnt: Learnt
    inputs: Inputs


@dataclass(frozen=True, slots=True)
class NextBest:
    """What would fit in place of what was asked for."""

    shape: Shape
    resolution: str
    seconds: float

    def __str__(self) -> str:
        """In no language: `848 × 480 · 3.5 s`."""
        length = f" · {self.seconds:.3g} s" if self.shape.num_frames > 1 else ""
        return f"{self.shape.width} × {self.shape.height}{length}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "width": self.shape.width, "height": self.shape.height, "num_frames": self.shape.num_frames,
            "resolution": self.resolution, "seconds": round(self.seconds, 2),
        }  # fmt: skip


class Planner:
    def __init__(self, store: Store, runner: Runner, machine: Callable[[], Machine]) -> None:
        """`machine`: this computer as it is now, with what the user allows; without what was measured."""
        self._store, self._runner, self._machine = store, runner, machine

    # ------------------------------------------------------------------------------------------ the machine
    def now(self) -> Machine:
        """What is free, with what our own workers hold: they give it up for the next run."""
        machine = self.measured(self._machine())
        held = [held for executor in self._runner.lanes.gpu if (held := executor.held())]
        ram = sum(one.ram_bytes for one in held) / GB
        device = sum(one.device_bytes + CONTEXT_BYTES for one in held if one.device_bytes) / GB
        return replace(
            machine,
            ram_free_gb=min(machine.ram_gb, (machine.ram_free_gb or 0.0) + ram),
            vram_free_gb=min(machine.vram_gb, (machine.vram_free_gb or 0.0) + device),
        )

    def whole(self) -> Machine:
        """As if nothing else ran: for what will be run some time."""
        return replace(self.measured(self._machine()), ram_free_gb=None, vram_free_gb=None)

    def measured(self, machine: Machine) -> Machine:
        values, _ = self._store.calibration.machine()
        copy, disk, tflops = (values.get(name, 0.0) for name in ("copy_gb_s", "disk_gb_s", "tflops"))
        return replace(machine, copy_gb_s=copy, disk_gb_s=disk, tflops=tflops)

    # ------------------------------------------------------------------------------------------ plans
    def asked(self, cls: type[Engine], scene: SceneBase, inputs: Inputs) -> Asked | None:
        """None: this engine needs no plan. Raises Refused where the engine refuses its options or the size."""
        if cls.footprint is None:
            return None
        if problem := bad_options(cls, scene):
            raise problem
        options = cls.Options.model_validate(scene.options.get(cls.id, {}))
        shape, footprint = cls().shape(scene, options, inputs), cls.weighs(options)
        if shape is None or footprint is None:
            return None
        return Asked(cls, on_shelf(cls, footprint), shape, self._store.calibration.learnt(cls.id), inputs)

    def plan(self, asked: Asked, machine: Machine, dial: str, *, allow_8bit: bool) -> Plan:
        """Raises Refused with the engine's id and the reason."""
        try:
            return plan_for(
                asked.footprint, asked.shape, machine, dial, allow_8bit=allow_8bit, learnt=asked.learnt
            )  # fmt: skip
        except Refused as refused:
            raise Refused(refused.code, **{"engine": asked.engine.id, "field": "profile", **refused.params}) from None

    def plan_or_next(self, asked: Asked, machine: Machine, scene: SceneBase, *, allow_8bit: bool) -> Plan:
        """By the scene's own profile. Raises Refused with the next best size, `next_best`, where there is one."""
        try:
            return self.plan(asked, machine, scene.profile, allow_8bit=allow_8bit)
        except Refused as refused:
            best = self.next_best(asked, machine, scene.profile, scene, allow_8bit=allow_8bit)
            if best is None:
                raise
            code = "memory.fits_smaller" if refused.code == "memory.nothing_fits" else refused.code
            params = {**refused.params, "field": "resolution", "next": str(best), "next_best": best.as_dict()}
            raise Refused(code, **params) from None

    def every(self, asked: Asked, machine: Machine, *, allow_8bit: bool) -> Iterator[Fit]:
        """What each profile would do."""
        return every(asked.footprint, asked.shape, machine, allow_8bit=allow_8bit, learnt=asked.learnt)

    def next_best(
        self, asked: Asked, machine: Machine, dial: str, scene: SceneBase, *, allow_8bit: bool
    ) -> NextBest | None:
        """A smaller picture, or else a shorter one. None: nothing of this engine fits."""
        for resolution, seconds, shape in _less(asked, scene):
            try:
                plan_for(asked.footprint, shape, machine, dial, allow_8bit=allow_8bit, learnt=asked.learnt)
            except Refused:
                continue
            return NextBest(shape, resolution, seconds)
        return None

    # ------------------------------------------------------------------------------------------ engines
    def fit(self, cls: type[Engine], machine: Machine | None = None) -> Fit | None:
        """How an engine gets by at the least that it can make, or why not at all; None: it needs no plan."""
        if not cls.tasks:
            return None
        task = min(cls.tasks)
        span = cls.limits.seconds.get(task, (1.0, 1.0))
        scene = sketch(task, resolution=min(cls.limits.resolutions), aspect="16:9", duration=span[0])
        asked = self.asked(cls, scene, Inputs(duration=span[0]))
        if asked is None:
            return None
        try:
            plan = self.plan(asked, machine or self.whole(), "auto", allow_8bit=True)
        except Refused as refused:
            return Fit("auto", None, refused)
        return Fit(plan.profile, plan, None)

    def rank(self, cls: type[Engine], machine: Machine) -> tuple[int, int, int]:
        """What `auto` prefers, least first: of the networks that stay on the device while they work, the first of
        ENGINES; of those that must be streamed, the smallest, and of about the same size again the first. On a CPU
        those made for one, then the smallest. Programs beside us come after all of ours."""
        place = [*ENGINES].index(cls.id)
        if cls.outside:
            return 3, 0, place
        if cls.footprint is None:
            return 1, 0, place
        size = round(ALIKE * log2(max(1, on_shelf(cls, cls.footprint).network.bytes * cls.footprint.network.count)))
        if not machine.gpu:
            return (0 if cls.footprint.cpu else 2), size, place
        fit = self.fit(cls, machine)
        stays = fit is not None and fit.plan is not None and fit.plan.transformer != "stream"
        return (0, 0, place) if stays else (2, size, place)


def sketch(task: str, **values: Any) -> SceneBase:
    """A scene as it would be asked for, without prompt and files."""
    cls = SCENE_CLASSES[task]
    usual = {name: copy(value) for name, value in _usual(task).items()}
    construct: Any = cls.model_construct  # its signature is that of one task
    scene: SceneBase = construct(**usual | {name: value for name, value in values.items() if name in usual})
    return scene


@cache
def _usual(task: str) -> Mapping[str, Any]:
    return {
        name: ([] if name == "ref_imgs" else "") if info.is_required() else info.get_default(call_default_factory=True)
        for name, info in SCENE_CLASSES[task].model_fields.items()
    }


def on_shelf(cls: type[Engine], footprint: Footprint) -> Footprint:
    """The footprint of what lies on the disk: a much smaller network under the published name weighs as much less."""
    published = sum(part.bytes for part in cls.parts)
    shelf = Shelf.here()
    folders = [shelf.find(part) for part in cls.parts] if published else []
    if not folders or None in folders:
        return footprint
    found = sum(_bytes(folder) for folder in folders if folder)
    return footprint.scaled(found / published) if found < OTHER_MODEL * published else footprint


def _bytes(folder: Path) -> int:
    with os.scandir(folder) as entries:
        return sum(entry.stat().st_size for entry in entries if entry.is_file())


def _less(asked: Asked, scene: SceneBase) -> Iterator[tuple[str, float, Shape]]:
    """Resolution, seconds and shape of what the engine would make of less: smaller pictures first, then shorter ones.
    The engine says the shapes: some choose their size by what is given, some work in windows, however short it is."""
    cls, wished = asked.engine, asked.inputs.duration
    options = cls.Options.model_validate(scene.options.get(cls.id, {}))

    def of(resolution: str, seconds: float | None) -> tuple[str, float, Shape]:
        wish = scene.model_copy(update={"resolution": resolution})
        shape = cls().shape(wish, options, replace(asked.inputs, duration=seconds))
        assert shape is not None  # it was asked before
        return resolution, cls.limits.frames(seconds or USUAL_SECONDS) / cls.limits.fps, shape

    below = [one for one in (of(name, wished) for name in cls.limits.resolutions) if one[2].pixels < asked.shape.pixels]
    below.sort(key=lambda one: -one[2].pixels)
    yield from below
    if asked.shape.num_frames == 1:
        return
    smallest = below[-1][0] if below else scene.resolution
    least = cls.limits.seconds.get(scene.task_type, (STEP_SECONDS, 0.0))[0]  # type: ignore[attr-defined]
    seconds = (wished or USUAL_SECONDS) - STEP_SECONDS
    while seconds > least:
        yield of(smallest, seconds)
        seconds -= STEP_SECONDS
    yield of(smallest, least)

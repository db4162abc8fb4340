"""What goes on now, and what this machine is. Read by the top bar, the status line, /health and the doctor."""

import platform
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from studio import __version__
from studio.domain import Job
from studio.errors import NotFound
from studio.media.files import free_bytes
from studio.pipelines import engine_class
from studio.pipelines.base import Machine
from studio.runner import Runner
from studio.runner.live import Expected
from studio.service.estimates import MEGA, Paces, Span, expected
from studio.service.people import People
from studio.service.preflight_report import SPEECH_SECONDS, pixels_of
from studio.service.rendered import rendered
from studio.service.views import View, title_of
from studio.settings import Settings
from studio.store import Store

GB = 1_000_000_000
HEADROOM_GB = {"Windows": 1.5}  # of VRAM; elsewhere 1: the desktop of Windows takes more


class System:
    def __init__(self, store: Store, runner: Runner, machine: Machine, outputs: Path, people: People) -> None:
        self._store, self._runner, self._machine, self._outputs = store, runner, machine, outputs
        self._people = people
        self._started = time.monotonic()
        runner.expected = self._expected
        self._counted: tuple[tuple[str, str], int, Span] = ("", ""), 0, Span()  # when, and what waited then

    def now(self) -> View:
        """What is being rendered, how much waits, and the versions that tell a page what to read again."""
        running = [row for row in map(self._running, list(self._runner.live)) if row]
        waiting, ahead = self._waiting()
        changes = self._store.changes
        return {
            "running": running,
            "waiting": waiting,
            "eta": round(ahead.median + sum(row["eta"] or 0.0 for row in running), 1) if running or waiting else None,
            "eta_is_guess": ahead.guess,
            "power": self._runner.power.coming(),
            "paused": self._store.queues.any_paused(),
            "library": f"{changes.boot}-{changes.library}",
            "queues": f"{changes.boot}-{changes.queues}",
            "notices": f"{changes.boot}-{changes.notices}",
            "sharing": {"on": not self._people.hosts.alone, "people": self._people.here()},
        }

    def _waiting(self) -> tuple[int, Span]:
        """How many jobs, and how long they will take. Every page asks each second: counted when a row was changed, and
        each minute, when a queue may begin."""
        mark = self._store.changes.version, self._runner.now()[:16]
        if mark != self._counted[0]:
            rows, paces = self._store.jobs.waiting(self._runner.now()), Paces(self._store.survey)
            self._counted = mark, sum(row["jobs"] for row in rows), sum((_taken(row, paces) for row in rows), Span())
        return self._counted[1:]

    def progress(self, queue_id: str) -> View:
        """By scene: how far, of what layer, seconds left."""
        found = {}
        for scene_id, live in list(self._runner.live.items()):
            if live.job.queue_id == queue_id:
                eta = live.eta(self._runner.clock())
                found[scene_id] = {
                    "done": live.done, "total": live.total, "layer": live.job.layer,
                    "eta": None if eta is None else round(eta, 1), "preview": live.preview is not None,
                    "phase": live.phase, "step_seconds": _rounded(live.step_seconds),
                    "stops_early": engine_class(live.job.engine).stops_early,
                }  # fmt: skip
        return found

    def _running(self, scene_id: str) -> View | None:
        live = self._runner.live.get(scene_id)
        if live is None:
            return None
        try:
            row = self._store.queues.scene(scene_id)
            queue = self._store.queues.get(row.queue_id)
        except NotFound:  # deleted while its worker was still being told
            return None
        eta = live.eta(self._runner.clock())
        return {
            "scene_id": scene_id,
            "queue_id": queue.id,
            "queue": queue.name,
            "title": title_of(row.scene.label, row.scene.prompt),
            "number": row.position + 1,
            "of": self._store.queues.count(queue.id),
            "done": live.done,
            "total": live.total,
            "eta": None if eta is None else round(eta, 1),
            "phase": live.phase,
            "step_seconds": _rounded(live.step_seconds),
            "stops_early": engine_class(live.job.engine).stops_early,
            "layer": live.job.layer,
            "engine": live.job.engine,
            "seconds": round(self._runner.clock() - live.started, 1),
        }

    def _expected(self, job: Job) -> Expected:
        """How long a job will take, by what this machine took for takes of its engine."""
        scene = self._store.queues.scene(job.scene_id).scene
        seconds = 1.0 if scene.kind == "image" else getattr(scene, "duration", None) or SPEECH_SECONDS
        made = rendered(engine_class(job.engine), scene, seconds)
        size = 0.0 if job.layer == "voice" else made.width * made.height * seconds
        return expected(self._store.survey.phases(job.engine), size)

    def status(self) -> View:
        """The machine, as the status line shows it; GB are 10^9 bytes, as in plans and sizes of models."""
        memory = psutil.virtual_memory()
        return {
            "version": __version__,
            "boot": self._store.changes.boot,
            "system": platform.system(),
            "cores": self._machine.cores,
            "ram_gb": round(memory.total / GB, 1),
            "ram_used_gb": round((memory.total - memory.available) / GB, 1),
            "disk_free_gb": round(free_bytes(self._outputs) / GB, 1),
            "gpu": self._machine.gpu,
            "vram_gb": round(self._machine.vram_gb, 1),
            "vram_used_gb": self._vram_used(),
            **self._held(),
            "worker": "busy" if self._runner.live else "idle",
            "power": self._runner.power.status(),
        }

    def _held(self) -> View:
        """GB of RAM and of the device that our own workers hold."""
        held = [one for one in (executor.held() for executor in self._runner.lanes.all()) if one]
        return {
            "worker_ram_gb": round(sum(one.ram_bytes for one in held) / GB, 1),
            "worker_vram_gb": round(sum(one.device_bytes for one in held) / GB, 1),
        }

    def stay_on(self) -> View:
        """Neither sleep nor shut down for what is done by now; `cancelled`: was one of them coming?"""
        return {"cancelled": self._runner.power.cancel()}

    def health(self) -> View:
        """For monitors; the shape of the peers' /health is a subset of it."""
        return {
            "status": "busy" if self._runner.live else "ready",
            "ok": True,
            "queue_depth": self._waiting()[0],
            "gpu_free_gb": self._vram_free(),
            "version": __version__,
            "uptime_s": round(time.monotonic() - self._started),
        }

    def mark(self) -> Any:
        """Changes whenever `now` would."""
        live = list(self._runner.live.items())
        coming = self._runner.power.coming()
        return (
            self._store.changes.version,
            coming,
            [(scene_id, view.done, view.total, view.phase) for scene_id, view in live],
        )

    @cached_property
    def _nvml(self) -> Any:
        return _nvml_device() if self._machine.gpu else None

    def _vram_free(self) -> float | None:
        used = self._vram_used()
        return None if used is None else round(self._machine.vram_gb - used, 1)

    def _vram_used(self) -> float | None:
        if self._nvml is None:
            return None
        import pynvml

        return float(round(pynvml.nvmlDeviceGetMemoryInfo(self._nvml).used / GB, 1))


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _taken(row: Mapping[str, Any], paces: Paces) -> Span:
    """Seconds of all jobs of one engine, task and size, as preflight reckons them."""
    seconds = row["seconds"] / row["jobs"] or SPEECH_SECONDS
    pixels = 0.0 if row["layer"] == "voice" else pixels_of(row, seconds) / MEGA
    return paces.job(row["engine"], row["lane"], row["task"], pixels).times(row["jobs"])


def this_machine(settings: Settings) -> Machine:
    """Cores, memory and GPU as they are now, by NVML and without torch, and what the user lets us have of them."""
    device = None if settings.force_cpu else _nvml_device()
    gpu, vram, free = "", 0.0, 0.0
    if device is not None:
        import pynvml

        name = pynvml.nvmlDeviceGetName(device)
        gpu = name.decode() if isinstance(name, bytes) else str(name)
        memory = pynvml.nvmlDeviceGetMemoryInfo(device)
        vram, free = memory.total / GB, memory.free / GB
    ram, system = psutil.virtual_memory(), platform.system()
    headroom = settings.vram_headroom_gb
    return Machine(
        cores=psutil.cpu_count() or 1, ram_gb=ram.total / GB, ram_free_gb=ram.available / GB, gpu=gpu, vram_gb=vram,
        vram_free_gb=free, ceiling_gb=settings.vram_ceiling_gb, system=system,
        headroom_gb=HEADROOM_GB.get(system, 1.0) if headroom is None else headroom,
    )  # fmt: skip


def _nvml_device() -> Any:
    """The first NVIDIA GPU, or None where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
        return pynvml.nvmlDeviceGetHandleByIndex(0)
    except pynvml.NVMLError:
        return None

"""The morning's work: ask for another take, for several with other seeds, and never for one that is there already."""

import random
from collections.abc import Sequence

from studio.domain import MAX_INT, Layer
from studio.errors import Refused
from studio.runner import Runner
from studio.service.runs import Runs
from studio.service.scenes import Scenes
from studio.service.views import View, named
from studio.store import Store

MOST_SEEDS = 32  # takes asked for at once
NOTE_LENGTH = 500
SEED_BITS = 31  # of a seed that we choose


class Review:
    def __init__(self, store: Store, runner: Runner, runs: Runs, scenes: Scenes) -> None:
        self._store, self._runner, self._runs, self._scenes = store, runner, runs, scenes

    def ask_again(self, scene_id: str, note: str | None) -> View:
        """Ask for a retake with a note, or withdraw that. It makes no take stale and no version old."""
        row = self._store.queues.scene(scene_id)
        note = (note or "").strip() or None
        if note and len(note) > NOTE_LENGTH:
            raise Refused("retake.too_long", most=NOTE_LENGTH)
        if note and scene_id not in self._store.takes.selected([scene_id]):
            raise Refused("retake.no_take", scene=named(row))
        self._store.review.ask_again(scene_id, note)
        return self._scenes.get(scene_id)

    def run(self, scene_id: str, *, seed: int | None = None, force: bool = False, layers: Sequence[Layer] = ()) -> View:
        """Render it (again), with `seed` instead of its own. A take that is exactly that is named by `existing`, and
        nothing is rendered, unless forced. `layers`: just these, changed or not."""
        if layers:
            self._runs.layers(scene_id, layers)
            return {**self._scenes.get(scene_id), "existing": None}
        existing = None if force else self.existing(scene_id, seed)
        if existing is None and seed is None:
            self._scenes.run(scene_id)
        elif existing is None:
            self._runs.seeds(scene_id, [_checked(seed)])
        return {**self._scenes.get(scene_id), "existing": existing}

    def seeds(self, scene_id: str, count: int = 0, seeds: Sequence[int] | None = None, *, force: bool = False) -> View:
        """Several takes of a picture that differ by their seed alone: these seeds, or `count` new ones. Those that are
        there already are named, not made."""
        row = self._store.queues.scene(scene_id)
        if row.scene.kind == "audio":
            raise Refused("seeds.no_picture", scene=named(row))
        wanted = list(dict.fromkeys(map(_checked, seeds))) if seeds else self._fresh_seeds(scene_id, count)
        if not 1 <= len(wanted) <= MOST_SEEDS:
            raise Refused("seeds.count", least=1, most=MOST_SEEDS)
        found = {} if force or not seeds else {seed: self.existing(scene_id, seed) for seed in wanted}
        existing = {str(seed): take for seed, take in found.items() if take}
        missing = [seed for seed in wanted if str(seed) not in existing]
        queued = self._runs.seeds(scene_id, missing) if missing else {"queued": 0, "jobs": 0}
        return {**queued, "seeds": missing, "existing": existing}

    def _fresh_seeds(self, scene_id: str, count: int) -> list[int]:
        """Seeds that no take of this scene has."""
        used = {take.seed for take in self._store.takes.of_scene(scene_id)}
        found: list[int] = []
        while len(found) < min(count, MOST_SEEDS + 1):
            seed = random.getrandbits(SEED_BITS)
            if seed not in used:
                used.add(seed)
                found.append(seed)
        return found

    def existing(self, scene_id: str, seed: int | None = None) -> str | None:
        """The take that rendering with this seed (the scene's own) would make once more; None: there is none."""
        row = self._store.queues.scene(scene_id)
        seed = row.scene.seed if seed is None else seed
        takes = [take for take in self._store.takes.of_scene(scene_id) if take.layer == "picture" and take.seed == seed]
        if seed is None or not takes:
            return None
        wanted = self._runs.wanted(scene_id)
        if any(job.layer == "voice" for job in wanted):  # its lines will be spoken anew: nothing like it is there yet
            return None
        queue = self._store.queues.get(row.queue_id)
        engine = next(job.engine for job in wanted if job.layer == "picture")
        same = self._runner.assigner.print_of(row, queue, engine, seed)
        return next((take.id for take in takes if take.facts.get("print") == same and take.path.is_file()), None)


def _checked(seed: int | None) -> int:
    if seed is None or not 0 <= seed <= MAX_INT:
        raise Refused("seeds.seed", most=MAX_INT)
    return seed

"""Kill rounds: a studio on one library is killed at a named point, started again, killed elsewhere, and so on.

`python tests/kill_rounds.py FOLDER` is the studio: the real store, runner, worker process and Writer, with the tiny
engine of the tests. It recovers, makes sure that there is work, drains it and ends; LANTERNA_FAULT says where it or its
worker dies. `play` is the harness around it, which then counts what was lost, doubled, broken or left over.
"""

import hashlib
import json
import os
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).resolve().parent
IN_WORKER = ("worker.", "writer.", "work.")  # points passed there; a worker's death does not end the studio
HOW = {"studio": "parent", "both": "both"}  # studio.faults: what a worker at its point kills
EPISODE = {
    "title": "Kill",
    "defaults": {"engine": "tiny"},
    "frame": {"width": 128, "height": 128, "fps": 24},
    "scenes": [
        {"task_type": "text_to_video", "prompt": "a lamp", "duration": 0.3},
        {"task_type": "text_to_video", "prompt": "she speaks", "duration": 0.3, "lines": [{"text": "Go on."}]},
        {"task_type": "single_shot_extension", "prompt": "and on", "duration": 0.3, "input_video": "{{prev}}"},
        {"task_type": "text_to_image", "prompt": "a still"},
    ],
}


# ------------------------------------------------------------------------------------------------ the studio
def run_studio(folder: Path) -> None:
    """Recover, have something to do, do it."""
    import tiny_engines

    from studio import app, pipelines
    from studio.execution.process import WorkerProcess
    from studio.execution.wire import WorkerSettings
    from studio.runner import Lanes
    from studio.settings import Settings

    pipelines.ENGINES.update(tiny_engines.ENGINES)
    settings = Settings(root=folder)
    worker = WorkerProcess(WorkerSettings(log_dir=settings.log_dir, engines=tiny_engines.ENGINES))
    app._lanes = lambda settings, in_process: Lanes(gpu=[worker], cpu=[worker], tools=[worker])
    studio = app.build_studio(settings)
    studio._runner.recover()
    if len(studio._store.jobs.waiting()) < 4:
        queue = studio.episodes.import_file(json.dumps(EPISODE))["queue"]
        studio.runs.run(queue["id"])
    studio.drain()
    studio.close()


def start(folder: Path, fault: str = "") -> int:
    """One life of the studio; its exit status."""
    path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    environment = {**os.environ, "PYTHONPATH": path, "LANTERNA_FAULT": fault}
    done = subprocess.run([sys.executable, __file__, str(folder)], env=environment, capture_output=True, text=True)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


# ------------------------------------------------------------------------------------------------ the harness
@dataclass
class Tally:
    """What the rounds did, and what they broke."""

    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)  # "worker at <point>", "studio at …", "both at …"
    jobs: int = 0
    takes: int = 0
    lost: list[str] = field(default_factory=list)  # jobs without a take, takes that were there and are gone
    doubled: list[str] = field(default_factory=list)  # jobs with two takes, media files without a row
    bad: list[str] = field(default_factory=list)  # files that are gone, broken or not what their sidecar says
    left: list[str] = field(default_factory=list)  # .part files, sidecars without a file

    @property
    def harm(self) -> dict[str, list[str]]:
        return {"lost": self.lost, "doubled": self.doubled, "bad": self.bad, "left": self.left}


def play(folder: Path, rounds: int, points: tuple[str, ...], seed: int = 1) -> Tally:
    """`rounds` studios with a death in their life, at every point in turn; one more in peace; then all is counted."""
    tally, chance = Tally(), random.Random(seed)
    known: set[str] = set()
    order = _victims(points, chance)
    crashed = False  # the job that runs first next time has died once already: three times would be its end
    while tally.rounds < rounds:
        victim, point = next(order)
        # a worker that died at its first job would do so again and again, and be right to give that job up
        nth = chance.choice((2, 3)) if victim == "worker" or (crashed and not point.startswith("recover")) else 1
        before = _worker_deaths(folder)
        how = "" if victim == "worker" or not point.startswith(IN_WORKER) else HOW[victim]
        status = start(folder, f"{point}:{nth}:{how}")
        deaths = _worker_deaths(folder) - before if victim == "worker" else int(status == -9)
        if deaths:
            tally.rounds += 1
            tally.kills[f"{victim} at {point}"] += deaths
        crashed = status == -9
        takes = {row["id"] for row in _rows(folder, "select id from takes")}
        tally.lost += sorted(known - takes)
        known = takes
    start(folder)
    _inspect(folder, tally)
    return tally


def victims(points: tuple[str, ...]) -> set[tuple[str, str]]:
    """Who can be killed where: the studio everywhere; its worker, and both at once, where the worker passes."""
    passed = [point for point in points if point.startswith(IN_WORKER)]
    return {("studio", point) for point in points} | {(who, p) for p in passed for who in ("worker", "both")}


def _victims(points: tuple[str, ...], chance: random.Random) -> Iterator[tuple[str, str]]:
    """All of them again and again; those of recovery after a studio's death, or there would be nothing to recover."""
    recovery = sorted(v for v in victims(points) if v[1].startswith("recover"))
    others = sorted(victims(points) - set(recovery))
    deaths = 0
    while True:
        for victim in chance.sample(others, len(others)):
            yield victim
            if victim[0] != "worker":
                deaths += 1
                if deaths % 2:
                    yield recovery[deaths // 2 % len(recovery)]


def _worker_deaths(folder: Path) -> int:
    logs = sorted((folder / "data" / "logs").glob("app.log*"))
    return sum(log.read_text("utf-8").count("ended: SIGKILL") for log in logs)


def _rows(folder: Path, sql: str) -> list[sqlite3.Row]:
    path = folder / "data" / "studio.db"
    if not path.exists():
        return []
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def _inspect(folder: Path, tally: Tally) -> None:
    from studio.errors import StudioError
    from studio.media.probe import probe

    outputs = folder / "outputs"
    takes = _rows(folder, "select * from takes")
    jobs = _rows(folder, "select id, state, error from jobs")
    made = Counter(take["job_id"] for take in takes)
    tally.jobs, tally.takes = len(jobs), len(takes)
    tally.lost += [f"{job['id']} {job['state']} {job['error']}" for job in jobs if made[job["id"]] == 0]
    tally.doubled += [job_id for job_id, count in made.items() if count > 1]
    files = {outputs / take["path"] for take in takes}
    for path in sorted(files):
        try:
            probe(path)
            sidecar = json.loads(path.with_name(path.name + ".json").read_text("utf-8"))
            if hashlib.sha256(path.read_bytes()).hexdigest() != sidecar["sha256"]:
                tally.bad.append(f"{path.name} is not what its sidecar says")
        except (StudioError, OSError) as error:
            tally.bad.append(f"{path.name}: {error}")
    for path in sorted(path for path in outputs.rglob("*") if path.is_file() and path not in files):
        if path.suffix == ".json" and path.with_suffix("") in files:
            continue
        (tally.doubled if path.suffix in (".mp4", ".png", ".wav") else tally.left).append(str(path))
    tally.left += [str(path) for path in folder.rglob("*.part") if str(path) not in tally.left]


if __name__ == "__main__":
    run_studio(Path(sys.argv[1]))

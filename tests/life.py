"""The whole life of a queue against a model: Hypothesis writes, reorders, runs, kills, retries, chooses and deletes.

The studio is the real one: store, runner, service, sidecars, recovery. Only the engine is paper (it writes a line of
text and calls it a video), so that a thousand lives fit into a test run. A crash is a BaseException at one of the named
points of studio.faults, after which nothing of the old studio is used again but its folder.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from studio import app, faults
from studio.domain import JSON, TaskType
from studio.errors import EngineError, StudioError
from studio.execution import Assignment, Event
from studio.execution.work import perform, use
from studio.media import probe
from studio.pipelines.base import Engine, Made, Run
from studio.pipelines.manager import PipelineManager
from studio.runner import Lanes
from studio.service import Studio
from studio.settings import Settings

CRASHES = (
    "store.claimed", "runner.lent", "worker.received", "worker.loaded", "work.sidecar", "work.renamed",
    "runner.finished", "store.take_in_transaction", "store.take_committed", "recover.adopting", "recover.swept",
)  # fmt: skip
SECONDS, FPS = 1.0, 8.0


class Crash(BaseException):
    """The studio is gone."""


class Paper(Engine):
    id = "paper"
    tasks = frozenset(get_args(TaskType))
    lane = "cpu"

    def run(self, scene: Any, options: Any, run: Run) -> Made:
        if "fail" in scene.prompt:
            raise EngineError("engine.failed", engine="paper", reason="told to")
        run.step(1, 1)
        suffix = {"audio": ".wav", "image": ".png", "video": ".mp4"}[scene.kind]
        path = run._part.with_name(f"{run._part.name}{suffix}.part")
        path.write_text(f"{scene.task_type} {scene.prompt} {run.seed} {[line.text for line in scene.lines]}")
        return Made(path)


def looked_at(path: Path) -> probe.Facts:
    """What a decoder would say of a file of paper."""
    kind = {"wav": "audio", "png": "image", "mp4": "video"}[path.name.removesuffix(".part").rpartition(".")[2]]
    blank = {name: 0 for name in probe.Facts.__dataclass_fields__}
    known = {"kind": kind, "width": 64, "height": 48, "fps": FPS, "num_frames": 8, "duration": SECONDS}
    return probe.Facts(**{**blank, **known})  # type: ignore[arg-type]


class Here:
    """An executor that works in the caller's thread, so that a crash in the worker is a crash of the caller."""

    def __init__(self) -> None:
        self._manager = PipelineManager()

    def submit(self, assignment: Assignment) -> Iterator[Event]:
        said: list[Event] = []
        last = perform(assignment, self._manager, said.append, lambda: False)
        yield from (*said, last)

    def call(self, tool: str, arguments: Mapping[str, JSON], *, job_id: str = "") -> Iterator[Event]:
        yield use(tool, arguments, lambda event: None, lambda: False)

    def cancel(self, job_id: str) -> None:
        """What runs here has ended before anybody could ask."""

    def adopt(self) -> set[str]:
        return set()

    def close(self) -> None:
        """Nothing is held."""


class Life(RuleBasedStateMachine):
    """One folder, one queue, many studios one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="life-"))
        self.order: list[str] = []  # the scenes as the producer left them
        self.gone: set[Path] = set()  # files of scenes that were deleted: they stay on disk
        self.known: dict[str, str] = {}  # every take ever seen of a scene that still is there -> its scene
        self.studio = self._open()
        self.queue: str = self.studio.queues.create("Life")["id"]

    def _open(self) -> Studio:
        here = Here()
        lanes = Lanes(gpu=[here], cpu=[here], net=[], tools=[here], exports=[here])  # type: ignore[list-item]
        original = app._lanes
        app._lanes = lambda settings, in_process: lanes
        try:
            studio = app.build_studio(Settings(root=self.folder))
        finally:
            app._lanes = original
        # a machine that stays up: what a power cut does is not asked here, and fsync is most of the time
        studio._store._connection.db.conn.execute("pragma synchronous = off")
        return studio

    def teardown(self) -> None:
        self._alive(self._finish)
        self.whole()
        self.studio.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _finish(self) -> None:
        """Let everything that waits be made: then nothing may be left waiting that could have been made."""
        self.studio.runs.resume(self.queue)
        self.studio.drain()
        waiting = [card for card in self._cards() if card["state"] in ("queued", "running")]
        stuck = {card["id"] for card in waiting if card["blocked"]}
        for _ in waiting:  # whoever reads what is stuck is stuck too
            stuck |= {card["id"] for card in waiting if stuck & set(self.studio._store.queues.needs(card["id"]))}
        assert {card["id"] for card in waiting} == stuck, waiting

    # ------------------------------------------------------------------------------------------ what the producer does
    @initialize(count=st.integers(1, 3))
    def begin(self, count: int) -> None:
        for _ in range(count):
            self._add({"task_type": "text_to_video", "prompt": "a shot"}, None)

    @rule(
        lines=st.lists(st.sampled_from(["Yes.", "No.", "Go on."]), max_size=2), fails=st.booleans(),
        at=st.integers(0, 9), seed=st.one_of(st.none(), st.integers(0, 3)),
        reads=st.one_of(st.none(), st.integers(0, 9)),
    )  # fmt: skip
    def add(self, lines: list[str], fails: bool, at: int, seed: int | None, reads: int | None) -> None:
        scene: dict[str, Any] = {
            "task_type": "text_to_video", "prompt": "fail" if fails else "a shot", "seed": seed,
            "lines": [{"text": text} for text in lines],
        }  # fmt: skip
        if reads is not None and self.order:
            scene |= {"task_type": "single_shot_extension", "input_video": f"scene:{self._pick(reads)}"}
        self._add(scene, at)

    def _add(self, scene: dict[str, Any], at: int | None) -> None:
        made = self.studio.scenes.add(self.queue, {**scene, "engine": "paper"}, at)
        self.order.insert(len(self.order) if at is None else min(at, len(self.order)), made["id"])

    @precondition(lambda self: self.order)
    @rule(
        index=st.integers(0, 9), what=st.sampled_from(["prompt", "label", "line", "trim"]), text=st.sampled_from("xyz")
    )
    def edit(self, index: int, what: str, text: str) -> None:
        scene = self.studio.scenes.get(self._pick(index))
        lines = scene["scene"]["lines"]
        changes = {
            "prompt": {"prompt": text}, "label": {"label": text}, "trim": {"trim_start": 0.1},
            "line": {"lines": [*lines[1:], {"text": text}]},
        }[what]  # fmt: skip
        self.studio.scenes.edit(scene["id"], changes, scene["version"])

    @precondition(lambda self: self.order)
    @rule(index=st.integers(0, 9), to=st.integers(0, 9))
    def move(self, index: int, to: int) -> None:
        scene_id = self._pick(index)
        self.order.remove(scene_id)
        self.order.insert(min(to, len(self.order)), scene_id)
        self.studio.queues.reorder(self.queue, self.order)

    @precondition(lambda self: self.order)
    @rule(index=st.integers(0, 9))
    def duplicate(self, index: int) -> None:
        scene_id = self._pick(index)
        made = self.studio.scenes.duplicate(scene_id)["id"]
        self.order.insert(self.order.index(scene_id) + 1, made)

    @precondition(lambda self: self.order)
    @rule(index=st.integers(0, 9))
    def delete(self, index: int) -> None:
        scene_id = self._pick(index)
        self.gone |= {self._take(take).path for take, scene in self.known.items() if scene == scene_id}
        self.studio.scenes.delete(scene_id, force=True)
        self.order.remove(scene_id)
        self.known = {take: scene for take, scene in self.known.items() if scene != scene_id}

    # ------------------------------------------------------------------------------------------ running
    @rule(verb=st.sampled_from(["run", "retry", "restart", "pause", "resume", "stop"]))
    def queue_verb(self, verb: str) -> None:
        self._unless_judged(lambda: getattr(self.studio.runs, verb)(self.queue))

    @precondition(lambda self: self.order)
    @rule(index=st.integers(0, 9))
    def run_one(self, index: int) -> None:
        self._unless_judged(lambda: self.studio.scenes.run(self._pick(index)))

    @rule()
    def run_what_can(self) -> None:
        self.studio.runs.run(self.queue, override=True)

    def _unless_judged(self, verb: Callable[[], Any]) -> None:
        """Preflight keeps back what cannot run: a scene that reads one that was deleted, say."""
        try:
            verb()
        except StudioError as error:
            assert error.code in ("preflight.errors", "scene.cannot_run"), error

    @rule(most=st.integers(1, 4))
    def work(self, most: int) -> None:
        self._alive(lambda: self.studio.drain(most))

    @rule(point=st.sampled_from(CRASHES), nth=st.integers(1, 3), run=st.booleans())
    def crash(self, point: str, nth: int, run: bool) -> None:
        """Work until the studio dies there, if it does; then another one opens the folder."""
        if run:
            self.studio.runs.run(self.queue, override=True)
        with dying_at(point, nth):
            try:
                self.studio.drain(4)
                self.studio._runner.recover()
            except Crash:
                self.studio._store.close()
                self.studio = self._open()
        self._alive(self.studio._runner.recover)

    def _alive(self, work: Callable[[], Any]) -> None:
        work()
        for card in self._cards():
            assert card["state"] != "running"

    # ------------------------------------------------------------------------------------------ choosing takes
    @precondition(lambda self: self.known)
    @rule(index=st.integers(0, 30), mark=st.sampled_from(["selected", "locked", "trash", "restore"]))
    def choose(self, index: int, mark: str) -> None:
        take_id = sorted(self.known)[index % len(self.known)]
        try:
            if mark in ("trash", "restore"):
                getattr(self.studio.takes, mark)(take_id)
            else:
                self.studio.takes.mark(take_id, {mark: True})
        except StudioError as error:
            assert error.code == "take.in_trash", error

    # ------------------------------------------------------------------------------------------ what must always hold
    @invariant()
    def whole(self) -> None:
        """Order, takes and files are what the model says: nothing lost, nothing doubled, nothing left over."""
        cards = self._cards()
        assert [card["id"] for card in cards] == self.order
        assert [card["number"] for card in cards] == list(range(1, len(cards) + 1))
        rows = self._rows()
        takes = {row["id"]: row for row in rows}
        assert self.known.items() <= {take: row["scene_id"] for take, row in takes.items()}.items(), "a take was lost"
        self.known = {take: row["scene_id"] for take, row in takes.items()}
        paths = [self._take(take).path for take in takes]
        assert len(set(paths)) == len(paths), "two takes share a file"
        media = {path for path in (self.folder / "outputs").rglob("*.*") if path.suffix in (".mp4", ".wav", ".png")}
        assert media == set(paths) | self.gone, "files and takes differ"
        self._one_selected(rows)
        for card in cards:
            if card["state"] == "done" and not card["changed"]:
                pictures = [row for row in rows if row["scene_id"] == card["id"] and row["layer"] == "picture"]
                assert card["take"] or all(row["trashed"] for row in pictures), "done, and shows none of its takes"

    def _one_selected(self, rows: list[Any]) -> None:
        groups: dict[tuple[str, ...], list[Any]] = {}
        for row in rows:
            groups.setdefault((row["scene_id"], row["layer"], row["line_id"] or ""), []).append(row)
        for group in groups.values():
            numbers = [row["number"] for row in group]
            assert len(set(numbers)) == len(numbers), "two takes have one number"
            shown = [row for row in group if not row["trashed"]]
            assert sum(row["selected"] for row in shown) == bool(shown), "not exactly one take is selected"

    # ------------------------------------------------------------------------------------------ helpers
    def _pick(self, index: int) -> str:
        return self.order[index % len(self.order)]

    def _cards(self) -> list[dict[str, Any]]:
        return sorted(self.studio.queues.get(self.queue)["scenes"], key=lambda card: card["number"])

    def _rows(self) -> list[Any]:
        return self.studio._store._connection.rows("select * from takes")

    def _take(self, take_id: str) -> Any:
        return self.studio._store.takes.get(take_id)


class dying_at:
    """Inside, the `nth` passing of a point of studio.faults is the end of the studio."""

    def __init__(self, name: str, nth: int) -> None:
        self.name, self.left = name, nth

    def __enter__(self) -> None:
        self.point = faults.point
        faults.point = self._pass

    def __exit__(self, *_: object) -> None:
        faults.point = self.point

    def _pass(self, name: str) -> None:
        if name == self.name:
            self.left -= 1
            if self.left == 0:
                raise Crash(name)

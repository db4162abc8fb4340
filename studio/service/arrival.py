"""One pass over an installation of SkyReels: every queue with its videos, every project with its files, and a report.

Nothing is rendered again and nothing over there is touched: videos get a second name here (or are copied where the disk
cannot link), everything else is copied. Keeps no thread.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

from studio.domain import Frame, Input, Music, SceneBase, State, new_id, slug
from studio.errors import Cancelled, DiskFull, StudioError
from studio.runner import Runner
from studio.service.landing import LandedTake, Landing, Stage
from studio.service.library import WEB, Library
from studio.service.views import View
from studio.store import Store
from studio.store.database import stamp
from studio.store.transfers import NewCharacter, NewQueue, NewScene, OldTake
from studio.story import skyreels_installation as skyreels
from studio.story.problem import Problem
from studio.story.skyreels_installation import OldQueue, OldVideo

LOOSE = "SkyReels results"
MAX_FILES = 200_000  # looked at below one folder
PICTURES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass
class Arrival:
    """One import, while it runs and afterwards; written by its thread alone."""

    id: str
    folder: Path
    trusted: bool
    state: State = State.QUEUED
    done: int = 0
    total: int = 0  # queues
    queues: list[View] = field(default_factory=list)
    problems: list[View] = field(default_factory=list)
    error: Mapping[str, Any] | None = None
    stop: Event = field(default_factory=Event)

    def say(self, problem: Problem, queue: str = "", scene: str = "") -> None:
        found = {"queue": queue, "scene": scene, "field": problem.field, "code": problem.code}
        self.problems.append({**found, "params": dict(problem.params)})


class Pass:
    """One pass over a folder: what is broken is said in the report and stops nothing."""

    def __init__(self, arrival: Arrival, store: Store, runner: Runner, library: Library, landing: Landing) -> None:
        self._arrival, self._folder = arrival, arrival.folder
        self._store, self._runner, self._library, self._landing = store, runner, library, landing
        self._refs: dict[Path, str] = {}  # files that are in the library by now

    def run(self) -> None:
        videos, sidecars = self._videos()
        text = self._folder / skyreels.QUEUES
        found = skyreels.read_queues(text.read_bytes() if text.is_file() else b"[]")
        for problem in found.problems:
            self._arrival.say(problem)
        self._arrival.total = len(found.queues) + 1
        self._projects()
        made_for = {path: job for path, (_, job) in sidecars.items() if job}
        used: set[str] = set()
        for queue in found.queues:
            self._go_on()
            takes = skyreels.takes_of(queue, videos, made_for)
            used |= {video.path for rows in takes.values() for video in rows}
            with self._on_its_own(queue.name):
                self._queue(queue, takes, {path: said for path, (said, _) in sidecars.items()})
        self._go_on()
        with self._on_its_own(LOOSE):
            self._loose([video for video in videos if video.path not in used], sidecars)

    @contextmanager
    def _on_its_own(self, queue: str) -> Iterator[None]:
        """One queue that cannot come in does not keep the others out; a full disk does."""
        try:
            yield
        except (Cancelled, DiskFull):
            raise
        except StudioError as error:
            self._arrival.say(Problem("", error.code, error.params), queue)
        self._arrival.done += 1

    def _go_on(self) -> None:
        if self._arrival.stop.is_set():
            raise Cancelled

    # ------------------------------------------------------------------------------------------ looking
    def _videos(self) -> tuple[list[OldVideo], dict[str, tuple[dict[str, Any], dict[str, Any]]]]:
        """The videos of result/, and by path what their two sidecars say."""
        found = []
        for path in _videos_below(self._folder / skyreels.RESULTS):
            if video := skyreels.video_of(path.relative_to(self._folder).as_posix()):
                found.append(video)
        videos = skyreels.without_silent_twins(found)
        sidecars = {}
        for video in videos:
            stem = (self._folder / video.path).with_suffix("")
            sidecars[video.path] = (
                _said(stem.with_name(stem.name + ".json")),
                _said(stem.with_name(stem.name + ".input.json")),
            )
        return videos, sidecars

    def _projects(self) -> None:
        """Each folder of projetos/: a project, its files, and one character for each portrait in figurantes/."""
        home = self._folder / skyreels.PROJECTS
        for folder in sorted(path for path in home.iterdir() if path.is_dir()) if home.is_dir() else ():
            self._go_on()
            cast = []
            for name in skyreels.PROJECT_FOLDERS:
                for path in _files_in(folder / name):
                    ref = self._kept(path)
                    if ref and name == skyreels.PORTRAITS and path.suffix.lower() in PICTURES:
                        cast.append(NewCharacter(skyreels.character_name(path.name), portrait=ref))
                    elif ref:
                        self._store.transfers.put_file(folder.name[:120], name, path.name, ref.removeprefix("asset:"))
            self._store.transfers.put_cast(folder.name[:120], cast)

    # ------------------------------------------------------------------------------------------ one queue
    def _queue(
        self, queue: OldQueue, takes: Mapping[int, Sequence[OldVideo]], said: Mapping[str, Mapping[str, Any]]
    ) -> None:
        for problem in queue.problems:
            self._arrival.say(problem, queue.name)
        if queue.episode is None:
            return
        if self._store.transfers.taken([queue.key]):
            self._report(queue.key, queue.name, here=True)
            return
        good = [entry for entry in queue.episode.entries if entry.scene is not None and not entry.problems]
        for entry in queue.episode.entries:
            for problem in entry.problems:
                self._arrival.say(problem, queue.name, _called(entry.index, entry.label))
        ids = {entry.index: new_id() for entry in good}
        drafts = []
        for entry in good:
            assert entry.scene is not None
            label = _called(entry.index, entry.label)
            scene = self._bound(entry.scene, ids, queue, label)
            odd = skyreels.odd_state(queue.jobs[entry.index], bool(takes.get(entry.index)))
            if odd:
                self._arrival.say(odd, queue.name, label)
            drafts.append(_Draft(ids[entry.index], scene, label, takes.get(entry.index, ()), said))
        music = self._music(queue)
        new = NewQueue(queue.key, queue.name, queue.project, queue.code, music=music)
        self._land(new, drafts)

    def _loose(self, videos: Sequence[OldVideo], sidecars: Mapping[str, tuple[dict[str, Any], dict[str, Any]]]) -> None:
        """Videos that no queue speaks of: a queue of their own."""
        if not videos:
            return
        key = skyreels.key_of("\n".join(sorted(video.path for video in videos)))
        if self._store.transfers.taken([key]):
            self._report(key, LOOSE, here=True)
            return
        drafts = []
        for video in sorted(videos, key=lambda one: one.at):
            said = sidecars[video.path][0]
            scene, problems = skyreels.scene_of(video, said)
            label = scene.label
            for problem in problems:
                self._arrival.say(problem, LOOSE, label)
            scene = self._bound(scene, {}, None, label)
            drafts.append(_Draft(new_id(), scene, label, (video,), {video.path: said}))
        self._land(NewQueue(key, LOOSE), drafts)

    def _land(self, new: NewQueue, drafts: "Sequence[_Draft]") -> None:
        with self._landing.stage(new.id) as stage:
            staged = self._staged(stage, drafts, new.name)
            takes, scenes = [], []
            for number, draft in enumerate(drafts, start=1):
                made = [(video, *staged[video.path]) for video in draft.videos if video.path in staged]
                looked = [row for row in made if row[3]]
                takes += [
                    _landed(draft, number, place, video, path, sha256, facts, last=place == len(looked))
                    for place, (video, path, sha256, facts) in enumerate(looked, start=1)
                ]
                scenes.append(draft.scene_row(finished=bool(looked)))
            sizes = Counter((one.take.width, one.take.height) for one in takes)
            frame = _frame(sizes.most_common(1)[0][0] if sizes else None)
            named = NewQueue(new.id, new.name, new.project, new.code, frame, new.music)
            self._landing.land(stage, named, [], scenes, takes, [])
        self._report(new.id, new.name, scenes=len(scenes), takes=len(takes))

    def _staged(self, stage: Stage, drafts: "Sequence[_Draft]", queue: str) -> dict[str, tuple[Path, str, View]]:
        """By path of a video: its second name, its hash, what is in it (empty: it cannot be read)."""
        wanted = [(draft, video) for draft in drafts for video in draft.videos]
        order = [
            {"path": str(self._folder / video.path), "out": str(stage.takes / f"{number}.mp4")}
            for number, (_, video) in enumerate(wanted)
        ]
        brought = self._runner.ask(self._runner.lanes.tools[0], "bring", {"files": order}) if order else []
        found = {}
        for (draft, video), row, told in zip(wanted, order, brought, strict=True):
            self._go_on()
            path = Path(row["out"])
            found[video.path] = path, str(told["sha256"]), self._looked(path, draft, video, queue)
        return found

    def _looked(self, path: Path, draft: "_Draft", video: OldVideo, queue: str) -> View:
        try:
            looked = self._library.look(path)
            if looked["container"] == "mp4" and looked["kind"] == "video":
                return looked
            why: View = {"code": "media.not_media", "params": {"name": video.path}}
        except StudioError as error:
            why = error.as_dict()
        problem = Problem("output_video", "installation.bad_video", {"name": video.path, "why": why})
        self._arrival.say(problem, queue, draft.label)
        return {}

    # ------------------------------------------------------------------------------------------ files
    def _bound(self, scene: SceneBase, ids: Mapping[int, str], queue: OldQueue | None, label: str) -> SceneBase:
        """References as ids and assets; a path that leads nowhere stays as it is, and is reported."""
        refs = {}
        for item in (*scene.inputs(), *scene.sounds()):
            ref = self._ref(item, ids, queue, label)
            if ref:
                refs[item.field] = ref
        return scene.with_inputs(refs) if refs else scene

    def _ref(self, item: Input, ids: Mapping[int, str], queue: OldQueue | None, label: str) -> str | None:
        if item.ref.startswith("{{new:"):
            number, _, part = item.ref[6:].partition("}}")
            if int(number) in ids:
                return f"scene:{ids[int(number)]}{part}"
            item = Input(
                item.field, item.kind, str((queue.jobs[int(number)] if queue else {}).get("output_video") or "-")
            )
        if item.ref.startswith((*WEB, "asset:", "scene:")):
            return None
        try:
            path = self._library.find(item.ref, self._folder, trusted=self._arrival.trusted)
        except StudioError:
            name = queue.name if queue else LOOSE
            self._arrival.say(Problem(item.field, "input.missing", {"name": item.ref[:200]}), name, label)
            return item.ref
        return self._kept(path, item.field, queue.name if queue else LOOSE, label) or item.ref

    def _music(self, queue: OldQueue) -> Music | None:
        music = queue.episode.head.music if queue.episode else None
        if music is None:
            return None
        ref = self._ref(Input("music", "audio", music.ref), {}, queue, "")
        return music.model_copy(update={"ref": ref}) if ref and ref.startswith("asset:") else None

    def _kept(self, path: Path, field: str = "", queue: str = "", scene: str = "") -> str | None:
        """The asset that a file became, once; None and a line in the report when it is none."""
        if path not in self._refs:
            try:
                self._refs[path] = str(self._library.add(path, path.name)["ref"])
            except StudioError as error:
                params = {"name": path.name, "why": error.as_dict()}
                self._arrival.say(Problem(field, "installation.bad_file", params), queue, scene)
                return None
        return self._refs[path]

    def _report(self, queue_id: str, name: str, *, scenes: int = 0, takes: int = 0, here: bool = False) -> None:
        self._arrival.queues.append({"id": queue_id, "name": name, "scenes": scenes, "takes": takes, "was_here": here})


# ------------------------------------------------------------------------------------------------ one scene
@dataclass(frozen=True, slots=True)
class _Draft:
    """A scene on its way in, with the videos that were made of it, oldest first."""

    id: str
    scene: SceneBase
    label: str
    videos: Sequence[OldVideo]
    said: Mapping[str, Mapping[str, Any]]  # by path, the sidecar

    def scene_row(self, *, finished: bool) -> NewScene:
        """Of a finished scene the words are in its video: they stay with the take, so that nothing is spoken again."""
        if not finished:
            lines = [line.model_copy(update={"id": new_id()}) for line in self.scene.lines]
            return NewScene(self.id, self.scene.model_copy(update={"lines": lines}))
        return NewScene(self.id, self.scene.model_copy(update={"lines": []}), State.DONE)


def _landed(
    draft: _Draft, number: int, place: int, video: OldVideo, path: Path, sha256: str, facts: View, *, last: bool
) -> LandedTake:
    said = draft.said.get(video.path, {})
    scene = draft.scene.model_dump(mode="json")
    if last:  # the newest shows the scene as it is; of older ones the sidecar knows better
        settings = {**scene, "seed": video.seed}
    else:
        settings = {**scene, "seed": video.seed, "prompt": str(said.get("prompt") or scene["prompt"])[:10_000]}
    about = slug(draft.scene.label or draft.scene.prompt)[:40].strip("-") or video.task
    measured = {name: facts[name] for name in ("width", "height", "fps", "num_frames", "duration")}
    take = OldTake(
        id=new_id(), job_id=new_id(), scene_id=draft.id, line_id=None, layer="picture", number=place, kind="video",
        engine=skyreels.ENGINE, profile="auto", seed=video.seed, bytes=path.stat().st_size,
        facts={"from": video.path, "generated_at": str(said.get("generated_at") or "")[:40]}, settings=settings,
        created=stamp(datetime.fromisoformat(video.at).astimezone()), selected=last, **measured,
    )  # fmt: skip
    return LandedTake(take, path, f"{number:02}-{about}_t{place}_{video.seed}.mp4", sha256)


def _frame(size: tuple[int, int] | None) -> Frame:
    """The size that most takes have; ours where no film can have it."""
    width, height = size or (0, 0)
    if min(width, height) < 128 or max(width, height) > 3840 or width % 2 or height % 2:
        return Frame()
    return Frame(width=width, height=height, fps=24)


def _called(index: int, label: str) -> str:
    return f"{index + 1} · {label}".rstrip(" ·")


def _said(path: Path) -> dict[str, Any]:
    try:
        return skyreels.sidecar_of(path.read_bytes())
    except OSError:
        return {}


def _files_in(folder: Path) -> list[Path]:
    """Plain files, in order; links are not followed."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if path.is_file() and not path.is_symlink() and path.name[0] != ".")


def _videos_below(folder: Path) -> list[Path]:
    """Links are not followed."""
    found = islice(folder.rglob("*.mp4"), MAX_FILES) if folder.is_dir() else ()
    return sorted(path for path in found if path.is_file() and not path.is_symlink())

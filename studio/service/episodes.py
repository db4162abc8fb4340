"""Episodes: check a file or a folder of storyboards, import it, write one. The import dialog and /api/queues/import."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from studio.domain import Frame, Music, SceneBase, lay_lines, one_line, slug
from studio.errors import NotFound, Refused, StudioError
from studio.service.beside import Listing, Named, storyboards_in, title_of
from studio.service.casting import Casting
from studio.service.engines import Engines, Picks, Readiness
from studio.service.library import WEB, Library
from studio.service.preflight import Preflight
from studio.service.preview import MISSING, called, report, spared
from studio.service.queues import Queues
from studio.service.roles import Part
from studio.service.spoken import fitted, language_of
from studio.service.views import View
from studio.store import POLICY, Queue, SceneRow, Store
from studio.story.episode import Cast, Entry, Episode, Head, dump, parse, sources
from studio.story.problem import Problem
from studio.story.translation import Beside

Relinked = Mapping[str, str]  # a name in the file -> asset:<sha256>
NONE: Relinked = {}


class Episodes:
    def __init__(
        self, store: Store, library: Library, engines: Engines, queues: Queues, preflight: Preflight,
        casting: Casting, sample: Path,
    ) -> None:  # fmt: skip
        """`sample`: the bundled episode."""
        self._store, self._library, self._engines, self._queues = store, library, engines, queues
        self._preflight, self._casting, self._sample = preflight, casting, sample

    # ------------------------------------------------------------------------------------------ looking
    def check(
        self, text: bytes | str, *, base: Path | None = None, trusted: bool = False, make_do: bool = False,
        relinked: Relinked = NONE, beside: Sequence[str] | None = None, casting: bool = True,
    ) -> View:  # fmt: skip
        """What an episode file holds, what is wrong with it (service.preview), and who is in it. Nothing is written.
        `make_do`: scenes that can do without a file that nobody has do so. `relinked`: the asset that stands for a name
        in the file. `beside`: names of the files that lie beside it, where `base` is on another machine."""
        episode = self._read(text, base, trusted, make_do, relinked, beside)
        told = self._report(episode, self._wrong_head(episode, base, trusted), base, trusted)
        told["preflight"] = self._preflight.of_episode(episode, base, trusted=trusted)
        if casting:
            told["casting"] = self._casting.of_episode(episode, base, trusted=trusted)
        return told

    def check_path(self, path: str, *, trusted: bool = False, make_do: bool = False, relinked: Relinked = NONE) -> View:
        """A storyboard on this machine, or every one below a folder: {files: [{file, path, report | error}]}."""
        files = self._files(path, trusted)

        def looked(file: Path) -> View:
            checked = self.check(
                file.read_bytes(), base=file.parent, trusted=trusted, make_do=make_do, relinked=relinked,
                casting=len(files) == 1,
            )  # fmt: skip
            return {"report": checked | {"title": checked["title"] or title_of(file)}}

        return {"files": [{"file": name, "path": str(file), **_or_error(looked, file)} for name, file in files]}

    def _files(self, path: str, trusted: bool) -> list[tuple[str, Path]]:
        """(name below the folder, file). Raises NotFound, Forbidden, Refused("episode.no_storyboards")."""
        place = self._library.find_any(path, trusted=trusted)
        if place.is_file():
            return [(place.name, place)]
        files = storyboards_in(place)
        if not files:
            raise Refused("episode.no_storyboards", folder=place.name)
        return [(file.relative_to(place).as_posix(), file) for file in files]

    def _read(
        self, text: bytes | str, base: Path | None, trusted: bool, make_do: bool, relinked: Relinked = NONE,
        names: Sequence[str] | None = None,
    ) -> Episode:  # fmt: skip
        """Parsed, its files looked at, the engines asked."""
        listing = Listing(base, lambda folder: self._library.may_read(folder, trusted=trusted, base=base))
        beside = Beside(listing.first if names is None else Named(names).first)
        episode = self._checked(_relinked(parse(text, beside), relinked), base, trusted)
        lost = spared(episode) if make_do else ()
        if not lost:
            return episode
        return self._checked(_relinked(parse(text, replace(beside, lost=lost)), relinked), base, trusted)

    def _checked(self, episode: Episode, base: Path | None, trusted: bool) -> Episode:
        """With the files looked at and the engines asked; scenes that read a bad scene are bad too."""
        self._library.look_ahead(self._named(episode.entries, base, trusted))
        ready, known = self._engines.ready(), Picks()
        entries = [self._check(entry, base, trusted, ready, known) for entry in episode.entries]
        readers: dict[int, list[tuple[int, str]]] = {}
        for entry in entries:
            for item, source in sources(entry.scene) if entry.scene else ():
                readers.setdefault(source, []).append((entry.index, item.field))
        bad = deque(entry.index for entry in entries if entry.problems)
        while bad:
            source = bad.popleft()
            for index, field in readers.get(source, ()):
                if not entries[index].problems:
                    problem = Problem(field, "reference.bad_scene", {"number": source + 1})
                    entries[index] = entries[index].with_problem(problem)
                    bad.append(index)
        return replace(episode, entries=tuple(entries))

    def _named(self, entries: Iterable[Entry], base: Path | None, trusted: bool) -> Iterator[Path]:
        """The files of this machine that scenes name, as far as they are there."""
        scenes = [entry.scene for entry in entries if entry.scene]
        for ref in sorted({item.ref for scene in scenes for item in (*scene.inputs(), *scene.sounds())}):
            if not ref.startswith(("{{", "asset:", "scene:", *WEB)):
                with suppress(StudioError):
                    yield self._library.find(ref, base, trusted=trusted)

    def _check(self, entry: Entry, base: Path | None, trusted: bool, ready: Readiness, known: Picks) -> Entry:
        if entry.scene is None:
            return entry
        for problem in self._library.check(entry.scene, base, trusted=trusted):
            entry = entry.with_problem(problem)
        try:
            self._engines.choose(entry.scene or _never(), dict(POLICY) | {"allow_paid": True}, ready, known)
        except StudioError as error:
            entry = entry.with_problem(Problem(str(error.params.get("field", "engine")), error.code, error.params))
        return entry

    def _wrong_head(self, episode: Episode, base: Path | None, trusted: bool) -> list[Problem]:
        if episode.head.music is None:
            return []
        try:
            self._library.check_sound(episode.head.music.ref, base, trusted=trusted)
        except StudioError as error:
            return [Problem("music.ref", error.code, error.params)]
        return []

    def _report(self, episode: Episode, head: list[Problem], base: Path | None, trusted: bool) -> View:
        seconds = {entry.index: self._seconds(entry.scene, base, trusted) for entry in episode.entries if entry.scene}
        cast = self._store.queues.cast(self._store.projects.default())
        return report(episode, head, seconds, {name: str(row["voice"]) for name, row in cast.items()})

    def _seconds(self, scene: SceneBase, base: Path | None, trusted: bool) -> float:
        """How long a scene will be, as far as can be known before anything is spoken."""
        if recording := getattr(scene, "input_audio", None):
            return self._library.seconds_of(recording, base, trusted=trusted)
        spoken = [fitted(line.text, language_of(line)) for line in scene.lines]
        return lay_lines(spoken, getattr(scene, "duration", None))[1]

    # ------------------------------------------------------------------------------------------ letting in
    def import_file(
        self, text: bytes | str, *, name: str = "", base: Path | None = None, only_valid: bool = False,
        trusted: bool = False, fallback_name: str = "", make_do: bool = False, relinked: Relinked = NONE,
        cast: Mapping[str, Part] | None = None, beside: Sequence[str] | None = None,
    ) -> View:  # fmt: skip
        """A new queue of an episode's scenes. Raises Refused("episode.problems") when a scene is not valid, or
        Refused("episode.head") when the music is not, and `only_valid` is false: then nothing is written. `make_do`:
        what can do without a file that nobody has does so, the film without its music too. `relinked`, `beside`: as
        in `check`. `cast`: who was confirmed, by the key of the check's `casting`."""
        episode = self._read(text, base, trusted, make_do, relinked, beside)
        head = self._wrong_head(episode, base, trusted)
        told = self._report(episode, head, base, trusted)
        bad = [entry for entry in episode.entries if entry.problems]
        good = [entry for entry in episode.entries if not entry.problems]
        if (bad and not only_valid) or not good:
            raise _problems(bad, told)
        if head and not only_valid and not (make_do and head[0].code in MISSING):
            why = {"code": head[0].code, "params": head[0].params}
            raise Refused("episode.head", field=head[0].field, why=why, report=told)
        changed, parts = self._casting.cast_episode(episode, cast or {}, base, trusted=trusted) if cast else ({}, [])
        music = None if head else self._bound_music(episode.head, base, trusted)
        scenes = self._bound_all([_as_cast(entry, changed) for entry in good], base, trusted)
        with self._store.together():  # a queue without its scenes would be no import
            queue_id = self._create(episode.head, music, name or episode.head.title or fallback_name)
            self._store.queues.add_scenes(queue_id, scenes)
        self._casting.keep(self._store.queues.get(queue_id).project_id, parts, _assets_of(good, scenes))
        return {"queue": self._queues.view(queue_id), "report": told}

    def append(self, queue_id: str, text: bytes | str) -> list[str]:
        """The scenes of a file at the end of a queue; their ids. Raises Refused("episode.problems")."""
        episode = self._read(text, None, False, False)
        bad = [entry for entry in episode.entries if entry.problems]
        if bad:
            raise _problems(bad, self._report(episode, [], None, False))
        return self._store.queues.add_scenes(queue_id, self._bound_all(list(episode.entries), None, False))

    def import_path(
        self, path: str, *, name: str = "", only_valid: bool = False, trusted: bool = False, make_do: bool = False,
        relinked: Relinked = NONE, cast: Mapping[str, Part] | None = None,
    ) -> View:  # fmt: skip
        """A queue for a storyboard on this machine, or for every one below a folder; one that cannot be taken does not
        keep the others out: {files: [{file, queue, report} | {file, error}]}."""

        def taken(file: Path) -> View:
            return self.import_file(
                file.read_bytes(), name=name, base=file.parent, only_valid=only_valid, trusted=trusted,
                make_do=make_do, relinked=relinked, cast=cast, fallback_name=title_of(file),
            )  # fmt: skip

        return {"files": [{"file": name, **_or_error(taken, file)} for name, file in self._files(path, trusted)]}

    def _bound_all(self, good: list[Entry], base: Path | None, trusted: bool) -> list[SceneBase]:
        """Their files become assets, all that lie on this machine at once; references count only these scenes."""
        renumbered = {entry.index: number for number, entry in enumerate(good)}
        self._library.adopt_all(self._named(good, base, trusted))
        return [self._bound(entry, renumbered, base, trusted) for entry in good]

    def _bound(self, entry: Entry, renumbered: Mapping[int, int], base: Path | None, trusted: bool) -> SceneBase:
        try:
            return self._library.bind(_moved(entry, renumbered), base, trusted=trusted)
        except StudioError as error:  # a URL that gave nothing, or something else
            raise Refused(
                "scene.field", scene=called(entry), field=error.params.get("field", ""), why=error.as_dict()
            ) from error

    def _bound_music(self, head: Head, base: Path | None, trusted: bool) -> Music | None:
        if head.music is None:
            return None
        with _named_head():
            ref = self._library.bind_sound(head.music.ref, base, trusted=trusted)
        return head.music.model_copy(update={"ref": ref})

    def _create(self, head: Head, music: Music | None, name: str) -> str:
        name = one_line(name) or "Episode"
        queue_id = self._store.queues.create(name, frame=head.frame or Frame(), music=music, cut=head.cut)
        project_id = self._store.queues.get(queue_id).project_id
        for character in head.cast:
            self._store.queues.add_character(project_id, character.name, character.voice, character.look)
        return queue_id

    def import_sample(self) -> View:
        """The bundled episode as a new queue."""
        imported: View = self.import_file(self._sample.read_bytes(), base=self._sample.parent, trusted=True)["queue"]
        return imported

    def export(self, queue_id: str) -> View:
        """The episode file of a queue: scenes as they are now, references by asset and by {{job:N}}."""
        episode = self.written(self._store.queues.get(queue_id), self._store.queues.scenes(queue_id))
        for scene in episode["scenes"]:
            for line in scene.get("lines", ()):
                line.pop("id", None)
        return episode

    def written(self, queue: Queue, rows: Sequence[SceneRow]) -> View:
        """These scenes as an episode file; their lines keep their ids."""
        numbers = {row.id: row.position for row in rows}
        scenes = []
        for row in rows:
            refs = {}
            for item in row.scene.inputs():
                scene_id, mark, part = item.ref.removeprefix("scene:").partition("#")
                if item.ref.startswith("scene:") and scene_id in numbers:
                    refs[item.field] = f"{{{{job:{numbers[scene_id]}}}}}{mark}{part}"
            scene = row.scene.with_inputs(refs) if refs else row.scene
            scenes.append(scene.model_dump(mode="json", exclude_defaults=True) | {"task_type": row.scene.task_type})  # type: ignore[attr-defined]
        speaking = {slug(line.character) for row in rows for line in row.scene.lines}
        known = {name: row for name, row in self._store.queues.cast(queue.project_id).items() if name in speaking}
        cast = [
            Cast(name=row["name"], voice=row["voice"], look=row["look"])
            for row in known.values()
            if row["voice"] or row["look"]
        ]
        head = Head(title=queue.name, frame=queue.frame, music=queue.music, cut=queue.cut, cast=cast)
        return dump(head, scenes)


# ------------------------------------------------------------------------------------------------ helpers of this door
@contextmanager
def _named_head() -> Iterator[None]:
    """What is wrong with the music is said of the file's head."""
    try:
        yield
    except StudioError as error:
        raise Refused("episode.head", field="music.ref", why=error.as_dict()) from error


def _problems(bad: Sequence[Entry], told: View) -> Refused:
    """Why an episode cannot be taken as it is: the first scene that is not valid, and all of them in the report."""
    first = bad[0]
    return Refused("episode.problems", count=len(bad), scene=called(first), field=first.problems[0].field, report=told)


def _or_error(verb: Callable[[Path], View], file: Path) -> View:
    """What a verb says of one file of many; what is wrong with it, as {"error"}."""
    try:
        return verb(file)
    except OSError:
        return {"error": NotFound("input.missing", name=file.name).as_dict()}
    except StudioError as error:
        return {"error": error.as_dict()}


def _relinked(episode: Episode, relinked: Relinked) -> Episode:
    """With assets where the file names something that lies elsewhere now; the file itself is not changed."""
    if not relinked:
        return episode
    entries = []
    for entry in episode.entries:
        named = (*entry.scene.inputs(), *entry.scene.sounds()) if entry.scene else ()
        refs = {item.field: relinked[item.ref] for item in named if item.ref in relinked}
        entries.append(replace(entry, scene=entry.scene.with_inputs(refs)) if refs and entry.scene else entry)
    head, music = episode.head, episode.head.music
    if music and music.ref in relinked:
        head = head.model_copy(update={"music": music.model_copy(update={"ref": relinked[music.ref]})})
    return replace(episode, entries=tuple(entries), head=head)


def _as_cast(entry: Entry, changed: Mapping[int, SceneBase]) -> Entry:
    return replace(entry, scene=changed[entry.index]) if entry.index in changed else entry


def _assets_of(entries: Iterable[Entry], bound: Iterable[SceneBase]) -> dict[str, str]:
    """By name in the file, the asset that it became."""
    pairs = ((entry.scene or _never(), scene) for entry, scene in zip(entries, bound, strict=True))
    return {
        named.ref: kept.ref
        for before, after in pairs
        for named, kept in zip(before.inputs(), after.inputs(), strict=True)
    }


def _moved(entry: Entry, renumbered: Mapping[int, int]) -> SceneBase:
    """The scene with `{{new:N}}` counting only the scenes that are imported."""
    scene = entry.scene or _never()
    refs = {}
    for item in scene.inputs():
        if item.ref.startswith("{{new:"):
            number, _, part = item.ref[6:].partition("}}")
            refs[item.field] = f"{{{{new:{renumbered[int(number)]}}}}}{part}"
    return scene.with_inputs(refs) if refs else scene


def _never() -> SceneBase:
    raise AssertionError("an entry without problems has a scene")

"""The door for files: paths, uploads and URLs become assets, known by what is in them.

Every file is looked at (in a worker) before it is let in. The command line may name any path; over HTTP a path is read
only below the studio's own folders and the media roots. A folder that somebody picks may also lie in their home, where
the studio is theirs alone; an episode there may name what lies below its own folder, and nothing else of that home.
"""

import hashlib
import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from threading import Lock
from typing import Any

from studio.domain import AVATAR_AUDIO_SECONDS, Asset, Input, Kind, SceneBase, new_id
from studio.errors import Forbidden, NotFound, Refused, StudioError
from studio.media.files import fsync_file, replace, whole_or_gone
from studio.runner import Runner
from studio.service.views import View
from studio.store import Store
from studio.story.episode import misfit
from studio.story.problem import Problem

WEB = ("http://", "https://")
MAX_LOOKED = 50_000  # files whose facts are remembered; one episode may name forty thousand
AT_ONCE = 100  # files of one question to the worker
Key = tuple[Path, int, float]  # a file until it changes: path, bytes, time
ACCEPTED_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}$")


class Library:
    def __init__(
        self, store: Store, runner: Runner, folder: Path, samples: Path, max_bytes: int,
        homes: Callable[[], Sequence[Path]] = tuple,
    ) -> None:  # fmt: skip
        """`folder`: where uploads are kept. `samples`: the bundled sample's folder, readable for everybody.
        `max_bytes`: of a file fetched from the web. `homes`: below which a folder may be picked now, nothing hidden."""
        self._store, self._runner, self._folder, self._samples = store, runner, folder, samples
        self._max_bytes, self._homes = max_bytes, homes
        self._looked: dict[Key, View] = {}  # what was seen in a file, until it changes
        self._lock = Lock()  # protects _looked; nothing else is taken inside it

    @property
    def homes(self) -> Sequence[Path]:
        return [home.resolve() for home in self._homes()]

    # ------------------------------------------------------------------------------------------ looking
    def look(self, path: Path) -> View:
        """What a file is: kind, width, height, fps, num_frames, duration. Raises MediaError, TooLarge, NotFound."""
        key = _key(path)
        if key is None:
            raise NotFound("input.missing", name=str(path.name))
        with self._lock:
            seen = self._looked.get(key)
        if seen is None:
            seen = dict(self._runner.ask(self._runner.lanes.tools[0], "probe", {"path": str(path)}))
            self._remember({key: seen})
        return seen

    def look_ahead(self, paths: Iterable[Path]) -> None:
        """Look at many files with few questions to the worker. What is wrong with one of them, `look` will say."""
        keys = {str(path): key for path in paths if (key := _key(path)) and key not in self._looked}
        for start in range(0, len(keys), AT_ONCE):
            part = list(keys)[start : start + AT_ONCE]
            try:
                seen = self._runner.ask(self._runner.lanes.tools[0], "probe_all", {"paths": part})["facts"]
            except StudioError:  # one of them brought the worker down: each by itself, so that it is named
                continue
            self._remember({keys[path]: facts for path, facts in seen.items()})

    def _remember(self, seen: Mapping[Key, View]) -> None:
        with self._lock:
            self._looked.update(seen)
            for oldest in list(self._looked)[: max(0, len(self._looked) - MAX_LOOKED)]:
                del self._looked[oldest]

    def find(self, ref: str, base: Path | None, *, trusted: bool) -> Path:
        """The file behind a path of the user. Raises NotFound; Forbidden, whether or not something is there."""
        return self._found(ref, base, trusted, Path.is_file)

    def find_any(self, ref: str, *, trusted: bool) -> Path:
        """The same of a file or a folder that somebody picked."""
        return self._found(ref, None, trusted, Path.exists, self.may_pick)

    def _found(
        self, ref: str, base: Path | None, trusted: bool, is_there: Callable[[Path], bool],
        may: Callable[..., bool] | None = None,
    ) -> Path:  # fmt: skip
        path = Path(os.path.expanduser(ref.removeprefix("file://")))
        if path.is_absolute():
            places = [path]
        else:
            homes = [base] if base else [self._store.roots[name] for name in self._store.roots.names()]
            places = [home / path for home in homes]
        outside = False
        for place in places:
            for spelled in filter(None, map(_resolved, _spellings(place))):
                if not (may or self.may_read)(spelled, trusted=trusted, base=base):
                    outside = True
                elif is_there(spelled):
                    return spelled
        if outside:
            raise Forbidden("input.outside", name=path.name)
        raise NotFound("input.missing", name=ref[:200])

    def may_read(self, place: Path, *, trusted: bool, base: Path | None = None) -> bool:
        """May whoever asks read there? `place` has its links followed. `base`: of an episode that was picked."""
        own = trusted or self._store.roots.holds(place) or place.is_relative_to(self._samples)
        return own or (base is not None and place.is_relative_to(base.resolve()))

    def may_pick(self, place: Path, *, trusted: bool, base: Path | None = None) -> bool:
        """May whoever asks choose this folder, or an episode in it?"""
        return self.may_read(place, trusted=trusted) or any(_plainly_below(place, home) for home in self.homes)

    def seconds_of(self, ref: str, base: Path | None, *, trusted: bool) -> float:
        """How long a sound or video of the user is; 0 where that cannot be known yet."""
        if ref.startswith(("{{", "scene:", *WEB)):
            return 0.0
        try:
            path = self.file(ref[6:]) if ref.startswith("asset:") else self.find(ref, base, trusted=trusted)
            return float(self.look(path)["duration"])
        except StudioError:
            return 0.0

    # ------------------------------------------------------------------------------------------ letting in
    def add(self, path: Path, name: str = "") -> View:
        """Keep a copy of an uploaded file; its asset."""
        try:
            facts = self.look(path)
        except StudioError as error:
            if "name" in error.params:  # users know a file by their own name for it
                error.params["name"] = name or path.name
            raise
        sha256 = hash_of(path)
        kept = self.kept(sha256, name or path.name)
        while True:
            self._keep(path, kept)
            with self._store.together():  # from the look to the row, nobody removes it as an unused upload
                if kept.exists():
                    return self._asset(kept, sha256, name or path.name, facts, {"from": "upload"})

    def _keep(self, path: Path, kept: Path) -> None:
        """A copy of ours, whole, where there is none."""
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            with self.incoming() as part:
                shutil.copyfile(path, part)
                fsync_file(part)
                replace(part, kept)

    def kept(self, sha256: str, name: str) -> Path:
        """Where a file with this content and name is kept, or would be."""
        suffix = ACCEPTED_SUFFIX.search(name)
        return self._folder / sha256[:2] / f"{sha256}{suffix[0].lower() if suffix else ''}"

    def adopt(self, path: Path) -> View:
        """A file of this computer becomes an asset where it is."""
        known = self._store.takes.asset_at(path)
        if known:
            return asset_view(known)
        return self._asset(path, hash_of(path), path.name, self.look(path), {"from": "path"})

    def adopt_all(self, paths: Iterable[Path]) -> None:
        """The same of many at once: read one after the other, then written down together."""
        fresh = [path for path in dict.fromkeys(paths) if not self._store.takes.asset_at(path)]
        self.look_ahead(fresh)
        assets = [_asset(path, hash_of(path), path.name, self.look(path)) for path in fresh]
        self._store.takes.add_assets(assets, {"from": "path"})

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A new file of ours to write an upload to; gone afterwards. Raises DiskFull."""
        self.incoming_folder.mkdir(parents=True, exist_ok=True)
        path = self.incoming_folder / f"{new_id()}.part"
        with whole_or_gone(path):
            yield path
        path.unlink(missing_ok=True)

    def busy(self) -> bool:
        """Does somebody bring a file?"""
        return self.incoming_folder.is_dir() and any(self.incoming_folder.iterdir())

    def tidy(self) -> None:
        """At start: remove the uploads that a crash cut off."""
        shutil.rmtree(self.incoming_folder, ignore_errors=True)

    @property
    def incoming_folder(self) -> Path:
        """Where files lie that are not let in yet; emptied at every start."""
        return self._folder / "incoming"

    def fetch(self, url: str) -> View:
        """A file of the web, fetched once, safely. Raises Forbidden for private addresses, TooLarge, EngineError."""
        from studio.media.fetch import fetch

        with self.incoming() as path:
            fetched = fetch(url, path, max_bytes=self._max_bytes)
            return self.add(path, fetched.name)

    def _asset(self, path: Path, sha256: str, name: str, facts: Mapping[str, Any], provenance: dict[str, Any]) -> View:
        asset = _asset(path, sha256, name, facts)
        self._store.takes.add_assets([asset], provenance)
        return asset_view(asset)

    def get(self, sha256: str) -> View:
        return asset_view(self._store.takes.asset(sha256))

    def file(self, sha256: str) -> Path:
        """Raises NotFound when the asset is not known or its file has gone."""
        path = self._store.takes.asset(sha256).path
        if not path.is_file():
            raise NotFound("input.gone", field="", name=path.name)
        return path

    def sounding(self, ref: str, *, trusted: bool) -> tuple[Path, str]:
        """(file, its name) of a recording, or of a video whose sound is wanted: an asset, a scene's take, a URL or a
        path. Raises what is wrong with it."""
        if ref.startswith("scene:"):
            scene_id = ref[6:].partition("#")[0]
            takes = self._store.takes.selected([scene_id]) or self._store.takes.selected([scene_id], "voice")
            if not takes:
                raise NotFound("input.no_take", scene=scene_id)
            path, name = next(iter(takes.values())).path, ""
        else:
            known = ref if ref.startswith("asset:") else str(self.fetch(ref)["ref"]) if ref.startswith(WEB) else ""
            asset = self.get(known[6:]) if known else self.adopt(self.find(ref, None, trusted=trusted))
            path, name = self.file(str(asset["sha256"])), str(asset["name"])
        kind = self.look(path)["kind"]
        if kind == "image":
            raise Refused("input.kind", field="ref", wanted="audio", got=kind)
        return path, name or path.name

    def still(self, path: Path, name: str, *, which: str = "first", box: list[float] | None = None) -> View:
        """A picture, or a part of it in shares of it, as an asset of its own: PNG, upright, with its alpha. `which`: of
        a film."""
        with self.incoming() as part:
            out = part.with_suffix(".png")
            order = {"path": str(path), "which": which, "box": box, "out": str(out)}
            try:
                self._runner.ask(self._runner.lanes.tools[0], "crop", order)
                return self.add(out, f"{Path(name).stem}.png")
            finally:
                out.unlink(missing_ok=True)

    def poster(self, sha256: str) -> Path | None:
        """A small picture of an image or video; None for sound."""
        asset = self._store.takes.asset(sha256)
        stem = self._runner.assigner.posters(f"asset-{sha256}")
        return None if asset.kind == "audio" else self._runner.small_picture(asset.path, stem, ".poster.jpg")

    def peaks(self, sha256: str) -> Path | None:
        """The waveform of a sound; None for pictures and videos."""
        asset = self._store.takes.asset(sha256)
        stem = self._runner.assigner.posters(f"asset-{sha256}")
        return self._runner.small_picture(asset.path, stem, ".peaks.json") if asset.kind == "audio" else None

    # ------------------------------------------------------------------------------------------ a scene's inputs
    def check(self, scene: SceneBase, base: Path | None, *, trusted: bool) -> list[Problem]:
        """What is wrong with the files a scene names; nothing is written."""
        problems = []
        for item in (*scene.inputs(), *scene.sounds()):
            try:
                self._check(item.ref, item.kind, item.field, scene, base, trusted)
            except StudioError as error:
                problems.append(Problem(item.field, error.code, {**error.params, "field": item.field}))
        return problems

    def _check(
        self, ref: str, kind: Kind, field: str, scene: SceneBase, base: Path | None, trusted: bool
    ) -> Path | None:
        """The file behind an input, if it is one. Raises what is wrong with it."""
        if field.startswith("effects.") and ref.startswith(("{{", "scene:")):  # a sound under a scene is a file
            raise Refused("reference.unreadable", field=field, ref=ref[:80])
        if ref.startswith(("{{", *WEB)):  # a scene of the same file; a file to be fetched
            return None
        if ref.startswith("scene:"):
            source, _, part = ref[6:].partition("#")
            row = self._store.queues.scene(source)
            if part not in ("", "first", "last"):
                raise Refused("reference.unreadable", field=field, ref=ref[:80])
            if problem := misfit(field, kind, row.scene.task_type, row.position + 1):  # type: ignore[attr-defined]
                raise Refused(problem.code, **problem.params)
            return None
        path = self.file(ref[6:]) if ref.startswith("asset:") else self.find(ref, base, trusted=trusted)
        facts = self.look(path)
        if facts["kind"] != kind and not _moves(facts, kind):
            raise Refused("input.kind", field=field, wanted=kind, got=facts["kind"])
        least, most = AVATAR_AUDIO_SECONDS
        if field == "input_audio" and not least <= facts["duration"] <= most:
            raise Refused(
                "input.audio_length", field=field, seconds=round(facts["duration"], 2), least=least, most=most
            )
        return path

    def bind(self, scene: SceneBase, base: Path | None, *, trusted: bool, before: SceneBase | None = None) -> SceneBase:
        """The scene with every path and URL turned into an asset. Raises what `check` would have found, and what is
        wrong with the file behind a URL; every error names its field. What stood in it `before` is not looked at
        again: a scene whose picture has gone may still be called otherwise."""
        refs = {}
        stood = {(item.kind, item.ref) for item in (*before.inputs(), *before.sounds())} if before else set()
        for item in (*scene.inputs(), *scene.sounds()):
            if (item.kind, item.ref) in stood:
                continue
            path = self._check(item.ref, item.kind, item.field, scene, base, trusted)
            if item.ref.startswith(WEB):
                refs[item.field] = self._fetched(item, scene)
            elif path and _moves(self.look(path), item.kind):
                refs[item.field] = self._first_frame(path, item.ref)
            elif path and not item.ref.startswith("asset:"):
                refs[item.field] = self.adopt(path)["ref"]
        return scene.with_inputs(refs) if refs else scene

    def _fetched(self, item: Input, scene: SceneBase) -> str:
        try:
            ref = str(self.fetch(item.ref)["ref"])
            path = self._check(ref, item.kind, item.field, scene, None, False)
            if path and _moves(self.look(path), item.kind):
                ref = self._first_frame(path, ref)
        except StudioError as error:
            error.params["field"] = item.field
            raise
        return ref

    def _first_frame(self, path: Path, ref: str) -> str:
        name = str(self.get(ref[6:])["name"]) if ref.startswith("asset:") else path.name
        return str(self.still(path, name)["ref"])

    def check_sound(self, ref: str, base: Path | None, *, trusted: bool) -> None:
        """Raises what is wrong with a sound that is no scene's (the music); nothing is written or fetched."""
        if ref.startswith(WEB):
            return
        path = self.file(ref[6:]) if ref.startswith("asset:") else self.find(ref, base, trusted=trusted)
        kind = self.look(path)["kind"]
        if kind != "audio":
            raise Refused("input.kind", field="music", wanted="audio", got=kind)

    def bind_sound(self, ref: str, base: Path | None, *, trusted: bool) -> str:
        """Its path, URL or asset as asset:<sha256>. Raises what `check_sound` would have found."""
        self.check_sound(ref, base, trusted=trusted)
        if ref.startswith(WEB):
            found = str(self.fetch(ref)["ref"])
            self.check_sound(found, None, trusted=False)
            return found
        return ref if ref.startswith("asset:") else str(self.adopt(self.find(ref, base, trusted=trusted))["ref"])


def asset_view(asset: Asset) -> View:
    names = ("sha256", "ref", "kind", "name", "size", "width", "height", "fps", "duration")
    return {name: getattr(asset, name) for name in names}


def _moves(facts: Mapping[str, Any], wanted: Kind) -> bool:
    """A GIF where a picture is wanted: its first frame is used."""
    return wanted == "image" and facts["container"] == "gif"


def _asset(path: Path, sha256: str, name: str, facts: Mapping[str, Any]) -> Asset:
    return Asset(
        sha256=sha256, kind=facts["kind"], path=path, name=Path(name).name[:200], size=path.stat().st_size,
        width=facts["width"], height=facts["height"], fps=facts["fps"], duration=facts["duration"],
    )  # fmt: skip


def _key(path: Path) -> Key | None:
    """None when there is no such file."""
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return None
    return (path, stat.st_size, stat.st_mtime) if S_ISREG(stat.st_mode) else None


def hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _spellings(path: Path) -> Iterator[Path]:
    """A path as it is written, and as other systems would store it: accents apart (a Mac) or in one, slashes turned."""
    yield path
    if "\\" in path.name and os.sep == "/":
        path = path.parent / path.name.replace("\\", "/")
        yield path
    if not str(path).isascii():
        yield from (Path(unicodedata.normalize(form, str(path))) for form in ("NFC", "NFD"))


def _plainly_below(place: Path, home: Path) -> bool:
    """Nothing on the way is hidden: there lie keys and settings."""
    return place.is_relative_to(home) and not any(part.startswith(".") for part in place.relative_to(home).parts)


def _resolved(path: Path) -> Path | None:
    """With links followed; None for a name that no file can have."""
    try:
        found = path.resolve()
        found.is_file()
    except (OSError, ValueError, RuntimeError):  # too long for the file system, a NUL, a circle of links
        return None
    return found

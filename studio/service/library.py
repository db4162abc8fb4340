"""The door for files: paths, uploads and URLs become assets, known by what is in them.

Every file is looked at (in a worker) before it is let in. Whoever sits at this computer may name any path; over the
network a path is read only below the studio's own folders and the media roots.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
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
ACCEPTED_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}$")


class Library:
    def __init__(self, store: Store, runner: Runner, folder: Path, samples: Path, max_bytes: int) -> None:
        """`folder`: where uploads are kept. `samples`: the bundled sample's folder, readable for everybody.
        `max_bytes`: of a file fetched from the web."""
        self._store, self._runner, self._folder, self._samples = store, runner, folder, samples
        self._max_bytes = max_bytes
        self._looked: dict[tuple[Path, int, float], View] = {}  # what was seen in a file, until it changes
        self._lock = Lock()  # protects _looked; nothing else is taken inside it

    # ------------------------------------------------------------------------------------------ looking
    def look(self, path: Path) -> View:
        """What a file is: kind, width, height, fps, num_frames, duration. Raises MediaError, TooLarge, NotFound."""
        if not path.is_file():
            raise NotFound("input.missing", name=str(path.name))
        stat = path.stat()
        key = (path, stat.st_size, stat.st_mtime)
        with self._lock:
            seen = self._looked.get(key)
        if seen is None:
            seen = dict(self._runner.ask(self._runner.lanes.tools[0], "probe", {"path": str(path)}))
            with self._lock:
                if len(self._looked) > 5000:
                    self._looked.clear()
                self._looked[key] = seen
        return seen

    def find(self, ref: str, base: Path | None, *, trusted: bool) -> Path:
        """The file behind a path of the user. Raises NotFound; Forbidden, whether or not something is there."""
        path = Path(os.path.expanduser(ref.removeprefix("file://")))
        places = [base / path] if base and not path.is_absolute() else [path] if path.is_absolute() else []
        if not path.is_absolute() and not base:
            places = [self._store.roots[name] / path for name in self._store.roots.names()]
        outside = False
        for place in filter(None, map(_resolved, places)):
            if not (trusted or self._store.roots.holds(place) or place.is_relative_to(self._samples)):
                outside = True
            elif place.is_file():
                return place
        if outside:
            raise Forbidden("input.outside", name=path.name)
        raise NotFound("input.missing", name=ref[:200])

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
        suffix = ACCEPTED_SUFFIX.search(name or path.name)
        kept = self._folder / sha256[:2] / f"{sha256}{suffix[0].lower() if suffix else ''}"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            with self.incoming() as part:
                shutil.copyfile(path, part)
                fsync_file(part)
                replace(part, kept)
        return self._asset(kept, sha256, name or path.name, facts, {"from": "upload"})

    def adopt(self, path: Path) -> View:
        """A file of this computer becomes an asset where it is."""
        known = self._store.takes.asset_at(path)
        if known:
            return asset_view(known)
        return self._asset(path, hash_of(path), path.name, self.look(path), {"from": "path"})

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A new file of ours to write an upload to; gone afterwards. Raises DiskFull."""
        self._incoming.mkdir(parents=True, exist_ok=True)
        path = self._incoming / f"{new_id()}.part"
        with whole_or_gone(path):
            yield path
        path.unlink(missing_ok=True)

    def tidy(self) -> None:
        """At start: remove the uploads that a crash cut off."""
        shutil.rmtree(self._incoming, ignore_errors=True)

    @property
    def _incoming(self) -> Path:
        return self._folder / "incoming"

    def fetch(self, url: str) -> View:
        """A file of the web, fetched once, safely. Raises Forbidden for private addresses, TooLarge, EngineError."""
        from studio.media.fetch import fetch

        with self.incoming() as path:
            fetched = fetch(url, path, max_bytes=self._max_bytes)
            return self.add(path, fetched.name)

    def _asset(self, path: Path, sha256: str, name: str, facts: Mapping[str, Any], provenance: dict[str, Any]) -> View:
        asset = Asset(
            sha256=sha256, kind=facts["kind"], path=path, name=Path(name).name[:200], size=path.stat().st_size,
            width=facts["width"], height=facts["height"], fps=facts["fps"], duration=facts["duration"],
        )  # fmt: skip
        self._store.takes.add_asset(asset, provenance)
        return asset_view(asset)

    def get(self, sha256: str) -> View:
        return asset_view(self._store.takes.asset(sha256))

    def file(self, sha256: str) -> Path:
        """Raises NotFound when the asset is not known or its file has gone."""
        path = self._store.takes.asset(sha256).path
        if not path.is_file():
            raise NotFound("input.gone", field="", name=path.name)
        return path

    def poster(self, sha256: str) -> Path | None:
        """A small picture of an image or video; None for sound."""
        asset = self._store.takes.asset(sha256)
        stem = self._runner.assigner.posters(f"asset-{sha256}")
        return None if asset.kind == "audio" else self._runner.small_picture(asset.path, stem, ".poster.jpg")

    # ------------------------------------------------------------------------------------------ a scene's inputs
    def check(self, scene: SceneBase, base: Path | None, *, trusted: bool) -> list[Problem]:
        """What is wrong with the files a scene names; nothing is written."""
        problems = []
        for item in scene.inputs():
            try:
                self._check(item.ref, item.kind, item.field, scene, base, trusted)
            except StudioError as error:
                problems.append(Problem(item.field, error.code, {**error.params, "field": item.field}))
        return problems

    def _check(self, ref: str, kind: Kind, field: str, scene: SceneBase, base: Path | None, trusted: bool) -> None:
        if ref.startswith(("{{", *WEB)):  # a scene of the same file; a file to be fetched
            return
        if ref.startswith("scene:"):
            source, _, part = ref[6:].partition("#")
            row = self._store.queues.scene(source)
            if part not in ("", "first", "last"):
                raise Refused("reference.unreadable", field=field, ref=ref[:80])
            if problem := misfit(field, kind, row.scene.task_type, row.position + 1):  # type: ignore[attr-defined]
                raise Refused(problem.code, **problem.params)
            return
        path = self.file(ref[6:]) if ref.startswith("asset:") else self.find(ref, base, trusted=trusted)
        facts = self.look(path)
        if facts["kind"] != kind:
            raise Refused("input.kind", field=field, wanted=kind, got=facts["kind"])
        least, most = AVATAR_AUDIO_SECONDS
        if field == "input_audio" and not least <= facts["duration"] <= most:
            raise Refused(
                "input.audio_length", field=field, seconds=round(facts["duration"], 2), least=least, most=most
            )

    def bind(self, scene: SceneBase, base: Path | None, *, trusted: bool) -> SceneBase:
        """The scene with every path and URL turned into an asset. Raises what `check` would have found, and what is
        wrong with the file behind a URL; every error names its field."""
        refs = {}
        for item in scene.inputs():
            self._check(item.ref, item.kind, item.field, scene, base, trusted)
            if item.ref.startswith(WEB):
                refs[item.field] = self._fetched(item, scene)
            elif not item.ref.startswith(("asset:", "scene:", "{{new:")):
                refs[item.field] = self.adopt(self.find(item.ref, base, trusted=trusted))["ref"]
        return scene.with_inputs(refs) if refs else scene

    def _fetched(self, item: Input, scene: SceneBase) -> str:
        try:
            ref = str(self.fetch(item.ref)["ref"])
            self._check(ref, item.kind, item.field, scene, None, False)
        except StudioError as error:
            error.params["field"] = item.field
            raise
        return ref

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


def hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _resolved(path: Path) -> Path | None:
    """With links followed; None for a name that no file can have."""
    try:
        found = path.resolve()
        found.is_file()
    except (OSError, ValueError, RuntimeError):  # too long for the file system, a NUL, a circle of links
        return None
    return found

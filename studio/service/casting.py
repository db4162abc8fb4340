"""Casting by picture: one character is proposed per face, and one confirmation names an episode's speakers.

"The same face" means the same picture: the same file, or a copy that was scaled, compressed again or cropped. Nobody is
recognised in two different photographs.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from studio.domain import SceneBase, slug
from studio.errors import Refused, StudioError
from studio.runner import Runner
from studio.service.editing import Editing
from studio.service.library import WEB, Library
from studio.service.roles import MAX_NAME, Cue, Part, Picture, Role, pictures_in, roles_of, spoken
from studio.service.views import View
from studio.store import SceneRow, Store
from studio.story.episode import Episode, sources

log = logging.getLogger(__name__)

MOST_PICTURES = 300  # compared in one episode; what goes beyond is grouped by its name alone
KEPT = 8  # answers about pictures that are remembered
Stamp = tuple[str, int, float]  # a file until it changes: path, bytes, time


class Casting:
    def __init__(self, store: Store, runner: Runner, library: Library, editing: Editing) -> None:
        self._store, self._runner, self._library, self._editing = store, runner, library, editing
        self._seen: dict[tuple[Stamp, ...], dict[str, Any]] = {}
        self._lock = Lock()  # protects _seen

    # ------------------------------------------------------------------------------------------ a file
    def of_episode(self, episode: Episode, base: Path | None, *, trusted: bool) -> Sequence[View]:
        """[{key, name, voice, known, scenes, lines, portrait, thumb, files, pictures}]: one row for each person."""
        cues = cues_of(episode)
        pictures = self._pictures(cues, base, trusted)
        project_id = self._store.projects.default()
        return _views(roles_of(cues, pictures, self._known(project_id, episode)), pictures)

    def cast_episode(
        self, episode: Episode, cast: Mapping[str, Part], base: Path | None, *, trusted: bool
    ) -> tuple[dict[int, SceneBase], list[tuple[Role, Part]]]:
        """By index the scenes whose lines got another name, and who was cast. Raises Refused("casting.unknown")."""
        cues = cues_of(episode)
        project_id = self._store.projects.default()
        known = self._known(project_id, episode)
        parts = _parts(roles_of(cues, self._pictures(cues, base, trusted), known), cast)
        scenes = {cue.key: cue.scene for cue in cues}
        said = spoken(cues, parts)
        return {int(key): scenes[key].model_copy(update={"lines": lines}) for key, lines in said.items()}, parts

    # ------------------------------------------------------------------------------------------ a stored queue
    def of_queue(self, queue_id: str) -> View:
        """{roles}: the same of a queue."""
        queue = self._store.queues.get(queue_id)
        cues = _stored(self._store.queues.scenes(queue_id))
        pictures = self._pictures(cues, None, False)
        return {"roles": _views(roles_of(cues, pictures, self._known(queue.project_id)), pictures)}

    def cast_queue(self, queue_id: str, cast: Mapping[str, Part]) -> View:
        """Names its lines and keeps the characters: {changed, refused, characters}. One edit that can be undone."""
        queue = self._store.queues.get(queue_id)
        cues = _stored(self._store.queues.scenes(queue_id))
        roles = roles_of(cues, self._pictures(cues, None, False), self._known(queue.project_id))
        parts = _parts(roles, cast)
        wanted = spoken(cues, parts)
        told: View = {"changed": [], "refused": []}
        if wanted:
            told = self._editing.edit_each(
                queue_id, list(wanted), lambda row: {"lines": [line.model_dump() for line in wanted[row.id]]},
                verb="cast",
            )  # fmt: skip
        refs = {ref: ref for role, _ in parts for ref in role.portraits}
        self.keep(queue.project_id, parts, refs)
        return {**told, "characters": len(parts)}

    def keep(self, project_id: str, parts: Sequence[tuple[Role, Part]], refs: Mapping[str, str]) -> None:
        """Store the characters; `refs`: the asset that a portrait became. One who has a portrait keeps it."""
        for role, part in parts:
            assets = [refs[ref] for ref in role.portraits if refs.get(ref, "").startswith("asset:")]
            self._store.queues.add_character(project_id, part.name, part.voice, portrait=next(iter(assets), ""))

    def _known(self, project_id: str, episode: Episode | None = None) -> dict[str, tuple[str, str]]:
        """By slug (name, voice)."""
        known = {key: (str(row["name"]), str(row["voice"])) for key, row in self._store.queues.cast(project_id).items()}
        for row in episode.head.cast if episode else ():
            known[slug(row.name)] = (row.name, row.voice or known.get(slug(row.name), ("", ""))[1])
        return known

    # ------------------------------------------------------------------------------------------ pictures
    def _pictures(self, cues: Sequence[Cue], base: Path | None, trusted: bool) -> dict[str, Picture]:
        """By ref, what was seen in the file; none of what is not here."""
        own, others = pictures_in(cues)
        paths = dict(self._paths([*own, *others][:MOST_PICTURES], base, trusted))
        seen = self._looked(list(dict.fromkeys(paths.values())), {paths[ref] for ref in others if ref in paths})
        return {
            ref: Picture(seen[path]["group"], self._name(ref, path), seen[path]["face"], seen[path]["thumb"])
            for ref, path in paths.items()
            if path in seen
        }

    def _name(self, ref: str, path: str) -> str:
        """As its owner called it: files of ours are called by their hash."""
        return str(self._library.get(ref[6:])["name"]) if ref.startswith("asset:") else Path(path).name

    def _paths(self, refs: Sequence[str], base: Path | None, trusted: bool) -> Iterator[tuple[str, str]]:
        for ref in refs:
            if not ref.startswith(WEB):
                with suppress(StudioError):
                    is_asset = ref.startswith("asset:")
                    path = self._library.file(ref[6:]) if is_asset else self._library.find(ref, base, trusted=trusted)
                    yield ref, str(path)

    def _looked(self, paths: list[str], faces: set[str]) -> dict[str, Any]:
        """By path, as the tool `portraits` sees them; asked again only where a file has changed."""
        if not paths:
            return {}
        stats = [Path(path).stat() for path in paths]
        key = tuple((path, stat.st_size, stat.st_mtime) for path, stat in zip(paths, stats, strict=True))
        with self._lock:
            seen = self._seen.get(key)
        if seen is None:
            order = {"paths": paths, "faces": sorted(faces)}
            try:
                seen = dict(self._runner.ask(self._runner.lanes.tools[0], "portraits", order)["pictures"])
            except StudioError as error:  # a picture that brings the worker down: it is named where it is imported
                log.warning("portraits: %s", error.code)
                return {}
            with self._lock:
                self._seen = dict([*self._seen.items(), (key, seen)][-KEPT:])
        return seen


# ------------------------------------------------------------------------------------------------ two worlds
def cues_of(episode: Episode) -> list[Cue]:
    return [
        Cue(
            str(entry.index), entry.index + 1, entry.scene,
            {item.field: str(source) for item, source in sources(entry.scene)},
        )
        for entry in episode.entries
        if entry.scene is not None
    ]  # fmt: skip


def _stored(rows: Sequence[SceneRow]) -> list[Cue]:
    return [
        Cue(
            row.id, row.position + 1, row.scene,
            {
                item.field: item.ref[6:].partition("#")[0]
                for item in row.scene.inputs()
                if item.ref.startswith("scene:")
            },
        )
        for row in rows
    ]  # fmt: skip


def _views(roles: Sequence[Role], pictures: Mapping[str, Picture]) -> list[View]:
    return [role.view(f"c{number}", pictures) for number, role in enumerate(roles, start=1)]


def _parts(roles: Sequence[Role], cast: Mapping[str, Part]) -> list[tuple[Role, Part]]:
    keys = {f"c{number}": role for number, role in enumerate(roles, start=1)}
    if unknown := sorted(set(cast) - set(keys)):
        raise Refused("casting.unknown", role=unknown[0][:20], count=len(roles))
    found = []
    for key, part in cast.items():
        name = " ".join(part.name.split())[:MAX_NAME]
        if not slug(name):
            raise Refused("casting.no_name", role=key)
        found.append((keys[key], Part(name, part.voice.strip()[:MAX_NAME])))
    return found

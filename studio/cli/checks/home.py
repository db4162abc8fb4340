"""The doctor in the studio's own folders: room, rights, database, models. Changes nothing, opens nothing to write."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from studio.cli.checks import Found, State
from studio.settings import Settings

if TYPE_CHECKING:
    from studio.pipelines.parts import Shelf

COMFORTABLE_GB, LEAST_GB = 20, 3  # of free disk
MOST_NAMED = 4  # of half models in one line
GB, MB = 1e9, 1e6


def disk(settings: Settings) -> Iterator[Found]:
    for what, folder in (("disk_outputs", settings.output_dir), ("disk_data", settings.data_dir)):
        free = shutil.disk_usage(_existing(folder)).free / GB
        state: State = "bad" if free < LEAST_GB else "warn" if free < COMFORTABLE_GB else "ok"
        yield Found(state, what, f"{free:.0f} GB · {folder}", "" if state == "ok" else "disk.cure")


def folders(settings: Settings) -> Iterator[Found]:
    for what, folder in (("write_outputs", settings.output_dir), ("write_data", settings.data_dir)):
        try:
            with tempfile.TemporaryFile(dir=_existing(folder)):
                pass
            yield Found("ok", what, str(folder))
        except OSError as error:
            yield Found("bad", what, f"{folder}: {error.strerror}", "write.cure")
    for root in settings.media_roots:
        if not root.is_dir():
            yield Found("warn", "media_root", str(root), "media_root.cure")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    while not os.path.isdir(folder):
        folder = folder.parent
    return folder


# ------------------------------------------------------------------------------------------------ database
def database(settings: Settings) -> Iterator[Found]:
    """Is it whole, and does this version of the studio understand it?"""
    path = settings.database
    if not path.is_file():
        yield Found("ok", "database", f"- · {path}")
        return
    copies = backups(settings)
    cure = "database.restore" if copies else "database.lost"
    told = (("path", str(path)), ("backup", str(copies[-1]) if copies else ""))
    try:
        wrong, applied = examined(path)
    except sqlite3.Error as error:
        yield Found("bad", "database", f"{path}: {error}", cure, told)
        return
    if wrong != "ok":
        yield Found("bad", "database", f"{path}: {wrong[:200]}", cure, told)
        return
    yield _understood(path, applied)
    yield Found("ok", "backups", f"{len(copies)} · {copies[-1].name}" if copies else "0")


def examined(path: Path) -> tuple[str, list[str]]:
    """("ok" or what SQLite finds wrong, names of the migrations that were applied)."""
    with closing(only_read(path)) as db:
        wrong = str(db.execute("pragma quick_check(1)").fetchone()[0])
        table = db.execute("select 1 from sqlite_master where name = '_sqlite_migrations'").fetchone()
        applied = db.execute("select name from _sqlite_migrations where migration_set = 'studio'") if table else ()
        return wrong, [str(name) for (name,) in applied]


def only_read(path: Path) -> sqlite3.Connection:
    """Raises sqlite3.Error."""
    # a database that was closed well has no log, and is read as it lies: else SQLite would make one to look for it
    how = "mode=ro" if any(_beside(path, end).exists() for end in ("-wal", "-journal")) else "immutable=1"
    return sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, timeout=5)


def has_owner(path: Path) -> bool:
    """Has an owner in this database a password to sign in with?"""
    try:
        with closing(only_read(path)) as db:
            wanted = "select 1 from people where role = 'owner' and password <> ''"
            return db.execute(wanted).fetchone() is not None
    except sqlite3.Error:  # no database yet, one from before there were people, or what the check of it tells
        return False


def _understood(path: Path, applied: list[str]) -> Found:
    from studio.store.migrations import migrations

    known = [migration.name for migration in migrations._migrations]
    log = _beside(path, "-wal")
    value = f"{path.stat().st_size / MB:.1f} MB · WAL {log.stat().st_size / MB if log.is_file() else 0:.1f} MB"
    if newer := sorted(set(applied) - set(known)):
        return Found("bad", "database", f"{value} · {', '.join(newer)}", "database.newer")
    if older := [name for name in known if name not in applied]:
        return Found("ok", "database", f"{value} · + {', '.join(older)}", "database.older")
    return Found("ok", "database", f"{value} · {applied[-1] if applied else '-'}")


def _beside(database: Path, ending: str) -> Path:
    """Its log, where what was written and is not in the file yet lies; or another of its files."""
    return database.with_name(database.name + ending)


def backups(settings: Settings) -> list[Path]:
    """Copies of the database, the newest last."""
    return sorted((settings.database.parent / "backups").glob(f"{settings.database.stem}-*.db"))


# ------------------------------------------------------------------------------------------------ models
def models(settings: Settings) -> Iterator[Found]:
    """What is here, and what is only half here: begun downloads, shards that an index names and nobody has. Sizes and
    headers are read, nothing is hashed."""
    from studio.pipelines import shelving
    from studio.pipelines.parts import Shelf, one_look

    home = settings.inside(settings.transformers_cache) if settings.transformers_cache else settings.hf_home / "hub"
    shelf = Shelf(settings.models_dir, home)
    ready: list[str] = []
    half: dict[str, str] = {}  # the folder of a part -> the first model that wants it
    with one_look():
        for cls in shelving.engines_with_parts():
            states = {part: shelf.state(part) for part in cls.parts}
            if all(state == "here" for state, _, _ in states.values()):
                ready.append(cls.id)
            for part, (state, _, _) in states.items():
                if state == "partial":  # one that three models share is named once
                    half.setdefault(f"{part.repo}/{part.where}".rstrip("/"), cls.id)
    yield Found(
        "ok", "models", " · ".join([str(len(ready)), *ready[:MOST_NAMED]]) + ("…" if ready[MOST_NAMED:] else "")
    )
    if half:
        named = [f"{where} ({model})" for where, model in half.items()]
        more = f" + {len(named) - MOST_NAMED}" if named[MOST_NAMED:] else ""
        cure = (("model", next(iter(half.values()))),)
        yield Found("warn", "models_half", ", ".join(named[:MOST_NAMED]) + more, "models_half.cure", cure)
    yield from _single_files(shelf)


def _single_files(shelf: "Shelf") -> Iterator[Found]:
    from studio.pipelines.parts import sound

    files = [path for kind in ("checkpoints", "loras") for _, path in shelf.loose(kind)]
    broken = [path.name for path in files if path.suffix == ".safetensors" and not sound(path)]
    if files:
        yield Found("ok", "model_files", str(len(files)))
    if broken:
        yield Found("warn", "model_files_half", ", ".join(broken[:MOST_NAMED]), "model_files_half.cure")

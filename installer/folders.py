"""Where the user's own things lie, as the studio's settings say, read without the studio: it may be broken just now.

The order is that of studio/settings.py: environment > .env > data/settings.toml > default; a test compares the two.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from installer import Place

NAMES = {  # field -> names that a user may give it
    "data_dir": ("LANTERNA_DATA_DIR", "data_dir"),
    "output_dir": ("LANTERNA_OUTPUT_DIR", "output_dir"),
    "media_roots": ("LANTERNA_MEDIA_ROOTS", "media_roots"),
    "hf_home": ("LANTERNA_HF_HOME", "HF_HOME", "hf_home"),
}


@dataclass(frozen=True)
class Folders:
    data: Path
    outputs: Path
    models: Path  # the hub's cache; data/models unless the user says otherwise
    media: tuple[Path, ...]  # folders of the user that scenes read from

    @property
    def database(self) -> Path:
        return self.data / "studio.db"


def folders(place: Place, environ: Mapping[str, str]) -> Folders:
    """As the studio would find them if it were started now, without flags."""
    env, dotenv = _named(environ), _named(_dotenv(place.user / ".env"))
    data = str(env.get("data_dir") or dotenv.get("data_dir") or "data")
    toml = _named(_toml(_inside(place, data) / "settings.toml"))
    found = {**toml, **dotenv, **env}
    here = _inside(place, str(found.get("data_dir", "data")))
    return Folders(
        data=here,
        outputs=_inside(place, str(found.get("output_dir", "outputs"))),
        models=_inside(place, str(found["hf_home"])) if found.get("hf_home") else here / "models",
        media=tuple(_inside(place, path) for path in _list(found.get("media_roots", ""))),
    )


def _named(given: Mapping[str, object]) -> dict[str, object]:
    """By field; what is empty was not given."""
    found = ((field, next((given[name] for name in names if given.get(name)), None)) for field, names in NAMES.items())
    return {field: value for field, value in found if value is not None}


def _dotenv(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    found = {}
    for line in lines:
        name, equals, value = line.strip().partition("=")
        name, value = name.strip(), value.strip()
        if name.startswith("export "):
            name = name[7:].strip()
        quote = value[:1]
        value = value[1:].partition(quote)[0] if quote and quote in "'\"" else value.partition(" #")[0].strip()
        if equals and name and not name.startswith("#"):
            found[name] = value
    return found


def _toml(file: Path) -> dict[str, object]:
    import tomllib  # Python 3.11; an older one was refused before

    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # the studio and the doctor tell what is wrong with it
        return {}


def _list(value: object) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list) else [
        part.strip() for part in str(value).split(",") if part.strip()
    ]  # fmt: skip


def _inside(place: Place, path: str) -> Path:
    return (place.user / os.path.expanduser(path)).resolve()

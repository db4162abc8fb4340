"""Settings on screen: what each is, where it comes from, and writing data/settings.toml. Keys go in and never come out.

What a flag, the environment or .env sets is shown and not changed here: it would win over the file. What can take
effect at once does; the rest is saved and says that it waits for the next start.
"""

import logging
import os
import types
import unicodedata
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr

from studio import logs
from studio.errors import Forbidden, Refused, Unavailable
from studio.media.files import fsync_file, replace, whole_or_gone
from studio.service.people import People
from studio.service.views import View
from studio.settings import ADDRESSES, OWN_PYTHONS, SPEAKING_KEYS, Settings, field_named, without_password

log = logging.getLogger(__name__)

HEADER = "Written by the Settings tab and by you: docs/settings.md says what each one means."
STRONGER = ("flag", "environment", ".env")  # than the file
HIDDEN = ("root",)
MOST = 10_000  # characters of a value
READ_WHEN_USED = (  # from the settings, by whoever needs it
    "hf_token", "hf_endpoint", "offline", "proxy", "webhook_secret", "vram_ceiling_gb", "vram_headroom_gb",
    "share_server", "share_server_certificate", *ADDRESSES, *SPEAKING_KEYS,
)  # fmt: skip

Apply = Callable[[Settings], None]


class Preferences:
    """`_lock`: one writer of the file at a time."""

    def __init__(self, settings: Settings, people: People, apply: Mapping[str, Apply]) -> None:
        """`apply`: what brings a new value of a setting to those who were given the old one."""
        self._settings, self._people, self._apply = settings, people, apply
        self._lock = Lock()

    def list(self) -> View:
        """{settings: [{name, value, origin, kind, choices, description, restart, pending}]}. `value` of a secret is
        "set" or "". `pending`: saved, and waiting for the next start."""
        saved = self._read()
        return {"settings": [self._view(name, saved) for name in Settings.model_fields if name not in HIDDEN]}

    def _view(self, name: str, saved: Settings) -> View:
        info, kind = Settings.model_fields[name], kind_of(name)
        now, value = getattr(self._settings, name), getattr(saved, name)
        return {
            "name": name, "value": _shown(value), "origin": saved.origin(name), "kind": kind,
            "choices": list(_choices(name)) or None, "description": info.description or "",
            "restart": not self._at_once(name), "pending": now != value and not self._at_once(name),
        }  # fmt: skip

    def _at_once(self, name: str) -> bool:
        return name in self._apply or name in READ_WHEN_USED

    def change(self, values: Mapping[str, Any], *, trusted: bool = False) -> View:
        """Save values by name; None takes a value out of the file. All of them or none. The door lets in nobody but the
        owner. Raises Forbidden for what only somebody at this computer may choose, Refused naming the setting."""
        if not (trusted or self._people.at_home):  # a stolen password must not choose what this computer runs
            for name in (name for name in values if name in OWN_PYTHONS or name.startswith("wan2gp_")):
                raise Forbidden("settings.program", setting=name)
        with self._lock:
            saved = self._read()
            clean = {name: self._clean(name, value, saved) for name, value in values.items()}
            wished = self._read(**{name: _usual(name) if value is None else value for name, value in clean.items()})
            _check_folders(wished, clean)
            if not (wished.local_only or wished.auth or self._people.has_owner()):  # the next start would be refused
                raise Unavailable("app.needs_auth", asked=", ".join(wished.opens))
            self._write(clean)
            self._take_over(clean)
        return self.list()

    def _read(self, **more: Any) -> Settings:
        """What the studio would have if it started now with the same flags. Raises Refused("settings.invalid")."""
        running = self._settings
        fixed = {name: getattr(running, name) for name in Settings.model_fields if running.origin(name) == "flag"}
        return Settings(**{**fixed, "root": running.root, **more})

    def _clean(self, name: str, value: Any, saved: Settings) -> Any:
        """As it goes into the file. Raises Refused."""
        if name not in Settings.model_fields or name in HIDDEN:
            raise Refused("settings.unknown", setting=name[:80])
        if (origin := saved.origin(name)) in STRONGER:
            raise Refused("settings.elsewhere", setting=name, origin=origin)
        if isinstance(value, str):
            value = value.strip()
        known = getattr(saved, name)
        if isinstance(known, str) and value == _shown(known):
            return known  # an address as it is shown, without its password
        texts = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
        if any(unicodedata.category(sign) in ("Cc", "Cs") for text in texts for sign in text):
            raise Refused("settings.invalid", setting=name, origin="data/settings.toml", reason="U+0000 … U+001F")
        if isinstance(value, bool) and kind_of(name) != "switch":
            value = str(value)  # else true were 1
        if value == "" and kind_of(name) in ("secret", "path", "number", "choice"):
            value = None
        if len(str(value)) > MOST:
            raise Refused("settings.invalid", setting=name, origin="data/settings.toml", reason=f"> {MOST}")
        return value

    def _write(self, values: Mapping[str, Any]) -> None:
        """Whole or not at all; nobody but the user may read it. What else stands in it stays, remarks too."""
        import tomlkit
        from tomlkit.exceptions import TOMLKitError

        path = self._settings.file
        try:
            document = tomlkit.parse(path.read_text("utf-8")) if path.is_file() else None
        except TOMLKitError as error:
            raise Refused("settings.toml", path=str(path), reason=str(error)) from error
        if document is None:
            document = tomlkit.document()
            document.add(tomlkit.comment(HEADER))
        for name, value in values.items():
            for key in [
                key for key in document if field_named(Settings, key) == name and (value is None or key != name)
            ]:
                document.remove(key)
            if value is not None:
                document[name] = value
        try:
            _write_private(path, tomlkit.dumps(document))
        except OSError as error:
            raise Unavailable("settings.unwritable", path=str(path), reason=error.strerror) from error

    def _take_over(self, names: Mapping[str, Any]) -> None:
        """What can take effect now does."""
        saved = self._read()
        logs.hide(saved.secrets())
        for name in names:
            if self._at_once(name):
                setattr(self._settings, name, getattr(saved, name))
                self._settings.learn_origin(name, saved.origin(name))
            if name in self._apply:
                self._apply[name](self._settings)
        self._settings.export()
        log.info("settings changed: %s", ", ".join(names))


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with whole_or_gone(part):
        part.unlink(missing_ok=True)
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        fsync_file(part)
        replace(part, path)


def _check_folders(wished: Settings, names: Collection[str]) -> None:
    """Media must be there; the studio's own folders are made, now and not by a start that would fail."""
    for name in names:
        if name == "media_roots" and (gone := next((p for p in wished.media_roots if not os.path.isdir(p)), None)):
            raise Refused("settings.no_folder", path=str(gone))
        if kind_of(name) == "path" and (folder := getattr(wished, name)):
            try:
                wished.inside(folder).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise Refused("settings.no_folder", path=str(folder)) from error


def _usual(name: str) -> Any:
    return Settings.model_fields[name].get_default(call_default_factory=True)


def kind_of(name: str) -> Literal["path", "paths", "text", "secret", "number", "choice", "switch"]:
    """How a setting is drawn."""
    plain = _plain_type(name)
    if get_origin(plain) is Literal:
        return "choice"
    if get_origin(plain) is list:
        return "paths" if get_args(plain) == (Path,) else "text"
    kinds: dict[Any, Any] = {SecretStr: "secret", bool: "switch", int: "number", float: "number", Path: "path"}
    return kinds.get(plain, "text")  # type: ignore[no-any-return]


def _choices(name: str) -> tuple[str, ...]:
    plain = _plain_type(name)
    return get_args(plain) if get_origin(plain) is Literal else ()


def _plain_type(name: str) -> Any:
    """Without `| None`."""
    plain = Settings.model_fields[name].annotation
    if get_origin(plain) in (Union, types.UnionType):
        plain = next(inner for inner in get_args(plain) if inner is not type(None))
    return plain


def _shown(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "set"
    if isinstance(value, str | Path):
        return without_password(str(value))
    return [str(one) for one in value] if isinstance(value, list) else "" if value is None else value

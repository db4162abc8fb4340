"""Rotating logs without secrets, in which every line knows its scene. Knows no store and no face.

`start(log_dir, "app")` opens data/logs/app.log; a worker calls `start(log_dir, "worker")`. Code that works for one
scene does so inside `scene_log(scene_id, job_id)`; `read_scene_log` then finds what was said about it.
"""

import logging
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Literal

LINE = "%(asctime)s.%(msecs)03d %(levelname)-7s [%(scene)s %(job)s] %(name)s: %(message)s"
CLOCK = "%Y-%m-%d %H:%M:%S"
MAX_BYTES, BACKUPS = 5_000_000, 4  # of each log
MAX_READ = 400_000  # characters of one scene's log that a face gets: the newest
HIDDEN = "***"

_PATTERNS = (
    # Authorization headers and bare bearer tokens
    re.compile(r"(?i)(\bbearer\s+)[\w.~+/=-]{6,}"),
    # key=value, "key": "value", key: value, for everything that is called like a secret
    re.compile(
        r"(?i)((?:api[_-]?key|access[_-]?key|secret|token|passw(?:or)?d|signature|credential|authorization|cookie)"
        r"[\w-]*[\"']?\s*[=:]\s*[\"']?)(?!bearer\b)[^\s\"',;&)}\]]{3,}"
    ),
    # user:password@ in a URL
    re.compile(r"(?i)(\bhttps?://)[^/\s:@]+:[^/\s@]+(?=@)"),
    # keys that are known by their shape
    re.compile(r"()\b(?:sk-[\w-]{16,}|hf_\w{16,}|AKIA[A-Z0-9]{12,}|eyJ[\w-]{10,}\.[\w-]+\.[\w-]+)"),
    # the query of a signed URL: who has it has the file
    re.compile(
        r"(?i)(\bhttps?://[^\s?\"']+\?)(?=[^\s\"']*(?:sig|sign|signature|token|expires|x-amz-|x-goog-|x-oss-|key)[^\s\"']*=)"
        r"[^\s\"'<>)]+"
    ),
)

_scene: ContextVar[str] = ContextVar("scene", default="-")
_job: ContextVar[str] = ContextVar("job", default="-")


@contextmanager
def scene_log(scene_id: str, job_id: str = "-") -> Iterator[None]:
    """Everything logged inside, by any module in this thread or task, belongs to this scene."""
    scene, job = _scene.set(scene_id), _job.set(job_id)
    try:
        yield
    finally:
        _scene.reset(scene)
        _job.reset(job)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without keys, tokens, passwords and the queries of signed URLs."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    return text


class _Formatter(logging.Formatter):
    """Adds scene and job, then hides secrets in the whole line: arguments and tracebacks too."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__(LINE, CLOCK)
        self.secrets: list[str] = []
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        # longest first, so that a key inside another is not cut into pieces; short ones would black out plain words
        known = {*self.secrets, *(secret for secret in secrets if len(secret) >= 4)}
        self.secrets = sorted(known, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        record.scene = getattr(record, "scene", None) or _scene.get()
        record.job = getattr(record, "job", None) or _job.get()
        return redact(super().format(record), self.secrets)


def start(
    log_dir: Path, name: Literal["app", "worker"], level: str = "INFO", secrets: Iterable[str] = ()
) -> logging.Handler:
    """Send this process's log to <log_dir>/<name>.log, uncaught exceptions included. Returns the handler.

    Called again, it replaces its own handler. `secrets` are blacked out wherever they appear.
    """
    log_dir.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(
        log_dir / f"{name}.log", maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8", delay=True
    )
    handler.set_name("lanterna")
    handler.setFormatter(_Formatter(secrets))
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.get_name() == "lanterna"]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level)
    for chatty in ("httpx", "httpcore", "httpx2", "httpcore2", "urllib3", "asyncio", "PIL", "numba", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    return handler


def hide(secrets: Iterable[str]) -> None:
    """Black these out too, from now on: keys that were just set."""
    for handler in logging.getLogger().handlers:
        if handler.get_name() == "lanterna" and isinstance(handler.formatter, _Formatter):
            handler.formatter.hide(secrets)


def _log_uncaught(kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("studio").critical("uncaught", exc_info=(kind, error or kind(), traceback))
    if error is not None and threading.current_thread() is threading.main_thread():
        sys.__excepthook__(kind, error, traceback)


_RECORD = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \w+ +\[(\S+) \S+\] ")


def read_scene_log(log_dir: Path, scene_id: str) -> str:
    """What app and workers logged about one scene, by time, tracebacks included; the newest MAX_READ characters."""
    records: list[str] = []
    for name in ("app", "worker"):
        for path in [log_dir / f"{name}.log{suffix}" for suffix in (*(f".{n}" for n in range(BACKUPS, 0, -1)), "")]:
            if path.exists():
                records += _records(path, scene_id)
    records.sort(key=lambda record: record[:23])  # both logs begin each record with the same clock
    return "".join(records)[-MAX_READ:]


def _records(path: Path, scene_id: str) -> Iterator[str]:
    """A record is its line and the lines under it that do not begin one."""
    record, wanted = "", False
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if head := _RECORD.match(line):
                if wanted:
                    yield record
                record, wanted = line, head[1] == scene_id
            elif wanted:
                record += line
    if wanted:
        yield record

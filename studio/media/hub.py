"""Models from the hub: the bytes of a part's files with resume, and their checksums. Knows folders, no engine.

The hub's own library speaks its protocol: listing, tokens, retries, proxies. What lies here is what it has no longer:
half a file is kept under its blob's name and goes on after a cut, a cancel or a crash. A file gets its name in the
cache only when its checksum is right, so whatever has a name is whole. Runs in a worker; the library loads inside.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from studio.domain import JSON
from studio.errors import DiskFull, Refused, StudioError, Unavailable
from studio.media.files import free_bytes, replace, write_small
from studio.media.hub_files import SHA1, SHA256, File, Wanted, files_of

log = logging.getLogger(__name__)

CHUNK = 1 << 18  # bytes between two looks at the cancel, and the most that a cut loses
LOOK_AT_DISK = 1 << 26  # bytes between two looks at the free space
HALF_SECOND = 0.5
GIVEN = {name: os.environ.get(name) for name in ("HTTP_PROXY", "HTTPS_PROXY")}  # before any setting was applied
READ = 1 << 23  # bytes of a file at once for its checksum
TRIES = 10  # without a byte between them
PATIENCE = 60.0  # seconds, the longest wait before the next try: doubled from one second
Step = Callable[[int, int, str], None]


# ------------------------------------------------------------------------------------------------ the two verbs
def download(arguments: Mapping[str, Any], step: Step) -> JSON:
    """{parts: [Wanted], cache, lists, reserve: bytes that stay free, endpoint?, token?, proxy?, offline?}
    -> {bytes, fetched, parts: [{repo, folder, commit, bytes}]}.

    Fetches what is missing of each part, in order. Raises DiskFull("model.disk"), Refused and Unavailable by the names
    that docs/downloads.md lists; what is there by then is kept."""
    if arguments.get("offline"):
        raise Unavailable("model.offline")
    parts = [Wanted.of(row) for row in arguments["parts"]]
    endpoint, token, proxy = (arguments.get(name) or "" for name in ("endpoint", "token", "proxy"))
    hub = _Hub(endpoint, token, proxy, Path(arguments["cache"]))
    listed = []
    for part in parts:
        step(0, 0, "list")
        with hub.told(part):
            listed.append((part, *hub.files(part)))
    meter = _Meter(step, hub.cache, arguments["reserve"])
    for part, commit, files in listed:
        for file in files:
            meter.total += file.size
            meter.there += hub.there(part, commit, file)
    meter.room()
    for part, commit, files in listed:  # before the files, so that half a part is known to be half
        rows = {file.name: {"bytes": file.size, "digest": file.digest} for file in files}
        path = Path(arguments["lists"]) / part.repo.replace("/", "--") / commit / part.listed
        write_small(path, json.dumps(rows, indent=1).encode())
    for part, commit, files in listed:
        with hub.told(part):
            for file in files:
                hub.fetch(part, commit, file, meter)
    return {
        "bytes": meter.total, "fetched": meter.fetched,
        "parts": [{"repo": part.repo, "folder": part.folder, "commit": commit, "bytes": sum(f.size for f in files)}
                  for part, commit, files in listed],
    }  # fmt: skip


def verify(arguments: Mapping[str, Any], step: Step) -> JSON:
    """{files: [{path, digest: "" where only its blob's name tells}]} -> {files, bytes, unknown, bad: [path]}: reads
    every file again."""
    paths = [(Path(row["path"]), row["digest"] or _blob_name(Path(row["path"]))) for row in arguments["files"]]
    sizes = [path.stat().st_size if path.is_file() else 0 for path, _ in paths]
    total, bad, unknown = sum(sizes), [], 0
    for number, (path, digest) in enumerate(paths):
        done = sum(sizes[:number])
        step(done, total, "verify")
        if path.is_file() and not digest:
            unknown += 1
        elif not path.is_file() or digest_of(path, digest, partial(_read, step, done, total)) != digest:
            bad.append(str(path))
    return {"files": len(paths), "bytes": total, "unknown": unknown, "bad": bad}


def _read(step: Step, before: int, total: int, read: int) -> None:
    step(before + read, total, "verify")


def digest_of(path: Path, like: str, read: Callable[[int], None]) -> str:
    """SHA-256, or git's SHA-1 of a blob where `like` is one. `read(bytes)` hears how far it is."""
    if SHA256.fullmatch(like):
        sums = hashlib.sha256()
    else:
        sums = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    done = 0
    with path.open("rb") as file:
        while piece := file.read(READ):
            sums.update(piece)
            done += len(piece)
            read(done)
    return sums.hexdigest()


def _blob_name(path: Path) -> str:
    name = path.resolve().name
    return name if path.is_symlink() and (SHA256.fullmatch(name) or SHA1.fullmatch(name)) else ""


# ------------------------------------------------------------------------------------------------ the hub
class _Hub:
    def __init__(self, endpoint: str, token: str, proxy: str, cache: Path) -> None:
        from huggingface_hub import HfApi, close_session, constants
        from huggingface_hub.utils import build_hf_headers

        constants.DOWNLOAD_CHUNK_SIZE = CHUNK  # a slow line would hear of a cancel after ten megabytes
        constants.HF_HUB_OFFLINE = False  # `offline` was asked; this process may be older than the answer
        for name, given in GIVEN.items():
            os.environ.pop(name, None)
            if value := proxy or given:
                os.environ[name] = value
        close_session()  # the next one reads what the environment says of proxies now
        self.api = HfApi(endpoint=endpoint or None, token=token or False, library_name="lanterna")
        self.endpoint, self.token, self.cache = str(self.api.endpoint), token, cache
        headers = build_hf_headers(token=token or False, library_name="lanterna")
        self.headers = {**headers, "accept-encoding": "identity"}  # a packed answer cannot go on in the middle

    def files(self, part: Wanted) -> tuple[str, list[File]]:
        """(commit, files) of a part. What the cache has of a branch already says which commit: parts of one repository
        belong together."""
        from huggingface_hub.errors import RevisionNotFoundError

        ref = self._folder(part.repo) / "refs" / part.revision
        known = ref.read_text("utf-8").strip() if ref.is_file() else ""
        if SHA1.fullmatch(known):
            with suppress(RevisionNotFoundError):
                return known, self._listed(part, known)
        commit = str(self.api.model_info(part.repo, revision=part.revision, timeout=30).sha)
        if not SHA1.fullmatch(commit):
            raise ValueError("a commit's name")
        return commit, self._listed(part, commit)

    def _listed(self, part: Wanted, commit: str) -> list[File]:
        from huggingface_hub.hf_api import RepoFile

        rows = self.api.list_repo_tree(part.repo, part.folder or None, revision=commit)
        return files_of(part, (row for row in rows if isinstance(row, RepoFile)))

    def there(self, part: Wanted, commit: str, file: File) -> int:
        """Bytes of a file that are on the disk already."""
        pointer, blob = self._pointer(part, commit, file), self._blob(part, file)
        for path in (pointer, blob):
            if path.is_file() and path.stat().st_size == file.size:
                return file.size
        half = _half(blob)
        return min(file.size, half.stat().st_size) if half.is_file() else 0

    def fetch(self, part: Wanted, commit: str, file: File, meter: "_Meter") -> None:
        """The file under its name in the cache. Raises Refused("model.checksum")."""
        pointer, blob = self._pointer(part, commit, file), self._blob(part, file)
        if not (pointer.is_file() and pointer.stat().st_size == file.size):
            if not blob.is_file():
                blob.parent.mkdir(parents=True, exist_ok=True)
                self._stream(part, commit, file, _half(blob), meter)
                self._check(part, file, _half(blob), meter)
                replace(_half(blob), blob)
            _name(blob, pointer)
            write_small(self._folder(part.repo) / "refs" / part.revision, commit.encode())
        meter.say()

    def _stream(self, part: Wanted, commit: str, file: File, half: Path, meter: "_Meter") -> None:
        import httpx2
        from huggingface_hub import hf_hub_url
        from huggingface_hub.errors import HfHubHTTPError
        from huggingface_hub.file_download import http_get

        path = f"{part.folder}/{file.name}" if part.folder else file.name
        url = hf_hub_url(part.repo, path, revision=commit, endpoint=self.endpoint)
        tries = TRIES
        while True:
            begun = half.stat().st_size if half.is_file() else 0
            if begun > file.size:
                half.unlink()
                begun = 0
            try:
                with half.open("ab") as out:
                    http_get(
                        url, out, resume_size=begun, headers=dict(self.headers), expected_size=file.size,
                        tqdm_class=meter.bar(out, file.size),
                    )  # fmt: skip
                return
            except _TooMuch:
                return  # what came is not what was listed: the check says so
            except (httpx2.TransportError, OSError) as error:
                refused = isinstance(error, HfHubHTTPError) and error.response.status_code < 500
                if refused or getattr(error, "errno", None) is not None:
                    raise  # the hub's word, or the disk's; not the line's
                tries = TRIES if half.stat().st_size > begun else tries - 1
                log.warning("%s: %s", file.name, error)
                if not tries:
                    raise Unavailable("model.cut", file=file.name, host=self.host) from error
                meter.wait(min(PATIENCE, 2.0 ** (TRIES - tries - 1)))

    def _check(self, part: Wanted, file: File, half: Path, meter: "_Meter") -> None:
        if half.stat().st_size == file.size:
            found = digest_of(half, file.digest, lambda read: meter.say("verify"))
            if found == file.digest:
                return
        half.unlink()  # the next try begins anew: nobody knows which of its bytes are wrong
        raise Refused("model.checksum", repo=part.repo, file=file.name)

    def _folder(self, repo: str) -> Path:
        return self.cache / f"models--{repo.replace('/', '--')}"

    def _blob(self, part: Wanted, file: File) -> Path:
        return self._folder(part.repo) / "blobs" / file.digest

    def _pointer(self, part: Wanted, commit: str, file: File) -> Path:
        return self._folder(part.repo) / "snapshots" / commit / part.folder / file.name

    @property
    def host(self) -> str:
        return urlsplit(self.endpoint).hostname or self.endpoint

    @contextmanager
    def told(self, part: Wanted) -> Iterator[None]:
        """What the hub's library raises, as errors that tell the cure."""
        import httpx2
        from huggingface_hub import errors

        page = f"{self.endpoint}/{part.repo}"
        try:
            yield
        except StudioError:
            raise
        except errors.GatedRepoError as error:
            code = "model.gated_token" if self.token else "model.gated"
            raise Refused(code, repo=part.repo, page=page) from error
        except errors.RevisionNotFoundError as error:
            raise Refused("model.no_revision", repo=part.repo, revision=part.revision) from error
        except errors.RemoteEntryNotFoundError as error:
            folder = part.folder or "/"
            raise Refused("model.no_files", repo=part.repo, folder=folder, revision=part.revision) from error
        except errors.OfflineModeIsEnabled as error:
            raise Unavailable("model.offline") from error
        except errors.HfHubHTTPError as error:
            raise self._by_status(part, error.response.status_code) from error
        except httpx2.TransportError as error:
            raise Unavailable("model.no_network", host=self.host, reason=type(error).__name__) from error
        except (ValueError, KeyError, TypeError) as error:  # a page of a hotel's network, an error in HTML
            log.exception("not an answer of a hub")
            raise Unavailable("model.not_a_hub", host=self.host) from error

    def _by_status(self, part: Wanted, status: int) -> StudioError:
        if status in (401, 403) and self.token:
            return Refused("model.token_refused", repo=part.repo, status=status)
        if status in (401, 403, 404):  # without a token a private repository is one that does not exist
            return Refused("model.no_repo", repo=part.repo, host=self.host, status=status)
        return Unavailable("model.hub_trouble", host=self.host, status=status)


def _gb(size: int) -> float:
    return round(size / 1e9, 1)


def _half(blob: Path) -> Path:
    return blob.with_name(blob.name + ".incomplete")


def _name(blob: Path, pointer: Path) -> None:
    """Give a blob its name in a snapshot: a link, or the file itself where there are no links (Windows)."""
    pointer.parent.mkdir(parents=True, exist_ok=True)
    pointer.unlink(missing_ok=True)
    try:
        pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    except OSError:
        replace(blob, pointer)


# ------------------------------------------------------------------------------------------------ how far
class _TooMuch(Exception):
    """An answer goes on after the bytes that were listed."""


class _Meter:
    """Bytes so far of all files, and whether the disk still has room for the rest."""

    def __init__(self, step: Step, folder: Path, reserve: int) -> None:
        self._step, self._folder, self._reserve = step, folder, reserve
        self.total = self.there = 0  # of all files; of those what was there before we began
        self.fetched = 0  # bytes that came over the line
        self._looked = 0

    def room(self) -> None:
        """Raises DiskFull("model.disk") where the rest would leave less than the reserve."""
        rest = self.total - self.there - self.fetched
        free = free_bytes(self._folder)
        if rest > 0 and free < rest + self._reserve:
            raise DiskFull("model.disk", path=str(self._folder), gigabytes=_gb(rest + self._reserve), free=_gb(free))

    def say(self, note: str = "download") -> None:
        self._step(min(self.total, self.there + self.fetched), self.total, note)

    def wait(self, seconds: float) -> None:
        """Until the next try; a cancel ends it."""
        for _ in range(max(1, round(seconds / HALF_SECOND))):
            self.say("wait")
            time.sleep(HALF_SECOND)

    def add(self, size: int) -> None:
        self.fetched += max(0, size)
        if self.fetched - self._looked > LOOK_AT_DISK:
            self._looked = self.fetched
            self.room()
        self.say()

    def bar(self, out: BinaryIO, most: int) -> type:
        """A class with the face of a tqdm bar, as the library wants it. It ends an answer of more than `most` bytes,
        which would fill the disk."""
        meter = self

        class Bar:
            def __init__(self, *_: Any, **__: Any) -> None:
                pass

            def update(self, size: int) -> None:
                if out.tell() > most:
                    raise _TooMuch
                meter.add(size)

            def __enter__(self) -> "Bar":
                return self

            def __exit__(self, *_: object) -> None:
                pass

        return Bar

"""Zip archives that strangers send and that we write, and many files at once: hashed, linked, copied. Knows no scenes.

Reading trusts nothing: every name must have the shape that the caller expects, sizes are what the directory of the
archive says and no byte more, and a file counts only when its hash is the one that was promised. Whatever is written
appears whole.
"""

import hashlib
import json
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from studio.errors import Conflict, DiskFull, NotFound, Refused, TooLarge
from studio.media.files import free_bytes, fsync_file, replace, whole_or_gone

CHUNK = 1 << 20  # bytes
MAX_MEMBERS = 400_000
MAX_TOTAL = 2_000_000_000_000  # bytes when unpacked
MAX_RATIO = 200  # unpacked to packed: text shrinks to a twentieth, a bomb to a thousandth
SMALL = 10_000_000  # bytes that may be packed as tightly as they like
KEEP_FREE = 200_000_000  # bytes that are left to everybody else on the disk

Step = Callable[[int, int], None]
"""(bytes done, bytes in all); raises Cancelled."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file on its way into or out of an archive."""

    name: str
    path: Path
    sha256: str


# ------------------------------------------------------------------------------------------------ writing
def pack_described(order: Mapping[str, Any], step: Step) -> int:
    """Hash every file, write the hashes into the JSON that speaks of them, pack it all. See studio.tools.pack."""
    content, members = order["content"], {}
    rows = [(row, Path(row["path"])) for row in order["files"]]
    total, done = sum(_size(path) for _, path in rows), 0
    for row, path in rows:
        sha256, size = _hash(path, lambda n, before=done: step(before + n, 2 * total))  # type: ignore[misc]
        if row.get("sha256") not in (None, sha256):
            raise Conflict("package.changed", name=path.name)
        for listed, index in row["places"]:
            content[listed][index]["sha256"] = sha256
        name = f"{order['folder']}{sha256}{row['suffix']}"
        members[name] = Member(name, path, sha256)  # the same content twice is packed once
        done += size
    text = json.dumps(content, ensure_ascii=False, indent=1).encode("utf-8", "replace")
    return pack(
        Path(order["out"]), order["owner"], (order["name"], text), list(members.values()),
        lambda n, _: step(total + n, 2 * total),
    )  # fmt: skip


def pack(out: Path, owner: str, first: tuple[str, bytes], members: Sequence[Member], step: Step) -> int:
    """Write an archive: `first` (name, content) deflated, the members as they are. How many bytes it has.

    `owner`: the id in the name of the unfinished file. Raises DiskFull, NotFound, Conflict("package.changed") when a
    file is no longer what it was when it was hashed."""
    total = sum(_size(member.path) for member in members)
    _check_room(out.parent, total + len(first[1]))
    out.parent.mkdir(parents=True, exist_ok=True)
    part, done = out.with_name(f"{out.stem}.{owner}{out.suffix}.part"), 0
    with whole_or_gone(part):
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            archive.writestr(zipfile.ZipInfo(first[0]), first[1], zipfile.ZIP_DEFLATED)
            for member in members:
                done += _pack_one(archive, member, lambda n, before=done: step(before + n, total))  # type: ignore[misc]
        fsync_file(part)
        replace(part, out)
    return out.stat().st_size


def _pack_one(archive: zipfile.ZipFile, member: Member, tell: Callable[[int], None]) -> int:
    info = zipfile.ZipInfo(member.name)
    info.file_size = size = _size(member.path)  # so that a file over 2 GB gets the long header
    with member.path.open("rb") as source, archive.open(info, "w") as target:
        found = _copy(source, target, tell)
    if found != member.sha256:
        raise Conflict("package.changed", name=member.path.name)
    return size


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise NotFound("input.gone", field="", name=path.name) from error


def _copy(source: IO[bytes], target: IO[bytes] | None, tell: Callable[[int], None]) -> str:
    """The SHA-256 of what was copied; without a target of what was read."""
    digest, done = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        if target is not None:
            target.write(chunk)
        done += len(chunk)
        tell(done)
    return digest.hexdigest()


def _check_room(folder: Path, wanted: int) -> None:
    free = free_bytes(folder)
    if wanted + KEEP_FREE > free:
        raise DiskFull("package.no_room", needed=wanted, free=free, path=str(folder))


# ------------------------------------------------------------------------------------------------ reading
def look(path: Path, first: str, first_most: int, shape: re.Pattern[str]) -> tuple[bytes, dict[str, int]]:
    """The content of member `first`, and of every other member its name and size. Nothing is written.

    Every other name must match `shape`. Raises Refused or TooLarge, saying what is wrong."""
    with _opened(path) as archive:
        infos = archive.infolist()
        _check_directory(infos, path.stat().st_size)
        sizes: dict[str, int] = {}
        for info in infos:
            _check_entry(info)
            if info.is_dir() and shape.fullmatch(info.filename + "0" * 64):  # "media/" itself
                continue
            if info.filename in sizes:
                raise Refused("package.twice", name=_shown(info.filename))
            if info.filename != first and not shape.fullmatch(info.filename):
                raise Refused("package.member", name=_shown(info.filename))
            sizes[info.filename] = info.file_size
        if first not in sizes:
            raise Refused("package.no_manifest", reason=f"{first} is missing")
        if sizes[first] > first_most:
            raise TooLarge("package.manifest_too_large", size=sizes[first], most=first_most)
        return archive.read(first), {name: size for name, size in sizes.items() if name != first}


def unpack(path: Path, wanted: Sequence[Member], step: Step) -> None:
    """Write members to their paths, each only if its content has the promised hash. Raises like `look`, and DiskFull.

    After a failure none of them is there."""
    with _opened(path) as archive:
        infos = [_info(archive, member.name) for member in wanted]
        total, done = sum(info.file_size for info in infos), 0
        _check_room(wanted[0].path if wanted else path, total)
        with _all_or_none([member.path for member in wanted]):
            for member, info in zip(wanted, infos, strict=True):
                member.path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as source, member.path.open("wb") as target:
                    found = _copy(source, target, lambda n, before=done: step(before + n, total))  # type: ignore[misc]
                if found != member.sha256:
                    raise Refused("package.wrong_hash", name=member.name)
                fsync_file(member.path)
                done += info.file_size


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Raises Refused("package.broken") for whatever is no archive, or one that was cut off."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        EOFError,
        NotImplementedError,
        ValueError,
        OverflowError,
    ) as error:
        raise Refused("package.broken", reason=str(error)[:200]) from error
    except (RuntimeError, zlib.error) as error:  # a password; garbage in a deflated member
        raise Refused("package.broken", reason=str(error)[:200]) from error


def _info(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    try:
        return archive.getinfo(name)
    except KeyError as error:
        raise Refused("package.missing_file", name=name) from error


def _check_directory(infos: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Bombs: too many files, too much when unpacked, members that share their bytes."""
    if len(infos) > MAX_MEMBERS:
        raise TooLarge("package.too_many", count=len(infos), most=MAX_MEMBERS)
    total, packed = sum(info.file_size for info in infos), sum(info.compress_size for info in infos)
    if total > MAX_TOTAL or total > max(SMALL, MAX_RATIO * size) or packed > size:
        raise TooLarge("package.bomb", size=total, packed=size)


def _check_entry(info: zipfile.ZipInfo) -> None:
    """One row of the directory: a plain file under a plain name, packed as we know it."""
    name, mode = info.orig_filename, info.external_attr >> 16
    if name != info.filename or "\0" in name or "\\" in name:  # Python cuts at a NUL
        raise Refused("package.member", name=_shown(name))
    if name.startswith("/") or ":" in name or ".." in name.split("/"):
        raise Refused("package.member", name=_shown(name))
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):  # a link
        raise Refused("package.member", name=_shown(name))
    if info.flag_bits & 0x1:
        raise Refused("package.locked", name=_shown(name))
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Refused("package.member", name=_shown(name))
    if info.file_size > max(SMALL, MAX_RATIO * info.compress_size):
        raise TooLarge("package.bomb", size=info.file_size, packed=info.compress_size)


def _shown(name: str) -> str:
    return name.replace("\0", "␀")[:120]


# ------------------------------------------------------------------------------------------------ many files
def bring(pairs: Sequence[tuple[Path, Path]], step: Step) -> list[tuple[str, int]]:
    """Link each file under a second name, or copy it where the disk cannot link: (source, target). The hash and size
    of each. A link costs no room; the source is only read. After a failure none of the targets is there."""
    sizes = [_size(source) for source, _ in pairs]
    total, done, found = sum(sizes), 0, []
    with _all_or_none([target for _, target in pairs]):
        for (source, target), size in zip(pairs, sizes, strict=True):
            target.parent.mkdir(parents=True, exist_ok=True)
            tell = lambda n, before=done: step(before + n, total)  # noqa: E731
            if _linked(source, target):
                found.append(_hash(target, tell))
            else:
                _check_room(target.parent, size)
                with source.open("rb") as reader, target.open("wb") as writer:
                    found.append((_copy(reader, writer, tell), size))
                fsync_file(target)
            done += size
    return found


def _hash(path: Path, tell: Callable[[int], None]) -> tuple[str, int]:
    """(SHA-256, bytes). Raises NotFound naming the file that has gone."""
    size = _size(path)
    with path.open("rb") as file:
        return _copy(file, None, tell), size


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except (OSError, NotImplementedError):  # another disk, FAT, a share, too many links: then it is copied
        return False
    return True


@contextmanager
def _all_or_none(paths: Sequence[Path]) -> Iterator[None]:
    with ExitStack() as stack:
        for path in paths:
            stack.enter_context(whole_or_gone(path))
        yield

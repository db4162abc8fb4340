"""Archives: what is written can be read, nothing hostile is, and a failure leaves no file behind."""

import errno
import hashlib
import os
import re
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from studio.errors import Cancelled, Conflict, DiskFull, NotFound, Refused, StudioError, TooLarge
from studio.media import archive
from studio.media.archive import Member, bring, look, pack, pack_described, unpack

SHAPE = re.compile(r"media/([0-9a-f]{64})(\.[a-z0-9]{1,5})?")
OWNER = "01JZ0000000000000000000000"


def quiet(done: int, total: int) -> None:
    assert 0 <= done <= total


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def member(folder: Path, content: bytes, suffix: str = ".mp4") -> Member:
    path = folder / f"{sha(content)[:8]}{suffix}"
    path.write_bytes(content)
    return Member(f"media/{sha(content)}{suffix}", path, sha(content))


def made(folder: Path, *contents: bytes) -> tuple[Path, list[Member]]:
    members = [member(folder, content) for content in contents]
    pack(folder / "a.zip", OWNER, ("m.json", b"{}"), members, quiet)
    return folder / "a.zip", members


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def seen(path: Path) -> tuple[bytes, dict[str, int]]:
    return look(path, "m.json", 1000, SHAPE)


# ------------------------------------------------------------------------------------------------ there and back
def test_what_was_packed_is_unpacked(tmp_path: Path) -> None:
    path, members = made(tmp_path, b"one" * 1000, b"two", b"")
    assert seen(path) == (b"{}", {m.name: m.path.stat().st_size for m in members})
    with zipfile.ZipFile(path) as opened:  # media do not shrink, and are read in place
        kinds = {info.filename: info.compress_type for info in opened.infolist()}
    assert kinds.pop("m.json") == zipfile.ZIP_DEFLATED and set(kinds.values()) == {zipfile.ZIP_STORED}
    out = [Member(m.name, tmp_path / "out" / m.path.name, m.sha256) for m in members]
    steps: list[tuple[int, int]] = []
    unpack(path, out, lambda done, total: steps.append((done, total)))
    assert [m.path.read_bytes() for m in out] == [m.path.read_bytes() for m in members]
    assert steps[-1] == (3003, 3003) and steps == sorted(steps)


def test_files_over_the_old_limit_of_zip_get_the_long_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)  # 2 GB, without 2 GB
    path, members = made(tmp_path, b"x" * 5000, b"y" * 10)
    with zipfile.ZipFile(path) as opened:
        assert opened.getinfo(members[0].name).extract_version == zipfile.ZIP64_VERSION
    unpack(path, [Member(members[0].name, tmp_path / "out", members[0].sha256)], quiet)
    assert (tmp_path / "out").read_bytes() == b"x" * 5000


def test_hashes_are_written_into_the_json_and_the_same_content_is_packed_once(tmp_path: Path) -> None:
    one, two = member(tmp_path, b"same"), tmp_path / "copy.mp4"
    two.write_bytes(b"same")
    content: dict[str, Any] = {"takes": [{}, {}], "assets": [{}]}
    order = {
        "out": str(tmp_path / "a.zip"), "owner": OWNER, "name": "m.json", "folder": "media/", "content": content,
        "files": [
            {"path": str(one.path), "suffix": ".mp4", "places": [["takes", 0], ["assets", 0]]},
            {"path": str(two), "suffix": ".mp4", "places": [["takes", 1]], "sha256": one.sha256},
        ],
    }  # fmt: skip
    pack_described(order, quiet)
    assert content == {"takes": [{"sha256": one.sha256}] * 2, "assets": [{"sha256": one.sha256}]}
    assert list(seen(tmp_path / "a.zip")[1]) == [one.name]
    order["files"][1]["sha256"] = sha(b"what it was")
    with pytest.raises(Conflict) as refused:
        pack_described(order, quiet)
    assert refused.value.code == "package.changed"


# ------------------------------------------------------------------------------------------------ strangers' archives
def zipped(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes], packed: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", packed) as opened:
        for name, content in entries:
            opened.writestr(name, content)
    return path


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


GOOD = "media/" + "a" * 64 + ".mp4"


@pytest.mark.parametrize(
    "name",
    ["../" + GOOD, "media/../x.mp4", "/" + GOOD, "C:" + GOOD, "C:/" + GOOD, "media\\x.mp4", "media/x.mp4", "other.txt",
     "media/" + "a" * 64 + ".mp4\0.exe", "media//" + "a" * 64, "./" + GOOD, "media/" + "A" * 64, GOOD + "/", "..",
     "~/x", "\\\\host\\share", "media/" + "a" * 64 + ".mp4 "],
)  # fmt: skip
def test_only_names_of_our_shape_are_let_in(tmp_path: Path, name: str) -> None:
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name  # as a hostile program would write it
    with pytest.raises(Refused) as refused:
        seen(zipped(tmp_path / "a.zip", ("m.json", b"{}"), (info, b"x")))
    assert refused.value.code == "package.member" and "\0" not in str(refused.value.params)


def test_links_duplicates_and_locked_members_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        seen(zipped(tmp_path / "a.zip", ("m.json", b"{}"), (link(GOOD), b"/etc/passwd")))
    assert refused.value.code == "package.member"
    with pytest.warns(UserWarning), pytest.raises(Refused) as refused:
        seen(zipped(tmp_path / "b.zip", ("m.json", b"{}"), (GOOD, b"x"), (GOOD, b"y")))
    assert refused.value.code == "package.twice"
    path = zipped(tmp_path / "c.zip", ("m.json", b"{}"), (GOOD, b"x"))
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1  # "needs a password"
    path.write_bytes(content)
    with pytest.raises(Refused) as refused:
        seen(path)
    assert refused.value.code == "package.locked"


def test_bombs_are_seen_before_they_are_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big = b"\0" * (archive.SMALL + 1)
    path = zipped(tmp_path / "a.zip", ("m.json", b"{}"), (GOOD, big), packed=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(TooLarge) as refused:
        seen(path)
    assert refused.value.code == "package.bomb"
    with pytest.raises(TooLarge) as refused:  # a manifest that swells
        seen(zipped(tmp_path / "b.zip", ("m.json", b" " * 2000), packed=zipfile.ZIP_DEFLATED))
    assert refused.value.code == "package.manifest_too_large"
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    many = [(f"media/{n:064x}", b"") for n in range(4)]
    with pytest.raises(TooLarge) as refused:
        seen(zipped(tmp_path / "c.zip", ("m.json", b"{}"), *many))
    assert refused.value.code == "package.too_many"


def test_members_that_share_their_bytes_are_a_bomb(tmp_path: Path) -> None:
    """The directory says twice where the same megabytes lie."""
    path = zipped(tmp_path / "a.zip", ("m.json", b"{}"), ("media/" + "a" * 64, os.urandom(50_000)))
    content = path.read_bytes()
    start, end = content.rindex(b"PK\x01\x02"), content.rindex(b"PK\x05\x06")
    again = content[start:end].replace(b"a" * 64, b"b" * 64)
    tail = bytearray(content[end:])
    tail[8:10] = tail[10:12] = (3).to_bytes(2, "little")
    tail[12:16] = (int.from_bytes(tail[12:16], "little") + len(again)).to_bytes(4, "little")
    path.write_bytes(content[:end] + again + bytes(tail))
    with zipfile.ZipFile(path) as opened:
        assert len(opened.infolist()) == 3
    with pytest.raises(TooLarge) as refused:
        seen(path)
    assert refused.value.code == "package.bomb"


@pytest.mark.parametrize("kept", [0, 1, 30, 200, -1, -30])
def test_an_archive_that_was_cut_off_is_none(tmp_path: Path, kept: int) -> None:
    path, _ = made(tmp_path, b"content" * 100)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(Refused) as refused:
        seen(path)
    assert refused.value.code == "package.broken"


def test_garbage_inside_is_found_and_leaves_nothing(tmp_path: Path) -> None:
    path, members = made(tmp_path, b"first" * 100, b"second" * 100)
    out = [Member(m.name, tmp_path / "out" / m.path.name, m.sha256) for m in members]
    content = bytearray(path.read_bytes())
    at = content.index(b"secondsecond")
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(Refused) as refused:
        unpack(path, out, quiet)
    assert refused.value.code == "package.broken" and not files(tmp_path / "out")


def test_a_member_with_another_hash_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    path, members = made(tmp_path, b"first", b"second")
    out = [Member(m.name, tmp_path / "out" / m.path.name, m.sha256) for m in members]
    out[1] = Member(out[1].name, out[1].path, sha(b"other"))
    with pytest.raises(Refused) as refused:
        unpack(path, out, quiet)
    assert refused.value.code == "package.wrong_hash" and not files(tmp_path / "out")
    out[1] = Member("media/" + "0" * 64, out[1].path, out[1].sha256)
    with pytest.raises(Refused) as refused:
        unpack(path, out, quiet)
    assert refused.value.code == "package.missing_file"


# ------------------------------------------------------------------------------------------------ a full disk, a cancel
def failing(monkeypatch: pytest.MonkeyPatch, turn: int, error: BaseException) -> list[str]:
    """The `turn`-th of all that touches the disk fails; the names of those that were reached."""
    reached: list[str] = []

    def count(name: str, real: Any) -> Any:
        def once(*arguments: Any, **more: Any) -> Any:
            reached.append(name)
            if len(reached) == turn:
                raise error
            return real(*arguments, **more)

        return once

    for name in ("fsync_file", "replace", "_copy", "_linked"):
        monkeypatch.setattr(archive, name, count(name, getattr(archive, name)))
    return reached


@pytest.mark.parametrize("turn", range(1, 6))
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "no space"), Cancelled()], ids=["full", "cancel"])
def test_whatever_fails_no_half_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turn: int, error: Exception
) -> None:
    path, members = made(tmp_path, b"first", b"second")
    wanted = Cancelled if isinstance(error, Cancelled) else DiskFull
    for work, reaches in (
        (lambda folder: pack(folder / "b.zip", OWNER, ("m.json", b"{}"), members, quiet), 4),
        (lambda folder: unpack(path, [Member(m.name, folder / m.sha256, m.sha256) for m in members], quiet), 4),
        (lambda folder: bring([(m.path, folder / m.sha256) for m in members], quiet), 4),
    ):
        folder = tmp_path / f"out{reaches}{turn}{id(work)}"
        folder.mkdir()
        with monkeypatch.context() as patch:
            reached = failing(patch, turn, error)
            if turn > reaches:
                work(folder)
                assert len(reached) <= reaches and files(folder)
            else:
                with pytest.raises(StudioError) as caught:
                    work(folder)
                assert type(caught.value) is wanted and not files(folder)


def test_no_room_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, members = made(tmp_path, b"first")
    monkeypatch.setattr(archive, "free_bytes", lambda folder: archive.KEEP_FREE + 4)
    with pytest.raises(DiskFull) as refused:
        unpack(path, [Member(members[0].name, tmp_path / "out", members[0].sha256)], quiet)
    assert refused.value.code == "package.no_room" and refused.value.params["needed"] == 5
    with pytest.raises(DiskFull):
        pack(tmp_path / "b.zip", OWNER, ("m.json", b"{}"), members, quiet)
    assert not (tmp_path / "out").exists() and not (tmp_path / "b.zip").exists()


# ------------------------------------------------------------------------------------------------ many files
def test_files_are_linked_or_copied_and_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "名字, ação.mp4"
    source.write_bytes(b"content")
    assert bring([(source, tmp_path / "a" / "b.mp4")], quiet) == [(sha(b"content"), 7)]
    assert source.samefile(tmp_path / "a" / "b.mp4")

    def refuse(*_: Any) -> None:
        raise OSError(errno.EXDEV, "another disk")

    monkeypatch.setattr(archive.os, "link", refuse)
    assert bring([(source, tmp_path / "a" / "c.mp4")], quiet) == [(sha(b"content"), 7)]
    assert not source.samefile(tmp_path / "a" / "c.mp4") and (tmp_path / "a" / "c.mp4").read_bytes() == b"content"
    with pytest.raises(NotFound):
        bring([(source, tmp_path / "d.mp4"), (tmp_path / "gone", tmp_path / "e.mp4")], quiet)
    assert not (tmp_path / "d.mp4").exists()

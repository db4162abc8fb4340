import errno
import os

import pytest

from studio.errors import Cancelled, DiskFull
from studio.media import files


def test_replace_gives_the_part_its_name(tmp_path):
    part, final = tmp_path / "a.mp4.part", tmp_path / "a.mp4"
    part.write_bytes(b"new")
    final.write_bytes(b"old")
    files.replace(part, final)
    assert final.read_bytes() == b"new" and not part.exists()


def test_replace_waits_for_another_holder_on_windows(tmp_path, monkeypatch):
    part, final = tmp_path / "a.part", tmp_path / "a"
    part.write_bytes(b"x")
    real, tries, waits = os.replace, [], []

    def held_twice(source, target):
        tries.append(source)
        if len(tries) < 3:
            raise PermissionError(errno.EACCES, "sharing violation")
        real(source, target)

    monkeypatch.setattr(files.sys, "platform", "win32")
    monkeypatch.setattr(files.os, "replace", held_twice)
    files.replace(part, final, sleep=waits.append)
    assert final.read_bytes() == b"x" and len(waits) == 2


def test_replace_elsewhere_does_not_hide_a_refusal(tmp_path, monkeypatch):
    def refuse(source, target):
        raise PermissionError(errno.EACCES, "read-only folder")

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(PermissionError):
        files.replace(tmp_path / "a.part", tmp_path / "a", sleep=lambda seconds: pytest.fail("waited"))


@pytest.mark.parametrize("failure", [Cancelled(), KeyboardInterrupt(), ValueError("x")])
def test_a_failure_removes_the_part(tmp_path, failure):
    part = tmp_path / "a.part"
    with pytest.raises(type(failure)), files.whole_or_gone(part):
        part.write_bytes(b"half")
        raise failure
    assert not part.exists()


def test_no_space_becomes_disk_full(tmp_path):
    part = tmp_path / "a.part"
    with pytest.raises(DiskFull) as caught, files.whole_or_gone(part):
        part.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "no space")
    assert caught.value.code == "disk.full" and caught.value.params["free"] > 0
    assert caught.value.params["path"] == str(part) and not part.exists()


def test_free_bytes_of_a_folder_that_is_not_there_yet(tmp_path):
    assert files.free_bytes(tmp_path / "not" / "yet") > 0


def test_write_small_is_whole(tmp_path):
    files.write_small(tmp_path / "new" / "a.json", b"{}")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.json"]

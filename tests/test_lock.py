"""One studio per data folder; a dead one holds nothing."""

import os
import subprocess
import sys

import pytest

from studio.errors import Unavailable
from studio.lock import StudioLock

HOLD = """
import sys; from pathlib import Path; from studio.lock import StudioLock
lock = StudioLock(Path(sys.argv[1])); lock.acquire(); lock.announce("http://127.0.0.1:7860")
print(lock.token, flush=True); sys.stdin.read()
"""


def test_the_second_is_told_who_holds_it(tmp_path):
    first, second = StudioLock(tmp_path), StudioLock(tmp_path)
    first.acquire()
    first.announce("http://127.0.0.1:7860")
    with pytest.raises(Unavailable) as held:
        second.acquire()
    assert held.value.params == {"pid": os.getpid(), "url": "http://127.0.0.1:7860"}
    holder = second.holder()
    assert holder is not None and holder.token == first.token
    first.release()
    assert second.holder() is None
    second.acquire()
    second.release()


def test_only_the_owner_may_read_it(tmp_path):
    (tmp_path / "studio.lock").write_text("left behind by an older version")
    (tmp_path / "studio.lock").chmod(0o644)
    lock = StudioLock(tmp_path)
    lock.acquire()
    assert (tmp_path / "studio.lock").stat().st_mode & 0o077 == 0
    lock.release()
    assert lock.token not in (tmp_path / "studio.lock").read_text()


def test_a_killed_studio_leaves_no_lock(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        token = other.stdout.readline().strip()
        mine = StudioLock(tmp_path)
        holder = mine.holder()
        assert holder is not None
        assert (holder.pid, holder.url, holder.token) == (other.pid, "http://127.0.0.1:7860", token)
        with pytest.raises(Unavailable):
            mine.acquire()
        other.kill()
        other.wait()
        assert (tmp_path / "studio.lock").read_text(), "what it wrote is still there"
        assert mine.holder() is None
        mine.acquire()
        mine.release()


@pytest.mark.parametrize("left", ["", "{", "[]", '{"pid": "x"}', "null"])
def test_a_damaged_file_of_a_live_studio_names_nobody(tmp_path, left):
    first = StudioLock(tmp_path)
    first.acquire()
    (tmp_path / "studio.lock").write_text(left)
    holder = StudioLock(tmp_path).holder()
    assert holder is not None and holder.url == ""
    first.release()


def test_no_folder_no_holder(tmp_path):
    assert StudioLock(tmp_path / "nowhere").holder() is None

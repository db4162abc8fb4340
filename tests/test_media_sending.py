"""A zip that is made while it is sent: byte for byte an archive, as large as it said, without a copy on the disk."""

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from studio.media.sending import CHUNK, Part, Sending


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(bytes(range(256)) * (CHUNK // 100))  # more than two chunks
    return path


def test_what_is_sent_is_an_archive(tmp_path: Path, film: Path) -> None:
    words = "caf\u00e9 " * 500
    sending = Sending([Part("index.html", words.encode()), Part("film.mp4", film), Part("\u5f71\u7247.vtt", film)])
    sent = b"".join(sending.chunks())
    assert len(sent) == sending.size
    with zipfile.ZipFile(io.BytesIO(sent)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["index.html", "film.mp4", "\u5f71\u7247.vtt"]
        assert archive.read("index.html").decode() == words and archive.read("film.mp4") == film.read_bytes()
        assert archive.getinfo("film.mp4").compress_type == zipfile.ZIP_STORED
        # its size and checksum stand before it: some programs cannot unpack a plain member that has them behind it
        assert not archive.getinfo("film.mp4").flag_bits & 0x08
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4"]


def test_another_program_unpacks_it(tmp_path: Path, film: Path) -> None:
    if shutil.which("unzip") is None:
        pytest.skip("no unzip here")
    (tmp_path / "a.zip").write_bytes(b"".join(Sending([Part("a", b"a" * 99), Part("film.mp4", film)]).chunks()))
    done = subprocess.run(["unzip", "-t", str(tmp_path / "a.zip")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_film_of_more_than_four_gigabytes_has_long_numbers(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the limit lies is the library's; here it is brought down to what a test can write."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", CHUNK)
    sending = Sending([Part("film.mp4", film), Part("after.txt", b"there")])
    with zipfile.ZipFile(io.BytesIO(b"".join(sending.chunks()))) as archive:
        assert archive.testzip() is None and archive.read("after.txt") == b"there"
        assert archive.getinfo("film.mp4").extract_version >= 45


def test_a_file_that_has_gone_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Sending([Part("film.mp4", tmp_path / "gone.mp4")])

"""scripts/smoke_bundle.py sees a bundle that does not work. The bundles here are a few lines of shell; the real one is
made, unpacked and started by .ci/run, since its set-up downloads and installs everything."""

import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from scripts import smoke_bundle

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the bundles here are shell scripts")

GOOD = {
    "install": 'ln -s "{environment}" "$here/.venv"',
    "demo": 'mkdir -p "$HOME/Lanterna/outputs"; cp "{film}" "$HOME/Lanterna/outputs/film.mp4"',
}
STARTER = """#!/bin/sh
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
case "$1" in
install) {install} ;;
demo) {demo} ;;
esac
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """21 seconds of noise with sound."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    noise = np.random.default_rng(1).integers(0, 255, (36, 64, 3), np.uint8)
    with av.open(str(path), "w") as out:
        video, audio = out.add_stream("libx264", rate=24), out.add_stream("aac", rate=48000)
        video.width, video.height, video.pix_fmt = 64, 36, "yuv420p"
        for _ in range(24 * 21):
            out.mux(video.encode(av.VideoFrame.from_ndarray(noise)))
        out.mux(video.encode())
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.rate = 48000
        out.mux(audio.encode(silence))
        out.mux(audio.encode())
    return path


@pytest.fixture
def smoke(tmp_path: Path, film: Path) -> Callable[..., dict[str, object]]:
    """Smoke-test a bundle whose starter does `install` and `demo` so."""

    def tried(**does: str) -> dict[str, object]:
        archive = tmp_path / "bundle.zip"
        words = {name: line.format(environment=sys.prefix, film=film) for name, line in (GOOD | does).items()}
        with zipfile.ZipFile(archive, "w") as bundle:
            entry = zipfile.ZipInfo("Lanterna-program/Lanterna.sh")
            entry.external_attr = 0o100755 << 16
            bundle.writestr(entry, STARTER.format(**words))
            bundle.writestr("Lanterna-program/app/launch.py", "")
        return smoke_bundle.smoke(archive, tmp_path / "scratch", [])

    return tried


def test_a_bundle_that_works(smoke: Callable[..., dict[str, object]]) -> None:
    facts = smoke()
    assert (facts["frames"], facts["size"], facts["sound"]) == (24 * 21, [64, 36], 1)


@pytest.mark.parametrize(
    ("verb", "does", "said"),
    [
        ("install", "exit 3", "install --no-shortcut ended with 3"),
        ("demo", "exit 1", "Lanterna.sh demo ended with 1"),
        ("demo", "true", "no film in"),
        ("demo", 'mkdir -p "$HOME/Lanterna/outputs"; echo > "$HOME/Lanterna/outputs/a.mp4"', "cannot be looked at"),
        ("demo", GOOD["demo"] + '; : > "$here/app/studio.db"', "the code folder has new files"),
        ("demo", "python3 --version || exit 9", "ended with 9"),
    ],
    ids=["set-up fails", "demo fails", "no film", "half a film", "data among the code", "no python on PATH"],
)
def test_a_bundle_that_does_not(smoke: Callable[..., dict[str, object]], verb: str, does: str, said: str) -> None:
    with pytest.raises(smoke_bundle.Broken, match=said):
        smoke(**{verb: does})


def test_another_python_than_its_own_is_seen(tmp_path: Path) -> None:
    (tmp_path / "python").mkdir()
    (tmp_path / "app").mkdir()
    with pytest.raises(smoke_bundle.Broken, match="not on its own Python"):
        smoke_bundle.check_folders(tmp_path, set(), {"prefix": "/usr"})
    smoke_bundle.check_folders(tmp_path, set(), {"prefix": str(tmp_path / "python")})


def test_a_short_or_empty_film_is_no_film(smoke: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    short = tmp_path / "short.mp4"
    with av.open(str(short), "w") as out:
        video = out.add_stream("libx264", rate=24)
        video.width, video.height, video.pix_fmt = 64, 36, "yuv420p"
        for _ in range(24):
            out.mux(video.encode(av.VideoFrame(64, 36, "yuv420p")))
        out.mux(video.encode())
    with pytest.raises(smoke_bundle.Broken, match="that is no film"):
        smoke(demo=GOOD["demo"].replace("{film}", str(short)))

"""Remembered: answers of encoders by what they were asked, whole or not there, the oldest out first."""

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from studio.pipelines.diffusion.embeddings import CACHE, LEFT, Remembered, content


def test_an_answer_comes_back_as_it_was(tmp_path: Path) -> None:
    asked: list[int] = []
    answer = (torch.randn(1, 3, 4, dtype=torch.bfloat16), None, (torch.arange(5), torch.ones(2, 2).T))

    def make() -> Any:
        asked.append(1)
        return answer

    for _ in range(2):
        found = Remembered(tmp_path).get({"prompt": "a lamp"}, make)
        assert torch.equal(found[0], answer[0]) and found[0].dtype == torch.bfloat16 and found[1] is None
        assert torch.equal(found[2][0], answer[2][0]) and torch.equal(found[2][1], answer[2][1])
    assert asked == [1]
    Remembered(tmp_path).get({"prompt": "another"}, make)
    assert asked == [1, 1] and [path.suffix for path in tmp_path.iterdir()] == [".safetensors"] * 2


@pytest.mark.parametrize("damage", [b"", b"\xff" * 100, None])
def test_a_damaged_answer_is_asked_again(damage: bytes | None, tmp_path: Path) -> None:
    kept = Remembered(tmp_path)
    kept.get({"prompt": "a"}, lambda: torch.ones(100))
    file = next(tmp_path.iterdir())
    file.write_bytes(file.read_bytes()[:-50] if damage is None else damage)
    assert torch.equal(kept.get({"prompt": "a"}, lambda: torch.zeros(2)), torch.zeros(2))
    assert torch.equal(kept.get({"prompt": "a"}, lambda: torch.ones(9)), torch.zeros(2))


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> Any:
        raise RuntimeError("out of words")

    with pytest.raises(RuntimeError):
        Remembered(tmp_path).get({"prompt": "a"}, fail)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_costs_the_answer_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    kept = Remembered(tmp_path)
    assert torch.equal(kept.get({"prompt": "a"}, lambda: torch.ones(3)), torch.ones(3))
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_bytes(b"")
    no_folder = Remembered(tmp_path / "file" / "inner")
    assert torch.equal(no_folder.get({"prompt": "a"}, lambda: torch.ones(3)), torch.ones(3))


def test_what_a_dead_worker_left_goes_after_a_day(tmp_path: Path) -> None:
    for name, age in (("old", 2 * LEFT), ("new", 0)):
        (tmp_path / f"{name}.part").write_bytes(b"half")
        os.utime(tmp_path / f"{name}.part", (time.time() - age,) * 2)
    Remembered(tmp_path).get({"prompt": "a"}, lambda: torch.ones(3))
    assert [path.name for path in tmp_path.glob("*.part")] == ["new.part"]


def test_the_least_recently_asked_go_when_there_are_too_many(tmp_path: Path) -> None:
    kept = Remembered(tmp_path, bound=3 * 5_000)
    for number in range(3):
        kept.get({"prompt": number}, lambda: torch.ones(1000))
        os.utime(max(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns), (number, number))
    kept.get({"prompt": 0}, lambda: torch.zeros(1))  # somebody asked for the oldest
    kept.get({"prompt": 3}, lambda: torch.ones(1000))
    assert [kept.has({"prompt": number}) for number in range(4)] == [True, False, True, True]


def test_without_a_cache_folder_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE, raising=False)
    asked: list[int] = []
    for _ in range(2):
        Remembered.here().get({"prompt": "a"}, lambda: asked.append(1))
    assert asked == [1, 1]


def test_what_is_asked_counts_and_not_where_it_lies() -> None:
    red, also, blue = (Image.new("RGB", (4, 4), colour) for colour in ("red", "red", "blue"))
    assert content([red, "x", 1, None]) == content((also, "x", 1, None)) != content([blue, "x", 1, None])
    assert content(red) != content(red.resize((8, 2)))
    assert content(torch.ones(3)) == content(torch.ones(3)) != content(torch.ones(3, dtype=torch.int32))
    assert content(torch.tensor(1.0)) != content(torch.tensor(2.0))
    assert content(torch.device("cpu")) == content(torch.device("cuda", 0))
    with pytest.raises(TypeError):
        content(object())

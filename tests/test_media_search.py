"""Which of many files is meant: every parent of the path, any spelling, content where it is known; never a guess."""

import hashlib
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from studio import tools
from studio.media.search import MAX_SHOWN, File, Match, Wanted, match_all, walk
from studio.tools import ToolRun


def one(name: str, *files: str | File, kind: Any = "audio", **more: Any) -> Match:
    held = [file if isinstance(file, File) else File(file) for file in files]
    return match_all([Wanted(name, name, kind, **more)], held)[0]


@pytest.mark.parametrize(
    ("name", "files", "found", "how"),
    [
        ("uploads/inetusx/eps01/c01_maya.mp3", ["eps01/c01_maya.mp3", "eps02/c01_maya.mp3"], 0, "path"),
        ("uploads/inetusx/eps01/c01_maya.mp3", ["x/inetusx/eps01/c01_maya.mp3", "y/eps01/c01_maya.mp3"], 0, "path"),
        ("uploads/inetusx/eps01/c01_maya.mp3", ["c01_maya.mp3"], 0, "name"),
        ("C:\\Filme\\Áudio\\Fala 1, início.wav", ["áudio/fala 1, início.WAV"], 0, "path"),
        (unicodedata.normalize("NFD", "a/Inês.png"), ["b/Inês.png"], 0, "name"),
        ("a/Inês.png", [unicodedata.normalize("NFD", "a/Inês.png")], 0, "path"),
        ("素材/小林 (1).png", ["别的/素材/小林 (1).png"], 0, "path"),
        ("a/B.png", ["x/a/b.png", "y/a/B.png"], 1, "path"),
        ("./a/../b.png", ["b.png"], 0, "name"),
    ],
)  # fmt: skip
def test_every_parent_of_the_path_is_tried(name: str, files: list[str], found: int, how: str) -> None:
    match = one(name, *files)
    assert (match.state, match.path, match.how) == ("found", files[found], how)


def test_what_cannot_be_told_apart_is_asked() -> None:
    match = one("uploads/face.png", "ana/face.png", "rui/face.png")
    assert match.state == "ambiguous" and match.candidates == ("ana/face.png", "rui/face.png") and not match.path
    assert len(one("face.png", *(f"{n}/face.png" for n in range(50))).candidates) == MAX_SHOWN


def test_one_file_is_never_two() -> None:
    wanted = [Wanted(name, name, "image") for name in ("ana/face.png", "rui/face.png", "rui/other.png")]
    states = [match.state for match in match_all(wanted, [File("new/face.png"), File("new/other.png")])]
    assert states == ["ambiguous", "ambiguous", "found"]
    wanted = [Wanted("ana/face.png", "ana/face.png", "image"), Wanted("Ana/Face.png", "Ana/Face.png", "image")]
    assert [match.state for match in match_all(wanted, [File("face.png")])] == ["found", "found"]


def test_another_suffix_is_only_suggested() -> None:
    match = one("c01.mp3", "a/c01.wav", "a/c01.txt", "a/c01.png")
    assert (match.state, match.candidates) == ("similar", ("a/c01.wav",))
    assert one("c01.mp3", "a/c02.mp3").state == "not_found"


def test_fifty_thousand_names_in_a_moment() -> None:
    files = [File(f"{n % 300}/shot {n}.png", n) for n in range(50_000)]
    wanted = [Wanted(f"old/place/{n % 300}/Shot {n}.png", "", "image") for n in range(0, 50_000, 25)]
    wanted = [Wanted(w.ref, w.ref, w.kind) for w in wanted]
    began = time.process_time()
    assert all(match.how == "path" for match in match_all(wanted, files))
    assert time.process_time() - began < 5


# ------------------------------------------------------------------------------------------------ by content
@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {
        "a/one.png": b"1", "copy/one.png": b"1", "b/two.png": b"two", "c/two.png": b"owt", "d/renamed.png": b"lost!",
        ".hidden/gone.png": b"x", "e/gone.txt": b"x",
    }.items():  # fmt: skip
        path = tmp_path / "found" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "found" / "loop").symlink_to(tmp_path / "found")
    return tmp_path / "found"


def search(folder: Path, *wanted: dict[str, Any], run: ToolRun | None = None) -> list[tuple[str, str]]:
    rows = [{"name": row["ref"], "kind": "image", **row} for row in wanted]
    told = tools.load("search")({"folder": str(folder), "wanted": rows}, run or ToolRun())
    assert told["complete"] and told["seen"] == 6
    return [(match["state"], match["path"]) for match in told["matches"]]


def test_copies_are_one_file_and_others_are_not(folder: Path) -> None:
    assert search(folder, {"ref": "one.png"}, {"ref": "two.png"}, {"ref": "gone.png"}) == [
        ("found", "a/one.png"), ("ambiguous", ""), ("not_found", ""),
    ]  # fmt: skip


def test_what_is_known_by_its_hash_is_found_under_any_name(folder: Path) -> None:
    lost = {"sha256": hashlib.sha256(b"lost!").hexdigest(), "size": 5}
    two = {"sha256": hashlib.sha256(b"owt").hexdigest(), "size": 3}
    other = {"sha256": hashlib.sha256(b"0").hexdigest(), "size": 1}
    found = search(folder, {"ref": "x/lost.png", **lost}, {"ref": "two.png", **two}, {"ref": "one.png", **other})
    assert found == [("found", "d/renamed.png"), ("found", "c/two.png"), ("changed", "")]


def test_a_browser_knows_sizes_only() -> None:
    known = {"sha256": "ab" * 32, "size": 7}
    assert one("a.png", File("x/a.png", 7), File("y/a.png", 8), **known).path == "x/a.png"
    assert one("a.png", File("x/a.png", 7), File("y/a.png", 7), **known).state == "ambiguous"
    assert one("a.png", File("x/b.png", 7), File("y/c.png", 8), **known).candidates == ("x/b.png",)
    assert one("a.png", File("x/a.png", 6), **known).state == "changed"


def test_a_search_says_how_far_it_is_and_stops(tmp_path: Path) -> None:
    for number in range(1200):
        (tmp_path / f"{number}.txt").touch()
    seen: list[int] = []
    files, complete = walk(tmp_path, seen.append)
    assert len(files) == 1200 and complete and seen == [500, 1000]

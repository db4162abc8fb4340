"""What is on the shelf: whole parts, half ones, and what their folders say. Folders only, no model is loaded."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from studio.errors import Refused
from studio.pipelines.diffusion.checkpoints import find_file
from studio.pipelines.parts import SHELF, Part, Shelf, header_of, held, one_look, sound, wanted, weights_of, whole
from studio.service import Studio

WAN = "wan2.1-t2v-1.3b"
REPO, COMMIT = "owner/model", "a" * 40
PART = Part("transformer", REPO, 100)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setenv(SHELF, str(tmp_path / "models"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    return Shelf.here()


def weights(path: Path, values: int = 4) -> Path:
    """A safetensors file of one tensor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"w": {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4 * values)
    return path


def part_in(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name.endswith(".safetensors"):
            weights(folder / name)
        else:
            (folder / name).write_text("{}")
    return folder


def listed(shelf: Shelf, part: Part, **sizes: int) -> None:
    path = shelf.folder / "lists" / "owner--model" / COMMIT / part.listed
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {name.replace("__", "."): {"bytes": size, "digest": "d" * 64} for name, size in sizes.items()}
    path.write_text(json.dumps(rows))


def snapshot(shelf: Shelf, commit: str = COMMIT) -> Path:
    return shelf.repository(REPO) / "snapshots" / commit


# ------------------------------------------------------------------------------------------------ whole or half
@pytest.mark.parametrize(
    ("names", "here"),
    [
        (("config.json", "model.safetensors"), True),
        (("model.safetensors",), False),
        (("config.json",), False),
        (("config.json", "pytorch_model.bin"), False),
        (("config.json", "model.fp16.safetensors"), False),
        (("scheduler_config.json",), True),
        (("preprocessor_config.json",), True),
        (("generation_config.json",), False),
        (("tokenizer_config.json", "spiece.model"), True),
        (("tokenizer_config.json", "special_tokens_map.json"), False),
        ((), False),
    ],
)
def test_a_folder_is_whole_or_it_is_not(tmp_path: Path, names: tuple[str, ...], here: bool) -> None:
    assert whole(part_in(tmp_path / "part", *names)) is here


def test_every_shard_of_an_index_must_be_there(tmp_path: Path) -> None:
    folder = part_in(tmp_path, "config.json", "model-00001-of-00002.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(
        json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})
    )
    assert not whole(folder)
    weights(folder / "model-00002-of-00002.safetensors")
    assert whole(folder)
    index.write_text("{half")
    assert not whole(folder)


def test_weights_are_looked_at_to_their_end(tmp_path: Path) -> None:
    file = weights(tmp_path / "model.safetensors", 1000)
    assert sound(file)
    content = file.read_bytes()
    for broken in (content[:-1], content + b"x", content[:4], b"", b"\xff" * 64, b"\x80\x02pickle" * 20):
        file.write_bytes(broken)
        assert not sound(file), len(broken)
    assert header_of(file) is None


@pytest.mark.parametrize(
    ("name", "variant", "mine"),
    [
        ("model.safetensors", "", True),
        ("model.safetensors", "fp16", False),
        ("model.fp16.safetensors", "fp16", True),
        ("model.fp16-00001-of-00002.safetensors", "fp16", True),
        ("model-00001-of-00002.fp16.safetensors", "fp16", True),
        ("model-00001-of-00002.safetensors", "", True),
        ("model.safetensors.index.json", "", True),
        ("model.safetensors.index.fp16.json", "fp16", True),
        ("model.safetensors.index.fp16.json", "", False),
        ("config.json", "fp16", True),
        ("pytorch_model.bin", "", False),
        ("model.ckpt", "", False),
    ],
)
def test_one_kind_of_weights_and_no_pickle(name: str, variant: str, mine: bool) -> None:
    assert wanted(name, variant) is mine


@pytest.mark.parametrize(
    ("files", "names", "here"),
    [
        (("config.json", "*.safetensors*"), ("config.json", "model.safetensors", "t5.pth"), True),
        (("config.json", "*.safetensors*"), ("model.safetensors", "t5.pth"), False),
        (("config.json", "*.safetensors*"), ("config.json", "t5.pth"), False),
        (("one.safetensors",), ("one.safetensors",), True),
        (("one.safetensors",), ("two.safetensors", "config.json"), False),
        (("preprocessor_config.json",), ("preprocessor_config.json", "config.json", "pytorch_model.bin"), True),
    ],
)
def test_certain_files_of_a_folder_are_whole_by_themselves(
    tmp_path: Path, files: tuple[str, ...], names: tuple[str, ...], here: bool
) -> None:
    part = Part("part", REPO, folder="", files=files)
    folder = part_in(tmp_path / "root", *names)
    assert whole(folder, part) is here
    asked = {name for name in names if any(name == one or "*" in one and ".safetensors" in name for one in files)}
    assert {path.name for path in held(folder, part)} == asked


def test_two_parts_of_one_folder_have_lists_of_their_own() -> None:
    one, other = (Part("part", REPO, folder="", files=(name,)) for name in ("a.json", "b.json"))
    assert len({one.listed, other.listed, Part("part", REPO, folder="").listed}) == 3


def test_an_index_says_which_files_of_a_root_are_weights(tmp_path: Path) -> None:
    part = Part("transformer", REPO, folder="", files=("config.json", "*.safetensors*"))
    folder = part_in(tmp_path, "config.json", "model-00001-of-00001.safetensors", "old.safetensors")
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model-00001-of-00001.safetensors"}})
    )
    assert [path.name for path in weights_of(folder, part)] == ["model-00001-of-00001.safetensors"]
    (folder / "old.safetensors").write_bytes(b"half")
    assert whole(folder, part)


# ------------------------------------------------------------------------------------------------ where it is
def test_what_the_download_wrote_down_counts(shelf: Shelf) -> None:
    folder = part_in(snapshot(shelf) / "transformer", "config.json", "model.safetensors")
    size = (folder / "model.safetensors").stat().st_size
    assert shelf.find(PART) == folder
    listed(shelf, PART, config__json=2, model__safetensors=size, more__safetensors=5)
    assert shelf.find(PART) is None
    assert shelf.state(PART) == ("partial", folder, 2 + size)
    (folder / "more.safetensors").write_bytes(b"12345")
    assert shelf.find(PART) == folder and shelf.state(PART)[0] == "here"


def test_half_a_file_is_partial_and_counts(shelf: Shelf) -> None:
    assert shelf.state(PART) == ("missing", None, 0)
    listed(shelf, PART, model__safetensors=1000)
    blobs = shelf.repository(REPO) / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{'d' * 64}.incomplete").write_bytes(b"x" * 400)
    assert shelf.state(PART) == ("partial", None, 400)
    assert shelf.state(Part("vae", REPO)) == ("missing", None, 0)


def test_a_branch_is_what_the_cache_says_it_is(shelf: Shelf) -> None:
    old = part_in(snapshot(shelf, "b" * 40) / "transformer", "config.json", "model.safetensors")
    assert shelf.find(PART) == old  # a branch may be of any day
    assert shelf.find(Part("transformer", REPO, revision="c" * 40)) is None
    new = part_in(snapshot(shelf) / "transformer", "config.json", "model.safetensors")
    (shelf.repository(REPO) / "refs").mkdir()
    (shelf.repository(REPO) / "refs" / "main").write_text(COMMIT)
    assert shelf.find(PART) == new


def test_a_folder_of_the_user_comes_first_and_may_hold_one_part_only(shelf: Shelf, tmp_path: Path) -> None:
    part_in(snapshot(shelf) / "transformer", "config.json", "model.safetensors")
    own = part_in(tmp_path / "own" / "transformer", "config.json", "model.safetensors")
    part_in(tmp_path / "own" / "vae", "config.json", "model.safetensors")
    shelf.point_at([(PART.key, str(tmp_path / "own"))])
    assert shelf.find(PART) == own and not shelf.ours(own)
    assert shelf.find(Part("vae", REPO)) is None
    shelf.point_at([(REPO, str(tmp_path / "own")), (REPO, str(tmp_path / "own"))])
    assert shelf.find(Part("vae", REPO)) and shelf.folders()[REPO] == [str(tmp_path / "own")]
    shelf.forget([REPO, PART.key])
    assert shelf.folders() == {} and own.is_dir()


def test_a_broken_list_of_folders_is_told(shelf: Shelf) -> None:
    shelf.folder.mkdir(parents=True)
    for text in ("{", "[1]", '{"a": 3}'):
        (shelf.folder / "folders.json").write_text(text)
        with pytest.raises(Refused) as refused:
            shelf.find(PART)
        assert refused.value.code == "model.folders_broken"


@pytest.mark.parametrize("content", ["{", "[1]", '{"a": 5}', "[" * 50_000])
def test_a_list_of_folders_broken_by_hand_stops_nobody_else(content: str, studio: Studio, client: TestClient) -> None:
    folders = Shelf.here().folder / "folders.json"
    folders.parent.mkdir(parents=True, exist_ok=True)
    folders.write_text(content)
    ready = studio.engines.ready()
    assert (ready[WAN].state, ready[WAN].reason) == ("unfit", "model.folders_broken")
    assert any(one.state == "ready" for one in ready.values())
    answer = client.get("/catalogue")
    assert answer.status_code == 422 and str(folders) in answer.json()["error"]["message"]
    assert folders.read_text() == content


def test_a_folder_that_cannot_be_reached_is_as_good_as_none(shelf: Shelf) -> None:
    shelf.point_at([(REPO, "x" * 5000), (REPO, "a\0b"), ("loras", "x" * 5000)])
    assert shelf.state(PART) == ("missing", None, 0) and not list(shelf.loose("loras"))


@pytest.mark.parametrize("content", ["[]", '{"model.safetensors": 5}', '{"model.safetensors": {}}', "[" * 50_000])
def test_a_broken_list_of_files_is_as_good_as_none(shelf: Shelf, content: str) -> None:
    part_in(snapshot(shelf) / "transformer", "config.json", "model.safetensors")
    listed(shelf, PART)
    (shelf.folder / "lists" / "owner--model" / COMMIT / PART.listed).write_text(content)
    assert shelf.state(PART)[0] == "here"


def test_a_ref_that_leads_out_of_the_cache_is_not_followed(shelf: Shelf, tmp_path: Path) -> None:
    part_in(tmp_path / "other" / "transformer", "config.json", "model.safetensors")
    part_in(snapshot(shelf))
    refs = shelf.repository(REPO) / "refs"
    refs.mkdir()
    for said in (str(tmp_path / "other"), "../../../../other"):
        (refs / "main").write_text(said)
        assert shelf.find(PART) is None


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 100_000, b"{" * 100, b"[]", b'{"w": 1}', b'{"w": "data_offsets shape"}', b'{"w": ["data_offsets"]}',
        b'{"w": {"shape": [1], "data_offsets": [4]}}', b'{"w": {"shape": [1], "data_offsets": ["0", "4"]}}',
        b'{"w": {"shape": ["x"], "data_offsets": [0, 4]}}', b'{"w": {"shape": [1], "data_offsets": [0, -4]}}',
    ],
)  # fmt: skip
def test_a_header_of_a_strangers_making_is_none(tmp_path: Path, header: bytes) -> None:
    file = tmp_path / "model.safetensors"
    for length in (len(header), 10_000_000_000, 2**64 - 1):
        file.write_bytes(struct.pack("<Q", length) + header)
        assert header_of(file) is None and not sound(file)


@pytest.mark.parametrize("names", [["../model.safetensors"], [5], [None, "a"], "[" * 50_000])
def test_an_index_that_leads_out_is_not_followed(tmp_path: Path, names: list[Any] | str) -> None:
    folder = part_in(tmp_path / "part", "config.json", "a")
    weights(tmp_path / "model.safetensors")
    index = names if isinstance(names, str) else json.dumps({"weight_map": dict(enumerate(names))})
    (folder / "model.safetensors.index.json").write_text(index)
    assert not whole(folder)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/x.safetensors", "..\\..\\x.safetensors", "/etc/x.safetensors", "C:\\x.safetensors",
        "C:x.safetensors",
        "\\\\host\\share\\x.safetensors", "//host/share/x.safetensors", "a\0.safetensors", "way/out.safetensors",
    ],
)  # fmt: skip
def test_a_name_in_a_scene_never_leads_out_of_its_folder(shelf: Shelf, tmp_path: Path, name: str) -> None:
    weights(tmp_path / "outside" / "out.safetensors")
    (shelf.folder / "loras").mkdir(parents=True)
    (shelf.folder / "loras" / "way").symlink_to(tmp_path / "outside", target_is_directory=True)
    with pytest.raises(Refused) as refused:
        find_file(name, "loras")
    assert refused.value.code == "model.file_outside"


def test_a_file_of_an_imported_folder_is_found_by_the_name_that_is_listed(shelf: Shelf, tmp_path: Path) -> None:
    own, far = (
        weights(shelf.folder / "loras" / "rain.safetensors"),
        weights(tmp_path / "far" / "deep" / "fog.safetensors"),
    )
    shelf.point_at([("loras", str(tmp_path / "far"))])
    listed_files = dict(shelf.loose("loras"))
    assert listed_files == {"rain.safetensors": own, "deep/fog.safetensors": far}
    assert [find_file(name, "loras") for name in listed_files] == [own, far]
    for name, code in (("x" * 300 + ".safetensors", "model.file_missing"), ("rain.pt", "model.pickle")):
        with pytest.raises(Refused) as refused:
            find_file(name, "loras")
        assert refused.value.code == code


def test_one_look_finds_a_part_once_and_the_next_looks_again(shelf: Shelf) -> None:
    folder = part_in(snapshot(shelf) / "transformer", "config.json", "model.safetensors")
    with one_look():
        assert shelf.find(PART) == folder
        with one_look():
            (folder / "config.json").unlink()
        assert Shelf.here().find(PART) == folder
    assert shelf.find(PART) is None


def test_what_was_pointed_at_within_a_look_loses_nothing(shelf: Shelf, tmp_path: Path) -> None:
    with one_look():
        assert shelf.folders() == {}
        shelf.point_at([("loras", str(tmp_path))])
        shelf.point_at([("checkpoints", str(tmp_path))])
    assert set(shelf.folders()) == {"loras", "checkpoints"}


def test_a_root_part_has_a_list_of_its_own() -> None:
    names = [Part("model", REPO, folder="").listed, PART.listed, Part("a", REPO, folder="x/y", variant="fp16").listed]
    assert names == ["root.json", "transformer.json", "x--y.fp16.json"]

"""Downloads against a hub on this computer: what is fetched, what goes on after a cut, what is refused and why."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hub_server
import pytest
from hub_server import COMMIT, TOKEN, Hub

from studio.errors import Cancelled, DiskFull, Refused, StudioError, Unavailable
from studio.execution import Failed
from studio.execution.process import WorkerProcess
from studio.media import hub as of_hub
from studio.media import hub_files
from studio.media.hub import CHUNK, download, verify

REPO = "tiny/model"
FIRST = "transformer/diffusion_pytorch_model-00001-of-00002.safetensors"
BIG = os.urandom(3_000_000)
GIB = 1024**3


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A repository with a part in shards, a pickle beside them, and two variants of another part."""
    repo = tmp_path / "served" / REPO
    files = {
        "model_index.json": b"{}",
        "transformer/config.json": b"{}",
        "transformer/diffusion_pytorch_model-00001-of-00002.safetensors": BIG,
        "transformer/diffusion_pytorch_model-00002-of-00002.safetensors": b"second" * 1000,
        "transformer/diffusion_pytorch_model.safetensors.index.json": b'{"weight_map": {}}',
        "transformer/diffusion_pytorch_model.safetensors": b"the same once more" * 500,
        "transformer/pytorch_model.bin": b"pickle",
        "transformer/inner/other.json": b"{}",
        "vae/config.json": b"{ }",
        "vae/diffusion_pytorch_model.safetensors": b"single" * 2000,
        "vae/diffusion_pytorch_model.fp16.safetensors": b"half" * 2000,
        "pickled/config.json": b"{}",
        "pickled/pytorch_model.bin": b"pickle",
        "only16/config.json": b"{}",
        "only16/model.fp16.safetensors": b"half" * 1000,
    }
    for name, content in files.items():
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_bytes(content)
    with Hub(tmp_path / "served") as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def get(hub: Hub, tmp_path: Path, *folders: str, step: Any = lambda done, total, note: None, **more: Any) -> Any:
    names = ("variant", "revision", "repo")
    part = {"repo": REPO, **{name: more.pop(name) for name in names if name in more}}
    parts = [{"folder": folder, "listed": f"{folder or 'root'}.json", **part} for folder in folders]
    return download(
        {"parts": parts, "cache": str(tmp_path / "cache"), "lists": str(tmp_path / "lists"), "reserve": 0,
         "endpoint": hub.url, **more},
        step,
    )  # fmt: skip


def snapshot(tmp_path: Path, commit: str = COMMIT) -> Path:
    return tmp_path / "cache" / "models--tiny--model" / "snapshots" / commit


def halves(tmp_path: Path) -> list[int]:
    return [path.stat().st_size for path in (tmp_path / "cache").rglob("*.incomplete")]


def test_only_the_files_of_a_part_are_fetched(hub: Hub, tmp_path: Path) -> None:
    told = get(hub, tmp_path, "transformer")
    names = sorted(path.relative_to(snapshot(tmp_path)).as_posix() for path in snapshot(tmp_path).rglob("*.*"))
    assert names == [
        "transformer/config.json",
        "transformer/diffusion_pytorch_model-00001-of-00002.safetensors",
        "transformer/diffusion_pytorch_model-00002-of-00002.safetensors",
        "transformer/diffusion_pytorch_model.safetensors.index.json",
    ]
    assert (snapshot(tmp_path) / names[1]).read_bytes() == BIG
    assert told["bytes"] == told["fetched"] == sum((snapshot(tmp_path) / name).stat().st_size for name in names)
    assert (tmp_path / "cache" / "models--tiny--model" / "refs" / "main").read_text() == COMMIT
    rows = json.loads((tmp_path / "lists" / "tiny--model" / COMMIT / "transformer.json").read_text())
    assert rows["config.json"]["bytes"] == 2 and len(rows) == 4
    assert halves(tmp_path) == []


@pytest.mark.parametrize(("variant", "name"), [("", "model.safetensors"), ("fp16", "model.fp16.safetensors")])
def test_one_variant_of_the_weights(hub: Hub, tmp_path: Path, variant: str, name: str) -> None:
    get(hub, tmp_path, "vae", variant=variant)
    weights = [path.name for path in (snapshot(tmp_path) / "vae").glob("*.safetensors")]
    assert weights == [f"diffusion_pytorch_{name}"]


def test_what_is_here_is_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    get(hub, tmp_path, "transformer")
    before = hub.sent
    seen: list[tuple[int, int]] = []
    told = get(hub, tmp_path, "transformer", "vae", step=lambda done, total, note: seen.append((done, total)))
    assert told["fetched"] == hub.sent - before == sum(f.stat().st_size for f in (snapshot(tmp_path) / "vae").iterdir())
    assert seen[-1] == (told["bytes"], told["bytes"])
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_cut_connection_goes_on_where_it_ended(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after = [2 << 20, 500_000]
    get(hub, tmp_path, "transformer")
    first = "/cdn/tiny/model/transformer/diffusion_pytorch_model-00001-of-00002.safetensors"
    ranges = [wanted for path, wanted in hub.fetched() if path == first]
    assert ranges == ["", f"bytes={2 << 20}-", f"bytes={(2 << 20) + CHUNK}-"]
    assert hub.sent < len(BIG) + CHUNK + 10_000  # less than a chunk came twice
    assert (snapshot(tmp_path) / first.removeprefix("/cdn/tiny/model/")).read_bytes() == BIG


def test_a_server_without_ranges_begins_anew(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after, hub.no_ranges = [2 << 20], True
    get(hub, tmp_path, "transformer")
    assert (snapshot(tmp_path) / "transformer/diffusion_pytorch_model-00001-of-00002.safetensors").read_bytes() == BIG


def test_a_line_that_is_always_cut_is_given_up_and_what_came_is_kept(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after = [2 << 20] + [0] * 200
    with pytest.raises(Unavailable) as refused:
        get(hub, tmp_path, "transformer")
    assert refused.value.code == "model.cut"
    assert halves(tmp_path) == [2 << 20]


def test_cancel_keeps_what_came_and_resumes(hub: Hub, tmp_path: Path) -> None:
    def stop(done: int, total: int, note: str) -> None:
        if done > 1 << 20:
            raise Cancelled

    with pytest.raises(Cancelled):
        get(hub, tmp_path, "transformer", step=stop)
    (half,) = halves(tmp_path)
    assert 0 < half < len(BIG)
    hub.asked.clear()
    get(hub, tmp_path, "transformer")
    assert f"bytes={half}-" in [wanted for _, wanted in hub.fetched()]
    assert halves(tmp_path) == []


def test_wrong_content_is_found_and_never_gets_a_name(hub: Hub, tmp_path: Path) -> None:
    hub.broken = {"diffusion_pytorch_model-00001-of-00002.safetensors"}
    with pytest.raises(Refused) as refused:
        get(hub, tmp_path, "transformer")
    assert refused.value.code == "model.checksum"
    assert refused.value.params["file"] == "diffusion_pytorch_model-00001-of-00002.safetensors"
    assert not (snapshot(tmp_path) / "transformer" / refused.value.params["file"]).exists()
    hub.broken = set()
    get(hub, tmp_path, "transformer")
    assert (snapshot(tmp_path) / "transformer" / refused.value.params["file"]).read_bytes() == BIG


def test_a_small_file_has_a_checksum_too(hub: Hub, tmp_path: Path) -> None:
    hub.broken = {"config.json"}
    with pytest.raises(Refused) as refused:
        get(hub, tmp_path, "vae")
    assert (refused.value.code, refused.value.params["file"]) == ("model.checksum", "config.json")


def test_a_token_goes_to_the_hub_and_never_to_its_cdn(hub: Hub, tmp_path: Path) -> None:
    hub.gated = {REPO}
    get(hub, tmp_path, "transformer", token=TOKEN)
    assert all(token != ("/cdn/" in path) for _, path, _, token in hub.asked)


@pytest.mark.parametrize(
    ("wish", "trouble", "code"),
    [
        ({}, {"gated": {REPO}}, "model.gated"),
        ({"token": "hf_badtokenbadtoken"}, {"gated": {REPO}}, "model.gated_token"),
        ({"repo": "tiny/none"}, {}, "model.no_repo"),
        ({"repo": "tiny/none", "token": TOKEN}, {}, "model.no_repo"),
        ({"revision": "v9"}, {}, "model.no_revision"),
        ({"folders": ("nothing",)}, {}, "model.no_files"),
        ({"folders": ("pickled",)}, {}, "model.pickle_only"),
        ({"folders": ("only16",)}, {}, "model.no_variant"),
        ({"offline": True}, {}, "model.offline"),
        ({}, {"refused": 500}, "model.hub_trouble"),
        ({"token": TOKEN}, {"refused": 403}, "model.token_refused"),
        ({"endpoint": "http://127.0.0.1:9"}, {}, "model.no_network"),
    ],
)
def test_what_is_refused_and_why(
    hub: Hub, tmp_path: Path, wish: dict[str, Any], trouble: dict[str, Any], code: str
) -> None:
    for name, value in trouble.items():
        setattr(hub, name, value)
    with pytest.raises(StudioError) as refused:
        get(hub, tmp_path, *wish.pop("folders", ("transformer",)), **wish)
    assert refused.value.code == code
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_a_page_that_is_no_hub(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub_server._Handler._json", lambda self, content: self._empty(200, {}))
    with pytest.raises(Unavailable) as refused:
        get(hub, tmp_path, "transformer")
    assert refused.value.code == "model.not_a_hub"


def test_a_name_that_leads_elsewhere_is_refused(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"type": "file", "oid": "a" * 40, "size": 3, "path": "vae/../../../evil.json"}
    monkeypatch.setattr("hub_server._row", lambda path, repo: row)
    with pytest.raises(Unavailable):
        get(hub, tmp_path, "vae")
    assert not list(tmp_path.rglob("evil.json"))


@pytest.mark.parametrize("size", [-1, "many", None])
def test_a_size_that_is_none(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: Any) -> None:
    row = {"type": "file", "oid": "a" * 40, "size": size, "path": "vae/config.json"}
    monkeypatch.setattr("hub_server._row", lambda path, repo: row)
    with pytest.raises(Unavailable) as refused:
        get(hub, tmp_path, "vae")
    assert refused.value.code == "model.not_a_hub"


def test_a_listing_without_an_end(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_files, "MOST_FILES", 1)
    with pytest.raises(Unavailable) as refused:
        get(hub, tmp_path, "vae")
    assert refused.value.code == "model.not_a_hub"


def test_more_bytes_than_were_listed_are_not_taken(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = hub_server._row

    def lies(path: Path, repo: Path) -> dict[str, Any]:
        row = listed(path, repo)
        if "lfs" in row:
            row["lfs"]["size"] = row["size"] = 3000
        return row

    monkeypatch.setattr("hub_server._row", lies)
    seen: list[int] = []
    with pytest.raises(Refused) as refused:
        get(hub, tmp_path, "transformer", step=lambda done, total, note: seen.extend(halves(tmp_path)))
    assert refused.value.code == "model.checksum" and not halves(tmp_path)
    assert max(seen) <= 3000 + CHUNK


def test_a_proxy_that_was_taken_back_is_not_used(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_hub, "GIVEN", dict.fromkeys(of_hub.GIVEN))
    for name in of_hub.GIVEN:
        monkeypatch.setenv(name, "")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable) as refused:
            get(hub, tmp_path, "vae", proxy=f"http://127.0.0.1:{nobody.getsockname()[1]}")
    assert refused.value.code == "model.no_network"
    get(hub, tmp_path, "vae", proxy="")


def test_the_disk_keeps_its_reserve(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_hub, "free_bytes", lambda path: 2 * GIB)
    with pytest.raises(DiskFull) as full:
        get(hub, tmp_path, "transformer", reserve=2 * GIB)
    assert full.value.code == "model.disk"
    assert (full.value.params["gigabytes"], full.value.params["free"]) == (2.2, 2.1)
    assert hub.fetched() == []


def test_the_disk_is_looked_at_on_the_way(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_hub, "LOOK_AT_DISK", 1 << 20)
    free = iter([9 * GIB])
    monkeypatch.setattr(of_hub, "free_bytes", lambda path: next(free, 0))
    with pytest.raises(DiskFull):
        get(hub, tmp_path, "transformer", reserve=GIB)
    assert halves(tmp_path) and halves(tmp_path)[0] < len(BIG)


def test_parts_of_one_repository_stay_at_one_commit(hub: Hub, tmp_path: Path) -> None:
    get(hub, tmp_path, "vae")
    real, hub.commit = hub.commit, "e" * 40
    with pytest.MonkeyPatch.context() as patch:  # the hub has moved on, and still knows the old commit
        patch.setattr("hub_server._Handler._api", _knows(real))
        get(hub, tmp_path, "transformer")
    assert (snapshot(tmp_path, real) / "transformer" / "config.json").is_file()
    get(hub, tmp_path, "transformer")  # the old one is gone from the hub
    assert (snapshot(tmp_path, hub.commit) / "transformer" / "config.json").is_file()


def _knows(commit: str) -> Any:
    from hub_server import _Handler

    plain = _Handler._api

    def api(self: Any, parts: list[str], token: str) -> None:
        plain(self, [self.hub.commit if part == commit else part for part in parts], token)

    return api


def test_verify_reads_every_file_again(hub: Hub, tmp_path: Path) -> None:
    get(hub, tmp_path, "transformer")
    files = sorted((snapshot(tmp_path) / "transformer").iterdir())
    rows = [{"path": str(path), "digest": ""} for path in files]
    assert verify({"files": rows}, lambda *_: None) == {
        "files": 4, "bytes": sum(path.stat().st_size for path in files), "unknown": 0, "bad": [],
    }  # fmt: skip
    blob = files[1].resolve()
    content = bytearray(blob.read_bytes())
    content[1_000_000] ^= 1
    blob.write_bytes(content)
    assert verify({"files": rows}, lambda *_: None)["bad"] == [str(files[1])]
    plain = tmp_path / "plain.json"
    plain.write_text("{}")
    told = verify({"files": [{"path": str(plain), "digest": ""}]}, lambda *_: None)
    assert (told["unknown"], told["bad"]) == (1, [])


def test_a_worker_that_is_killed_leaves_what_came(hub: Hub, tmp_path: Path) -> None:
    worker = WorkerProcess()
    hub.on_bytes = lambda sent: worker.close() if sent > len(BIG) // 2 else None
    part = {"repo": REPO, "folder": "transformer", "listed": "transformer.json"}
    arguments = {
        "parts": [part], "cache": str(tmp_path / "cache"), "lists": str(tmp_path / "lists"), "reserve": 0,
        "endpoint": hub.url,
    }  # fmt: skip
    *_, last = worker.call("download", arguments)
    assert isinstance(last, Failed) and last.transient
    assert not (snapshot(tmp_path) / FIRST).exists()
    hub.on_bytes = lambda sent: None
    came = halves(tmp_path)
    get(hub, tmp_path, "transformer")
    assert (snapshot(tmp_path) / FIRST).read_bytes() == BIG
    assert not came or not came[0] or f"bytes={came[0]}-" in [wanted for _, wanted in hub.fetched()]

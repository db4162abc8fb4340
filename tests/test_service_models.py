"""Models through the service: the catalogue, fetching from a hub on this computer, checking, removing, importing."""

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from hub_server import COMMIT, TOKEN, Hub
from starlette.testclient import TestClient

from studio.api import make_api
from studio.domain import State
from studio.errors import Conflict, DiskFull, NotFound, Refused, StudioError, Unavailable
from studio.media.hub import CHUNK
from studio.pipelines import ENGINES, catalogue, engine_class, shelving
from studio.pipelines.parts import Part, Shelf
from studio.service import Studio

WAN, WAN_14B = "wan2.1-t2v-1.3b", "wan2.1-t2v-14b"
REPO = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"
SHOT = {
    "task_type": "text_to_video", "prompt": "a lighthouse", "resolution": "480P", "duration": 0.3, "seed": 7,
    "engine": WAN, "options": {WAN: {"width": 32, "height": 32, "num_inference_steps": 2}},
}  # fmt: skip


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every repository that two Wan models are made of, at tiny size."""
    folder = tmp_path_factory.mktemp("published")
    for repo in {part.repo for model in (WAN, WAN_14B) for part in engine_class(model).parts}:
        tiny_models.build(repo, folder / repo)
    return folder


@pytest.fixture
def hub(published: Path, tmp_path: Path) -> Iterator[Hub]:
    shutil.copytree(published, tmp_path / "served")
    with Hub(tmp_path / "served") as opened:
        yield opened


@pytest.fixture
def open_studio(build: Callable[..., Studio], hub: Hub) -> Callable[..., Studio]:
    return lambda **more: build(**{"hf_endpoint": hub.url, "force_cpu": True, **more})


@pytest.fixture
def studio(open_studio: Callable[..., Studio]) -> Studio:
    return open_studio()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.media.hub.time.sleep", lambda seconds: None)


def fetch(studio: Studio, model: str = WAN) -> dict[str, Any]:
    studio.models.fetch(model, accept_licence=True)
    studio.downloads.drain()
    return studio.models.get(model)


def queue_with(studio: Studio, *scenes: dict[str, Any]) -> str:
    queue_id = str(studio.queues.create("Pier")["id"])
    for scene in scenes or (SHOT,):
        studio.scenes.add(queue_id, scene)
    return queue_id


# ------------------------------------------------------------------------------------------------ fetching
def test_a_model_is_fetched_and_makes_a_film(studio: Studio, hub: Hub, tmp_path: Path) -> None:
    before = studio.models.get(WAN)
    assert (before["state"], before["missing_bytes"]) == ("missing", before["bytes"])
    after = fetch(studio)
    assert (after["state"], after["missing_bytes"], after["download"]["state"]) == ("ready", 0, "done")
    assert after["download"]["done"] == after["download"]["total"] > 0
    assert {part["state"] for part in after["parts"]} == {"here"}
    queue_id = queue_with(studio)
    studio.runs.run(queue_id)
    studio.drain()
    (row,) = studio.queues.get(queue_id)["scenes"]
    assert (row["state"], row["take"]["engine"]) == (State.DONE, WAN)


def test_a_cut_download_goes_on_after_a_restart(
    open_studio: Callable[..., Studio], hub: Hub, published: Path, tmp_path: Path
) -> None:
    big = b"\0" * 3_000_000
    (hub.folder / REPO / "vae" / "more.safetensors").write_bytes(big)
    hub.cut_after = [CHUNK] + [0] * 100
    first = open_studio()
    told = fetch(first)
    assert (told["state"], told["download"]["state"]) == ("partial", "failed")
    assert told["download"]["error"]["code"] == "model.cut"
    assert next(part for part in told["parts"] if part["name"] == "vae")["state"] == "partial"
    first.models.fetch(WAN)
    first.close()
    hub.cut_after, before = [], hub.sent
    second = open_studio()
    assert second.models.get(WAN)["download"]["state"] == "waiting"
    second.downloads.drain()
    assert second.models.get(WAN)["download"]["state"] == "done"
    assert [wanted for path, wanted in hub.fetched() if path.endswith("more.safetensors")][-1] == f"bytes={CHUNK}-"
    assert hub.sent - before < len(big)


def test_what_ran_when_the_studio_died_waits_again(open_studio: Callable[..., Studio]) -> None:
    first = open_studio()
    first.models.fetch(WAN, accept_licence=True)
    row = first._store.models.next()
    first._store.models.update(row["id"], state="running")
    first.close()
    second = open_studio()
    assert second._store.models.put_back() == 1
    second.downloads.drain()
    assert second.models.get(WAN)["state"] == "ready"


def test_the_licence_is_accepted_first_and_once(studio: Studio) -> None:
    with pytest.raises(Refused) as refused:
        studio.models.fetch(WAN)
    assert refused.value.code == "model.licence" and refused.value.params["page"].startswith("https://")
    assert studio.models.get(WAN)["download"] is None and not studio.models.get(WAN)["accepted"]
    studio.models.fetch(WAN, accept_licence=True)
    assert studio.models.get(WAN_14B)["accepted"]
    studio.models.fetch(WAN_14B)


def test_two_clicks_are_one_download(studio: Studio, hub: Hub) -> None:
    first = studio.models.fetch(WAN, accept_licence=True)["download"]["id"]
    assert studio.models.fetch(WAN)["download"]["id"] == first


def test_cancel_before_its_turn_and_on_the_way(studio: Studio, hub: Hub) -> None:
    studio.models.fetch(WAN, accept_licence=True)
    assert studio.models.cancel(WAN)["download"]["state"] == "cancelled"
    studio.downloads.drain()
    assert hub.sent == 0
    hub.on_bytes = lambda sent: studio.models.cancel(WAN) and None  # type: ignore[assignment]
    told = fetch(studio)
    assert told["download"]["state"] == "cancelled" and told["download"]["error"] is None
    assert told["state"] in ("partial", "missing")
    hub.on_bytes = lambda sent: None
    assert fetch(studio)["state"] == "ready"


def test_pace_and_what_is_left(studio: Studio, hub: Hub) -> None:
    clock = iter(range(0, 10_000, 2))
    studio.downloads._clock = lambda: float(next(clock))
    seen: list[dict[str, Any]] = []
    hub.on_bytes = lambda sent: seen.append(studio.models.get(WAN)["download"])
    fetch(studio)
    assert {one["state"] for one in seen} == {"running"} and seen[-1]["total"] < 3_000_000
    moving = [one for one in seen if one["bytes_per_second"]]
    assert moving and all(one["eta"] >= 0 for one in moving)
    assert [one["done"] for one in seen] == sorted(one["done"] for one in seen)


@pytest.mark.parametrize(
    ("settings", "trouble", "code"),
    [
        ({"offline": True}, {}, "model.offline"),
        ({}, {"free": 1}, "model.disk"),
        ({}, {"gated": True}, "model.gated"),
    ],
)
def test_what_cannot_be_fetched_is_refused_at_once(
    open_studio: Callable[..., Studio], hub: Hub, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any],
    trouble: dict[str, Any], code: str,
) -> None:  # fmt: skip
    studio = open_studio(**settings)
    if "free" in trouble:
        monkeypatch.setattr("studio.service.models.free_bytes", lambda path: trouble["free"])
    if "gated" in trouble:
        monkeypatch.setitem(catalogue.CATALOGUE, WAN, catalogue.Entry("Wan", gated=True))  # type: ignore[arg-type]
    with pytest.raises(StudioError) as refused:
        studio.models.fetch(WAN, accept_licence=True)
    assert refused.value.code == code and hub.asked == []
    assert isinstance(refused.value, (Unavailable, DiskFull, Refused))


def test_a_key_that_was_just_saved_opens_a_gated_repository(studio: Studio, hub: Hub) -> None:
    hub.gated = {REPO}
    assert fetch(studio)["download"]["error"]["code"] == "model.gated"
    studio.preferences.change({"hf_token": TOKEN})
    assert fetch(studio)["state"] == "ready"


# ------------------------------------------------------------------------------------------------ checking, removing
def test_a_check_finds_what_rotted_and_getting_it_again_heals(studio: Studio, hub: Hub) -> None:
    fetch(studio)
    studio.models.verify(WAN)
    studio.downloads.drain()
    check = studio.models.get(WAN)["check"]
    assert (check["state"], check["bad"], check["unknown"]) == ("done", [], 0) and check["files"] > 5
    part = next(part for part in studio.models.get(WAN)["parts"] if part["name"] == "transformer")
    weights = next(Path(part["path"]).glob("*.safetensors"))
    rotten = bytearray(weights.read_bytes())
    rotten[-1] ^= 1
    weights.resolve().write_bytes(rotten)
    assert studio.models.get(WAN)["state"] == "ready"  # nobody has looked yet
    studio.models.verify(WAN)
    studio.downloads.drain()
    found = studio.models.get(WAN)
    assert found["check"]["bad"] == [TRANSFORMER] and found["state"] == "partial"
    assert fetch(studio)["state"] == "ready"
    assert weights.read_bytes() != bytes(rotten)


def test_removing_keeps_what_another_model_reads(studio: Studio, hub: Hub) -> None:
    fetch(studio)
    fetch(studio, WAN_14B)
    told = studio.models.remove(WAN)
    assert {row["name"] for row in told["kept"]} == {"tokenizer", "text_encoder", "vae"} and told["bytes"] > 0
    assert told["kept"][0]["models"] == ["Wan 2.1 T2V 14B"]
    assert (studio.models.get(WAN)["state"], studio.models.get(WAN_14B)["state"]) == ("partial", "ready")
    assert studio.models.remove(WAN_14B)["kept"] == []
    cache = Shelf.here().cache
    assert [path for path in cache.rglob("*") if path.is_file()] == []
    assert studio.models.get(WAN)["state"] == "missing"


def test_what_is_being_fetched_or_rendered_stays(studio: Studio) -> None:
    studio.models.fetch(WAN, accept_licence=True)
    with pytest.raises(Conflict) as refused:
        studio.models.remove(WAN)
    assert refused.value.code == "model.busy"


def test_what_another_model_is_about_to_read_stays(studio: Studio) -> None:
    fetch(studio)
    studio.models.fetch(WAN_14B, accept_licence=True)
    assert {row["name"] for row in studio.models.remove(WAN)["kept"]} == {"tokenizer", "text_encoder", "vae"}
    studio.downloads.drain()
    assert studio.models.get(WAN_14B)["state"] == "ready"


def test_what_is_being_checked_stays(studio: Studio) -> None:
    fetch(studio)
    studio.models.verify(WAN)
    with pytest.raises(Conflict) as refused:
        studio.models.remove(WAN)
    assert refused.value.code == "model.busy"


def test_a_file_that_windows_holds_is_told(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    def held(*_: Any) -> int:
        raise PermissionError(13, "the process cannot access the file")

    fetch(studio)
    monkeypatch.setattr(shelving, "remove_file", held)
    with pytest.raises(Conflict) as refused:
        studio.models.remove(WAN)
    assert refused.value.code == "model.in_use"


def test_a_full_database_holds_no_download_for_ever(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "database or disk is full")

    studio.models.fetch(WAN, accept_licence=True)
    with monkeypatch.context() as patched:
        patched.setattr(studio._store.models, "end", full)
        with pytest.raises(OSError, match="full"):
            studio.downloads.drain()
    assert studio.models.get(WAN)["download"]["state"] == "running"
    studio.downloads.drain()
    assert studio.models.get(WAN)["download"]["state"] == "done"


def test_the_pace_of_the_line_says_nothing_of_the_machine(studio: Studio, client: TestClient) -> None:
    studio._store.models.keep_pace(12_000_000.0)
    assert client.get("/memory").json()["measured"] is None
    assert studio._store.calibration.machine() == ({}, "")


# ------------------------------------------------------------------------------------------------ folders of the user
def test_a_folder_is_recognised_by_its_name_and_stays(studio: Studio, published: Path, tmp_path: Path) -> None:
    named = tmp_path / "own" / "Wan2.1-T2V-1.3B-Diffusers"
    shutil.copytree(published / REPO, named)
    told = studio.models.bring(str(tmp_path / "own"), trusted=True)
    assert [one["id"] for one in told["models"]] == [WAN] and told["refused"] == []
    assert {studio.models.get(other)["state"] for other in ENGINES if engine_class(other).parts and other != WAN} <= {
        "missing", "partial", "unfit",
    }  # fmt: skip
    parts = {part["name"]: part for part in studio.models.get(WAN)["parts"]}
    assert parts["transformer"]["path"] == str(named / "transformer") and parts["transformer"]["imported"]
    fetch(studio)  # the rest
    assert studio.models.get(WAN)["state"] == "ready"
    told = studio.models.remove(WAN)
    assert told["forgotten"] == [str(named)] and (named / TRANSFORMER).is_file()
    assert studio.models.get(WAN)["state"] == "missing"


def test_a_cache_of_the_hub_is_used_where_it_is(
    open_studio: Callable[..., Studio], build: Callable[..., Studio], hub: Hub, tmp_path: Path
) -> None:
    first = open_studio(hf_home=tmp_path / "elsewhere")
    fetch(first)
    first.close()
    second = build(data_dir=tmp_path / "data2", hf_home=tmp_path / "data2" / "models")
    assert second.models.get(WAN)["state"] == "missing"
    told = second.models.bring(str(tmp_path / "elsewhere"), trusted=True)
    assert WAN in [one["id"] for one in told["models"]]
    assert second.models.get(WAN)["state"] == "ready"
    second.models.remove(WAN)
    assert list((tmp_path / "elsewhere").rglob("*.safetensors"))


def test_a_nameless_folder_needs_to_be_told(studio: Studio, published: Path, tmp_path: Path) -> None:
    nameless = tmp_path / "mine"
    shutil.copytree(published / REPO, nameless)
    told = studio.models.bring(str(nameless), trusted=True)
    assert told["models"] == [] and told["refused"][0]["error"]["code"] == "model.not_known"
    told = studio.models.bring(str(nameless), WAN, trusted=True)
    assert [one["id"] for one in told["models"]] == [WAN]


def test_half_a_copy_a_pickle_and_another_kind_are_refused(studio: Studio, published: Path, tmp_path: Path) -> None:
    named = tmp_path / "Wan2.1-T2V-1.3B-Diffusers"
    shutil.copytree(published / REPO, named)
    weights = named / TRANSFORMER
    weights.write_bytes(weights.read_bytes()[:-10])
    config = named / "vae" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "_class_name": "AutoencoderKL"}))
    told = studio.models.bring(str(named), trusted=True)
    refused = {row["name"].rpartition("/")[2]: row["error"]["code"] for row in told["refused"]}
    assert refused["transformer"] == "model.half" and refused["vae"] == "model.wrong_class"
    for path in (named / "transformer").glob("*.safetensors"):
        path.rename(path.with_suffix(".bin"))
    told = studio.models.bring(str(named), trusted=True)
    refused = {row["name"].rpartition("/")[2]: row["error"]["code"] for row in told["refused"]}
    assert refused["transformer"] == "model.pickle"


def test_loose_files_are_listed_by_what_is_in_them(studio: Studio, tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    here, far = Shelf.here().folder / "checkpoints", tmp_path / "other app" / "models"
    for folder in (here, far / "Lora", far / "Stable-diffusion"):
        folder.mkdir(parents=True)
    save_file({"model.diffusion_model.input.weight": np.zeros(2)}, here / "own.safetensors")
    save_file({"lora_unet_down.lora_up.weight": np.zeros(2)}, far / "Lora" / "rain.safetensors")
    save_file({"model.diffusion_model.input.weight": np.zeros(3)}, far / "Stable-diffusion" / "film.safetensors")
    (far / "Stable-diffusion" / "old.ckpt").write_bytes(b"\x80" * 1_100_000)
    (far / "Stable-diffusion" / "half.safetensors").write_bytes(b"\x80" * 100)
    told = studio.models.bring(str(tmp_path / "other app"), trusted=True)
    assert (told["checkpoints"], told["loras"]) == (1, 1)
    assert {row["error"]["code"] for row in told["refused"]} == {"model.pickle", "model.not_safetensors"}
    files = studio.models.files()
    assert [one["name"] for one in files["checkpoints"]] == ["own.safetensors", "film.safetensors"]
    assert [one["name"] for one in files["loras"]] == ["rain.safetensors"]


def test_a_folder_with_nothing_in_it(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refused) as refused:
        studio.models.bring(str(tmp_path / "empty"), trusted=True)
    assert refused.value.code == "model.nothing_found"
    with pytest.raises(NotFound):
        studio.models.bring(str(tmp_path / "nowhere"), trusted=True)


# ------------------------------------------------------------------------------------------------ what a queue needs
def test_a_queue_gets_what_it_needs_and_is_run_then(studio: Studio, hub: Hub) -> None:
    queue_id = queue_with(studio, SHOT, SHOT)
    needs = studio.models.needs(queue_id)
    assert [one["id"] for one in needs["models"]] == [WAN]
    assert needs["bytes"] == studio.models.get(WAN)["bytes"] and needs["seconds"] is None
    with pytest.raises(Refused):
        studio.models.fetch_needs(queue_id, run=True)
    studio.models.fetch_needs(queue_id, accept_licences=True, run=True)
    assert studio.queues.view(queue_id)["counts"]["queued"] == 0
    studio.downloads.drain()
    assert studio.queues.view(queue_id)["counts"]["queued"] == 2
    assert studio.models.needs(queue_id) | {"free_bytes": 0} == {
        "models": [],
        "bytes": 0,
        "seconds": None,
        "free_bytes": 0,
    }


def test_the_run_that_waits_survives_a_restart(open_studio: Callable[..., Studio]) -> None:
    first = open_studio()
    queue_id = queue_with(first)
    first.models.fetch_needs(queue_id, accept_licences=True, run=True)
    first.close()
    second = open_studio()
    second.downloads.drain()
    assert second.queues.view(queue_id)["counts"]["queued"] == 1


def test_a_queue_is_not_run_when_a_model_did_not_come(studio: Studio, hub: Hub) -> None:
    queue_id = queue_with(studio)
    hub.refused = 500
    studio.models.fetch_needs(queue_id, accept_licences=True, run=True)
    studio.downloads.drain()
    assert studio.queues.view(queue_id)["counts"]["queued"] == 0
    (notice,) = studio.notices.list()
    assert notice["kind"] == "no_models" and "Pier" in notice["title"] and "HTTP 500" in notice["text"]
    hub.refused = 0
    studio.models.fetch(WAN)  # by itself: nobody waits for it any more
    studio.downloads.drain()
    assert studio.queues.view(queue_id)["counts"]["queued"] == 0


def test_auto_needs_what_would_do_it_best_here(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    queue_id = queue_with(studio, {**SHOT, "engine": "auto", "options": {}})
    (wanted,) = studio.models.needs(queue_id)["models"]
    assert wanted["id"] in ENGINES and "text_to_video" in engine_class(wanted["id"]).tasks
    fetch(studio)  # one real engine that is ready will do
    assert studio.models.needs(queue_id)["models"] == []


# ------------------------------------------------------------------------------------------------ REST, catalogue
def test_rest_says_the_same(studio: Studio, hub: Hub) -> None:
    client = TestClient(make_api(studio))
    one = next(one for one in client.get("/catalogue").json()["models"] if one["id"] == WAN)
    assert one == client.get(f"/catalogue/{WAN}").json() and one["state"] == "missing"
    refused = client.post(f"/catalogue/{WAN}/get", json={})
    assert refused.status_code == 422 and refused.json()["error"]["code"] == "model.licence"
    hub.refused = 500
    assert client.post(f"/catalogue/{WAN}/get", json={"accept_licence": True}).status_code == 202
    studio.downloads.drain()
    error = client.get(f"/catalogue/{WAN}?lang=pt").json()["download"]["error"]
    assert error["code"] == "model.hub_trouble" and "problemas" in error["message"]
    assert client.post("/catalogue/draft/get", json={}).status_code == 404
    assert client.post("/catalogue/nothing/get", json={}).status_code == 404
    assert client.delete(f"/catalogue/{WAN}").json()["bytes"] >= 0
    assert client.post(f"/catalogue/{WAN}/verify").status_code == 404


def test_every_model_has_a_line_a_licence_and_sizes() -> None:
    for cls in shelving.engines_with_parts():
        assert cls.id in catalogue.CATALOGUE, cls.id
        assert cls.licence in catalogue.LICENCES, cls.licence
        assert all(part.bytes > 0 for part in cls.parts), cls.id


def test_no_folder_of_a_part_leads_out() -> None:
    assert not [part for cls in shelving.engines_with_parts() for part in cls.parts if ".." in Path(part.where).parts]
    assert COMMIT not in {part.revision for part in (Part("a", "b/c"),)}

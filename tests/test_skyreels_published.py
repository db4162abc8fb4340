"""SkyReels-V3 and InfiniteTalk as they are published: fetched without what nobody needs, imported, read, streamed."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from hub_server import Hub
from safetensors.torch import load_file, save_file
from tiny_models_skyreels import A2V, INFINITETALK, R2V, V2V, WAV2VEC, original, originally

from studio.errors import Refused
from studio.pipelines import ENGINES, engine_class
from studio.pipelines.base import Plan
from studio.pipelines.parts import SHELF, Part, Shelf, whole
from studio.pipelines.pool import Pool
from studio.pipelines.skyreels_v3.published import located, read
from studio.pipelines.wan import I2V_LARGE
from studio.service import Studio

HERE = "studio.pipelines.skyreels_v3"
FRAME, AUDIO = f"{HERE}.frame_wan:FrameWanTransformer3DModel", f"{HERE}.audio_wan:WanAudioTransformer3DModel"
NAMES = {
    "skyreels-v3-r2v-14b": f"{HERE}.reference:SkyReelsV3Reference",
    "skyreels-v3-v2v-14b": f"{HERE}.extension:SkyReelsV3SingleShot",
    "skyreels-v3-shot-14b": f"{HERE}.extension:SkyReelsV3ShotSwitching",
    "skyreels-v3-a2v-19b": f"{HERE}.avatar:SkyReelsA2V",
    "infinitetalk": f"{HERE}.infinitetalk:InfiniteTalk",
    "infinitetalk-multi": f"{HERE}.infinitetalk:InfiniteTalkMulti",
    "infinitetalk-fp8": f"{HERE}.infinitetalk:InfiniteTalkFp8",
}
SHARDS = "diffusion_pytorch_model-0000{}-of-0000{}.safetensors"
INDEX = "diffusion_pytorch_model.safetensors.index.json"
NEEDED = {  # of the repositories that only these engines read
    "skyreels-v3-r2v-14b": {f"{R2V}/transformer/config.json", f"{R2V}/transformer/diffusion_pytorch_model.safetensors"},
    "skyreels-v3-v2v-14b": {
        f"{V2V}/transformer/{name}" for name in ("config.json", INDEX, SHARDS.format(1, 2), SHARDS.format(2, 2))
    },
    "skyreels-v3-shot-14b": {
        f"{V2V}/shot_transformer/{name}" for name in ("config.json", INDEX, SHARDS.format(1, 2), SHARDS.format(2, 2))
    },
    "skyreels-v3-a2v-19b": {
        *(f"{A2V}/{name}" for name in ("config.json", INDEX, *(SHARDS.format(n, 3) for n in (1, 2, 3)))),
        *(f"{WAV2VEC}/{name}" for name in ("config.json", "model.safetensors", "preprocessor_config.json")),
    },
    "infinitetalk": {f"{INFINITETALK}/single/infinitetalk.safetensors"},
    "infinitetalk-multi": {f"{INFINITETALK}/multi/infinitetalk.safetensors"},
    "infinitetalk-fp8": {f"{INFINITETALK}/quant_models/infinitetalk_single_fp8.safetensors"},
}
A2V_PART = Part("transformer", A2V, folder="", files=("config.json", "*.safetensors*"))
BASE = Part("transformer", I2V_LARGE)
OVER = Part("talk", INFINITETALK, folder="single", files=("infinitetalk.safetensors",), over="transformer")
FP8 = Part("transformer", INFINITETALK, folder="quant_models", files=("infinitetalk_single_fp8.safetensors",))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    for repo in {part.repo for where in NAMES.values() for part in class_of(where).parts}:
        tiny_models.build(repo, folder / repo)
    return folder


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, where in NAMES.items():
        monkeypatch.setitem(ENGINES, name, where)
    monkeypatch.setattr("studio.media.hub.time.sleep", lambda seconds: None)


@pytest.fixture
def copy(published: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    shutil.copytree(published, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def hub(published: Path) -> Iterator[Hub]:
    with Hub(published) as opened:
        yield opened


@pytest.fixture
def studio(build: Callable[..., Studio], hub: Hub) -> Studio:
    return build(hf_endpoint=hub.url, force_cpu=True)


def class_of(where: str) -> Any:
    module, _, name = where.partition(":")
    return getattr(__import__(module, fromlist=[name]), name)


def layers(folder: Path, *parts: Part) -> list[tuple[Path, Part]]:
    return [(folder / part.repo / part.where, part) for part in parts]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def files_in(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()}


# ------------------------------------------------------------------------------------------------ fetched
def fetch(studio: Studio, model: str) -> dict[str, Any]:
    studio.models.fetch(model, accept_licence=True)
    studio.downloads.drain()
    return studio.models.get(model)


@pytest.mark.parametrize("model", NAMES)
def test_only_what_is_needed_is_fetched(model: str, studio: Studio, hub: Hub) -> None:
    told = fetch(studio, model)
    assert told["state"] == "ready", told["download"]
    asked = {path.split("/cdn/")[-1].lstrip("/") for _, path, _, _ in hub.asked if "/cdn/" in path}
    asked |= {
        path.lstrip("/").replace(f"/resolve/{hub.commit}/", "/")
        for method, path, _, _ in hub.asked if method == "GET" and "/resolve/" in path
    }  # fmt: skip
    own = (R2V, V2V, A2V, INFINITETALK, *([WAV2VEC] if model == "skyreels-v3-a2v-19b" else ()))
    assert {path for path in asked if path.startswith(own)} == NEEDED[model]
    assert not any(path.endswith((".pth", ".pt", ".bin")) for path in asked)


def test_a_branch_with_slashes_is_asked_for_and_remembered(studio: Studio, hub: Hub) -> None:
    told = fetch(studio, "skyreels-v3-a2v-19b")
    assert told["state"] == "ready"
    shelf = Shelf.here()
    assert (shelf.repository(WAV2VEC) / "refs" / "refs" / "pr" / "1").read_text() == hub.commit
    assert studio.models.verify("skyreels-v3-a2v-19b")["id"]
    studio.downloads.drain()
    check = studio.models.get("skyreels-v3-a2v-19b")["check"]
    assert (check["state"], check["bad"], check["unknown"]) == ("done", [], 0) and check["files"] > 10
    studio.models.remove("skyreels-v3-a2v-19b")
    assert not shelf.repository(WAV2VEC).exists() and not shelf.repository(A2V).exists()
    assert {part["state"] for part in studio.models.get("skyreels-v3-a2v-19b")["parts"]} == {"missing"}


def test_a_file_that_the_repository_has_no_longer_is_named(studio: Studio, hub: Hub, copy: Path) -> None:
    hub.folder = copy
    (copy / INFINITETALK / "single" / "infinitetalk.safetensors").rename(
        copy / INFINITETALK / "single" / "new.safetensors"
    )
    told = fetch(studio, "infinitetalk")
    assert told["download"]["error"]["code"] == "model.no_files"
    assert told["download"]["error"]["params"]["folder"] == "single/infinitetalk.safetensors"


def test_what_lies_over_a_model_goes_without_it(studio: Studio, hub: Hub) -> None:
    fetch(studio, "infinitetalk")
    fetch(studio, "wan2.1-i2v-14b")
    removed = studio.models.remove("infinitetalk")
    assert "transformer" in {row["name"] for row in removed["kept"]}
    assert studio.models.get("wan2.1-i2v-14b")["state"] == "ready"
    states = {part["name"]: part["state"] for part in studio.models.get("infinitetalk")["parts"]}
    assert (states["transformer"], states["talk"], states["audio_encoder"]) == ("here", "missing", "missing")
    assert not Shelf.here().repository(INFINITETALK).exists()


# ------------------------------------------------------------------------------------------------ imported
@pytest.mark.parametrize(
    ("repo", "models"),
    [
        (R2V, {"skyreels-v3-r2v-14b"}),
        (V2V, {"skyreels-v3-v2v-14b", "skyreels-v3-shot-14b"}),
        (A2V, {"skyreels-v3-a2v-19b"}),
        (INFINITETALK, {"infinitetalk", "infinitetalk-multi", "infinitetalk-fp8"}),
        (I2V_LARGE, {"wan2.1-i2v-14b"}),
    ],
)
def test_a_folder_of_the_user_is_recognised(repo: str, models: set[str], studio: Studio, published: Path) -> None:
    told = studio.models.bring(str(published / repo), trusted=True)
    assert {one["id"] for one in told["models"]} == models and not told["refused"]
    own = {part for model in models for part in engine_class(model).parts if part.repo == repo}
    assert all(Shelf.here().find(part) == published / repo / part.where for part in own)


def test_all_of_them_in_one_folder_of_another_app(studio: Studio, published: Path) -> None:
    told = studio.models.bring(str(published), trusted=True)
    assert {one["id"] for one in told["models"]} >= set(NAMES)
    assert {one["state"] for one in told["models"] if one["id"] in NAMES} == {"ready"}


def test_half_of_a_root_is_refused(studio: Studio, copy: Path) -> None:
    (copy / A2V / SHARDS.format(2, 3)).unlink()
    told = studio.models.bring(str(copy / A2V), trusted=True)
    assert [row["error"]["code"] for row in told["refused"]] == ["model.half"]
    assert not whole(copy / A2V, A2V_PART)


# ------------------------------------------------------------------------------------------------ read
@pytest.mark.parametrize(
    ("where", "part"),
    [
        (FRAME, Part("transformer", V2V)),
        (FRAME, Part("transformer", V2V, folder="shot_transformer")),
        ("diffusers:WanTransformer3DModel", Part("transformer", R2V)),
        (AUDIO, A2V_PART),
    ],
)
def test_a_network_is_read_by_the_names_of_its_authors(where: str, part: Part, published: Path) -> None:
    network = read(where, layers(published, part), torch.float32)
    state = network.state_dict()
    found = files_in(published / part.repo / part.where)
    assert same(state if part.repo == R2V else originally(state), found)
    assert not network.training and not any(p.requires_grad for p in network.parameters())
    in16 = read(where, layers(published, part), torch.bfloat16).state_dict()
    narrow = {name for name, tensor in in16.items() if tensor.dtype == torch.bfloat16}
    assert "blocks.0.attn1.to_q.weight" in narrow and "blocks.0.norm2.weight" not in narrow
    assert all(torch.equal(in16[name], state[name].to(torch.bfloat16)) for name in narrow)


def test_what_is_laid_over_wins(copy: Path) -> None:
    file = copy / INFINITETALK / "single" / "infinitetalk.safetensors"
    over = load_file(file)
    base = files_in(copy / I2V_LARGE / "transformer")
    changed = base["blocks.1.attn1.to_q.weight"] + 1
    save_file({**over, "blocks.1.self_attn.q.weight": changed}, file)
    state = read(AUDIO, layers(copy, BASE, OVER), torch.float32).state_dict()
    expected = {**base, "blocks.1.attn1.to_q.weight": changed}
    assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())
    assert all(
        torch.equal(state[name.replace("audio_cross_attn", "audio_attn2")], tensor) for name, tensor in over.items()
    )
    assert len(state) == len(base) + len(over)


def test_a_file_in_8_bit_becomes_what_it_stands_for(published: Path) -> None:
    found = load_file(published / INFINITETALK / "quant_models" / "infinitetalk_single_fp8.safetensors")
    plain = read(AUDIO, layers(published, FP8), torch.float32)
    state = plain.state_dict()
    for name in ("blocks.0.attn1.to_q.weight", "blocks.3.audio_attn2.kv_linear.weight", "proj_out.weight"):
        bare = original(name)
        assert torch.equal(state[name], found[bare + "._data"].float() * found[bare + "._scale"])
    kept = read(AUDIO, layers(published, FP8), torch.bfloat16, keep_8bit=True)
    weight = kept.blocks[0].attn1.to_q.weight
    assert torch.equal(weight.qdata.view(torch.uint8), found["blocks.0.self_attn.q.weight._data"].view(torch.uint8))
    assert type(kept.proj_out.weight) is torch.nn.Parameter  # only what blocks multiply with stays in 8 bit
    tokens = torch.randn(3, 128, generator=torch.Generator().manual_seed(1))
    exact = read(AUDIO, layers(published, FP8), torch.bfloat16).blocks[0].attn1.to_q(tokens.bfloat16())
    assert torch.allclose(kept.blocks[0].attn1.to_q(tokens.bfloat16()), exact, rtol=1e-2, atol=1e-2)


def test_one_scale_for_a_whole_weight_will_do(copy: Path) -> None:
    file = copy / INFINITETALK / "quant_models" / "infinitetalk_single_fp8.safetensors"
    state = load_file(file)
    state["head.head.weight._scale"] = torch.tensor(0.5)
    save_file(state, file)
    read_again = read(AUDIO, layers(copy, FP8), torch.float32)
    assert torch.equal(read_again.proj_out.weight, state["head.head.weight._data"].float() * 0.5)


# ------------------------------------------------------------------------------------------------ refused
def refused(where: str, folder: Path, *parts: Part) -> Refused:
    with pytest.raises(Refused) as caught:
        read(where, layers(folder, *parts), torch.float32)
    return caught.value


def test_weights_of_another_task_are_told_by_what_is_missing_or_too_much(published: Path) -> None:
    silent = refused(AUDIO, published, BASE)
    assert (silent.code, silent.params["name"]) == ("model.wrong_network", "audio_proj")
    assert silent.params["found"] == "Wan 2.1 I2V"
    words = refused(AUDIO, published, Part("transformer", V2V))
    assert (words.code, words.params["found"]) == ("model.wrong_network", "SkyReels-V3 R2V, V2V")
    hears = refused(FRAME, published, A2V_PART)
    assert (hears.code, hears.params["name"]) == ("model.wrong_network_more", "audio_proj")
    sees = refused(FRAME, published, BASE)
    assert (sees.code, sees.params["found"]) == ("model.wrong_network_more", "Wan 2.1 I2V")
    alone = refused(AUDIO, published, OVER)
    assert alone.code == "model.wrong_network" and INFINITETALK in alone.params["file"]


def test_files_that_cannot_be_read_are_named(copy: Path) -> None:
    folder = copy / V2V / "transformer"
    (folder / "config.json").write_text("[1, 2")
    assert refused(FRAME, copy, Part("transformer", V2V)).code == "model.config_broken"
    file = copy / A2V / SHARDS.format(1, 3)
    file.write_bytes(file.read_bytes()[:-5])
    cut = refused(AUDIO, copy, A2V_PART)
    assert (cut.code, cut.params["file"]) == ("model.file_cut", file.name)
    file.write_bytes(b"\x80\x02 a pickle by another name")
    assert refused(AUDIO, copy, A2V_PART).code == "model.not_safetensors"


def test_weights_without_their_scales_are_refused(copy: Path) -> None:
    file = copy / INFINITETALK / "quant_models" / "infinitetalk_single_fp8.safetensors"
    state = load_file(file)
    save_file({name: tensor for name, tensor in state.items() if name != "head.head.weight._scale"}, file)
    found = refused(AUDIO, copy, FP8)
    assert (found.code, found.params["name"]) == ("model.wrong_network", "head.head.weight._scale")


# ------------------------------------------------------------------------------------------------ from the disk
def test_every_tensor_is_found_in_its_file_by_its_own_name(published: Path) -> None:
    where = located(layers(published, BASE, OVER))
    state = read(AUDIO, layers(published, BASE, OVER), torch.float32).state_dict()
    assert state.keys() == where.keys()
    for ours, (file, name, _) in where.items():
        assert torch.equal(load_file(file)[name], state[ours])
    assert {at.file.parent.name for at in where.values()} == {"transformer", "single"}


def test_blocks_that_come_from_the_disk_are_not_read_before(published: Path) -> None:
    network = read(AUDIO, layers(published, FP8), torch.bfloat16, without=("blocks",))
    assert all(parameter.is_meta for parameter in network.blocks.parameters())
    assert not any(
        parameter.is_meta for name, parameter in network.named_parameters() if not name.startswith("blocks.")
    )


RESIDENT = Plan()
HYBRID = Plan(transformer="stream", text_encoder="stream", resident_blocks=1)
DISK = replace(HYBRID, weights="disk")


@pytest.fixture(scope="module")
def shelf(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("shelf")
    repos = {part.repo for where in NAMES.values() for part in class_of(where).parts}
    (folder / "folders.json").write_text(json.dumps({repo: [str(published / repo)] for repo in repos}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SHELF, str(folder))
        yield


def drawn(engine: Any) -> torch.Tensor:
    """What the engine's network makes of one small clip, wherever its weights are."""
    draw = torch.Generator().manual_seed(1)
    hears = "audio_dim" in engine.pipe.transformer.config
    channels = engine.pipe.transformer.config.in_channels
    named: dict[str, Any] = {
        "hidden_states": torch.randn(1, channels, 2, 4, 4, generator=draw), "timestep": torch.full((1, 2), 500.0),
        "encoder_hidden_states": torch.randn(1, 512, 32, generator=draw),
    }  # fmt: skip
    if hears:
        named |= {
            "timestep": torch.full((1,), 500.0), "encoder_hidden_states_image": torch.randn(1, 5, 4, generator=draw),
            "audio_embeds": torch.randn(1, 5, 5, 12, 16, generator=draw),
        }  # fmt: skip
    with torch.no_grad(), engine.placement.using("transformer"):
        found: torch.Tensor = engine.pipe.transformer(**named, return_dict=False)[0]
    return found


@pytest.mark.parametrize("model", ["skyreels-v3-v2v-14b", "skyreels-v3-a2v-19b", "infinitetalk", "infinitetalk-fp8"])
def test_every_way_of_placing_makes_the_same(model: str, shelf: None) -> None:
    made = []
    for plans in ((RESIDENT, HYBRID), (DISK, RESIDENT, DISK)):  # read for RAM, and read for the disk
        engine = class_of(NAMES[model])()
        engine.pool = Pool()
        for plan in plans:
            engine.load(plan)
            made.append(drawn(engine))
        engine.close()
    assert bool(made[0].isfinite().all()) and bool(made[0].any())
    assert all(torch.equal(one, made[0]) for one in made[1:])


def test_weights_in_8_bit_stream_as_they_are(shelf: None) -> None:
    engine = class_of(NAMES["infinitetalk-fp8"])()
    engine.pool = Pool()
    made = []
    for plan in (replace(RESIDENT, weight_bits=8), replace(HYBRID, weight_bits=8)):
        engine.load(plan)
        made.append(drawn(engine))
    exact = type(engine.pipe.transformer.blocks[0].ffn.net[2].weight).__name__
    engine.close()
    assert torch.equal(*made) and exact == "Float8Tensor"
    engine.load(RESIDENT)
    assert torch.allclose(drawn(engine), made[0], atol=1e-3)
    engine.close()


def test_a_network_that_streamed_from_the_disk_is_not_read_to_be_closed(shelf: None) -> None:
    engine = class_of(NAMES["infinitetalk"])()
    engine.pool = Pool()
    engine.load(DISK)
    drawn(engine)
    blocks = engine.pipe.transformer.blocks
    engine.close()
    assert all(parameter.is_meta for parameter in blocks.parameters())

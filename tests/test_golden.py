"""`doctor --golden`: vectors of any size and kind are computed again and compared, and what is wrong is said."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from skyreels_networks import GOLDEN, audio_inputs, audio_wan, frame_wan, vectors
from tiny_models import wan_transformer

from studio.cli import main
from studio.errors import Refused
from studio.execution.inprocess import InProcess
from studio.pipelines.skyreels_v3 import golden
from studio.pipelines.skyreels_v3.golden import examine
from studio.pipelines.skyreels_v3.names import renamed

Tensors = dict[str, torch.Tensor]


def rounded(network: Any) -> Any:
    """Its weights as a file will hold them."""
    for parameter in network.parameters():
        parameter.data = parameter.data.half().float()
    return network


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape).half().float()


def published(network: Any, kind: str) -> Tensors:
    """The network's weights under the names that they are published under."""
    table = {ours: name for ours, name in renamed(vectors(kind).weights).items() if not ours.startswith("blocks.1.")}

    def name_of(ours: str) -> str:
        found = re.match(r"blocks\.(\d+)\.", ours)
        if not found:
            return table[ours]
        return table[ours.replace(found[0], "blocks.0.")].replace("blocks.0.", found[0])

    return {name_of(ours): tensor for ours, tensor in network.state_dict().items()}


def write(file: Path, config: dict[str, Any] | None, weights: Tensors, inputs: Tensors, outputs: Tensors) -> Path:
    tensors = {f"weights.{name}": tensor.half() for name, tensor in weights.items()}
    tensors |= {f"inputs.{name}": tensor.half() for name, tensor in inputs.items()}
    tensors |= outputs
    metadata = {} if config is None else {"config": json.dumps(config)}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file, metadata)
    return file


def rewritten(file: Path, kind: str, **changed: Any) -> Path:
    """A shipped file with something else in it."""
    found = vectors(kind)
    parts = {"config": found.config, "weights": found.weights, "inputs": found.inputs, "outputs": found.outputs}
    return write(file, **{**parts, **changed})


def words(config: Any) -> dict[str, Any]:
    """A configuration in the original's words."""
    return {
        "dim": config.num_attention_heads * config.attention_head_dim, "num_heads": config.num_attention_heads,
        "num_layers": config.num_layers, "ffn_dim": config.ffn_dim, "freq_dim": 256, "in_dim": config.in_channels,
    }  # fmt: skip


def rows(path: Path, **more: Any) -> list[dict[str, Any]]:
    return list(examine(path, "cpu", **more)["rows"])


# ------------------------------------------------------------------------------------------------ those that ship
def test_all_that_ship_pass() -> None:
    found = examine(GOLDEN, "cpu")
    assert (found["dtype"], found["tolerance"]) == ("float32", 1e-4)
    assert [(row["file"], row["output"]) for row in found["rows"]] == [
        ("a2v.safetensors", "output_1_speaker"), ("a2v.safetensors", "output_2_speakers"),
        ("r2v.safetensors", "output"), ("v2v_shot_switch.safetensors", "output"),
        ("v2v_single_shot.safetensors", "output"),
    ]  # fmt: skip
    assert all(row["passed"] and row["difference"] < 1e-5 for row in found["rows"])


def test_16_bit_differs_more_and_may() -> None:
    found = examine(GOLDEN / "r2v.safetensors", "cpu", "bfloat16")
    assert found["tolerance"] == 3e-2 and found["rows"][0]["passed"]
    assert 1e-4 < found["rows"][0]["difference"] < 3e-2


@pytest.mark.parametrize("kind", ["r2v", "v2v_single_shot", "v2v_shot_switch", "a2v"])
def test_one_element_that_is_off_fails(kind: str, tmp_path: Path) -> None:
    outputs = {name: tensor.clone() for name, tensor in vectors(kind).outputs.items()}
    first = next(iter(outputs.values()))
    first.view(-1)[5] += 2e-4
    found = rows(rewritten(tmp_path / "x.safetensors", kind, outputs=outputs))
    assert [row["passed"] for row in found] == [False] + [True] * (len(found) - 1)
    assert found[0]["difference"] == pytest.approx(2e-4, rel=0.1)


def test_another_weight_fails_and_no_number_never_passes(tmp_path: Path) -> None:
    weights = dict(vectors("a2v").weights)
    weights["blocks.1.audio_cross_attn.proj.weight"] = weights["blocks.1.audio_cross_attn.proj.weight"] * 2
    assert not any(row["passed"] for row in rows(rewritten(tmp_path / "x.safetensors", "a2v", weights=weights)))
    outputs = {"output": torch.full_like(vectors("r2v").outputs["output"], float("nan"))}
    assert not rows(rewritten(tmp_path / "y.safetensors", "r2v", outputs=outputs))[0]["passed"]


# ------------------------------------------------------------------------------------------------ other sizes
WIDE = {"num_attention_heads": 3, "attention_head_dim": 16, "ffn_dim": 40, "num_layers": 3, "text_dim": 20}


@torch.inference_mode()
def test_references_of_another_size_against_diffusers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = rounded(wan_transformer(**WIDE))
    inputs = {"latents": noise(1, 16, 5 + 3, 6, 10), "text": noise(1, 5, 20), "timestep": torch.tensor([321.0])}
    output = network(inputs["latents"], inputs["timestep"], inputs["text"], return_dict=False)[0]
    config = {"num_attention_heads": 3, "attention_head_dim": 16, "rope_max_seq_len": 64}
    found = rows(write(tmp_path / "r.safetensors", config, network.state_dict(), inputs, {"output": output}))
    assert [(row["output"], row["passed"]) for row in found] == [("output", True)]


def times(given: int, new: int, clean_first: bool) -> torch.Tensor:
    clean, noisy = [0.0] * given, [640.0] * new
    return torch.tensor([clean + noisy if clean_first else noisy + clean])


@torch.inference_mode()
def test_a_longer_shot_against_diffusers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = rounded(wan_transformer(**WIDE))
    inputs = {
        "prefix_latents": noise(1, 16, 3, 6, 10), "latents": noise(1, 16, 4, 6, 10), "text": noise(1, 9, 20),
        "timestep": times(3, 4, True),
    }  # fmt: skip
    latents = torch.cat([inputs["prefix_latents"], inputs["latents"]], dim=2)
    each = inputs["timestep"].repeat_interleave(15, dim=1)
    output = network(latents, each, inputs["text"], return_dict=False)[0]
    weights = published(network, "v2v_single_shot")
    found = rows(write(tmp_path / "v.safetensors", words(network.config), weights, inputs, {"output": output}))
    assert found[0]["passed"] and found[0]["difference"] < 1e-5


@torch.inference_mode()
def test_a_shot_with_more_context_against_diffusers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions from a clip that is so long that its last frames are 1024, 1025 and 1026."""
    torch.manual_seed(0)
    network = rounded(wan_transformer(**WIDE, rope_max_seq_len=2048))
    inputs = {
        "latents": noise(1, 16, 4, 6, 10), "context_latents": noise(1, 16, 3, 6, 10), "text": noise(1, 9, 20),
        "timestep": times(3, 4, False),
    }  # fmt: skip
    long = network.rope(torch.empty(1, 16, 1027, 6, 10))
    places = [torch.cat([table[:, : 4 * 15], table[:, 1024 * 15 :]], dim=1) for table in long]
    monkeypatch.setattr(network.rope, "forward", lambda latents: places)
    latents = torch.cat([inputs["latents"], inputs["context_latents"]], dim=2)
    each = inputs["timestep"].repeat_interleave(15, dim=1)
    output = network(latents, each, inputs["text"], return_dict=False)[0][:, :, :4]
    weights = published(network, "v2v_shot_switch")
    config = words(network.config) | {"rope_max_seq_len": 64}
    found = rows(write(tmp_path / "s.safetensors", config, weights, inputs, {"output": output}))
    assert found[0]["passed"] and found[0]["difference"] < 1e-5


SOUND = {"audio_window": 3, "audio_layers": 4, "audio_channels": 12, "audio_tokens": 5, "audio_inner_dim": 7}


@pytest.mark.parametrize("named", ["output", "output_1_speaker", "output_2_speakers"])
@torch.inference_mode()
def test_an_avatar_of_another_size(named: str, tmp_path: Path) -> None:
    """What our network gave comes back from a file that says little of its sizes."""
    torch.manual_seed(0)
    network = rounded(audio_wan(**{**WIDE, **SOUND, "added_kv_proj_dim": 48, "image_dim": 18}))
    speakers = 1 if "1" in named else 2
    embedding, around = noise(2, 13, 4, 12), (torch.arange(13)[:, None] + torch.arange(-1, 2)).clamp(0, 12)
    inputs = {
        "latents": noise(16, 4, 6, 10), "condition": noise(20, 4, 6, 10), "timestep": torch.tensor([700.0]),
        "text": noise(1, 6, 20), "clip": noise(1, 9, 18), "audio_embedding": embedding,
        "speaker_masks": audio_inputs(rows=7, columns=9)["speaker_masks"],
    }  # fmt: skip
    padded = torch.nn.functional.pad(inputs["text"], (0, 0, 0, 4))
    output = network(
        torch.cat([inputs["latents"], inputs["condition"]])[None], inputs["timestep"], padded, inputs["clip"],
        audio_embeds=embedding[:speakers, around], speaker_masks=inputs["speaker_masks"],
    ).sample[0]  # fmt: skip
    config = words(network.config) | {"audio_window": 3, "text_len": 10}
    file = write(tmp_path / "a.safetensors", config, published(network, "a2v"), inputs, {named: output})
    assert [(row["output"], row["passed"]) for row in rows(file)] == [(named, True)]


# ------------------------------------------------------------------------------------------------ what is wrong
def without(kind: str, part: str, *names: str) -> dict[str, Tensors]:
    held = getattr(vectors(kind), part)
    return {part: {name: tensor for name, tensor in held.items() if not any(name.startswith(one) for one in names)}}


@pytest.mark.parametrize(
    ("kind", "changed", "code", "name"),
    [
        ("a2v", without("a2v", "inputs", "clip"), "golden.no_input", "inputs.clip"),
        ("r2v", without("r2v", "inputs", "latents"), "golden.no_input", "inputs.latents"),
        ("a2v", {"weights": vectors("v2v_single_shot").weights}, "model.wrong_network", "audio_proj"),
        ("v2v_single_shot", {"weights": vectors("a2v").weights}, "model.wrong_network_more", "audio_proj"),
        ("r2v", without("r2v", "weights", "proj_out."), "model.wrong_network", "proj_out.weight"),
        ("r2v", without("r2v", "weights", "blocks.1.attn2.to_q.b"), "model.wrong_network", "blocks.1.attn2.to_q.bias"),
        ("v2v_shot_switch", {"config": {}}, "model.heads_unknown", None),
    ],
)
def test_what_is_missing_is_named(
    kind: str, changed: dict[str, Any], code: str, name: str | None, tmp_path: Path
) -> None:
    found = rows(rewritten(tmp_path / "x.safetensors", kind, **changed))
    assert [row["error"]["code"] for row in found] == [code]
    assert found[0]["error"]["params"].get("name") == name


@pytest.mark.parametrize(
    ("changed", "names"),
    [({"config": None}, "config"), ({"outputs": {}}, "output"), ({"weights": {}, "inputs": {}}, "weights., inputs.")],
)
def test_a_file_that_holds_no_vectors(changed: dict[str, Any], names: str, tmp_path: Path) -> None:
    error = rows(rewritten(tmp_path / "x.safetensors", "r2v", **changed))[0]["error"]
    assert (error["code"], error["params"]["names"]) == ("golden.not_vectors", names)


def test_outputs_that_cannot_be_made_do_not_hide_the_others(tmp_path: Path) -> None:
    """Three speakers of whom two are there; two without masks; and an output of another size."""
    outputs = dict(vectors("a2v").outputs)
    outputs["output_3_speakers"], outputs["output_small"] = torch.zeros(16, 21, 8, 8), torch.zeros(3)
    changed = {"outputs": outputs, **without("a2v", "inputs", "speaker_masks")}
    found = {row["output"]: row for row in rows(rewritten(tmp_path / "x.safetensors", "a2v", **changed))}
    assert found["output_1_speaker"]["passed"]
    codes = {name: row["error"]["code"] for name, row in found.items() if "error" in row}
    assert codes == {
        "output_2_speakers": "avatar.no_masks", "output_3_speakers": "golden.unfit", "output_small": "golden.unfit",
    }  # fmt: skip


def test_a_folder_says_which_file_is_broken_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_text("no weights at all")
    whole = (GOLDEN / "r2v.safetensors").read_bytes()
    (tmp_path / "b.safetensors").write_bytes(whole[:-100])
    (tmp_path / "c.safetensors").write_bytes(whole)
    found = rows(tmp_path)
    assert [row.get("error", {}).get("code") for row in found] == ["model.not_safetensors", "model.file_cut", None]
    assert found[2]["passed"]


@pytest.mark.parametrize(
    ("name", "device", "code"),
    [("nowhere.safetensors", "cpu", "golden.no_file"), (".", "cpu", "golden.empty"),
     ("x", "cuda:99", "golden.no_device"), ("x", "toaster", "golden.no_device")],
)  # fmt: skip
def test_what_cannot_be_begun_is_refused(name: str, device: str, code: str, tmp_path: Path) -> None:
    if name == "x":
        (tmp_path / "x").write_bytes(b"")
    with pytest.raises(Refused) as caught:
        examine(tmp_path / name, device)
    assert caught.value.code == code


def test_a_gpu_is_taken_in_16_bit_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert golden._where("auto", "auto") == ("cpu", "float32")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert golden._where("auto", "auto") == ("cuda:0", "bfloat16")
    assert golden._where("cuda:1", "float32") == ("cuda:1", "float32")


# ------------------------------------------------------------------------------------------------ the command
@pytest.fixture
def home(tmp_path: Path) -> list[str]:
    return ["--data-dir", str(tmp_path / "data"), "--output-dir", str(tmp_path / "out"), "--lang", "en"]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker takes ten seconds to begin; one test below pays for it."""
    monkeypatch.setattr("studio.cli.golden.WorkerProcess", lambda settings: InProcess())


def test_a_worker_computes_and_every_output_has_a_line(home: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--golden", str(GOLDEN / "r2v.safetensors"), "--device", "cpu", *home]) == 0
    said = capfd.readouterr().out
    assert re.search(r"^r2v\.safetensors output  \d\.\d\de[-+]\d\d  PASS$", said, re.M), said
    assert "On cpu in float32" in said


@pytest.mark.usefixtures("here")
def test_one_that_fails_is_exit_code_1(home: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    outputs = {"output": vectors("r2v").outputs["output"] + 1}
    file = rewritten(tmp_path / "x.safetensors", "r2v", outputs=outputs)
    assert main(["doctor", "--golden", str(file), "--device", "cpu", *home]) == 1
    said = capfd.readouterr().out
    assert re.search(r"^x\.safetensors output  1\.00e\+00  FAIL$", said, re.M), said


@pytest.mark.usefixtures("here")
def test_the_cure_is_said(home: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.safetensors").write_text("nothing")
    assert main(["doctor", "--golden", str(tmp_path / "broken.safetensors"), *home]) == 1
    told = capfd.readouterr()
    assert "Download it again" in told.err and re.search(r"^broken\.safetensors  -  FAIL$", told.out, re.M)
    (tmp_path / "empty").mkdir()
    assert main(["doctor", "--golden", str(tmp_path / "empty"), *home]) == 1
    assert "tests/data/golden" in capfd.readouterr().err


def test_a_precision_that_is_none_is_a_wrong_flag(home: list[str]) -> None:
    assert main(["doctor", "--golden", str(GOLDEN), "--dtype", "float8", *home]) == 2


def test_frames_have_their_own_network() -> None:
    """Not diffusers': it would take 27 GB for what takes 5 MB."""
    used = {kind.task: kind.network for kind in golden.KINDS}
    assert used["single_shot_extension"] is used["shot_switching_extension"] is type(frame_wan())

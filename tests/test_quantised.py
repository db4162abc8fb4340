"""GGUF: a Wan whose weights stay packed in memory, wherever they lie, and are unpacked for each product."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import engine_calls
import numpy as np
import pytest
import single_files
import tiny_models
import torch
from diffusers.quantizers.gguf.utils import UNQUANTIZED_TYPES, dequantize_functions
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFWriter, dequantize, quants
from safetensors.torch import save_file
from test_checkpoints_wan import WIDE, drawn, latents, network
from test_lora import lora

from studio.errors import Refused
from studio.pipelines.base import Plan
from studio.pipelines.diffusion import checkpoints, signs
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.diffusion.quantised import Quantised
from studio.pipelines.memory.parcel import weight_bytes
from studio.pipelines.pool import Pool
from studio.pipelines.wan import T2V_SMALL, TI2V, WanT2VSmall

WIDTH = 256  # the smallest that K kinds can pack: they have groups of that many
TIGHT = Plan(
    profile="tight", text_encoder="stream", transformer="stream", resident_blocks=0, vae="swap", token_chunk=16
)
PLANS = {**engine_calls.PLANS, "tight": TIGHT}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Wan T2V whose layers are wide enough to be packed."""
    folder = tmp_path_factory.mktemp("wide")
    from diffusers import WanPipeline

    torch.manual_seed(0)
    pipe = WanPipeline(**tiny_models.wan_parts(), transformer=tiny_models.wan_transformer(**WIDE))
    pipe.save_pretrained(folder / T2V_SMALL.replace("/", "--"))
    with pytest.MonkeyPatch.context() as patch, engine_calls.shelf(folder, T2V_SMALL, TI2V):
        patch.setenv(CACHE, str(folder / "cache"))
        (folder / "checkpoints").mkdir()
        yield folder


def packed(file: Path, state: Mapping[str, torch.Tensor], kind: Kind) -> dict[str, torch.Tensor]:
    """Write as city96 does: large matrices packed, small tensors in 32 bit. What the file holds, unpacked."""
    writer, held = GGUFWriter(file, "wan"), {}
    generator = np.random.default_rng(0)
    for key, tensor in state.items():
        data = tensor.float().numpy()
        if data.ndim != 2 or data.shape[1] % WIDTH or "embedding" in key:
            writer.add_tensor(key, data)
            held[key] = tensor.float()
            continue
        raw = k_packed(data.shape, kind, generator) if kind.name.endswith("_K") else quants.quantize(data, kind)
        writer.add_tensor(key, raw, raw_dtype=kind)
        held[key] = torch.from_numpy(dequantize(raw, kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return held


def k_packed(shape: tuple[int, int], kind: Kind, generator: Any) -> np.ndarray:
    """Any bytes are weights of a K kind, as long as its scales are numbers: gguf itself cannot pack these."""
    group, size = quants.GGML_QUANT_SIZES[kind]
    raw = generator.integers(0, 256, (shape[0], shape[1] // group, size), np.uint8)
    at = {Kind.Q4_K: 0, Kind.Q6_K: size - 2}[kind]
    raw[..., at : at + 2] = np.array([0.0002], np.float16).view(np.uint8)
    if kind is Kind.Q4_K:
        raw[..., 2:4] = np.array([0.0004], np.float16).view(np.uint8)
    return raw.reshape(shape[0], -1)


@pytest.mark.parametrize(
    "kind", [Kind.Q8_0, Kind.Q4_0, Kind.Q4_K, Kind.Q6_K, Kind.F16, Kind.BF16], ids=lambda k: k.name
)
def test_a_packed_file_draws_what_its_weights_draw(kind: Kind, wide: Path, tmp_path: Path) -> None:
    held = packed(wide / "checkpoints" / f"{kind.name}.gguf", single_files.wan(network(wide)), kind)
    save_file(held, wide / "checkpoints" / f"{kind.name}.safetensors")
    engine = engine_calls.loaded(WanT2VSmall)
    made = drawn(engine, wide, tmp_path, f"{kind.name}.gguf")
    count = sum(isinstance(part, Quantised) for part in engine.pipe.transformer.modules())
    assert count == (0 if kind in (Kind.F16, Kind.BF16) else 4 * 10)
    engine.close()
    torch.testing.assert_close(made, latents(WanT2VSmall, wide, tmp_path, f"{kind.name}.safetensors"))


@pytest.mark.parametrize("kind", [Kind.Q8_0, Kind.Q4_K], ids=lambda k: k.name)
def test_a_packed_file_draws_the_same_wherever_it_lies(kind: Kind, wide: Path, tmp_path: Path) -> None:
    name = f"bits-{kind.name}.gguf"
    packed(wide / "checkpoints" / name, single_files.wan(network(wide), "model.diffusion_model."), kind)
    made = {plan: latents(WanT2VSmall, wide, tmp_path, name, PLANS[plan]) for plan in PLANS}
    assert all(torch.equal(one, made["resident"]) for one in made.values()), [*made]


def test_a_packed_file_stays_packed_in_memory(wide: Path, tmp_path: Path) -> None:
    packed(wide / "checkpoints" / "small.gguf", single_files.wan(network(wide)), Kind.Q4_0)
    sizes = {}
    for name in ("", "small.gguf"):
        engine = engine_calls.loaded(WanT2VSmall, PLANS["stream"])
        drawn(engine, wide, tmp_path, name)
        sizes[name] = sum(room.ram for key, room in engine.held().items() if key == id(engine.placement))
        engine.close()
    assert sizes["small.gguf"] < 0.4 * sizes[""]


def test_a_packed_file_takes_loras(wide: Path, tmp_path: Path) -> None:
    packed(wide / "checkpoints" / "dressed.gguf", single_files.wan(network(wide)), Kind.Q8_0)
    lora(wide, "paint.safetensors", 1, width=WIDTH)
    made = {
        plan: [
            latents(WanT2VSmall, wide, tmp_path, "dressed.gguf", PLANS[plan], loras=loras)
            for loras in ([], [{"file": "paint.safetensors"}])
        ]
        for plan in ("resident", "hybrid")
    }
    assert not torch.equal(*made["resident"])
    assert all(torch.equal(one, other) for one, other in zip(made["resident"], made["hybrid"], strict=True))


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        (Plan(weight_bits=8), "model.gguf_eight_bit"),
        (Plan(weights="disk", transformer="stream"), "model.checkpoint_streams"),
    ],
)
def test_profiles_that_cannot_hold_a_packed_file(plan: Plan, code: str, wide: Path, tmp_path: Path) -> None:
    packed(wide / "checkpoints" / "held.gguf", single_files.wan(network(wide)), Kind.Q8_0)
    with pytest.raises(Refused) as caught:
        latents(WanT2VSmall, wide, tmp_path, "held.gguf", plan)
    assert caught.value.code == code


def test_a_packed_file_that_is_none(wide: Path, tmp_path: Path) -> None:
    whole = wide / "checkpoints" / "whole.gguf"
    packed(whole, single_files.wan(network(wide)), Kind.Q8_0)
    for content in (whole.read_bytes()[:-5000], whole.read_bytes()[:300], b"GGUF", b"<!DOCTYPE html>", b""):
        whole.with_name("cut.gguf").write_bytes(content)
        with pytest.raises(Refused) as caught:
            latents(WanT2VSmall, wide, tmp_path, "cut.gguf")
        assert caught.value.code == "model.not_gguf"


def test_a_packing_that_nobody_unpacks(wide: Path, tmp_path: Path) -> None:
    state, kind = single_files.wan(network(wide)), Kind.TQ2_0
    packed(wide / "checkpoints" / "ternary.gguf", state, kind)
    with pytest.raises(Refused) as caught:
        latents(WanT2VSmall, wide, tmp_path, "ternary.gguf")
    assert (caught.value.code, caught.value.params["kind"]) == ("model.gguf_kind", "TQ2_0")
    assert {kind.name for kind in (*UNQUANTIZED_TYPES, *dequantize_functions)} == signs.PACKINGS


def test_a_packed_file_weighs_what_it_packs(wide: Path, tmp_path: Path) -> None:
    """The planner's bytes are those that lie in RAM then; the rest is in the precision of the plan."""
    packed(wide / "checkpoints" / "weighed.gguf", single_files.wan(network(wide)), Kind.Q4_0)
    plan = replace(PLANS["stream"], dtype="bfloat16")
    engine = engine_calls.loaded(WanT2VSmall, plan)
    options = WanT2VSmall.Options(checkpoint="weighed.gguf")
    weighed = WanT2VSmall.weighs(options)
    assert weighed is not None and WanT2VSmall.weighs(WanT2VSmall.Options()) is WanT2VSmall.footprint
    drawn(engine, wide, tmp_path, "weighed.gguf")
    blocks = [weight_bytes(block) for block in engine.pipe.transformer.blocks]
    whole = weight_bytes(engine.pipe.transformer)
    engine.close()
    assert weighed.network.streamed_bytes == pytest.approx(sum(blocks), rel=0.03)  # norms stay in 32 bit
    assert weighed.network.block_bytes == pytest.approx(max(blocks), rel=0.03)
    assert weighed.network.bytes == pytest.approx(whole, rel=0.2)
    assert not weighed.network.block_bytes_8bit


def test_weights_that_a_file_replaces_are_not_read(wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed(wide / "checkpoints" / "instead.gguf", single_files.wan(network(wide)), Kind.Q4_0)
    made = latents(WanT2VSmall, wide, tmp_path, "instead.gguf")
    read, seen = checkpoints.read_part, []

    def watched(where: str, *args: Any) -> Any:
        seen.append(where)
        return read(where, *args)

    monkeypatch.setattr(checkpoints, "read_part", watched)
    engine = WanT2VSmall()
    engine.pool = Pool()
    engine.expect(WanT2VSmall.Options(checkpoint="instead.gguf"))
    engine.load(Plan())
    assert torch.equal(drawn(engine, wide, tmp_path, "instead.gguf"), made)
    assert seen and not [where for where in seen if "Transformer" in where]
    plain = latents(WanT2VSmall, wide, tmp_path, "")
    assert torch.equal(drawn(engine, wide, tmp_path, ""), plain)
    engine.close()

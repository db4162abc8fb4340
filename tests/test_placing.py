"""Modules where a plan wants them: the same latents and frames under every plan, and every byte accounted for."""

import gc
import os
import sys
import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tiny_models import t5_tokenizer, umt5, wan_scheduler, wan_transformer, wan_vae
from wan_inputs import wan_inputs

from studio.errors import Cancelled, Refused
from studio.pipelines.base import Plan, Room
from studio.pipelines.diffusion.checkpoints import read_part
from studio.pipelines.memory import eightbit, tiles
from studio.pipelines.memory.copier import ClockCopier
from studio.pipelines.memory.parcel import let_go_of_file, weight_bytes
from studio.pipelines.memory.placing import Placement, Stage

BLOCKS, STEPS = 4, 2
STREAM = Plan(transformer="stream", text_encoder="stream", image_encoder="ram", vae="swap")
PLANS = {
    "resident": Plan(),
    "swap": Plan(transformer="swap", text_encoder="stream", vae="device"),
    "hybrid": replace(STREAM, resident_blocks=2),
    "tight": replace(STREAM, token_chunk=20),
    "disk": replace(STREAM, weights="disk"),
    "three slots": replace(STREAM, slots=3, resident_blocks=1),
    "one slot": replace(STREAM, slots=1),
    "in ram": Plan(text_encoder="ram", image_encoder="ram", vae="ram"),
}


@pytest.fixture(scope="module")
def wan(tmp_path_factory):
    """Real classes at tiny size, their files, and what they make untouched."""
    torch.manual_seed(0)
    modules = {"transformer": wan_transformer(num_layers=BLOCKS), "text_encoder": umt5(), "vae": wan_vae()}
    folder = tmp_path_factory.mktemp("wan")
    modules["transformer"].save_pretrained(folder, max_shard_size="60KB")
    found = SimpleNamespace(modules=modules, folder=folder)
    found.made = make(found, None)
    return found


def make(wan, placement) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents and frames of the stock pipeline, phase by phase as engines do it."""
    from diffusers import WanPipeline

    pipe = WanPipeline(tokenizer=t5_tokenizer(), scheduler=wan_scheduler(3.0), **wan.modules)
    pipe.set_progress_bar_config(disable=True)
    placement = placement or Placement(Plan(), {}, {})
    with torch.inference_mode():
        with placement.using("text_encoder"):
            prompt, negative = pipe.encode_prompt("a cat", "", max_sequence_length=16)
        with placement.using("transformer", "vae"):
            picture = torch.linspace(-1, 1, 3 * 32 * 48).view(1, 3, 1, 32, 48)
            pipe.vae.encode(picture)  # as image to video does it, before the first step
            latents = pipe(
                prompt_embeds=prompt, negative_prompt_embeds=negative, width=48, height=32, num_frames=5,
                num_inference_steps=STEPS, output_type="latent", return_dict=False,
                generator=torch.Generator().manual_seed(0),
            )[0]  # fmt: skip
        with placement.using("vae"):
            return latents, tiles.decode(pipe.vae, latents, Plan())


def place(wan, plan: Plan, **more) -> Placement:
    return Placement(
        plan, wan.modules, {"transformer": ("blocks",)}, folders={"transformer": wan.folder},
        stage=more.pop("stage", None) or Stage(ClockCopier()), **more,
    )  # fmt: skip


def same(made, expected) -> bool:
    return all(torch.equal(*pair) for pair in zip(made, expected, strict=True))


# ------------------------------------------------------------------------------------------------ plans
@pytest.mark.parametrize("name", PLANS)
def test_every_plan_makes_the_same_bits_twice_and_leaves_the_modules_as_they_were(wan, name):
    placement = place(wan, PLANS[name])
    copier = placement.stage.copier
    assert same(make(wan, placement), wan.made)
    assert copier.device_bytes == 0
    assert same(make(wan, placement), wan.made)
    placement.close()
    assert (copier.device_bytes, copier.pinned_bytes) == (0, 0)
    for module in wan.modules.values():
        assert all(tensor.device.type == "cpu" for tensor in (*module.parameters(), *module.buffers()))
        assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
        assert not any("forward" in part.__dict__ for part in module.modules())
    assert same(make(wan, None), wan.made)


def test_the_ledger_of_a_streamed_run_is_its_plan(wan):
    placement = place(wan, replace(STREAM, resident_blocks=1))
    ledger, blocks = placement.ledger, wan.modules["transformer"].blocks
    make(wan, placement)
    forwards, flowing = 2 * STEPS, BLOCKS - 1
    times = {name: ledger.fetched[f"transformer.{name}"] for name in range(BLOCKS)}
    assert sum(times.values()) == forwards * flowing + 1 + 1  # the next step's first block, and the one that stays
    assert times[BLOCKS - 1] == 1
    assert ledger.to_device[f"transformer.{BLOCKS - 1}"] == weight_bytes(blocks[-1])
    assert ledger.fetched["text_encoder.0"] == 1  # its two layers fit into the two slots
    placement.close()


@pytest.mark.parametrize("name", ["swap", "hybrid", "tight", "disk"])
def test_the_device_holds_one_phase_at_a_time(wan, name):
    """The VAE has gone before the first step, and the blocks before the VAE decodes."""
    plan, network = PLANS[name], wan.modules["transformer"]
    placement = place(wan, plan)
    copier, seen = placement.stage.copier, []
    watch = network.blocks[2].register_forward_hook(lambda *ignored: seen.append(copier.device_bytes))
    make(wan, placement)
    watch.remove()
    block = max(weight_bytes(block) for block in network.blocks)
    rest = weight_bytes(network) - weight_bytes(network.blocks)
    there = BLOCKS if plan.transformer == "swap" else plan.resident_blocks + plan.slots
    most = 1.2 * (there * block + rest) + 2000  # tiny tensors lie 256 bytes apart
    vae = weight_bytes(wan.modules["vae"]) if plan.vae == "device" else 0
    assert there * block + rest <= max(seen) <= most + 1.2 * vae + 5000
    placement.close()


def test_two_transformers_take_turns(wan):
    torch.manual_seed(1)
    modules = {"transformer": wan.modules["transformer"], "transformer_2": wan_transformer(num_layers=BLOCKS)}
    given = wan_inputs()
    with torch.inference_mode():
        expected = [module(**given)[0] for module in modules.values()]
        stage = Stage(ClockCopier())
        plan = replace(STREAM, resident_blocks=1)
        placement = Placement(plan, modules, {name: ("blocks",) for name in modules}, stage=stage)
        seen = set()
        with placement.using(*modules):
            for name in ("transformer", "transformer", "transformer_2", "transformer_2"):
                made = modules[name](**given)[0]
                assert torch.equal(made, expected[name == "transformer_2"])
                seen.add(stage.copier.device_bytes)
        assert len(seen) == 1, "only the one at work is there"
        assert stage.copier.most_device_bytes == seen.pop()
        assert stage.copier.device_bytes == 0
        placement.close()


def test_a_tight_plan_handles_so_many_tokens_at_a_time(wan):
    placement, network, seen = place(wan, PLANS["tight"]), wan.modules["transformer"], []
    watch = network.blocks[1].ffn.register_forward_pre_hook(lambda part, args: seen.append(args[0].shape[1]))
    with torch.inference_mode(), placement.using("transformer"):
        network(**wan_inputs())
    watch.remove()
    placement.close()
    assert seen == [20, 20, 8]  # of 48


def test_the_token_embedding_stays_in_ram(wan):
    placement = place(wan, STREAM)
    make(wan, placement)
    table = weight_bytes(wan.modules["text_encoder"].shared)
    layers = sum(weight_bytes(layer) for layer in wan.modules["text_encoder"].encoder.block)
    moved = placement.ledger.to_device["text_encoder.rest"]
    assert moved == weight_bytes(wan.modules["text_encoder"]) - layers - table
    placement.close()


@pytest.mark.parametrize("plan", [STREAM, replace(STREAM, resident_blocks=3, weights="disk", token_chunk=20)])
def test_what_comes_after_the_text_encoder_is_streamed_as_it_is_whatever_the_transformer_does(plan):
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(64, 64), torch.nn.Sequential(*(torch.nn.Linear(64, 64) for _ in "abcde"))
    )
    layers, given, seen = list(module[1]), torch.ones(1, 64), []
    expected, stage = module(given), Stage(ClockCopier())
    paths = [f"1.{index}" for index in range(len(layers))]
    placement = Placement(plan, {"connectors": module}, {"connectors": paths}, stage=stage)
    watch = layers[2].register_forward_hook(lambda *ignored: seen.append(stage.copier.device_bytes))
    with torch.inference_mode(), placement.using("connectors"):
        assert torch.equal(module(given), expected)
    watch.remove()
    assert seen == [3 * weight_bytes(layers[0])]  # its first layer, and the two that flow
    assert not placement.lower() and stage.copier.device_bytes == 0
    placement.close()


def test_a_module_that_is_not_in_use_stays_where_it_is(wan):
    placement = place(wan, STREAM)
    with torch.inference_mode():
        wan.modules["transformer"](**wan_inputs())
    assert not placement.ledger.to_device
    placement.close()


# ------------------------------------------------------------------------------------------------ room
def test_a_file_that_is_read_in_another_precision_is_let_go(tmp_path: Path):
    """Time embeddings and norms keep float32; each would hold the whole file in RAM beside the copies of the rest."""
    wan_transformer(num_layers=1, ffn_dim=8192).save_pretrained(tmp_path)
    read = read_part("diffusers:WanTransformer3DModel", tmp_path, torch.bfloat16)
    before = {name: (tensor.data_ptr(), tensor.clone()) for name, tensor in read.named_parameters()}
    let_go_of_file(read)
    moved = {name for name, tensor in read.named_parameters() if tensor.data_ptr() != before[name][0]}
    assert moved == {name for name, tensor in read.named_parameters() if tensor.dtype == torch.float32} != set()
    assert all(torch.equal(tensor, before[name][1]) for name, tensor in read.named_parameters())


@pytest.mark.skipif(sys.platform != "linux", reason="measured by /proc, and only glibc keeps what is freed")
def test_blocks_that_moved_to_slabs_leave_nothing_behind():
    def taken() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    large = torch.ones(30 << 20, dtype=torch.uint8)
    del large  # from now on glibc keeps pieces of this size
    module = torch.nn.Sequential(*(
        torch.nn.Sequential(torch.nn.Linear(1024, 1024), torch.nn.Linear(1024, 3072)) for _ in range(20)
    ))  # fmt: skip
    blocks, before = {"transformer": [str(index) for index in range(20)]}, taken()
    for resident in (0, 10):
        placement = Placement(
            replace(STREAM, resident_blocks=resident), {"transformer": module}, blocks, stage=Stage(ClockCopier())
        )
        assert taken() - before < 24 << 20, "of 320 MB"
        placement.close()


def test_a_placement_that_was_closed_holds_no_slab(wan):
    """Whether or not Python has looked for circles since: the next plan needs the room at once."""
    gc.disable()
    try:
        placement = place(wan, STREAM)
        streamers = [weakref.ref(kept.streamer) for kept in placement._kept.values() if kept.streamer]
        placement.close()
        assert streamers and not any(streamer() for streamer in streamers)
    finally:
        gc.enable()


def test_held_tells_what_is_taken_now(wan):
    placement = place(wan, replace(STREAM, resident_blocks=1))
    network = wan.modules["transformer"]
    before = placement.held()
    assert before.device == 0
    assert before.pinned == placement.stage.copier.pinned_bytes > 0
    assert before.ram >= sum(weight_bytes(module) for module in wan.modules.values())
    with torch.inference_mode(), placement.using("transformer"):
        network(**wan_inputs())
        assert placement.held().device == placement.stage.copier.device_bytes > 0
    placement.close()
    assert placement.held() == Room()


def test_from_disk_ram_holds_the_slabs_and_no_blocks(wan):
    ram = place(wan, STREAM)
    in_ram = ram.held()
    ram.close()
    disk = place(wan, PLANS["disk"])
    blocks = weight_bytes(wan.modules["transformer"].blocks)
    assert disk.held().ram < in_ram.ram - blocks * (BLOCKS - 3) / BLOCKS
    assert disk.held().pinned == disk.stage.copier.pinned_bytes < in_ram.pinned
    disk.close()


@pytest.mark.parametrize("name", ["swap", "hybrid"])
def test_lower_gives_up_blocks_until_none_is_left(wan, name):
    placement = place(wan, PLANS[name])
    make(wan, placement)
    most = placement.stage.copier.most_device_bytes
    steps = 0
    while placement.lower():
        steps += 1
        assert same(make(wan, placement), wan.made)
    assert steps == {"swap": 4, "hybrid": 2}[name]
    placement.stage.copier.most_device_bytes = 0
    make(wan, placement)
    assert placement.stage.copier.most_device_bytes < most
    placement.close()


def test_locked_memory_may_take_what_stays_if_the_plan_has_room(wan):
    blocks = weight_bytes(wan.modules["transformer"].blocks)
    plain = place(wan, PLANS["swap"])
    assert plain.held().pinned == 0
    plain.close()
    locked = place(wan, replace(PLANS["swap"], pinned_bytes=2 * blocks))
    assert blocks <= locked.held().pinned <= 2 * blocks
    assert same(make(wan, locked), wan.made)
    locked.close()


# ------------------------------------------------------------------------------------------------ others beside it
def test_another_placement_takes_the_module_under_another_plan(wan):
    for name in ("hybrid", "disk", "swap", "tight", "resident"):
        placement = place(wan, PLANS[name])
        assert same(make(wan, placement), wan.made), name
        placement.park()
        assert same(make(wan, placement), wan.made), name
        placement.close()


def test_8_bit_blocks_streamed_equal_them_resident(wan):
    torch.manual_seed(0)
    eight = SimpleNamespace(
        modules={**wan.modules, "transformer": eightbit.store(wan_transformer(num_layers=BLOCKS), ["blocks"])},
        folder=wan.folder,
    )
    expected = make(eight, None)
    for plan in (replace(STREAM, weight_bits=8), replace(STREAM, weight_bits=8, resident_blocks=2, token_chunk=20)):
        placement = place(eight, plan)
        assert same(make(eight, placement), expected)
        placement.close()
    assert not same(expected, wan.made)


def _enough(*ignored):
    raise Cancelled


@pytest.mark.parametrize("name", ["hybrid", "disk"])
def test_a_run_that_is_left_and_a_copy_that_fails_leave_a_usable_placement(wan, name):
    class Failing(ClockCopier):
        fail = 0

        def copy(self, *args, **named):
            self.fail -= 1
            if not self.fail:
                raise RuntimeError("the copy failed")
            super().copy(*args, **named)

    copier = Failing()
    placement = place(wan, PLANS[name], stage=Stage(copier))
    make(wan, placement)
    for fail in (1, 12, 40):
        copier.fail = fail
        with pytest.raises(RuntimeError, match="the copy failed"):
            make(wan, placement)
            make(wan, placement)
        assert copier.device_bytes == 0
        copier.fail = 0
        assert same(make(wan, placement), wan.made)
    leave = (
        wan.modules["transformer"]
        .blocks[1]
        .register_forward_hook(lambda *ignored: (_ for _ in ()).throw(StopIteration))
    )
    with pytest.raises((StopIteration, RuntimeError)):
        make(wan, placement)
    leave.remove()
    assert same(make(wan, placement), wan.made)
    placement.close()
    assert (copier.device_bytes, copier.pinned_bytes) == (0, 0)


def test_an_adapter_comes_and_goes_between_runs(wan):
    from peft import LoraConfig

    torch.manual_seed(0)
    network, given = wan_transformer(num_layers=BLOCKS), wan_inputs()
    placement = Placement(
        replace(STREAM, resident_blocks=1), {"transformer": network}, {"transformer": ("blocks",)},
        stage=Stage(ClockCopier()),
    )  # fmt: skip

    def made() -> torch.Tensor:
        with torch.inference_mode(), placement.using("transformer"):
            return network(**given)[0]

    plain = made()
    network.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False), "look")
    dressed = made()
    with torch.inference_mode():
        assert torch.equal(network(**given)[0], dressed) and not torch.equal(plain, dressed)
    network.unload_lora()
    assert torch.equal(made(), plain)
    placement.close()


# ------------------------------------------------------------------------------------------------ files
def test_blocks_from_disk_are_cast_to_the_precision_of_the_model(wan):
    from diffusers import WanTransformer3DModel

    network = WanTransformer3DModel.from_pretrained(wan.folder, torch_dtype=torch.bfloat16).eval()
    given = wan_inputs(torch.bfloat16)
    with torch.inference_mode():
        expected = network(**given)[0]
        placement = Placement(
            PLANS["disk"], {"transformer": network}, {"transformer": ("blocks",)}, folders={"transformer": wan.folder},
            stage=Stage(ClockCopier()),
        )  # fmt: skip
        assert network.blocks[0].ffn.net[2].weight.device.type == "meta"
        with placement.using("transformer"):
            assert torch.equal(network(**given)[0], expected) and torch.equal(network(**given)[0], expected)
        placement.close()
        assert torch.equal(network(**given)[0], expected)


def test_files_of_another_model_are_refused(wan, tmp_path: Path):
    wan_transformer(num_layers=1).save_pretrained(tmp_path)
    wan = SimpleNamespace(modules=wan.modules, folder=tmp_path)
    with pytest.raises(Refused, match="memory.not_in_files"):
        place(wan, PLANS["disk"])

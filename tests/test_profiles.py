"""Which profile for which machine, what it takes, and what is said where none fits."""

from dataclasses import replace
from typing import Any

import pytest

from studio.errors import Refused
from studio.pipelines import engine_class
from studio.pipelines.base import Machine, Plan
from studio.pipelines.memory.footprint import Footprint, Network, Shape
from studio.pipelines.memory.profiles import (
    CONTEXT_BYTES,
    GB,
    PROFILES,
    TOKEN_CHUNK,
    Learnt,
    device_budget,
    every,
    needs,
    plan_for,
    step_seconds,
)

WAN: Footprint = engine_class("wan2.1-t2v-14b").footprint  # type: ignore[assignment]
SHORT, LONG = Shape(832, 480, 81), Shape(1280, 720, 121)


def card(vram: float, ram: float = 64, **more: Any) -> Machine:
    return Machine(8, ram, "RTX 4090", vram, **more)


def refused(*args: Any, **named: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        plan_for(*args, **named)
    return caught.value


# ------------------------------------------------------------------------------------------------ auto
@pytest.mark.parametrize(
    ("machine", "profile"),
    [
        (card(80, 128), "resident"),
        (card(40), "swap"),
        (card(24), "hybrid"),
        (card(6), "tight"),
        (card(24, 32), "disk"),  # the blocks do not fit into RAM
        (card(24, 60), "hybrid"),  # streamed blocks count against what may be locked, those that stay do not
    ],
)
def test_auto_takes_the_fastest_that_fits(machine: Machine, profile: str) -> None:
    plan = plan_for(WAN, SHORT, machine)
    assert plan.profile == profile and plan.device == "cuda:0" and plan.dtype == "bfloat16"
    assert plan.peak_bytes <= device_budget(machine)


def test_eight_bit_only_where_the_user_agreed_and_nothing_else_fits() -> None:
    machine = card(24, 40)
    assert plan_for(WAN, SHORT, machine).profile == "disk"
    plan = plan_for(WAN, SHORT, machine, allow_8bit=True)
    assert (plan.profile, plan.weight_bits) == ("stream8", 8)
    assert plan_for(WAN, SHORT, card(24), allow_8bit=True).weight_bits == 16
    assert refused(WAN, SHORT, card(24), "stream8").code == "preflight.eight_bit"


def test_the_targets_of_tight() -> None:
    """4.5 and 8.5 GB with all that CUDA takes."""
    for shape, most in ((SHORT, 4.5), (LONG, 8.5)):
        plan = plan_for(WAN, shape, card(24), "tight")
        assert plan.peak_bytes + CONTEXT_BYTES < most * GB
        assert (plan.token_chunk, plan.resident_blocks, plan.slots) == (TOKEN_CHUNK, 0, 2)
        assert plan.vae_tile and plan.vae_tiles_to_ram


def test_the_smallest_is_the_one_with_the_least_device_memory_in_16_bit() -> None:
    plans = [fit.plan for fit in every(WAN, SHORT, card(80, 128)) if fit.plan and fit.plan.weight_bits == 16]
    assert plan_for(WAN, SHORT, card(80, 128), "smallest").peak_bytes == min(plan.peak_bytes for plan in plans)


# ------------------------------------------------------------------------------------------------ filling the card
def test_hybrid_keeps_as_many_blocks_as_fit() -> None:
    machine = card(24)
    plan = plan_for(WAN, SHORT, machine, "hybrid")
    assert 0 < plan.resident_blocks < 40
    one_more = replace(plan, resident_blocks=plan.resident_blocks + 1)
    assert max(need.bytes for need in needs(WAN, SHORT, one_more)) > device_budget(machine)
    assert plan.pinned_bytes == (40 - plan.resident_blocks) * WAN.network.block_bytes


def test_headroom_ceiling_and_what_others_use_are_left_alone() -> None:
    free = card(24, vram_free_gb=16.0, headroom_gb=1.5, system="Windows")
    assert device_budget(free) == 14.5 * GB - CONTEXT_BYTES  # of the card's own memory: nothing spills into RAM
    assert device_budget(replace(free, ceiling_gb=10.0)) == 10 * GB - CONTEXT_BYTES
    assert device_budget(replace(free, ceiling_gb=20.0)) == device_budget(free)
    assert plan_for(WAN, SHORT, replace(free, ceiling_gb=10.0)).peak_bytes <= 10 * GB - CONTEXT_BYTES


def test_windows_locks_less_ram() -> None:
    why = refused(WAN, SHORT, card(6, 64, system="Windows"), "tight").params["why"]
    assert why == {"code": "memory.pin", "params": {"needed_gb": 28.1, "free_gb": 25.6}}
    assert plan_for(WAN, SHORT, card(6), "tight").pinned_bytes == WAN.network.streamed_bytes


def test_a_picture_is_decoded_whole_where_that_fits() -> None:
    assert plan_for(WAN, SHORT, card(40), "swap").vae_tile == 0
    assert plan_for(WAN, LONG, replace(card(80, 128), ceiling_gb=54.0), "resident").vae_tile == 256
    assert plan_for(WAN, Shape(256, 256, 17), card(24), "tight").vae_tile == 0  # smaller than a tile


def test_networks_that_take_turns_are_there_one_at_a_time() -> None:
    two = replace(WAN, network=replace(WAN.network, count=2))
    for profile in ("swap", "tight"):
        plan, one = (plan_for(weight, SHORT, card(40, 256), profile) for weight in (two, WAN))
        assert plan.peak_bytes == one.peak_bytes and plan.ram_bytes > one.ram_bytes
    assert plan_for(two, SHORT, card(100, 256), "resident").peak_bytes > 2 * WAN.network.bytes


# ------------------------------------------------------------------------------------------------ what does not fit
def test_a_named_profile_says_why_it_does_not_fit() -> None:
    error = refused(WAN, SHORT, card(24), "resident")
    assert error.code == "memory.profile_unfit" and error.params["profile"] == "resident"
    assert error.params["why"]["code"] == "memory.vram"
    assert error.params["why"]["params"]["needed_gb"] > error.params["why"]["params"]["free_gb"] == 22.4


def test_a_network_without_blocks_is_never_streamed() -> None:
    whole = replace(WAN, network=replace(WAN.network, blocks=0, blocks_bytes=0, rest_bytes=5 * GB))
    assert plan_for(whole, SHORT, card(16)).profile == "swap"
    assert refused(whole, SHORT, card(16), "tight").params["why"]["code"] == "memory.no_stream"


def test_where_nothing_fits_the_nearest_reason_is_told() -> None:
    error = refused(WAN, LONG, card(7))
    assert error.code == "memory.nothing_fits" and error.params["why"]["code"] == "memory.vram"


def test_every_profile_is_told_of_with_its_reason() -> None:
    told = {fit.profile: fit for fit in every(WAN, SHORT, card(24))}
    assert list(told) == [name for name in PROFILES if name != "cpu"]
    codes = {name: fit.refused.code for name, fit in told.items() if fit.refused}
    assert codes == {"resident": "memory.vram", "swap": "memory.vram", "stream8": "memory.no_consent"}


# ------------------------------------------------------------------------------------------------ without a GPU
def test_without_a_gpu_everything_is_on_the_cpu_as_precisely_as_ram_allows() -> None:
    plan = plan_for(WAN, Shape(256, 256, 17), Machine(8, 128))
    assert (plan.profile, plan.device, plan.dtype, plan.pinned_bytes) == ("cpu", "cpu", "float32", 0)
    assert plan_for(WAN, Shape(256, 256, 17), Machine(8, 64)).dtype == "bfloat16"
    assert refused(WAN, SHORT, Machine(8, 32)).params["why"]["code"] == "memory.ram"


@pytest.mark.parametrize("profile", ["resident", "swap", "hybrid", "tight", "disk"])
def test_a_profile_that_is_named_works_on_the_cpu_too(profile: str) -> None:
    plan = plan_for(WAN, Shape(256, 256, 17), Machine(8, 256, ceiling_gb=20.0 if profile == "hybrid" else 0.0), profile)
    assert (plan.profile, plan.device) == (profile, "cpu")
    assert plan.transformer == PROFILES[profile].transformer
    assert profile != "hybrid" or 0 < plan.resident_blocks < 40


# ------------------------------------------------------------------------------------------------ time and history
def test_a_step_is_what_takes_longer_of_computing_and_copying() -> None:
    fast = replace(card(24), tflops=100.0, copy_gb_s=20.0)
    plan = plan_for(WAN, SHORT, fast, "tight")
    forward = WAN.forward_flops(SHORT) / 60e12
    block = WAN.network.block_bytes / 20e9
    assert step_seconds(WAN, SHORT, plan, fast) == pytest.approx(2 * (forward + block))
    short = Shape(832, 480, 1)
    copying = 2 * 41 * block
    assert step_seconds(WAN, short, plan, fast) == pytest.approx(copying)
    assert step_seconds(WAN, replace(short, forwards=1), plan, fast) == pytest.approx(copying / 2)
    slow = replace(plan, weights="disk")
    assert step_seconds(WAN, short, slow, replace(fast, disk_gb_s=2.0)) == pytest.approx(10 * copying)


def test_history_corrects_memory_and_time() -> None:
    plain = plan_for(WAN, SHORT, card(24), "tight")
    learnt = Learnt({"denoise": 1.2, "decode": 1.4}, {"tight": 3.0, "": 2.0})
    taught = plan_for(WAN, SHORT, card(24), "tight", learnt=learnt)
    assert taught.working_bytes == pytest.approx(1.2 * plain.working_bytes, rel=1e-6)
    assert taught.peak_bytes - taught.working_bytes == plain.peak_bytes - plain.working_bytes
    assert taught.step_seconds == pytest.approx(3 * plain.step_seconds, rel=1e-3)
    assert (taught.learnt_memory, taught.learnt_time) == (1.2, 3.0)
    other = plan_for(WAN, SHORT, card(24), "hybrid", learnt=learnt)
    assert other.learnt_time == 2.0


def test_predictions_do_not_make_another_plan() -> None:
    assert Plan(peak_bytes=1, step_seconds=2.0, phase="decode") == Plan()
    assert Plan(resident_blocks=1) != Plan()


def test_blocks_of_unequal_size_are_counted_as_they_are() -> None:
    network = Network(4, 100, 50, 10, 8, blocks_bytes=200)
    uneven = Footprint(network, tiles=False)
    plan = Plan("hybrid", "cuda:0", "bfloat16", "stream", transformer="stream", resident_blocks=1)
    assert needs(uneven, Shape(16, 16), plan)[1].weights == 10 + 50 + 2 * 100  # slots are as large as the largest


# ------------------------------------------------------------------------------------------------ before the first step
STREAM = Plan("hybrid", "cuda:0", "bfloat16", "stream", transformer="stream", vae="swap")
TEXT = Footprint(
    Network(2, 100, 50, 10, 8), text_bytes=1000, text_streamed_bytes=120, text_working_bytes=30,
    image_encoder_bytes=200, vae_bytes=70, encode_bytes=1.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "shape", "plan", "bytes_"),
    [
        ({}, Shape(16, 16), STREAM, 200),  # the encoder of pictures
        ({"image_encoder_bytes": 0}, Shape(16, 16), STREAM, 120 + 30),
        ({"image_encoder_bytes": 0, "text_streamed_bytes": 10, "text_working_bytes": 5}, Shape(16, 16), STREAM, 15),
        ({"image_encoder_bytes": 0, "text_streamed_bytes": 0}, Shape(16, 16), STREAM, 1000 + 30),
        ({"image_encoder_bytes": 0}, Shape(16, 16), replace(STREAM, dtype="float32"), 2 * (120 + 30)),
        ({}, Shape(16, 16, encodes=True), STREAM, 70 + 16 * 16),  # the VAE at work on a picture
        ({}, Shape(16, 16, encodes=True), replace(STREAM, vae="device"), 70 + 16 * 16),
        ({}, Shape(8, 8, encodes=True), replace(STREAM, vae="device"), 70 + 200),
        ({}, Shape(8, 8, encodes=True), Plan(dtype="bfloat16"), 1000 + 200 + 70 + 210 + 64),  # all of it is there
    ],
)
def test_before_the_first_step_one_encoder_after_the_other_has_the_device(
    changes: dict[str, int], shape: Shape, plan: Plan, bytes_: int
) -> None:
    assert needs(replace(TEXT, **changes), shape, plan)[0].bytes == bytes_


def test_history_corrects_what_encoders_take_beside_their_weights() -> None:
    plain, taught = (
        needs(TEXT, Shape(16, 16, encodes=True), STREAM, learnt)[0] for learnt in (Learnt(), Learnt({"text": 1.5}))
    )
    assert (plain.weights, plain.working) == (70, 256) and (taught.weights, taught.working) == (70, 384)


def test_a_picture_that_is_too_large_to_encode_is_refused_before_the_run() -> None:
    image = replace(LONG, encodes=True)
    assert plan_for(WAN, LONG, card(12), "tight").phase == "denoise"
    error = refused(WAN, image, card(12), "tight")
    assert error.params["why"]["params"]["needed_gb"] == pytest.approx(13.5, abs=0.1)
    assert plan_for(WAN, image, card(24), "tight").phase == "text"

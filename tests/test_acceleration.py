"""Attention kernels, compiled blocks and caches: chosen for the device, counted, and gone after the run."""

from pathlib import Path
from typing import Any

import pytest
from test_diffusion import loaded, make, options, packets, repositories, shelf  # noqa: F401  fixtures

from studio.errors import Refused
from studio.pipelines.base import Plan
from studio.pipelines.diffusion import acceleration
from studio.pipelines.diffusion.acceleration import CacheOptions, best_attention, cached, chosen_attention, faster_wheel
from studio.pipelines.wan import WanT2VSmall


def installed(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    monkeypatch.setattr(acceleration, "find_spec", lambda name: object() if name in modules else None)


@pytest.mark.parametrize(
    ("capability", "modules", "backend", "wheel"),
    [
        (None, ["flash_attn", "flash_attn_interface"], "native", None),  # a CPU
        ((7, 5), ["flash_attn"], "native", None),  # too old for any
        ((8, 9), [], "native", "flash-attn"),
        ((8, 9), ["flash_attn"], "flash", None),
        ((8, 9), ["flash_attn_interface"], "native", "flash-attn"),  # which it cannot do
        ((9, 0), ["flash_attn"], "flash", "flash-attn-3"),
        ((9, 0), ["flash_attn", "flash_attn_interface"], "_flash_3", None),
        ((12, 0), ["flash_attn", "sageattention"], "flash", None),
    ],
)
def test_the_best_kernel_that_is_there_and_that_the_gpu_can_do(
    capability: Any, modules: list[str], backend: str, wheel: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, *modules)
    assert (best_attention(capability), faster_wheel(capability)) == (backend, wheel)


def test_a_plan_says_which_or_leaves_it_open() -> None:
    assert chosen_attention("auto", "cpu") == "native" and chosen_attention("flex", "cpu") == "flex"


def test_a_run_uses_the_plans_kernel_and_leaves_none(shelf: Path, tmp_path: Path) -> None:  # noqa: F811
    engine = loaded()
    engine.load(Plan(attention="_native_math"))
    assert make(engine, tmp_path).facts["attention"] == "_native_math"
    processors = {block.attn1.processor._attention_backend for block in engine.pipe.transformer.blocks}
    assert processors == {None}


def many(cache: str, steps: int = 16) -> Any:
    return options(cache=cache, num_inference_steps=steps)


@pytest.mark.parametrize("plan", [Plan(), Plan(transformer="stream")], ids=["resident", "streamed"])
def test_the_first_block_says_when_the_others_may_rest(
    plan: Plan, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    engine = loaded()
    engine.load(plan)
    plain = make(engine, tmp_path, wish=many("none"), name="plain")
    monkeypatch.setattr(acceleration, "FIRST_BLOCK", 0.5)
    one = make(engine, tmp_path, wish=many("first_block"), name="one")
    two = make(engine, tmp_path, wish=many("first_block"), name="two")
    after = make(engine, tmp_path, wish=many("none"), name="after")
    assert one.facts["cache"] == "first_block" and one.facts["forwards"] == 32
    assert 0 < one.facts["skipped_forwards"] < 31
    assert packets(one.path) == packets(two.path) and one.facts["skipped_forwards"] == two.facts["skipped_forwards"]
    assert packets(after.path) == packets(plain.path) and "cache" not in after.facts


def test_the_first_run_with_mag_measures_and_the_next_ones_skip(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any  # noqa: F811
) -> None:  # fmt: skip
    monkeypatch.setattr(acceleration, "MAG", 10.0)
    engine = loaded()
    plain = make(engine, tmp_path, wish=many("none"), name="plain")
    first = make(engine, tmp_path, wish=many("mag"), name="first")
    assert first.facts["cache_calibrated"] is True and first.facts["skipped_forwards"] == 0
    assert packets(first.path) == packets(plain.path) and "MagCache" not in capsys.readouterr().out
    second = make(engine, tmp_path, wish=many("mag"), name="second")
    assert "cache_calibrated" not in second.facts and second.facts["skipped_forwards"] > 0
    other_steps = make(engine, tmp_path, wish=many("mag", 15), name="other")
    assert other_steps.facts["cache_calibrated"] is True


def test_after_a_failure_no_cache_is_left(shelf: Path, tmp_path: Path) -> None:  # noqa: F811
    engine = loaded()
    with pytest.raises(ValueError, match="in the middle"), cached(
        {"transformer": engine.pipe.transformer}, "first_block", engine.id, 16
    ):  # fmt: skip
        raise ValueError("in the middle")
    assert not engine.pipe.transformer.is_cache_enabled


def test_few_steps_have_nothing_to_skip() -> None:
    assert issubclass(WanT2VSmall.Options, CacheOptions)
    with pytest.raises(ValueError, match="needs 15 steps"):
        many("first_block", 8)


def test_blocks_compile_beneath_what_stands_before_them(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    """Whoever places blocks and watches a run from inside is no part of what is compiled."""
    engine = loaded()
    engine.load(Plan(transformer="swap", vae="swap"))
    real = engine.pipe.transformer.compile_repeated_blocks
    monkeypatch.setattr(
        engine.pipe.transformer, "compile_repeated_blocks", lambda **how: real(backend="eager", **how), raising=False
    )
    assert make(engine, tmp_path, wish=options(compile=True)).facts["steps"] == 3


def test_blocks_are_compiled_for_one_run_and_not_while_they_flow(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    engine = loaded()
    compiled: list[Any] = []

    def fake(**how: Any) -> None:
        compiled.append(how)
        for block in engine.pipe.transformer.blocks:
            block._compiled_call_impl = block._call_impl

    monkeypatch.setattr(engine.pipe.transformer, "compile_repeated_blocks", fake, raising=False)
    make(engine, tmp_path, wish=options(compile=True))
    assert compiled == [{}]
    assert all(block._compiled_call_impl is None for block in engine.pipe.transformer.blocks)
    engine.load(Plan(transformer="stream"))
    with pytest.raises(Refused) as caught:
        make(engine, tmp_path, wish=options(compile=True))
    assert caught.value.code == "engine.compile_streams"

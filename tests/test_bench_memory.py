"""The memory benchmark at tiny size: every method that needs no CUDA, the same output, and a table that is honest."""

from pathlib import Path
from typing import Any

import pytest

from studio.bench import memory
from studio.bench.memory import METHODS, NEED_CUDA, Wanted, answer_to, markdown, measure, summed, wanted
from studio.errors import Refused

ON_CPU = [method for method in METHODS if method not in NEED_CUDA]


def here(request: Path, seconds: float) -> tuple[bool, int | None]:
    """Answer in this process: a new one would import everything again for each method."""
    answer_to(request)
    return False, 0


def said(*_: Any) -> None:
    pass


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """One round of everything."""
    return measure(Wanted(shapes=memory.TINY, tiny=True, rounds=1, timed=1), said, here)


def test_every_method_that_needs_no_cuda_gives_the_output_of_the_resident_one(found: dict[str, Any]) -> None:
    rows = summed(found)
    assert [(row["shape"], row["method"]) for row in rows] == [(s, m) for s in memory.TINY for m in ON_CPU]
    assert all(row["equal"] for row in rows), [row for row in rows if not row["equal"]]
    assert {row["method"] for row in rows if row["ratio"] == 1.0} >= {"resident"}
    answers = found["rounds"][0]
    one, two = (row["output"]["sha256"] for row in answers["resident"]["rows"])
    assert one != two


def test_ours_moves_what_flows_and_nothing_else(found: dict[str, Any]) -> None:
    moved = {row["method"]: row.get("moved_bytes") for row in summed(found)}
    assert moved["resident"] is None and moved["blocks"] is None
    assert moved["ours_0"] > 0 and moved["ours_auto"] * 2 == moved["ours_0"] == moved["ours_tight"]
    plans = {method: found["rounds"][0][method]["rows"][0]["plan"] for method in ("ours_0", "ours_auto", "ours_tight")}
    assert [plan["resident_blocks"] for plan in plans.values()] == [0, 4, 0]
    assert plans["ours_tight"]["token_chunk"] == 16


def test_what_could_not_run_is_named_with_the_reason(found: dict[str, Any]) -> None:
    told = memory.not_run(found)
    assert set(told) == NEED_CUDA
    assert told["group"] == "needs CUDA" and "pip install" in told["mmgp_4"]
    table = markdown(found)
    assert "- diffusers sequential offload: not run, needs CUDA" in table
    assert "Its ratios mean nothing." in table and "no GPU" in table
    assert table.count("| equal |") == len(memory.TINY) * len(ON_CPU)
    assert "predicted GB" not in table  # nothing was predicted for a CPU


def test_one_method_in_a_process_of_its_own(tmp_path: Path) -> None:
    asked = wanted(methods=["resident"], shapes=["64x64/5"], tiny=True, rounds=1)
    heard: list[Any] = []
    table = memory.main(asked, tmp_path / "out", lambda number, name: heard.append((number, name)))
    assert heard == [(1, "resident")] and "| 64x64/5 | resident | 1.000 |" in table
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"memory.json", "memory.md"}
    assert (tmp_path / "out" / "memory.md").read_text("utf-8") == table


# ------------------------------------------------------------------------------------------------ the arithmetic
def answer(seconds: float, **more: Any) -> dict[str, Any]:
    return {"rows": [{"shape": "480P/81", "median_s": seconds, **more}]}


def test_ratios_are_those_of_the_same_round() -> None:
    rounds = [
        {"resident": answer(1.0), "ours_0": answer(1.2)},
        {"resident": answer(2.0), "ours_0": answer(2.2)},  # the machine was busy
    ]
    found = {"machine": memory.machine(), "tiny": False, "cap_gb": 24.0, "rounds": rounds}
    resident, ours = summed(found)
    assert resident["ratio"] == 1 and (ours["ratio_low"], ours["ratio_high"]) == (1.1, 1.2)
    assert ours["ratio"] == pytest.approx(1.15) and ours["median_s"] == pytest.approx(1.7)
    assert "at most 24 GB" in markdown(found) and "hard case" in markdown(found)


def test_an_estimate_stands_beside_what_was_measured() -> None:
    row = answer(1.0, peak_bytes=4.0e9, predicted_bytes=4.3e9, equal=False, error=1e-3)
    failed = {"rows": [{"shape": "480P/81", "failed": "out of memory"}]}
    found = {
        "machine": memory.machine(), "tiny": False, "cap_gb": 0.0,
        "rounds": [{"resident": answer(1.0), "ours_tight": row, "sequential": failed}],
    }  # fmt: skip
    _, ours, sequential = summed(found)
    assert ours["estimate_error"] == pytest.approx(0.075)
    table = markdown(found)
    assert "| 4.00 | 4.30 | +7.5% |" in table and "off by 1.0e-03" in table
    assert sequential["failed"] == "out of memory" and "| out of memory |" in table


def test_nothing_goes_on_when_the_time_is_over() -> None:
    def late(request: Path, seconds: float) -> tuple[bool, int | None]:
        assert 0 < seconds <= 60
        return True, -9

    asked = wanted(methods=["blocks"], tiny=True, rounds=1, minutes=1)
    assert memory.not_run(measure(asked, said, late))["blocks"] == memory.NO_TIME
    asked = wanted(methods=["blocks"], tiny=True, rounds=1, minutes=0)
    assert memory.not_run(measure(asked, said, here)) == {"resident": memory.NO_TIME, "blocks": memory.NO_TIME}


def test_a_process_that_dies_does_not_end_the_benchmark() -> None:
    asked = wanted(methods=["blocks"], tiny=True, rounds=1)
    told = memory.not_run(measure(asked, said, lambda request, seconds: (False, -11)))
    assert told["blocks"] == "its process ended: -11"


def test_flags_are_checked() -> None:
    assert wanted(methods=["ours_0"]).methods == ["resident", "ours_0"]
    assert list(wanted().shapes) == ["480P/17", "480P/33", "480P/81"]
    with pytest.raises(Refused, match="request.invalid"):
        wanted(methods=["ours_9"])
    with pytest.raises(Refused, match="request.invalid"):
        wanted(shapes=["8K/1"])

"""PipelineManager: who is loaded, parked and closed, and what a failure does."""

from collections.abc import Iterator

import pytest

from studio.errors import Cancelled, EngineError
from studio.pipelines.base import Engine, Plan
from studio.pipelines.manager import PipelineManager

CPU, GPU = Plan(), Plan("resident", "cuda")


@pytest.fixture
def told() -> Iterator[list[str]]:
    told: list[str] = []
    yield told


def manager(told: list[str], **limits: int) -> PipelineManager:
    def find(engine_id: str) -> type[Engine]:
        class Listening(Engine):
            id = engine_id
            load = lambda self, plan: told.append(f"load {engine_id}")  # noqa: E731
            park = lambda self: told.append(f"park {engine_id}")  # noqa: E731

            def close(self) -> None:
                told.append(f"close {engine_id}")
                if engine_id == "stubborn":
                    raise RuntimeError("CUDA error: an illegal memory access was encountered")

        return Listening

    return PipelineManager(find, **limits)


def use(manager: PipelineManager, *engine_ids: str, plan: Plan = CPU) -> None:
    for engine_id in engine_ids:
        with manager.lease(engine_id, plan):
            pass


def test_an_engine_is_made_at_its_first_lease_and_kept(told: list[str]) -> None:
    lazy = manager(told)
    assert lazy.resident is None and told == []
    with lazy.lease("wan", CPU) as first:
        assert lazy.resident == "wan"
    with lazy.lease("wan", CPU) as again:
        assert again is first
    assert told == ["load wan", "load wan"]  # cheap when already there; the plan may have changed


def test_the_least_recently_used_makes_room(told: list[str]) -> None:
    use(manager(told, keep_loaded=2, keep_parked=1), "a", "b", "a", "c", "d")
    assert told == ["load a", "load b", "load a", "park b", "load c", "park a", "close b", "load d"]


def test_a_parked_engine_comes_back_as_it_is(told: list[str]) -> None:
    small = manager(told)
    with small.lease("a", CPU) as first:
        pass
    use(small, "b")
    assert small.resident == "b"
    with small.lease("a", CPU) as again:
        assert again is first and small.resident == "a"
    assert told == ["load a", "park a", "load b", "park b", "load a"]


def test_after_a_failure_on_a_device_the_engine_is_closed(told: list[str]) -> None:
    leased = manager(told)
    with pytest.raises(EngineError), leased.lease("a", GPU):
        raise EngineError("engine.failed")
    assert told == ["load a", "close a"] and leased.resident is None


@pytest.mark.parametrize(("plan", "error"), [(CPU, EngineError("engine.failed")), (GPU, Cancelled())])
def test_a_cancel_and_a_failure_on_the_cpu_leave_it_loaded(told: list[str], plan: Plan, error: Exception) -> None:
    leased = manager(told)
    with pytest.raises(type(error)), leased.lease("a", plan):
        raise error
    assert told == ["load a"] and leased.resident == "a"


def test_an_engine_that_cannot_be_closed_does_not_hide_why(told: list[str]) -> None:
    leased = manager(told)
    with pytest.raises(EngineError, match="engine.failed"), leased.lease("stubborn", GPU):
        raise EngineError("engine.failed")
    assert told[-1] == "close stubborn" and leased.resident is None


def test_close_lets_every_engine_go(told: list[str]) -> None:
    full = manager(told)
    use(full, "a", "b")
    full.close()
    assert sorted(told[-2:]) == ["close a", "close b"] and full.resident is None

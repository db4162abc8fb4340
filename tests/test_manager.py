"""PipelineManager: who is loaded, parked and closed when there is no room, and what a failure does."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from studio.errors import Cancelled, EngineError, Refused
from studio.pipelines.base import Engine, Plan, Room
from studio.pipelines.manager import PipelineManager
from studio.pipelines.parts import SHELF, Part
from studio.pipelines.wan import WanT2VLarge, WanT2VSmall

GB = 10**9
CPU, GPU = Plan(ram_bytes=10 * GB), Plan("resident", "cuda", peak_bytes=10 * GB, ram_bytes=10 * GB)
PLENTY = Room(1000 * GB, 1000 * GB, 1000 * GB)


@pytest.fixture
def told() -> Iterator[list[str]]:
    told: list[str] = []
    yield told


class Computer:
    """So much room, of which engines take 10 GB each where they are, and on a device 10 GB of pinned RAM beside."""

    def __init__(self, told: list[str], room: Room = PLENTY) -> None:
        self.told, self.room = told, room
        self.engines: dict[str, Any] = {}
        self.manager = PipelineManager(self.find, self.free)

    def find(self, engine_id: str) -> type[Engine]:
        computer = self

        class Listening(Engine):
            id = engine_id
            parts: ClassVar[tuple[Part, ...]] = (Part("transformer", f"of/{engine_id}"),)
            where: Any = None

            def load(self, plan: Plan) -> None:
                computer.told.append(f"load {engine_id}")
                if engine_id == "broken":
                    raise Refused("model.part_missing")
                computer.engines[engine_id] = self
                self.where = plan.device

            def park(self) -> None:
                computer.told.append(f"park {engine_id}")
                self.where = "cpu"

            def close(self) -> None:
                computer.told.append(f"close {engine_id}")
                self.where = None
                if engine_id == "stubborn":
                    raise RuntimeError("CUDA error: an illegal memory access was encountered")

            def held(self) -> Mapping[Any, Room]:
                return {
                    None: {},
                    "cpu": {engine_id: Room(0, 10 * GB, 0)},
                    "cuda": {engine_id: Room(10 * GB, 10 * GB, 10 * GB)},
                }[self.where]  # fmt: skip

        return Listening

    def free(self, plan: Plan) -> Room:
        taken = sum((room for engine in self.engines.values() for room in engine.held().values()), Room())
        return Room(self.room.device - taken.device, self.room.ram - taken.ram, self.room.pinned)

    def use(self, *engine_ids: str, plan: Plan = CPU) -> None:
        for engine_id in engine_ids:
            with self.manager.lease(engine_id, plan):
                pass


def test_an_engine_is_made_at_its_first_lease_and_kept(told: list[str]) -> None:
    lazy = Computer(told).manager
    assert lazy.resident is None and told == []
    with lazy.lease("wan", CPU) as first:
        assert lazy.resident == "wan"
    with lazy.lease("wan", CPU) as again:
        assert again is first
    assert told == ["load wan", "load wan"]  # cheap when already there; the plan may have changed


def test_while_there_is_room_everybody_stays(told: list[str]) -> None:
    Computer(told).use("a", "b", "c", "a", plan=GPU)
    assert told == ["load a", "load b", "load c", "load a"]


def test_on_a_full_device_the_least_recently_used_is_parked(told: list[str]) -> None:
    small = Computer(told, Room(25 * GB, 1000 * GB, 1000 * GB))
    small.use("a", "b", "a", "c", plan=GPU)
    assert told == ["load a", "load b", "load a", "park b", "load c"]
    assert small.manager.holds("a") and not small.manager.holds("b") and small.manager.resident == "c"


def test_without_a_reckoning_nobody_else_stays_on_the_device(told: list[str]) -> None:
    Computer(told).use("a", "b", plan=Plan("resident", "cuda"))
    assert told == ["load a", "park a", "load b"]


def test_a_parked_engine_comes_back_as_it_is(told: list[str]) -> None:
    small = Computer(told, Room(15 * GB, 1000 * GB, 1000 * GB))
    with small.manager.lease("a", GPU) as first:
        pass
    small.use("b", plan=GPU)
    with small.manager.lease("a", GPU) as again:
        assert again is first and small.manager.resident == "a"
    assert told == ["load a", "park a", "load b", "park b", "load a"]


@pytest.mark.parametrize("room", [Room(1000 * GB, 25 * GB, 1000 * GB), Room(1000 * GB, 1000 * GB, 25 * GB)])
def test_in_full_ram_the_least_recently_used_is_closed(told: list[str], room: Room) -> None:
    plan = Plan("hybrid", "cuda", peak_bytes=10 * GB, ram_bytes=10 * GB, pinned_bytes=10 * GB)
    full = Computer(told, room)
    full.use("a", "b", "a", "c", plan=plan)
    assert told == ["load a", "load b", "load a", "close b", "load c"]
    assert full.manager.held() == Room(20 * GB, 20 * GB, 20 * GB)


def test_without_a_device_ram_decides(told: list[str]) -> None:
    Computer(told, Room(0, 25 * GB, 0)).use("a", "b", "c")
    assert told == ["load a", "load b", "close a", "load c"]


def test_after_a_failure_on_a_device_the_engine_is_closed(told: list[str]) -> None:
    leased = Computer(told).manager
    with pytest.raises(EngineError), leased.lease("a", GPU):
        raise EngineError("engine.failed")
    assert told == ["load a", "close a"] and leased.resident is None


@pytest.mark.parametrize(
    ("plan", "error"),
    [(CPU, EngineError("engine.failed")), (GPU, Cancelled()), (GPU, Refused("engine.options"))],
)
def test_a_cancel_a_refusal_and_a_failure_on_the_cpu_leave_it_loaded(
    told: list[str], plan: Plan, error: Exception
) -> None:
    leased = Computer(told).manager
    with pytest.raises(type(error)), leased.lease("a", plan):
        raise error
    assert told == ["load a"] and leased.resident == "a"


@pytest.mark.parametrize("plan", [CPU, GPU])
def test_what_could_not_be_loaded_is_not_taken_for_loaded(told: list[str], plan: Plan) -> None:
    leased = Computer(told).manager
    with pytest.raises(Refused), leased.lease("broken", plan):
        pass
    assert told == ["load broken", "close broken"]
    assert leased.resident is None and not leased.holds("broken")


def test_an_engine_that_cannot_be_closed_does_not_hide_why(told: list[str]) -> None:
    leased = Computer(told).manager
    with pytest.raises(EngineError, match="engine.failed"), leased.lease("stubborn", GPU):
        raise EngineError("engine.failed")
    assert told[-1] == "close stubborn" and leased.resident is None


def test_close_lets_every_engine_go(told: list[str]) -> None:
    full = Computer(told)
    full.use("a", "b")
    full.manager.close()
    assert sorted(told[-2:]) == ["close a", "close b"] and full.manager.resident is None
    assert full.manager.held() == Room()


def test_models_of_one_family_share_what_is_the_same(tiny_shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two Wan engines: one text encoder and one VAE, in RAM as on disk, until the last of them is closed."""
    monkeypatch.setenv(SHELF, str(tiny_shelf))
    family = {"small": WanT2VSmall, "large": WanT2VLarge}
    manager = PipelineManager(family.__getitem__, lambda plan: PLENTY)
    with manager.lease("small", Plan()) as small:
        alone = manager.held()
        with small.placement.using("text_encoder"):
            pass
        weight = manager.held().ram - alone.ram
    with manager.lease("large", Plan()) as large, large.placement.using("text_encoder"):
        assert large.pipe.text_encoder is small.pipe.text_encoder and large.pipe.vae is small.pipe.vae
        assert large.pipe.transformer is not small.pipe.transformer
        own = large.placement.held()[id(large.placement)]
        assert weight > 0 and manager.held().ram == alone.ram + weight + own.ram
    encoder = large.pipe.text_encoder
    small.close()
    with manager.lease("large", Plan()) as large, large.placement.using("text_encoder"):
        assert large.pipe.text_encoder is encoder
    manager.close()
    assert manager.held() == Room()

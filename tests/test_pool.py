"""Pool: one of each, until the last gives it back; and one placement of each."""

from typing import Any

from studio.pipelines.pool import Pool


class Placed:
    def __init__(self, module: Any, told: list[str]) -> None:
        self.module, self.told = module, told

    def close(self) -> None:
        self.told.append(f"close {self.module}")


def test_a_component_is_made_once_and_goes_with_the_last_who_has_it() -> None:
    pool, made = Pool(), []
    first, second = (pool.borrow("t5", lambda: made.append("t5") or object()) for _ in range(2))
    assert first is second and made == ["t5"] and pool.peek("t5") is first
    pool.give_back("t5")
    assert pool.peek("t5") is first
    pool.give_back("t5")
    assert pool.peek("t5") is None
    assert pool.borrow("t5", object) is not first


def test_a_component_is_in_one_place_at_a_time() -> None:
    pool, told = Pool(), list[str]()
    pool.borrow("t5", lambda: "encoder")
    one = pool.place("t5", "streamed", lambda module: Placed(module, told))
    assert pool.place("t5", "streamed", lambda module: Placed(module, told)) is one is pool.placement("t5")
    other = pool.place("t5", "whole", lambda module: Placed(module, told))
    assert other is not one and told == ["close encoder"]
    pool.give_back("t5")
    assert told == ["close encoder"] * 2 and pool.placement("t5") is None

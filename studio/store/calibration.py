"""What runs really took beside what was predicted, and how fast this machine was measured to be. Rows in and out.

Tables `measured` (a row for each take that was made by a plan) and `machine` (name, value).
"""

import json
import statistics
from collections.abc import Mapping
from typing import Any

from studio.pipelines.memory.profiles import Learnt
from studio.store.database import Connection, Row, now

RUNS = 20  # of an engine, the newest: drivers and models change
KEPT = 500  # of an engine
MEMORY = (0.9, 1.5)  # the least and the most that history changes a prediction of memory by: too little fails a run
TIME = (0.02, 50.0)


class Calibration:
    def __init__(self, connection: Connection) -> None:
        self._c = connection

    # ------------------------------------------------------------------------------------------ runs
    def learn(self, engine: str, task: str, facts: Mapping[str, Any], size: tuple[int, int, int]) -> None:
        """A take that was made. `facts`: what its worker told: `plan` (its fields that are not usual), `profile`,
        `peak_bytes`, `step_seconds`, `steps`. `size`: width, height, frames. Nothing is learnt without a plan, and of
        steps that a cache skipped in part no time."""
        plan = facts.get("plan") or {}
        if not plan.get("peak_bytes") or facts.get("oom_retries"):
            return
        names = ("phase", "working_bytes", "step_seconds", "learnt_memory", "learnt_time")
        seconds = 0.0 if facts.get("skipped_forwards") else float(facts.get("step_seconds") or 0.0)
        with self._c.write():
            self._c.insert(
                "measured",
                {
                    "engine": engine, "task": task, "profile": str(facts["profile"]), "width": size[0],
                    "height": size[1], "num_frames": size[2], "steps": int(facts.get("steps") or 0),
                    "predicted_bytes": plan["peak_bytes"], "peak_bytes": int(facts.get("peak_bytes") or 0),
                    "step_seconds": seconds, "at": now(),
                    "facts": json.dumps({name: plan[name] for name in names if name in plan}),
                },
            )  # fmt: skip
            self._c.execute(
                "delete from measured where engine = ? and id not in"
                " (select id from measured where engine = ? order by id desc limit ?)",
                [engine, engine, KEPT],
            )

    def learnt(self, engine: str) -> Learnt:
        """Medians of real over predicted. Times from before the machine was measured were predicted by other numbers
        and do not count."""
        rows = self._c.rows("select * from measured where engine = ? order by id desc limit ?", [engine, RUNS])
        plans = [json.loads(row["facts"]) for row in rows]
        _, since = self.machine()
        memory: dict[str, list[float]] = {}
        time: dict[str, list[float]] = {}
        for row, plan in zip(rows, plans, strict=True):
            if row["peak_bytes"] and plan.get("working_bytes"):
                memory.setdefault(plan["phase"], []).append(_larger(row, plan))
            if row["step_seconds"] and plan.get("step_seconds") and row["at"] >= since:
                for profile in (row["profile"], ""):
                    time.setdefault(profile, []).append(_slower(row, plan))
        return Learnt(
            {phase: _bounded(ratios, MEMORY) for phase, ratios in memory.items()},
            {profile: _bounded(ratios, TIME) for profile, ratios in time.items()},
        )

    # ------------------------------------------------------------------------------------------ the machine
    def save(self, values: Mapping[str, float]) -> None:
        """What was measured: copy_gb_s, disk_gb_s, tflops. 0: could not be measured."""
        at = now()
        with self._c.write():
            for name, value in values.items():
                self._c.execute(
                    "insert into machine (name, value, at) values (?, ?, ?)"
                    " on conflict (name) do update set value = excluded.value, at = excluded.at",
                    [name, value, at],
                )

    def machine(self) -> tuple[dict[str, float], str]:
        """What was measured, and when; nothing and "" before that."""
        rows = self._c.rows("select name, value, at from machine where name <> 'download'")  # that is store.models'
        return {row["name"]: row["value"] for row in rows}, max((row["at"] for row in rows), default="")


def _slower(row: Row, plan: Mapping[str, Any]) -> float:
    """Real over predicted seconds of a step."""
    return float(row["step_seconds"] / (plan["step_seconds"] / plan.get("learnt_time", 1.0)))


def _larger(row: Row, plan: Mapping[str, Any]) -> float:
    """Real over predicted bytes beside the weights."""
    weights = row["predicted_bytes"] - plan["working_bytes"]
    return float((row["peak_bytes"] - weights) / (plan["working_bytes"] / plan.get("learnt_memory", 1.0)))


def _bounded(ratios: list[float], bounds: tuple[float, float]) -> float:
    """The median, within bounds."""
    return min(max(statistics.median(ratios), bounds[0]), bounds[1])

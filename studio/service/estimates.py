"""How long work will take and how much room it needs, from what this machine has done; a stated guess until it has.

Seconds are scaled by pixels times frames where sizes differ. The guesses are documented in docs/production.md. Knows no
scene and no queue.
"""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from studio.domain import Lane
from studio.runner.live import Expected
from studio.store.survey import Survey

MEGA = 1_000_000
GUESSED_START: Mapping[Lane, tuple[float, float, float]] = {  # seconds of any job: (low, likely, high)
    "cpu": (0.5, 1.0, 2.0), "gpu": (10.0, 20.0, 60.0), "net": (20.0, 60.0, 240.0),
}  # fmt: skip
GUESSED_PACE: Mapping[Lane, tuple[float, float, float]] = {  # seconds per million pixels of all frames
    # cpu: docs/benchmarks.md, the draft engine. gpu: 14 B parameters; high is a DGX Spark's 18 minutes for 5 s of 540P
    "cpu": (0.02, 0.03, 0.06), "gpu": (3.0, 6.0, 17.0), "net": (0.2, 0.5, 2.0),
}  # fmt: skip
BITS_PER_PIXEL = 0.3  # of video: 8 Mb/s at 720p, the most that docs/benchmarks.md saw
SOUND_BYTES = 24_000  # a second, beside a picture
PNG_BYTES = 2.0  # per pixel
WAV_BYTES = 96_000  # a second
AFTER = ("decode", "save")  # the phases after an engine's last step
RESERVE = 2_000_000_000  # bytes that stay free whatever is rendered


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds: the median, and the range between the fastest and the slowest tenth. `guess`: not from history."""

    median: float = 0.0
    low: float = 0.0
    high: float = 0.0
    guess: bool = False

    def __add__(self, other: "Span") -> "Span":
        return Span(self.median + other.median, self.low + other.low, self.high + other.high, self.guess or other.guess)

    def times(self, factor: float) -> "Span":
        return Span(self.median * factor, self.low * factor, self.high * factor, self.guess)

    def as_dict(self) -> dict[str, Any]:
        return {
            "median": round(self.median, 1), "low": round(self.low, 1), "high": round(self.high, 1),
            "guess": self.guess,
        }  # fmt: skip


class Paces:
    """Seconds of a job, asked once per engine and task."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._known: dict[tuple[str, str], tuple[Span, bool] | None] = {}

    def job(self, engine: str, lane: Lane, task: str, pixels: float) -> Span:
        """`pixels`: of all frames together, in millions; 0 where there are none (a voice)."""
        key = engine, task
        if key not in self._known:
            self._known[key] = _pace(self._survey.runs(engine, task))
        known = self._known[key]
        if known is None:
            start, pace = GUESSED_START[lane], GUESSED_PACE[lane]
            low, median, high = (at + each * pixels for at, each in zip(start, pace, strict=True))
            return Span(median, low, high, guess=True)
        span, scaled = known
        return span.times(pixels) if scaled and pixels else span


def _pace(rows: Sequence[Mapping[str, Any]]) -> tuple[Span, bool] | None:
    """(span, is it per million pixels?); None: never done."""
    if not rows:
        return None
    pixels = [row["width"] * row["height"] * row["num_frames"] / MEGA for row in rows]
    scaled = all(pixels)
    return spread([row["seconds"] / (size if scaled else 1) for row, size in zip(rows, pixels, strict=True)]), scaled


def spread(values: list[float]) -> Span:
    """Median and tenths of at least one value."""
    if len(values) == 1:
        return Span(values[0], values[0], values[0])
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    return Span(tenths[4], tenths[0], tenths[8])


def expected(rows: Sequence[Mapping[str, Any]], size: float) -> Expected:
    """How long a job will take by the phases of takes like it (`store.survey.phases`). `size`: its pixels times its
    seconds; 0 where there are none (a voice)."""
    if not rows:
        return Expected()
    timed = [json.loads(row["phases"]) for row in rows]
    scales = [size / (row["width"] * row["height"] * (row["duration"] or 1.0) or size or 1.0) or 1.0 for row in rows]
    phases = [
        {name: seconds * scale for name, seconds in one.items() if name != "load"}
        for one, scale in zip(timed, scales, strict=True)
    ]
    return Expected(
        load=next((one["load"] for one in timed if "load" in one), 0.0),
        whole=statistics.median(sum(one.values()) for one in phases),
        after=statistics.median(sum(one.get(name, 0.0) for name in AFTER) for one in phases),
    )


# ------------------------------------------------------------------------------------------------ room
class Room:
    """Bytes of a take, by its size on this machine before."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """`rows`: engine, kind, width, height, duration, bytes, as store.survey gives them."""
        seen: dict[tuple[str, str, int, int], list[float]] = {}
        for row in rows:
            seconds = 1.0 if row["kind"] == "image" else row["duration"]
            if seconds > 0:
                key = row["engine"], row["kind"], row["width"], row["height"]
                seen.setdefault(key, []).append(row["bytes"] / seconds)
        self._rates = {key: statistics.median(rates) for key, rates in seen.items()}

    def take(self, engine: str, kind: str, size: tuple[int, int], seconds: float, fps: float) -> tuple[float, bool]:
        """(bytes, is it a guess?). `seconds` does not count for an image, `size` not for sound."""
        width, height = (0, 0) if kind == "audio" else size
        rate = self._rates.get((engine, kind, width, height))
        if kind == "image":
            return (PNG_BYTES * width * height, True) if rate is None else (rate, False)
        if rate is None:
            plain = WAV_BYTES if kind == "audio" else width * height * fps * BITS_PER_PIXEL / 8 + SOUND_BYTES
            return plain * seconds, True
        return rate * seconds, False


# ------------------------------------------------------------------------------------------------ the clock
def next_time(clock: str, after: datetime) -> datetime:
    """The next HH:MM on this computer's clock strictly after a moment (aware), summer time minded."""
    hour, minute = (int(part) for part in clock.split(":"))
    local = after.astimezone().replace(tzinfo=None)
    at = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if at <= local:
        at += timedelta(days=1)
    return at.astimezone()

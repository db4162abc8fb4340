"""kill -9 of worker and studio at every named point: nothing lost, nothing twice, nothing broken, nothing left over.

50 rounds here; `LANTERNA_KILL_ROUNDS=500 pytest tests/test_kill_rounds.py` for a night."""

import os
import sys
from pathlib import Path

import pytest
from kill_rounds import play, victims

from studio.faults import POINTS

ROUNDS = int(os.environ.get("LANTERNA_KILL_ROUNDS", "50"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_no_kill_anywhere_does_harm(tmp_path: Path) -> None:
    tally = play(tmp_path, ROUNDS, POINTS)
    assert tally.harm == {"lost": [], "doubled": [], "bad": [], "left": []}, tally
    assert tally.kills.total() >= tally.rounds == ROUNDS
    assert set(tally.kills) == {f"{who} at {point}" for who, point in victims(POINTS)}
    assert tally.jobs == tally.takes > 0

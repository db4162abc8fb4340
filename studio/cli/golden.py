"""`doctor --golden`: golden vectors through our networks, in a worker of its own, and a line for each output.

Knows neither networks nor tensors: the tool `golden` does.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.cli.speech import Speaker
from studio.execution import Failed, ToolDone
from studio.execution.process import WorkerProcess
from studio.execution.wire import WorkerSettings
from studio.settings import Settings


def compare(settings: Settings, speaker: Speaker, path: Path, device: str, dtype: str) -> int:
    """Print name, largest difference and PASS or FAIL of every output. 0: all pass. Raises the tool's error."""
    settings.export()
    worker = WorkerProcess(WorkerSettings(settings.log_dir, settings.log_level, tuple(settings.secrets())))
    asked = {"path": str(path), "device": "cpu" if settings.force_cpu and device == "auto" else device, "dtype": dtype}
    found: Any = None
    try:
        with speaker.err.status(speaker.text("doctor.golden_wait", path=path)):
            for event in worker.call("golden", asked):
                if isinstance(event, Failed):
                    raise event.error
                if isinstance(event, ToolDone):
                    found = event.result
    finally:
        worker.close()
    return _told(speaker, found)


def _told(speaker: Speaker, found: Mapping[str, Any]) -> int:
    rows = found["rows"]
    speaker.say("doctor.golden_on", device=found["device"], dtype=found["dtype"], tolerance=f"{found['tolerance']:.0e}")
    speaker.table([_line(row) for row in rows])
    for row in rows:
        if "error" in row:
            told = speaker.words.error(row["error"], speaker.lang)
            speaker.err.print(f"{_name(row)}: {told['message']}", style="yellow")
            speaker.err.print(f"  {told['hint']}")
    failed = sum(not row.get("passed", False) for row in rows)
    speaker.say("doctor.golden_bad" if failed else "doctor.golden_well", failed=failed, count=len(rows))
    return int(failed > 0)


def _line(row: Mapping[str, Any]) -> tuple[str, str, str]:
    difference = f"{row['difference']:.2e}" if "difference" in row else "-"
    return _name(row), difference, "PASS" if row.get("passed") else "FAIL"


def _name(row: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (row["file"], row.get("output"))))

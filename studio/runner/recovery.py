"""After a crash: adopt whole files that have no row, remove what our jobs left unfinished, put running jobs back.

Only `*.part` files that carry the id of a job or an export of ours are removed, and only sidecars that carry one are
read; nothing else in the user's folders is ever touched.
"""

import logging
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from studio import faults
from studio.execution import Finished
from studio.execution.work import read_sidecar

log = logging.getLogger(__name__)

_PART = re.compile(r"(?:^|\.)([0-9A-HJKMNP-TV-Z]{26})\..*part$")


def finished_files(folder: Path, job_ids: set[str]) -> dict[str, tuple[Finished, dict[str, Any]]]:
    """Whole files of these jobs in a folder, by job, each with what its sidecar says."""
    found: dict[str, tuple[Finished, dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        sidecar = read_sidecar(path)
        if sidecar is None or sidecar["job_id"] not in job_ids:
            continue
        final = path.with_name(sidecar["file"])
        if final.is_file():
            found[sidecar["job_id"]] = Finished(final, sidecar["facts"]), sidecar
        else:
            path.unlink()  # ours, and the file it speaks of never got its name
    return found


def sweep(folders: Iterable[Path], ours: Callable[[str], bool], alive: set[str]) -> int:
    """Remove unfinished files of our jobs and exports that nobody works on. How many."""
    removed = 0
    for folder in folders:
        for path in folder.rglob("*.part") if folder.is_dir() else ():
            match = _PART.search(path.name)
            if match and match[1] not in alive and ours(match[1]):
                path.unlink(missing_ok=True)
                removed += 1
    faults.point("recover.swept")
    if removed:
        log.info("removed %d unfinished files of an earlier run", removed)
    return removed

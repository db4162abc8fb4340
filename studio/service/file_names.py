"""Names of exported files, from the template of a queue. Knows no disk; domain checks the template."""

import re
from datetime import datetime

from studio import naming
from studio.domain import Frame, slug

SHAPES = {"16x9": 16 / 9, "9x16": 9 / 16, "1x1": 1.0, "4x3": 4 / 3, "3x4": 3 / 4}
LONGEST = 120  # characters; with its folder and a suffix it stays below what Windows takes


def film_name(template: str, queue: str, code: str, project: str, frame: Frame, number: int, moment: datetime) -> str:
    """The name without its suffix."""
    shape = frame.width / frame.height
    known = (name for name, ratio in SHAPES.items() if abs(shape / ratio - 1) < 0.02)
    values = {
        "queue": slug(queue) or code.lower(), "code": code, "project": slug(project) or "project",
        "date": moment.strftime("%Y-%m-%d"), "time": moment.strftime("%H-%M-%S"),
        "aspect": next(known, f"{frame.width}x{frame.height}"), "n": str(number),
    }  # fmt: skip
    name = re.sub(r"\{(\w+)\}", lambda match: values[match[1]], template)
    return naming.safe(name[:LONGEST]) or code.lower()

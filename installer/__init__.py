"""Setting Lanterna up, before anything is installed: standard library only, and Python 3.8's syntax, so that an old
Python reaches the message that says it is too old. launch.py is the entrance. Knows nothing of scenes or settings.

`Place` is where things lie, `Outside` the computer around us (programs, network, disk): functions receive both.
"""

from __future__ import annotations

from installer.outside import Outside, Said
from installer.place import Place

__all__ = ["Outside", "Place", "Said", "SetUpError"]


class SetUpError(Exception):
    """What went wrong and, in `cure`, what to do about it."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(what)
        self.cure = cure

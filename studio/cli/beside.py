"""Is a studio open already on this data folder, and where? Knows no window and no browser."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from studio.settings import Settings

STARTING_SECONDS = 30.0  # until a studio that has just been started listens
LOOK_SECONDS = 0.2


def open_studio(settings: "Settings", sleep: Callable[[float], None] = time.sleep) -> str:
    """Its address; "" where none is open, or another command has the folder. One that is just starting is waited
    for: whoever clicks twice starts one studio."""
    from studio.lock import StudioLock

    lock = StudioLock(settings.data_dir)
    for _ in range(round(STARTING_SECONDS / LOOK_SECONDS)):
        holder = lock.holder()
        if holder is None or holder.url:
            return holder.url if holder else ""
        sleep(LOOK_SECONDS)
    return ""

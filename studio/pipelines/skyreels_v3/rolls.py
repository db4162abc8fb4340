"""How a long extension is made roll by roll: how many latent frames each draws, and how many frames of it are shown.

Whole numbers only. Knows no picture, no tensor.
"""

from dataclasses import dataclass

STEP = 4  # frames in a latent one; the first of a clip stands alone
LONGEST = 30  # latent frames that a roll is asked for: 5 s
PREFIX = 25  # frames of the clip, or of the roll before, that a roll goes on from
CELL = 8  # latent frames that go through the network at once are a multiple of it


def latents(frames: int) -> int:
    """Latent frames of so many frames of a clip."""
    return (frames - 1) // STEP + 1


@dataclass(frozen=True, slots=True)
class Roll:
    """One pass over all steps."""

    number: int  # from 0
    latents: int  # new ones
    shown: int  # of its new frames, the first so many are in the film
    last: bool

    @property
    def through(self) -> int:
        """Latent frames that go through the network at once."""
        return self.latents + latents(PREFIX)

    @property
    def decoded(self) -> int:
        """Frames that are decoded at once: those of the prefix, then the new ones."""
        return STEP * self.through - (STEP - 1)


def rolls(frames: int) -> tuple[Roll, ...]:
    """For a film of so many new frames. Each is rounded to whole cells: up, unless those before it drew enough."""
    wanted, drawn, given = -(-frames // STEP), list[int](), latents(PREFIX)
    ahead = 0  # latent frames that were drawn beyond what was asked for
    for start in range(0, wanted, LONGEST):
        new = min(LONGEST, wanted - start)
        rest = (new + given) % CELL
        change = CELL - rest if rest > ahead else -rest
        ahead += change
        drawn.append(new + change)
    shown = [min(STEP * new, frames - STEP * sum(drawn[:number])) for number, new in enumerate(drawn)]
    count = sum(one > 0 for one in shown)  # what the rolls before are ahead may be all that the last one was for
    return tuple(Roll(number, drawn[number], shown[number], number == count - 1) for number in range(count))

"""How a long avatar is made window by window: which frames are heard, given, kept. Whole numbers only.

A policy says it all before anything is drawn, so that one loop runs SkyReels-V3 and InfiniteTalk, and one that was
interrupted goes on with the window that is next. Frames are counted at 25 a second. Knows no picture, no tensor.
"""

from dataclasses import dataclass
from typing import Protocol

FPS = 25
FRAMES = 81  # of a window
AROUND = 2  # frames of sound that a frame hears on each side of itself
STILL_TALKING = "a person is talking"  # prompt of SkyReels' windows; its key pass has the scene's own

Heard = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Window:
    """One pass of 81 frames through the network. Ranges `condition` and `motion` count frames of the film so far."""

    number: int | None  # from 0; None: the key pass
    start: int  # frame of the film that is its first
    audio: Heard  # (81, 5): frames of the sound, 0..N-1, that each of its frames hears
    source: int | None = None  # frame of the picture or video with which its condition begins; None: `condition`
    condition: range = range(0)  # kept frames with which its condition begins
    motion: range = range(0)  # kept frames whose latents begin it
    motion_latents: int = 0  # so many they are; without `motion`: those of the picture at `source`
    key: int | None = None  # which key frame ends its condition, repeated `key_frames` times
    key_frames: int = 0
    keys: tuple[int, ...] = ()  # of the key pass: its frames that are key frames
    drop: int = 0  # last frames that are decoded in vain
    kept: range = range(0)  # of its 81 frames, those that go on the film
    cut: int = 0  # of the kept ones, last frames that are beyond the sound
    prompt: str | None = None  # None: the scene's

    @property
    def condition_frames(self) -> int:
        """Pictures with which its condition begins: those of `condition`, or one."""
        return len(self.condition) or 1

    @property
    def shown(self) -> range:
        """Of its 81 frames, those that are in the film."""
        return self.kept[: len(self.kept) - self.cut]


class WindowPolicy(Protocol):
    """What the loop asks. N is how many frames of sound there are."""

    limit: int  # frames of the longest film
    motion: int  # kept frames from which a window goes on
    clean_motion: bool
    """True: the first latents are the motion's own before each step and after the last. False: they are the motion's
    with fresh noise of the level at hand, before the first step and after each."""

    def sounds(self, samples: int, rate: int) -> int:
        """N of a sound of so many samples."""
        ...

    def frames(self, sounds: int) -> int:
        """Of the film: N, but never more than `limit`."""
        ...

    def windows(self, sounds: int) -> tuple[Window, ...]:
        """Every pass in order. What is shown of them, one after the other, is the film."""
        ...


class SkyReelsWindows:
    """SkyReels-V3 A2V: a pass over the whole film finds its key frames; each window goes on from the last 5 frames of
    the one before and ends with a key frame; the 12 frames near that are dropped but for the last window's."""

    limit = 5000
    motion, motion_latents = 5, 2
    drop = 12
    stride = FRAMES - motion - drop
    key_frames = 5
    clean_motion = False

    def sounds(self, samples: int, rate: int) -> int:
        return -(-samples * FPS // rate)

    def frames(self, sounds: int) -> int:
        return min(self.limit, sounds)

    def windows(self, sounds: int) -> tuple[Window, ...]:
        frames = self.frames(sounds)
        if frames < FRAMES:
            return (Window(0, 0, _heard(range(FRAMES), frames, frames), source=0, kept=range(frames)),)
        whole = FRAMES + -(-(frames - FRAMES) // self.stride) * self.stride
        count = (whole - FRAMES) // self.stride + 1
        key_pass = Window(None, 0, _heard(range(FRAMES), frames, whole), source=0, keys=self._keys(whole))
        return (key_pass, *(self._window(number, frames, whole, last=number == count - 1) for number in range(count)))

    def _window(self, number: int, frames: int, whole: int, last: bool) -> Window:
        start = number * self.stride
        before = range(start, start + self.motion) if number else range(0)
        drop = 0 if last else self.drop
        return Window(
            number, start, _heard(range(start, start + FRAMES), frames, whole),
            source=None if number else 0, condition=before,
            motion=before, motion_latents=self.motion_latents if number else 0,
            key=number, key_frames=self.key_frames, drop=drop, kept=range(len(before), FRAMES - drop),
            cut=whole - frames if last else 0, prompt=STILL_TALKING,
        )  # fmt: skip

    def _keys(self, whole: int) -> tuple[int, ...]:
        """Ends of the windows, on the scale of the key pass."""
        last = whole - 1
        ends = [*range(FRAMES - 1, last, self.stride), last]
        return tuple(round(end * (FRAMES - 1) / last) for end in ends)


class InfiniteTalkWindows:
    """InfiniteTalk and MultiTalk: each window shows the source's frame at its start and goes on from the last 9 frames
    of the one before, of which nothing is dropped."""

    limit = 1000
    motion, motion_latents = 9, 3
    stride = FRAMES - motion
    clean_motion = True

    def sounds(self, samples: int, rate: int) -> int:
        return samples * FPS // rate

    def frames(self, sounds: int) -> int:
        return min(self.limit, sounds)

    def windows(self, sounds: int) -> tuple[Window, ...]:
        frames = self.frames(sounds)
        count = 1 + max(0, -(-(frames - FRAMES) // self.stride))
        return tuple(self._window(number, frames, sounds) for number in range(count))

    def _window(self, number: int, frames: int, sounds: int) -> Window:
        start = number * self.stride
        end = start + FRAMES
        before = range(start, start + self.motion) if number else range(0)
        return Window(
            number, start, _heard(range(start, end), sounds, max(sounds, end + AROUND)),
            source=start, motion=before, motion_latents=self.motion_latents if number else 1,
            kept=range(len(before), FRAMES), cut=max(0, end - frames),
        )  # fmt: skip


def _heard(window: range, sounds: int, whole: int) -> Heard:
    """(81, 5) frames of a sound of `sounds` frames that plays on, backwards, until there are `whole`."""
    heard = []
    for frame in window:
        around = (min(max(each, 0), whole - 1) for each in range(frame - AROUND, frame + AROUND + 1))
        heard.append(tuple(_there_and_back(each, sounds) for each in around))
    return tuple(heard)


def _there_and_back(frame: int, sounds: int) -> int:
    """0, 1 ... N-1, N-1 ... 1, 0, 0, 1 ..."""
    frame %= 2 * sounds
    return frame if frame < sounds else 2 * sounds - 1 - frame

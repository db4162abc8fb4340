"""Whether lips follow the sound of a finished film: lag and likeness, from its pixels and samples alone.

Shares nothing with whoever rendered it: a face is found by a Haar cascade, followed by its eyes and nose, and laid
still; what then moves most in its lower half is the mouth, and the strongest way in which that changes is its opening.
Knows no engine, no lines and no phonemes.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from scipy.signal import butter, sosfiltfilt, stft

from studio.media.probe import open_media

LARGE = 640  # pixels of the longer side of a frame that is looked at
LOOK_SECONDS, LOOKS, SURE = 2.0, 8, 3  # faces are looked for in so many frames of so many seconds, and seen so often
SCALES = (0.35, 0.7)  # of what is looked at: large faces first
PATIENCE_SECONDS = 10.0  # without a face: there is none
LEAST_FACE = 0.13  # of a frame's height
MOST_FACES = 2
LEAST_MARKS, MOST_MARKS_AGREE, NEAR = 6, 0.3, 2.0  # of a head that is followed; pixels within which they agree
BLINK_FRAMES = 8  # in which too few of them may be seen
PATCH = 72  # pixels of a face laid still: its box with a margin
MARGIN, CHIN = 0.1, 1.35  # of the box: beside it, and how far down the chin may drop
MOUTH = (0.40, 0.84, 0.24, 0.76)  # top, bottom, left, right of a patch: where a mouth may be
LEAST_FRAMES = 8  # of a face that tell anything
SOFT = 1.0  # pixels of a patch over which it is softened
LIPS = (0.16, 0.20)  # half height and half width of what is looked at around it, of a patch
MOVES, STANDS_OUT = 1.2, 3.0  # grey levels a frame, and times the rest of the face: less is no mouth that speaks

RATE = 16_000  # Hz of the sound
HZ = 100  # of both curves
VOWELS = (400, 1200)  # Hz: loud where a mouth is open
SPEECH_BAND = (0.8, 8.0)  # Hz of opening and closing: syllables, without nods and breaths
FARTHEST = 0.4  # seconds of lag that are looked at
LEAD_SECONDS = 0.015  # lips that are in time are open a little before their vowel is loud
IN_SYNC_MS = 80  # what viewers do not notice (ITU-R BT.1359: -125 .. +45 ms is detectable)
CHANCE = 1.1  # likeness that strangers reach in one second of film; it falls with the root of its length
LIKENESS = (0.25, 0.6)  # least and most that is asked for
SILENCE_DB, HEARD_DB = -120.0, -60.0  # no sound at all; less is no speech
QUIETER_DB, PAUSE_SECONDS, EDGE_SECONDS = 32.0, 0.3, 0.12  # than the loudest speech, how long, beside speech
AJAR = 0.3  # of the way from closed to open: in silence that is not closed


def measure(path: Path) -> dict[str, Any]:
    """{lag_ms, correlation, in_sync, mouth: "found" | "none", closed_in_silence} of a film with a speaking face.

    `lag_ms` is positive where the sound comes later than the picture; None where too little tells. `in_sync` and
    `closed_in_silence` are None where there is no speech, too little of it, or no silence. Raises MediaError."""
    seen = _seen(path)
    opening = _opening(seen)
    if opening is None:
        return {"lag_ms": None, "correlation": 0.0, "in_sync": None, "mouth": "none", "closed_in_silence": None}
    clock = np.arange(int(seen.times[-1] * HZ) + 1) / HZ  # seconds
    lips = np.interp(clock, seen.times, opening)
    vowels, level = _heard(path, clock)
    return {**_compared(lips, vowels, level), "mouth": "found", "closed_in_silence": _closed(lips, _silent(level))}


def _compared(lips: np.ndarray, vowels: np.ndarray, level: np.ndarray) -> dict[str, Any]:
    """lag_ms, correlation and in_sync of curves at HZ."""
    if level.max() < HEARD_DB:
        return {"lag_ms": None, "correlation": 0.0, "in_sync": None}
    lag, likeness = _lag(_syllables(lips), _syllables(vowels))
    lag_ms = round(1000 * (lag - LEAD_SECONDS))
    chance, (least, most) = CHANCE / float(np.sqrt(len(lips) / HZ)), LIKENESS
    enough = likeness >= min(max(chance, least), most)
    if not enough and chance > most:  # so short that strangers may be as alike: nobody can say that it is out of sync
        return {"lag_ms": None, "correlation": round(max(0.0, likeness), 3), "in_sync": None}
    return {
        "lag_ms": lag_ms if enough else None, "correlation": round(max(0.0, likeness), 3),
        "in_sync": enough and abs(lag_ms) <= IN_SYNC_MS,
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------ the picture
@dataclass(slots=True)
class Seen:
    """Faces of a film, each laid still, by the number of the frame."""

    times: np.ndarray  # (frames,) seconds
    stretches: "list[Stretch]"


@dataclass(slots=True)
class Stretch:
    """One face as long as it could be followed."""

    first: int  # number of its first frame
    patches: list[np.ndarray] = field(default_factory=list)  # each (rows, PATCH) uint8


def _frames(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """(seconds, (H, W) uint8 grey) of every frame, small."""
    with open_media(path) as source:
        for number, frame in enumerate(source.decode(video=0)):
            scale = min(1.0, LARGE / max(frame.width, frame.height))
            width, height = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
            time = frame.time if frame.time is not None else number / float(source.streams.video[0].average_rate or 24)
            yield time, frame.reformat(width, height, "gray").to_ndarray()


def _seen(path: Path) -> Seen:
    """Faces are looked for in a first bundle of frames, and again where none could be followed any more."""
    times: list[float] = []
    stretches: list[Stretch] = []
    following: list[tuple[_Head, Stretch]] = []
    bundle: list[np.ndarray] = []
    lost_at = 0.0
    for time, grey in _frames(path):
        times.append(time)
        if following:
            following = [(head, stretch) for head, stretch in following if _added(head, stretch, grey)]
            lost_at = time
            continue
        if time - lost_at > PATIENCE_SECONDS and not stretches:
            continue
        bundle.append(grey)
        if time - times[len(times) - len(bundle)] >= LOOK_SECONDS:
            following, bundle = _found(bundle, len(times) - len(bundle), stretches), []
    if bundle:
        _found(bundle, len(times) - len(bundle), stretches)
    return Seen(np.array(times or [0.0]), stretches)


def _added(head: "_Head", stretch: Stretch, grey: np.ndarray) -> bool:
    patch = head.laid_still(grey)
    if patch is not None:
        stretch.patches.append(patch)
    return patch is not None


def _found(bundle: list[np.ndarray], first: int, stretches: list[Stretch]) -> "list[tuple[_Head, Stretch]]":
    """Those who are still followed at the end of a bundle; all that was seen of them is in `stretches`."""
    following = []
    for at, box in _faces(bundle):
        ahead, behind = _Head(bundle[at], box), _Head(bundle[at], box)
        if not ahead.marked:
            continue
        before: list[np.ndarray] = []
        for grey in reversed(bundle[:at]):
            patch = behind.laid_still(grey)
            if patch is None:
                break
            before.insert(0, patch)
        stretch = Stretch(first + at - len(before), before)
        stretches.append(stretch)
        if all(_added(ahead, stretch, grey) for grey in bundle[at:]):
            following.append((ahead, stretch))
    return following


Box = tuple[float, float, float, float]  # left, top, width, height


def _faces(bundle: list[np.ndarray]) -> list[tuple[int, Box]]:
    """(index of a frame, the face in it), the largest first: those that were seen more than once or twice, none of
    them inside another."""
    looks = sorted({round(at) for at in np.linspace(0, len(bundle) - 1, LOOKS)})
    for scale in SCALES:
        groups: list[list[tuple[int, Box]]] = []
        for at in looks:
            for box in _look(bundle[at], scale):
                group = next((group for group in groups if _same(group[0][1], box)), None)
                if group is None:
                    groups.append(group := [])
                group.append((at, box))
        sure = [group for group in groups if len(group) >= SURE]
        middle = sorted((sorted(group, key=_wide)[len(group) // 2] for group in sure), key=_wide, reverse=True)
        if middle:
            apart = [one for n, one in enumerate(middle) if not any(_inside(one[1], big[1]) for big in middle[:n])]
            return apart[:MOST_FACES]
    return []


def _wide(hit: tuple[int, Box]) -> float:
    return hit[1][2]


def _inside(one: Box, other: Box) -> bool:
    x, y = one[0] + one[2] / 2, one[1] + one[3] / 2
    return other[0] < x < other[0] + other[2] and other[1] < y < other[1] + 1.2 * other[3]


def _same(one: Box, other: Box) -> bool:
    (x, y, width, height), (left, top, wide, high) = one, other
    near = max(abs(x + width / 2 - left - wide / 2), abs(y + height / 2 - top - high / 2))
    return near < 0.25 * width and 0.7 < width / wide < 1.4


@functools.cache
def _cascade() -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml")


def _look(grey: np.ndarray, scale: float) -> list[Box]:
    """Faces of one frame as the cascade sees them in three copies of it: drawings and dark skin are seen in some."""
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    least = round(LEAST_FACE * small.shape[0])
    brighter = cv2.LUT(small, (255 * (np.arange(256) / 255) ** 0.5).astype(np.uint8))
    soft = cv2.GaussianBlur(cv2.equalizeHist(brighter), (0, 0), 1.4)
    local = cv2.createCLAHE(2, (8, 8)).apply(small)
    found = [
        box for copy in (cv2.equalizeHist(small), soft, local)
        for box in _cascade().detectMultiScale(copy, 1.1, 2, minSize=(least, least))
    ]  # fmt: skip
    return [(x / scale, y / scale, width / scale, height / scale) for x, y, width, height in found]


class _Head:
    """A face followed by marks on its brow, eyes and nose, never by its mouth."""

    def __init__(self, grey: np.ndarray, box: Box) -> None:
        x, y, width, height = box
        self._grey = grey
        scale = PATCH / ((1 + 2 * MARGIN) * width)
        self.rows = round(CHIN * height * scale)
        self._lay = np.array([[scale, 0, -(x - MARGIN * width) * scale], [0, scale, -y * scale]])
        upper = np.zeros_like(grey)
        upper[max(0, int(y - 0.1 * height)) : int(y + 0.62 * height), max(0, int(x)) : int(x + width)] = 255
        marks = cv2.goodFeaturesToTrack(grey, 60, 0.01, 4, mask=upper)
        self._marks = np.zeros((0, 1, 2), np.float32) if marks is None else marks
        self._last = self._marks  # where they were in the frame before
        self._back = np.eye(2, 3)  # from the last frame to the first
        self._missed = 0

    @property
    def marked(self) -> bool:
        return len(self._marks) >= LEAST_MARKS

    def laid_still(self, grey: np.ndarray) -> np.ndarray | None:
        """(rows, PATCH) uint8: the face turned and scaled back to where it was first; None: it is lost."""
        back = self._way_back(grey)
        self._missed = 0 if back is not None else self._missed + 1
        if self._missed > BLINK_FRAMES:
            return None
        if back is not None:
            self._back, there = back, cv2.invertAffineTransform(back)
            self._last = (self._marks.reshape(-1, 2) @ there[:, :2].T + there[:, 2]).astype(np.float32)[:, None]
        both = self._lay @ np.vstack([self._back, [0, 0, 1]])
        return cv2.warpAffine(grey, both, (PATCH, self.rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def _way_back(self, grey: np.ndarray) -> np.ndarray | None:
        """(2, 3): turn, scale and shift from this frame to the first; None where too few marks agree."""
        now, seen, _ = cv2.calcOpticalFlowPyrLK(
            self._grey, grey, self._marks, self._last.copy(), winSize=(21, 21), maxLevel=2,
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )  # fmt: skip
        held = seen[:, 0] == 1
        if held.sum() < LEAST_MARKS:
            return None
        back, sure = cv2.estimateAffinePartial2D(now[held], self._marks[held], ransacReprojThreshold=NEAR)
        if back is None or sure.sum() < max(LEAST_MARKS, MOST_MARKS_AGREE * held.sum()):
            return None
        return back if 0.5 < np.hypot(*back[0, :2]) < 2 else None


# ------------------------------------------------------------------------------------------------ the mouth
def _opening(seen: Seen) -> np.ndarray | None:
    """(frames,) of the widest mouth in each, 0 closed .. about 1 open; None: no mouth moves."""
    curves = []
    for stretch in seen.stretches:
        curve = _mouth(stretch.patches) if len(stretch.patches) >= LEAST_FRAMES else None
        if curve is not None:
            whole = np.zeros(len(seen.times))
            whole[stretch.first : stretch.first + len(curve)] = curve
            curves.append(whole)
    return np.max(curves, axis=0) if curves else None


def _mouth(patches: Sequence[np.ndarray]) -> np.ndarray | None:
    """(T,) opening of the mouth of a face laid still; None: nothing there moves by itself."""
    place = _place(_moving(patches))
    if place is None:
        return None
    lips = np.stack([cv2.GaussianBlur(patch[place].astype(np.float32), (0, 0), SOFT)[::2, ::2] for patch in patches])
    lips = lips.reshape(len(patches), -1)
    curve = lips @ _strongest(lips - cv2.blur(lips, (1, 37), borderType=cv2.BORDER_REPLICATE))  # less what drifts
    if np.corrcoef(curve, _away(lips))[0, 1] < 0:
        curve = -curve
    closed, opened = np.percentile(curve, (5, 95))
    return np.asarray((curve - closed) / max(opened - closed, 1e-6))


def _moving(patches: Sequence[np.ndarray]) -> np.ndarray:
    """(rows, PATCH) grey levels by which each place changes from one frame to the next."""
    total, before = np.zeros(patches[0].shape, np.float32), None
    for patch in patches:
        soft = cv2.GaussianBlur(patch.astype(np.float32), (0, 0), SOFT)
        if before is not None:
            total += np.abs(soft - before)
        before = soft
    return total / (len(patches) - 1)


def _place(moving: np.ndarray) -> tuple[slice, slice] | None:
    """Rows and columns of the mouth: what moves most in the lower half, by itself and not with the face."""
    rows, columns = moving.shape
    top, bottom = round(MOUTH[0] * rows), round(MOUTH[1] * rows)
    left, right = round(MOUTH[2] * columns), round(MOUTH[3] * columns)
    there = cv2.GaussianBlur(moving, (0, 0), 0.03 * PATCH)[top:bottom, left:right]
    if there.max() < MOVES or there.max() < STANDS_OUT * np.median(moving):
        return None
    row, column = np.unravel_index(int(there.argmax()), there.shape)
    row, column, high, wide = top + int(row), left + int(column), round(LIPS[0] * rows), round(LIPS[1] * columns)
    return slice(max(0, row - high), row + high), slice(max(0, column - wide), column + wide)


def _strongest(changes: np.ndarray) -> np.ndarray:
    """(pixels,) the direction in which (T, pixels) change most."""
    _, directions = np.linalg.eigh(changes.T @ changes)
    return directions[:, -1]


def _away(lips: np.ndarray) -> np.ndarray:
    """(T,) how far each is from the usual one: a mouth that speaks is mostly nearly closed, each time alike."""
    few = lips[:: max(1, len(lips) // 200)]
    apart = np.abs(few[:, None, ::2] - few[None, :, ::2]).mean(2)
    usual = few[np.sort(apart, axis=1)[:, len(few) // 5].argmin()]
    return np.abs(lips - usual).mean(1)


# ------------------------------------------------------------------------------------------------ the sound
def _heard(path: Path, clock: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At each second of `clock`: how loud vowels are, 0 .. about 1 as the ear has it, and the level of all in dB of
    full scale; 0 and SILENCE_DB where there is no sound."""
    samples, begins = _samples(path)
    if len(samples) < RATE // 4:
        return np.zeros(len(clock)), np.full(len(clock), SILENCE_DB)
    tones, _, spectrum = stft(samples, RATE, nperseg=400, noverlap=400 - RATE // HZ, boundary="zeros", padded=True)
    power = np.abs(spectrum) ** 2
    vowels = power[(tones >= VOWELS[0]) & (tones < VOWELS[1])].sum(0)
    loud = (vowels / max(np.percentile(vowels, 97), 1e-12)) ** 0.3
    level = 10 * np.log10(power[tones >= 100].sum(0) + 10 ** (SILENCE_DB / 10))
    at = begins + np.arange(len(loud)) / HZ
    return np.interp(clock, at, loud, left=0, right=0), np.interp(clock, at, level, left=SILENCE_DB, right=SILENCE_DB)


def _samples(path: Path) -> tuple[np.ndarray, float]:
    """(N,) float32 mono at RATE, and the second of the film at which it begins. Empty: it has no sound."""
    with open_media(path) as source:
        pieces, begins = [np.zeros(0, np.float32)], 0.0
        if source.streams.audio:
            resampler = av.AudioResampler("flt", "mono", RATE)
            for number, frame in enumerate(source.decode(audio=0)):
                begins = begins if number else float(frame.time or 0.0)
                pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    return np.concatenate(pieces), begins


# ------------------------------------------------------------------------------------------------ both
def _syllables(curve: np.ndarray) -> np.ndarray:
    bands = butter(2, SPEECH_BAND, "band", fs=HZ, output="sos")
    return sosfiltfilt(bands, curve, padlen=min(len(curve) - 1, HZ)) if len(curve) > HZ // 4 else np.zeros_like(curve)


def _lag(lips: np.ndarray, voice: np.ndarray) -> tuple[float, float]:
    """(seconds that the voice is behind the lips, likeness -1..1 there): the peak between two hundredths."""
    most = min(round(FARTHEST * HZ), len(lips) // 2)
    alike = np.array([_alike(lips, voice, late) for late in range(-most, most + 1)])
    at = int(alike.argmax())
    between = 0.0
    if 0 < at < len(alike) - 1:
        before, peak, after = alike[at - 1 : at + 2]
        between = 0.5 * (before - after) / min(before - 2 * peak + after, -1e-9)
    return (at - most + between) / HZ, float(alike[at])


def _alike(lips: np.ndarray, voice: np.ndarray, late: int) -> float:
    """Correlation where the voice is `late` hundredths behind."""
    one, other = (lips[: len(lips) - late], voice[late:]) if late >= 0 else (lips[-late:], voice[:late])
    one, other = one - one.mean(), other - other.mean()
    power = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / power if power > 1e-9 else 0.0


def _silent(level: np.ndarray) -> np.ndarray:
    """(N,) bool at HZ: well inside a stretch in which nobody speaks."""
    quiet = level < max(float(np.percentile(level, 95)) - QUIETER_DB, HEARD_DB)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    inside, edge = np.zeros(len(level), bool), round(EDGE_SECONDS * HZ)
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start >= PAUSE_SECONDS * HZ:
            inside[start + (edge if start else 0) : end - (edge if end < len(level) else 0)] = True
    return inside


def _closed(lips: np.ndarray, silent: np.ndarray) -> bool | None:
    """Is the mouth closed for nearly all of the silence? None: there is none."""
    still = lips[silent]
    return bool(np.percentile(still, 90) < AJAR) if len(still) >= HZ // 10 else None

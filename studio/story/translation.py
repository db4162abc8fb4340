"""What every dialect gives back, what it may know of the disk, and how texts become numbers. Knows no dialect."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio.domain import SIZES
from studio.story.problem import Problem

Notes = dict[int, list[Problem]]  # by scene of the translated episode, counted from 0

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp")
SOUNDS = (".mp3", ".wav", ".m4a", ".aac", ".flac", ".ogg", ".opus")
PORTRAIT_FRAME = {"9:16": (720, 1280), "1:1": (960, 960), "3:4": (832, 1104), "4:3": (1104, 832)}

_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,6})?")
_YES = frozenset({"true", "yes", "1", "sim", "s", "on", "是"})
_NO = frozenset({"false", "no", "0", "não", "nao", "n", "off", "否"})
_SPEAKER = re.compile(r"(?:^|[·|])\s*(?P<name>[^\W\d_][^·|—–:'\"“‘«]{0,40}?)\s*[—–]\s*['‘’\"“«「]")


@dataclass(frozen=True, slots=True)
class Beside:
    """What a dialect may know of the disk. `first`: the first of these names that lies beside the file, or "".
    `lost`: names that the episode is to do without, because nobody has these files."""

    first: Callable[[Sequence[str]], str] = field(default=lambda names: "")
    lost: Collection[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Translation:
    """An episode in our own form (`{title, scenes, ...}`), and what is to be said about its scenes."""

    content: Mapping[str, Any]
    notes: Notes


def numbered(value: Any) -> Any:
    """A number that was written as text; text that is no number stays, and is refused with its field's name."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value) if "." in value else int(value)
    return value


def switched(value: Any) -> Any:
    """A yes or no that was written as a word; anything else stays."""
    word = value.strip().lower() if isinstance(value, str) else None
    return True if word in _YES else False if word in _NO else value


def words(value: Any, most: int = 200) -> str:
    """Text for a label or a name; "" for what is none."""
    return " ".join(str(value).split())[:most] if isinstance(value, (str, int, float)) else ""


def listed(value: Any) -> list[Any]:
    """A list; of text, its parts between commas, whichever alphabet they are of."""
    if isinstance(value, str):
        return [part.strip() for part in re.split(r"[,，、;；]", value) if part.strip()]
    return list(value) if isinstance(value, list) else []


def speaker_in(label: str) -> str:
    """Who speaks, where a label says it as producers do: `C01-B · Valen — 'Foi mal.'`."""
    found = _SPEAKER.search(label)
    return found["name"].strip() if found else ""


def frame_for(scenes: Sequence[Any]) -> dict[str, int] | None:
    """The film of scenes that all stand upright (or are square) stands upright too; None: as usual."""
    aspects = {str(scene.get("aspect", "16:9")) for scene in scenes if isinstance(scene, dict)}
    only = next(iter(aspects)) if len(aspects) == 1 else "16:9"
    if only not in PORTRAIT_FRAME:
        return None
    width, height = PORTRAIT_FRAME[only]
    return {"width": width, "height": height, "fps": 24}


def nearest_size(width: float, height: float) -> tuple[str, str]:
    """(resolution, aspect) that is most like a size in pixels: the shape first, then the smallest that holds it."""
    shape = width / height
    aspect = min(SIZES["720P"], key=lambda name: abs(_ratio(name) - shape))
    fitting = [name for name, sizes in SIZES.items() if sizes[aspect][0] * sizes[aspect][1] >= width * height]
    return (fitting or ["720P"])[0], aspect


def _ratio(aspect: str) -> float:
    width, _, height = aspect.partition(":")
    return int(width) / int(height)

"""What everybody calls things: kinds, sizes, states, ids and names. Knows no scene."""

import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from threading import Lock
from typing import Any, Literal

from ulid import ULID

JSON = Any  # whatever json.loads may return

TaskType = Literal[
    "text_to_video",
    "image_to_video",
    "reference_to_video",
    "single_shot_extension",
    "shot_switching_extension",
    "talking_avatar",
    "text_to_image",
    "speech",
]
Lane = Literal["gpu", "cpu", "net"]
Layer = Literal["picture", "voice"]
Kind = Literal["video", "image", "audio"]
Resolution = Literal["480P", "540P", "720P"]
Aspect = Literal["16:9", "9:16", "1:1", "4:3", "3:4"]
ProfileName = Literal["auto", "smallest", "resident", "swap", "hybrid", "stream8", "tight", "disk", "cpu"]
Language = Literal["en", "pt", "zh"]
Transition = Literal["cut", "dissolve", "fade", "dip"]  # fade: through black, dip: through white

SIZES: Mapping[str, Mapping[str, tuple[int, int]]] = {  # (width, height) in pixels, all multiples of 16
    "480P": {"16:9": (848, 480), "9:16": (480, 848), "1:1": (640, 640), "4:3": (720, 544), "3:4": (544, 720)},
    "540P": {"16:9": (960, 544), "9:16": (544, 960), "1:1": (720, 720), "4:3": (832, 624), "3:4": (624, 832)},
    "720P": {"16:9": (1280, 720), "9:16": (720, 1280), "1:1": (960, 960), "4:3": (1104, 832), "3:4": (832, 1104)},
}
CUT_PREFIXES = ("[ZOOM_IN_CUT]", "[ZOOM_OUT_CUT]", "[STATIC_CUT]", "[PAN_LEFT_CUT]", "[PAN_RIGHT_CUT]")
MAX_INT = 2**63 - 1  # what SQLite can hold
AVATAR_AUDIO_SECONDS = (0.4, 200.0)
RECORDINGS = ("input_audio", "input_audio_2")  # of a talking_avatar, by speaker

# Air around speech made from lines, in seconds: 0.7 in all, so that a mouth never starts or stops on a cut.
AIR_BEFORE, AIR_AFTER, AIR_BETWEEN = 0.25, 0.45, 0.3


class State(StrEnum):
    """Of a scene and of a job."""

    DRAFT = "draft"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    IN_DOUBT = "in_doubt"


_newest = ULID()
_minting = Lock()  # protects _newest


def new_id() -> str:
    """A ULID: 26 characters, unique over all tables, and greater than every one before it."""
    global _newest
    with _minting:
        _newest = max(ULID(), ULID.from_bytes((int.from_bytes(_newest.bytes, "big") + 1).to_bytes(16, "big")))
        return str(_newest)


def ids_after(newest: str) -> None:
    """From now on every id is greater than this one: the clock may have been set back since it was made."""
    global _newest
    with _minting:
        _newest = max(_newest, ULID.from_str(newest))


def slug(name: str) -> str:
    """Lower-case ASCII words joined by '-'; letters that have no ASCII form (Chinese) are kept."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"[^\w]+", "-", plain.lower()).strip("-_")[:60].strip("-_")


def one_line(text: str, most: int = 200) -> str:
    """Text as a name: one line without control characters, half emoji, or marks that turn the writing round."""
    plain = text.encode("utf-8", "replace").decode()
    return " ".join(_UNSEEN.sub(" ", plain).split())[:most].strip()


_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")

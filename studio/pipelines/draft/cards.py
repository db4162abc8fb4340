"""What is written over a drawn picture: the DRAFT pill on all of them, the storyboard card on those without a picture
of their own. Static overlays, blended into I420 frames. Knows no layers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from studio.media.fonts import Type, type_of, wrapped
from studio.media.overlay import Overlay
from studio.media.yuv import i420_planes, yuv_from_bgr
from studio.pipelines.draft.camera import smoother
from studio.pipelines.draft.prompt import Directions, action_text
from studio.pipelines.speech.language import detect_language

AMBER = (232, 168, 85)  # RGB; the lamp of the house
WHITE, DIM = (255, 255, 255, 240), (255, 255, 255, 165)
MARGIN = 0.045  # of the frame's width
PILL = "DRAFT"
FADE_IN, FADE_OUT = 0.3, 0.5  # seconds
CLEAR_BEFORE_END = 0.45  # seconds; the last frames carry no text: the next shot may grow from them
WORDS_A_SECOND, SIGNS_A_SECOND = 4.5, 7.5  # read silently; Chinese by the sign
FIRST_LOOK = 0.8  # seconds before one starts to read
_WORDS = {
    "scene": "SCENE CENA 场景",
    "wide": "WIDE PLANO_GERAL 全景",
    "medium": "MEDIUM PLANO_MÉDIO 中景",
    "close": "CLOSE-UP PRIMEIRO_PLANO 特写",
    "extreme": "EXTREME_CLOSE-UP DETALHE 大特写",
    "push_in": "PUSH_IN APROXIMA 推",
    "pull_out": "PULL_OUT AFASTA 拉",
    "pan_left": "PAN_LEFT PAN_ESQUERDA 左摇",
    "pan_right": "PAN_RIGHT PAN_DIREITA 右摇",
    "tilt_up": "TILT_UP TILT_PARA_CIMA 上摇",
    "tilt_down": "TILT_DOWN TILT_PARA_BAIXO 下摇",
    "track": "TRACKING TRAVELLING 跟拍",
    "handheld": "HANDHELD CÂMERA_NA_MÃO 手持",
    "orbit": "ARC ARCO 环绕",
    "static": "STATIC FIXA 固定",
    "breathe": "STILL QUASE_FIXA 静",
    "swell": "PUSH_AND_RETURN VAI_E_VOLTA 推拉",
}
WORDS: Mapping[str, Mapping[str, str]] = {  # the card speaks the language of the prompt
    language: {word: row.split()[index].replace("_", " ") for word, row in _WORDS.items()}
    for index, language in enumerate(("en", "pt", "zh"))
}


def unit(width: int, height: int) -> float:
    """Pixels per pixel of a 720-line frame; every measure of a card is in these."""
    return min(width, height) / 720


# ------------------------------------------------------------------------------------------------ the pill
@dataclass(frozen=True, slots=True)
class PillPlace:
    """Where the pill sits, in pixels: the same in every picture of one size, so that it can be found again."""

    x: int
    y: int
    width: int
    height: int


def pill_place(width: int, height: int) -> PillPlace:
    u = unit(width, height)
    across, down = round(74 * u), round(25 * u)
    return PillPlace(width - round(max(24 * u, width * 0.022)) - across, height - round(22 * u) - down, across, down)


def draw_pill(image: Image.Image) -> None:
    """Stamp it on an RGBA picture."""
    place, u = pill_place(*image.size), unit(*image.size)
    scale = 4  # Pillow's round corners are not smooth
    pill = Image.new("RGBA", (place.width * scale, place.height * scale))
    on = ImageDraw.Draw(pill)
    box = (scale, scale, place.width * scale - scale, place.height * scale - scale)
    on.rounded_rectangle(
        box,
        place.height * scale / 2,
        fill=(10, 11, 14, 120),
        outline=(*AMBER, 235),
        width=max(4, round(1.3 * u * scale)),
    )
    letters, tracking = type_of("label", max(6, round(12 * u * scale))), 1.8 * u * scale
    x = (pill.width - letters.length(PILL, tracking) + tracking) / 2
    letters.draw(on, x, pill.height / 2 - letters.ascent + 4.3 * u * scale, PILL, (*AMBER, 245), tracking)
    image.alpha_composite(pill.resize((place.width, place.height), Image.Resampling.LANCZOS), (place.x, place.y))


class Stamp:
    """The pill alone."""

    def __init__(self, width: int, height: int) -> None:
        image = Image.new("RGBA", (width, height))
        draw_pill(image)
        self._overlay = Overlay(np.asarray(image))

    def apply(self, frame: np.ndarray, index: int = 0) -> None:
        self._overlay.apply(frame)


# ------------------------------------------------------------------------------------------------ the card
class Card:
    """Scene number, size · move · seconds, what happens, the pill and a line that shows how far the shot is."""

    def __init__(
        self, width: int, height: int, prompt: str, directions: Directions, seconds: float, number: int, total: int,
        num_frames: int, fps: float,
    ) -> None:  # fmt: skip
        self._stamp = Stamp(width, height)
        image = Image.fromarray(_shade(width, height))
        _write(image, prompt, directions, seconds, number, total)
        self._text = Overlay(np.asarray(image))
        self._num_frames, self._fps = num_frames, fps
        self._read = reading_seconds(action_text(prompt))
        self._line = max(2, round(3 * unit(width, height))) // 2 * 2
        self._amber = [int(value) for value in yuv_from_bgr(np.array([[AMBER[::-1]]], np.uint8))[0, 0]]

    def apply(self, frame: np.ndarray, index: int) -> None:
        self._text.apply(frame, self._opacity(index))
        self._stamp.apply(frame)
        y, u, v = i420_planes(frame)
        done = round(y.shape[1] * (index + 1) / self._num_frames / 2) * 2
        y[-self._line :, :done] = self._amber[0]
        u[-self._line // 2 :, : done // 2] = self._amber[1]
        v[-self._line // 2 :, : done // 2] = self._amber[2]

    def _opacity(self, index: int) -> float:
        """The text goes once it has been read: then the picture has the frame to itself."""
        seconds, left = index / self._fps, (self._num_frames - 1 - index) / self._fps
        if self._num_frames / self._fps < 1.6:  # too short to come and go
            return 1.0
        left = min(left - CLEAR_BEFORE_END, self._read + FADE_OUT - seconds)
        return float(smoother(min(seconds / FADE_IN + 0.15, left / FADE_OUT)))


def reading_seconds(text: str) -> float:
    """How long a text takes to be noticed and read."""
    signs = len(re.findall(r"[\u2e80-\u9fff]", text))
    words = len(re.sub(r"[\u2e80-\uffef]", " ", text).split())
    return FIRST_LOOK + words / WORDS_A_SECOND + signs / SIGNS_A_SECOND


def _shade(width: int, height: int) -> np.ndarray:
    """(H, W, 4) uint8: the picture grows dark where text will stand."""
    rows = np.linspace(0, 1, height)
    alpha = np.clip((rows - 0.52) / 0.48, 0, 1) ** 1.1 * 200 + np.clip((0.14 - rows) / 0.14, 0, 1) ** 1.4 * 105
    shade = np.zeros((height, width, 4), np.uint8)
    shade[..., 3] = np.where(alpha < 1, 0, alpha)[:, None]
    return shade


def _write(image: Image.Image, prompt: str, directions: Directions, seconds: float, number: int, total: int) -> None:
    width, height = image.size
    u, landscape = unit(width, height), width > height
    on, words = ImageDraw.Draw(image), WORDS[detect_language(prompt)]
    left, top = round(width * MARGIN), round(height * 0.052)
    label, mono = type_of("label", round(15 * u)), type_of("mono", round(14 * u))
    x = label.draw(on, left, top, f"{words['scene']} {number:02d}", WHITE, 2.6 * u)
    label.draw(on, x + 7 * u, top, f"/ {total:02d}", DIM, 1.8 * u)
    camera = f"{words[directions.size]}  ·  {words[directions.move]}  ·  {seconds:.1f} s"
    if landscape:
        mono.draw(on, width - left - mono.length(camera), top + u, camera, DIM)
    else:
        mono.draw(on, left, top + 27 * u, camera, DIM)
    story, lines, leading = _fitted(
        action_text(prompt), width * (0.72 if landscape else 1 - 2 * MARGIN), 3 if landscape else 6, u
    )
    y = height - round(height * 0.062) - leading * len(lines)
    if not landscape:
        y -= round(34 * u)  # the pill stands below the text
    on.rectangle([left, y - 17 * u, left + 42 * u, y - 14 * u], fill=(*AMBER, 255))
    for line in lines:
        story.draw(on, left, y, line, WHITE)
        y += leading


def _fitted(text: str, width: float, most: int, u: float) -> tuple[Type, list[str], float]:
    """The largest type in which the text fits into `most` lines; below the smallest it is cut with an ellipsis."""
    lines: list[str] = []
    for size in (40, 34, 29, 25):
        story = type_of("story", round(size * u))
        lines = wrapped(story.drawable(text), story, width)
        if len(lines) <= most:
            break
    if len(lines) > most:
        lines = lines[:most]
        lines[-1] = lines[-1].rstrip(".,;:，。； ") + "…"
    return story, lines, round(size * 1.24 * u)

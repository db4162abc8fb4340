"""A new shot after a cut: nearer, wider, from aside or panning, made from what the clip before showed.

Four cuts reframe a late frame, dry where it rained; what falls is drawn anew. ZOOM_OUT has nothing to show around it:
it is built anew. The person that was seen stands in the drawn place, in the clip's colours; without a person the camera
backs away through a door or from under trees. Knows no files.
"""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from studio.domain import CUT_PREFIXES
from studio.media.yuv import i420_from_bgr, i420_planes
from studio.pipelines.draft.camera import camera_path, drift, glide, smoother
from studio.pipelines.draft.clean import cleaned, is_stamped
from studio.pipelines.draft.compose import dimmed, light_of, with_shadow
from studio.pipelines.draft.diorama import diorama, place_of
from studio.pipelines.draft.figures import breathing
from studio.pipelines.draft.layers import Layer, Shot
from studio.pipelines.draft.look import Finish, Grain
from studio.pipelines.draft.matte import Cutout, cut_out
from studio.pipelines.draft.palette import palette_for
from studio.pipelines.draft.places.views import arbour, doorway
from studio.pipelines.draft.plates import lit_like, toned_like
from studio.pipelines.draft.prompt import Directions, seed_of
from studio.pipelines.draft.stage import Stage
from studio.pipelines.draft.steady import LATE, steady
from studio.pipelines.draft.subject import Subject, find_subject, nearer_view
from studio.pipelines.draft.weather import Weather, falling

Made = tuple[Iterator[np.ndarray], dict[str, object]]
ZOOM_IN, ZOOM_OUT, STATIC, PAN_LEFT, PAN_RIGHT = CUT_PREFIXES
PERSON_SURE = 0.6


def switch_shot(
    frames: list[np.ndarray], prompt: str, directions: Directions, fps: float, num_frames: int, seed: int, style: str
) -> Made:
    """frames: the end of the clip, (H, W, 3) uint8 BGR, already in the wished size. -> I420 frames and facts."""
    cut = next(prefix for prefix in CUT_PREFIXES if prompt.startswith(prefix))
    frames = frames[-LATE:]
    if is_stamped(frames[-1]):
        frames = [cleaned(frame) for frame in frames]
    still = steady(frames)
    frame = still.plate if still.falls else _sharpest(frames)
    weather = falling(still.falls, directions.weather, frame, seed)
    if cut == ZOOM_OUT:
        return _wider(frame, prompt, directions, fps, num_frames, seed, style, weather)
    subject = find_subject(frame, prompt, still.unrest)
    facts: dict[str, object] = {"cut": cut, "mode": "reframed", "subject": [round(subject.x, 2), round(subject.y, 2)]}
    return _reframed(frame, cut, subject, fps, num_frames, seed, weather), facts


def _sharpest(frames: list[np.ndarray]) -> np.ndarray:
    def sharpness(frame: np.ndarray) -> float:
        small = cv2.cvtColor(cv2.resize(frame, (320, 180)), cv2.COLOR_BGR2GRAY)
        return float(cv2.Laplacian(small, cv2.CV_64F).var())

    return max(frames, key=sharpness)


def _reframed(
    frame: np.ndarray, cut: str, subject: Subject, fps: float, num_frames: int, seed: int, weather: Weather | None
) -> Iterator[np.ndarray]:
    height, width = frame.shape[:2]
    chance = np.random.default_rng(seed)
    way = glide(np.linspace(0, 1, num_frames)) if num_frames > 1 else np.zeros(1)
    zoom, x, y = _window(cut, subject, way)
    x = x + drift(chance, num_frames, fps, 0.0025, fastest=0.5)
    y = y + drift(chance, num_frames, fps, 0.0025, fastest=0.5)
    sharp = cv2.addWeighted(frame, 1.55, cv2.GaussianBlur(frame, (0, 0), 1.6), -0.55, 0)  # it will be enlarged
    grain = Grain(width, height, seed, 1.3)
    for index in range(num_frames):
        z, room = zoom[index], 0.5 / zoom[index]
        at_x, at_y = float(np.clip(x[index], room, 1 - room)), float(np.clip(y[index], room, 1 - room))
        matrix = np.array([[z, 0, width / 2 - z * at_x * width], [0, z, height / 2 - z * at_y * height]], np.float32)
        moved = cv2.warpAffine(
            sharp, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        made = i420_from_bgr(moved)
        if weather:
            weather.apply(made, index / fps)
        grain.apply(i420_planes(made)[0], index)
        yield made


def _window(cut: str, subject: Subject, way: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Enlargement and middle of what is shown, per frame."""
    still = np.ones_like(way)
    if cut == ZOOM_IN:
        view = nearer_view(subject)
        return view.zoom * (1 + 0.07 * way), view.x * still, view.y * still
    if cut in (PAN_LEFT, PAN_RIGHT):
        zoom, side = 1.42, 1 if cut == PAN_RIGHT else -1
        travel = (0.5 - 0.5 / zoom) * 0.94
        return zoom * still, 0.5 + side * travel * (2 * way - 1), float(np.clip(subject.y, 0.42, 0.58)) * still
    aside = -0.11 if subject.x < 0.5 else 0.11  # the subject moves to the other third
    return 1.28 * still, (subject.x + aside) * still, subject.y * still


# ------------------------------------------------------------------------------------------------ zoom out
def _wider(
    frame: np.ndarray, prompt: str, directions: Directions, fps: float, num_frames: int, seed: int, style: str,
    weather: Weather | None,
) -> Made:  # fmt: skip
    size = (frame.shape[1], frame.shape[0])
    wide = replace(directions, size="wide", move="pull_out")
    person = cut_out(np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)]))
    if person and person.how == "grabcut" and person.confidence > PERSON_SURE:
        layers, mode = _person_in_place(person, frame, prompt, wide, size, seed, style), "person in drawn place"
    else:
        layers, mode = _seen_through(frame, wide, size, style), "view through a foreground"
    chance = np.random.default_rng(seed)
    shot = Shot(
        layers,
        size,
        fps,
        camera_path("pull_out", num_frames, fps, chance, 0.8),
        weather=weather,
        finish=Finish(*size, seed, edge=0.25),
    )
    return iter(shot), {"cut": ZOOM_OUT, "mode": mode}


def _person_in_place(
    person: Cutout, frame: np.ndarray, prompt: str, directions: Directions, size: tuple[int, int], seed: int, style: str
) -> list[Layer]:
    width, height = size
    drawn, palette = diorama(prompt, directions, size, seed, style, figures=False)
    behind = dimmed([replace(layer, image=_toned(layer.image, frame, 0.35)) for layer in drawn if layer.depth > 1])
    image = with_shadow(lit_like(person.trimmed(), light_of(palette), 0.2))
    tall = height * 0.56  # with the room for its shadow above
    front = [layer for layer in drawn if layer.depth < 1]
    return [
        *behind,
        Layer(image, width * 0.5, height * 1.01 - tall / 2, tall, 1.0, breathing(0), graded=0.0),
        *front,
    ]


def _toned(image: np.ndarray, model: np.ndarray, strength: float) -> np.ndarray:
    toned = toned_like(np.ascontiguousarray(image[..., :3]), model, strength)
    return toned if image.shape[2] == 3 else np.dstack([toned, image[..., 3]])


def _seen_through(frame: np.ndarray, directions: Directions, size: tuple[int, int], style: str) -> list[Layer]:
    """The frame as a view that the camera leaves: through a door in towns and houses, else from under trees."""
    width, height = size
    place = place_of(directions, style)
    palette = palette_for(directions.time, style)
    dark = np.percentile(frame.reshape(-1, 3), 3, axis=0).astype(np.float32) * 0.45 + 5
    stage = Stage(
        size, replace(palette, near=dark, light=np.percentile(frame.reshape(-1, 3), 90, axis=0).astype(np.float32)),
        directions.time, None, frozenset(), "wide", 0, np.random.default_rng(seed_of(style, "view")),
    )  # fmt: skip
    (doorway if place in ("interior", "city") else arbour)(stage)
    view = Layer(_outpainted(frame, 0.78), width / 2, height * 0.49, height * 1.03, 3.0, graded=0.0, largest=1.1)
    return [view, *stage.layers]


def _outpainted(frame: np.ndarray, core: float) -> np.ndarray:
    """The frame in the middle of its own mirror image, which grows soft outwards; foregrounds hide most of that."""
    height, width = frame.shape[:2]
    tall, wide = int(height * core), int(width * core)
    small = cv2.resize(frame, (wide, tall), interpolation=cv2.INTER_AREA)
    room_x, room_y = (width - wide) // 2 + 1, (height - tall) // 2 + 1
    mirrored = cv2.copyMakeBorder(small, room_y, room_y, room_x, room_x, cv2.BORDER_REFLECT_101)[:height, :width]
    tiny = cv2.GaussianBlur(cv2.resize(mirrored, None, fx=0.1, fy=0.1, interpolation=cv2.INTER_AREA), (0, 0), 1.6)
    soft = cv2.resize(tiny, (width, height), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    away = np.maximum(np.abs(columns - width / 2) / (wide / 2), np.abs(rows - height / 2) / (tall / 2))
    share = smoother((away - 0.97) / 0.12)[..., None]
    return (mirrored * (1 - share) + soft * share).astype(np.uint8)

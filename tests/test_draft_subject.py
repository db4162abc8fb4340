"""What stays when it rains, what the eye goes to, and what cuts and extensions make of both."""

import cv2
import numpy as np
import pytest

from studio.media.yuv import bgr_from_i420, i420_from_bgr
from studio.pipelines.draft.cuts import switch_shot
from studio.pipelines.draft.extend import extend_shot
from studio.pipelines.draft.prompt import read_prompt
from studio.pipelines.draft.steady import steady
from studio.pipelines.draft.subject import find_subject, nearer_view
from studio.pipelines.draft.weather import Weather

SIZE = (640, 360)
MOON, BOAT = (200, 80), (450, 230)


def sea() -> np.ndarray:
    """Night: a pale moon left above, a small red boat right below."""
    width, height = SIZE
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:] = np.linspace((70, 40, 45), (60, 25, 20), height)[:, None]
    picture[210:] = (50, 25, 15)
    cv2.circle(picture, MOON, 26, (205, 225, 235), -1, cv2.LINE_AA)
    x, y = BOAT
    cv2.fillPoly(picture, [np.array([(x - 50, y), (x + 50, y), (x + 35, y + 30), (x - 35, y + 30)])], (40, 40, 170))
    cv2.rectangle(picture, (x - 5, y - 45), (x + 5, y), (40, 60, 190), -1)
    return cv2.GaussianBlur(picture, (0, 0), 0.8)


def clip(kind: str | None, num_frames: int = 26, pan: float = 1.5) -> list[np.ndarray]:
    """The camera pans over the sea and ends on `sea()`."""
    weather = Weather(kind, *SIZE, np.random.default_rng(1)) if kind else None
    frames = []
    for index in range(num_frames):
        way = pan * (num_frames - 1 - index)
        moved = cv2.warpAffine(sea(), np.float32([[1, 0, way], [0, 1, 0]]), SIZE, borderMode=cv2.BORDER_REPLICATE)
        frame = i420_from_bgr(moved)
        if weather:
            weather.apply(frame, index / 24)
        frames.append(bgr_from_i420(frame))
    return frames


@pytest.mark.parametrize("kind", ["rain", "snow"])
def test_behind_rain_and_snow_lies_the_dry_picture(kind):
    frames = clip(kind)
    still = steady(frames)
    assert still.falls == kind
    wet, dry = (np.abs(picture.astype(int) - clip(None)[-1]).mean() for picture in (frames[-1], still.plate))
    assert dry < 0.35 * wet


def test_a_dry_clip_is_left_as_it_is():
    frames = clip(None)
    still = steady(frames)
    assert still.falls is None and still.plate is frames[-1]


@pytest.mark.parametrize("kind", [None, "rain"])
def test_the_subject_is_the_boat_and_never_the_moon(kind):
    still = steady(clip(kind))
    subject = find_subject(still.plate, "Closer", still.unrest)
    view = nearer_view(subject)
    assert abs(subject.x - BOAT[0] / 640) < 0.06 and abs(subject.y - BOAT[1] / 360) < 0.1
    assert abs(view.x - BOAT[0] / 640) + 50 / 640 < 0.5 / view.zoom


def test_a_named_colour_is_looked_at():
    picture = sea()
    cv2.rectangle(picture, (110, 190), (150, 250), (190, 90, 30), -1)  # a blue post

    def looked_at(prompt: str) -> float:
        return find_subject(picture, prompt).x

    assert looked_at("Close on the blue post") < 0.4 < looked_at("The red boat")


def test_rain_goes_on_after_the_clip_and_the_moon_keeps_its_shape():
    made, facts = extend_shot(clip("rain"), 24, read_prompt("The same shot goes on, handheld", 1), 24, 30, 1)
    frames = [bgr_from_i420(frame) for frame in made]
    assert facts["falls"] == "rain" and facts["mode"] == "drift"
    changes = [np.abs(a.astype(int) - b).mean() for a, b in zip(frames, frames[1:], strict=False)]
    assert min(changes) > 1.0  # it falls, no streak stands still
    moon = steady(frames).plate[..., 1] > 150
    _, _, wide, tall, area = cv2.connectedComponentsWithStats(moon.astype(np.uint8))[2][1]
    assert 0.85 < wide / tall < 1.18 and area > 0.7 * wide * tall


def test_a_cut_closer_in_the_rain_shows_the_boat_in_new_rain():
    prompt = "[ZOOM_IN_CUT] Closer"
    made, facts = switch_shot(clip("rain"), prompt, read_prompt(prompt, 1), 24, 12, 1, "style")
    frames = [bgr_from_i420(frame) for frame in made]
    assert abs(facts["subject"][0] - BOAT[0] / 640) < 0.08
    plate = steady(frames)
    assert plate.falls == "rain"
    red = (plate.plate[..., 2].astype(int) - plate.plate[..., 0]) > 70
    assert red.mean() > 2 * ((sea()[..., 2].astype(int) - sea()[..., 0]) > 70).mean()

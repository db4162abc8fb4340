"""Portraits for the avatar's tests, drawn here: flat cartoons, and pictures in which no mouth may move."""

import cv2
import numpy as np

Colour = tuple[int, int, int]


def cartoon(
    skin: Colour = (200, 222, 255),
    hair: Colour = (40, 140, 217),
    background: Colour = (230, 215, 190),
    size: tuple[int, int] = (480, 640),
) -> np.ndarray:
    """(h, w, 3) uint8 BGR: a front-facing flat face with white eyes and closed lips."""
    width, height = size
    image = np.full((height, width, 3), background, np.uint8)
    x = width // 2

    def oval(cx: float, cy: float, rx: float, ry: float, colour: Colour, start: int = 0, end: int = 360) -> None:
        centre, axes = (round(cx), round(cy)), (round(rx), round(ry))
        cv2.ellipse(image, centre, axes, 0, start, end, colour, -1, cv2.LINE_AA)

    neck = tuple(int(value * 0.85) for value in skin)
    cv2.rectangle(
        image, (int(x - 0.1 * width), int(0.6 * height)), (int(x + 0.1 * width), int(0.86 * height)), neck, -1
    )
    oval(x, 1.05 * height, 0.46 * width, 0.27 * height, (160, 90, 60), 180, 360)
    oval(x, 0.44 * height, 0.28 * width, 0.27 * height, skin)
    oval(x, 0.33 * height, 0.29 * width, 0.19 * height, hair, 180, 360)
    for eye in (x - 0.135 * width, x + 0.135 * width):
        y = 0.43 * height
        oval(eye, y, 0.056 * width, 0.027 * height, (255, 255, 255))
        oval(eye, y, 0.030 * width, 0.030 * width, (120, 80, 40))
        oval(eye, y, 0.016 * width, 0.016 * width, (20, 15, 15))
        centre, axes = (round(eye), round(0.385 * height)), (round(0.075 * width), round(0.02 * height))
        cv2.ellipse(image, centre, axes, 0, 200, 340, tuple(value // 2 for value in hair), 5, cv2.LINE_AA)
    lips(image, x, round(0.585 * height), round(0.085 * width))
    return image


def lips(image: np.ndarray, x: int, y: int, half: int) -> None:
    upper = [(x - half, y), (x - half // 2, y - 6), (x, y - 3), (x + half // 2, y - 6), (x + half, y)]
    lower = [(x + half // 2, y + 11), (x, y + 14), (x - half // 2, y + 11)]
    cv2.fillPoly(image, [np.int32(upper + lower)], (70, 70, 190), cv2.LINE_AA)
    cv2.line(image, (x - half, y), (x + half, y), (42, 42, 110), 2, cv2.LINE_AA)


def anime() -> np.ndarray:
    """Large dark eyes without white beside the pupil, a dot of a nose, a short line for a mouth: no cascade and no rule
    knows it for a face. Its mouth is at (0.5, 0.66), 0.10 wide, its eyes at (0.36, 0.5) and (0.64, 0.5)."""
    width, height = 480, 640
    image = np.full((height, width, 3), (240, 225, 235), np.uint8)
    hair = (170, 90, 200)

    def oval(cx: float, cy: float, rx: float, ry: float, colour: Colour) -> None:
        centre, axes = (round(cx * width), round(cy * height)), (round(rx * width), round(ry * height))
        cv2.ellipse(image, centre, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)

    oval(0.5, 0.44, 0.40, 0.36, hair)
    oval(0.5, 1.08, 0.30, 0.28, (90, 60, 40))
    oval(0.5, 0.50, 0.29, 0.26, (225, 238, 255))
    fringe = [(0.16, 0.42), (0.30, 0.16), (0.70, 0.16), (0.84, 0.42), (0.62, 0.34), (0.5, 0.40), (0.38, 0.34)]
    cv2.fillPoly(image, [np.int32([(x * width, y * height) for x, y in fringe])], hair, cv2.LINE_AA)
    for x in (0.36, 0.64):
        oval(x, 0.50, 0.062, 0.070, (40, 30, 30))
        oval(x, 0.515, 0.050, 0.050, (190, 120, 60))
        oval(x - 0.02, 0.475, 0.018, 0.018, (255, 255, 255))
    cv2.line(image, (round(0.45 * width), round(0.66 * height)), (round(0.55 * width), round(0.66 * height)),
             (90, 80, 160), 3, cv2.LINE_AA)  # fmt: skip
    return image


def bearded() -> np.ndarray:
    image = cartoon(skin=(80, 120, 170), hair=(25, 20, 25))
    cv2.ellipse(image, (240, 400), (95, 70), 0, 0, 360, (20, 25, 30), -1)
    return image


def behind_a_microphone() -> np.ndarray:
    image = cartoon(skin=(80, 120, 170), hair=(25, 20, 25))
    cv2.rectangle(image, (240, 325), (480, 475), (40, 40, 40), -1)
    return image


def half_covered() -> np.ndarray:
    """Something dark from the middle of the lips to the side: eyes and cheeks are plain to see."""
    image = cartoon(skin=(80, 120, 170), hair=(25, 20, 25))
    cv2.rectangle(image, (250, 345), (480, 475), (40, 40, 40), -1)
    return image


def landscape() -> np.ndarray:
    """A night over hills: a moon, but no face."""
    y, x = np.mgrid[0:360, 0:640].astype(np.float32)
    image = np.dstack([90 + 0.2 * y, 50 + 0.15 * y, 30 + 0.05 * y])
    image[np.hypot(x - 200, y - 90) < 30] = (220, 235, 240)
    image[y > 250 + 30 * np.sin(x / 60)] = (40, 30, 20)
    image[y > 300 + 20 * np.sin(x / 35 + 1)] = (20, 15, 10)
    return image.astype(np.uint8)


def noise() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 255, (300, 400, 3), np.uint8)

"""Which pictures are the same picture: copies are, however scaled, compressed or cropped; other pictures are not."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from drawing import draw
from drawn_faces import cartoon, landscape

from studio import tools
from studio.tools import ToolRun


def looked(*paths: Path, faces: tuple[Path, ...] = ()) -> dict[str, Any]:
    order = {"paths": [str(path) for path in paths], "faces": [str(path) for path in faces]}
    return dict(tools.load("portraits")(order, ToolRun())["pictures"])


def groups(*paths: Path) -> list[int]:
    seen = looked(*paths)
    return [seen[str(path)]["group"] for path in paths]


def save(path: Path, picture: np.ndarray, *options: int) -> Path:
    assert cv2.imwrite(str(path), picture, list(options))
    return path


def person(seed: int = 0) -> np.ndarray:
    """A drawn face before a wall with something on it."""
    picture = cartoon()
    rng = np.random.default_rng(seed)
    for _ in range(12):
        x, y = int(rng.integers(0, 90)), int(rng.integers(0, 600))
        cv2.circle(picture, (x, y), int(rng.integers(6, 24)), tuple(int(c) for c in rng.integers(0, 255, 3)), -1)
    return picture


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return save(tmp_path / "maya.png", person())


def test_copies_of_a_picture_are_one(tmp_path: Path, original: Path) -> None:
    picture = person()
    small = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    copies = [
        save(tmp_path / "again.png", picture),
        save(tmp_path / "small.png", small),
        save(tmp_path / "pressed.jpg", picture, cv2.IMWRITE_JPEG_QUALITY, 40),
        save(tmp_path / "cropped.png", picture[60:560, 40:440]),
        save(tmp_path / "cropped small.jpg", small[30:290, 15:220], cv2.IMWRITE_JPEG_QUALITY, 70),
    ]
    assert groups(original, *copies) == [0] * 6


def test_other_pictures_are_not(tmp_path: Path, original: Path) -> None:
    shifted = person()
    shifted[:, :] = np.roll(shifted, 60, axis=1)
    others = [
        save(tmp_path / "rui.png", cartoon(skin=(90, 130, 180), hair=(30, 30, 30))),
        save(tmp_path / "ana.png", cartoon(hair=(20, 30, 160))),
        save(tmp_path / "twin.png", cartoon(skin=(185, 215, 245), hair=(25, 20, 25))),
        save(tmp_path / "her sister.png", cartoon(skin=(200, 222, 255), hair=(20, 30, 90))),
        save(tmp_path / "mirrored and lit.png", cv2.convertScaleAbs(person()[:, ::-1], alpha=0.7)),
        save(tmp_path / "hills.png", landscape()),
    ]
    found = groups(original, *others)
    assert len(set(found)) == len(found)


def test_a_plain_picture_is_known_by_its_bytes_alone(tmp_path: Path) -> None:
    one, other = draw(tmp_path / "a.png", (64, 48)), draw(tmp_path / "b.png", (128, 96))
    (tmp_path / "c.png").write_bytes(one.read_bytes())
    assert groups(one, other, tmp_path / "c.png") == [0, 1, 0]


def test_faces_are_looked_for_where_it_matters(tmp_path: Path, original: Path) -> None:
    hills = save(tmp_path / "hills.png", landscape())
    seen = looked(original, hills, faces=(original, hills))
    assert [seen[str(path)]["face"] for path in (original, hills)] == [True, False]
    assert looked(original)[str(original)]["face"] is None
    assert seen[str(original)]["thumb"].startswith("data:image/jpeg;base64,") and len(seen[str(hills)]["thumb"]) < 8000


def test_what_is_no_picture_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture\n" * 20)
    assert looked(tmp_path / "a.png", tmp_path / "gone.png") == {}

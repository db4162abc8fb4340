"""Portraits as strangers give them: every format is one still picture, faces are found, and the advice fits."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from drawn_faces import cartoon, half_covered, landscape
from PIL import Image

from studio import tools
from studio.errors import StudioError
from studio.media.probe import probe
from studio.media.stills import LONGEST, open_still
from studio.pipelines.diffusion import pictures
from studio.pipelines.draft.pictures import read_picture
from studio.tools import ToolRun

WIDE = 16 / 9


def saved(tmp_path: Path, picture: np.ndarray, name: str = "a.png") -> Path:
    path = tmp_path / name
    assert cv2.imwrite(str(path), picture)
    return path


def looked(path: Path, aspect: float = WIDE, which: str = "first") -> dict[str, Any]:
    return dict(tools.load("portrait")({"path": str(path), "which": which, "aspect": aspect}, ToolRun()))  # type: ignore[arg-type]


def cropped(path: Path, out: Path, box: list[float] | None) -> Image.Image:
    tools.load("crop")({"path": str(path), "which": "first", "box": box, "out": str(out)}, ToolRun())
    return Image.open(out)


def codes(found: dict[str, Any]) -> list[str]:
    return [row["code"] for row in found["advice"]]


def two_people() -> np.ndarray:
    return np.hstack([cartoon(), cartoon(skin=(80, 120, 170), hair=(25, 20, 25))])


# ------------------------------------------------------------------------------------------------ what is seen
def test_a_portrait_is_told_by_its_eyes_and_its_mouth(tmp_path: Path) -> None:
    found = looked(saved(tmp_path, cartoon()))
    assert (found["width"], found["height"]) == (480, 640)
    (face,) = found["faces"]
    assert np.allclose(face["eyes"], [[0.365, 0.43], [0.635, 0.43]], atol=0.015)
    assert np.allclose(face["mouth"][:2], [0.5, 0.585], atol=0.015) and 0.1 < face["mouth"][2] < 0.22
    assert face["clear"] and face["view"] == "frontal" and not found["advice"]


def test_two_people_are_two_faces_and_one_of_them_is_the_largest(tmp_path: Path) -> None:
    picture = np.full((640, 1000, 3), (230, 215, 190), np.uint8)
    picture[:, :480] = cartoon()
    picture[300:620, 700:940] = cartoon(size=(240, 320))
    found = looked(saved(tmp_path, picture))
    assert codes(found) == ["portrait.two_faces"]
    boxes = [face["box"] for face in found["faces"]]
    assert len(boxes) == 2 and boxes[0][2] < 0.5 < boxes[1][0]


def test_twins_side_by_side_are_two(tmp_path: Path) -> None:
    assert len(looked(saved(tmp_path, two_people()))["faces"]) == 2


@pytest.mark.parametrize("draw", [landscape, lambda: np.full((300, 400, 3), 90, np.uint8)], ids=["hills", "plain"])
def test_no_face_is_said_and_nothing_is_made_up(draw: Any, tmp_path: Path) -> None:
    found = looked(saved(tmp_path, draw()))
    assert codes(found) == ["portrait.no_face"] and not found["faces"] and found["crop"] is None


def test_a_covered_mouth_and_a_small_face_are_said(tmp_path: Path) -> None:
    assert codes(looked(saved(tmp_path, half_covered()))) == ["portrait.unclear_mouth"]
    small = np.full((720, 1280, 3), (230, 215, 190), np.uint8)
    small[100:300, 600:750] = cartoon(size=(150, 200))
    assert "portrait.small_face" in codes(looked(saved(tmp_path, small, "small.png")))


# ------------------------------------------------------------------------------------------------ crops
@pytest.mark.parametrize("aspect", [16 / 9, 1.0, 9 / 16])
def test_the_crop_keeps_the_head_and_the_shape_of_the_scene(aspect: float, tmp_path: Path) -> None:
    picture = np.full((900, 1600, 3), (230, 215, 190), np.uint8)
    picture[200:520, 900:1140] = cartoon(size=(240, 320))
    found = looked(saved(tmp_path, picture), aspect)
    left, top, right, bottom = found["crop"]
    box = found["faces"][0]["box"]
    assert left < box[0] and top < box[1] and right > box[2] and bottom > box[3]
    assert (right - left) * 1600 / ((bottom - top) * 900) == pytest.approx(aspect, rel=0.02)
    assert (bottom - top) < 0.6


def test_a_picture_that_is_the_crop_already_has_none(tmp_path: Path) -> None:
    assert looked(saved(tmp_path, cartoon()), 480 / 640)["crop"] is None


def test_a_crop_is_upright_and_keeps_what_is_seen_through(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (200, 100), (255, 0, 0, 255))
    picture.paste((0, 0, 255, 0), (0, 0, 100, 100))
    turned = picture.transpose(Image.Transpose.ROTATE_90)  # a camera that lay on its side
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    assert looked(tmp_path / "turned.png")["width"] == 200
    part = cropped(tmp_path / "turned.png", tmp_path / "out.png", [0.25, 0, 0.75, 1])
    assert part.size == (100, 100) and part.mode == "RGBA"
    assert part.getpixel((10, 50)) == (0, 0, 255, 0) and part.getpixel((90, 50)) == (255, 0, 0, 255)


def test_a_large_crop_is_made_smaller(tmp_path: Path) -> None:
    Image.new("RGB", (6000, 3000)).save(tmp_path / "large.png")
    assert cropped(tmp_path / "large.png", tmp_path / "out.png", None).size == (LONGEST, LONGEST // 2)


# ------------------------------------------------------------------------------------------------ every format
def _formats() -> dict[str, bytes]:
    face = Image.fromarray(cartoon()[..., ::-1])
    grey16 = Image.fromarray(np.asarray(face.convert("L")).astype(np.uint16) * 257)

    def made(image: Image.Image, kind: str, **more: Any) -> bytes:
        held = io.BytesIO()
        image.save(held, kind, **more)
        return held.getvalue()

    night = Image.new("RGB", face.size)
    return {
        "portrait.png": made(face, "PNG"),
        "portrait.jpg": made(face, "JPEG", quality=95),
        "portrait.webp": made(face, "WEBP", quality=95),
        "portrait.bmp": made(face, "BMP"),
        "moving.gif": made(face, "GIF", save_all=True, append_images=[night, night], duration=100),
        "moving.webp": made(face, "WEBP", save_all=True, append_images=[night], duration=100),
        "palette.png": made(face.convert("P", palette=Image.Palette.ADAPTIVE), "PNG"),
        "cmyk.jpg": made(face.convert("CMYK"), "JPEG", quality=95),
        "grey16.png": made(grey16, "PNG"),
        "grey.png": made(face.convert("L"), "PNG"),
        "one bit.png": made(face.convert("1"), "PNG"),
        "page.bin": made(face, "PNG"),  # named by somebody else
    }


@pytest.mark.parametrize("name", _formats())
def test_every_format_is_the_picture_it_shows(name: str, tmp_path: Path) -> None:
    """Through the draft's way in and through the one that every network has."""
    path = tmp_path / name
    path.write_bytes(_formats()[name])
    face = Image.fromarray(cartoon()[..., ::-1])
    coloured = "grey" not in name and "bit" not in name
    shown = np.asarray((face if coloured else face.convert("L").convert("RGB")).resize((48, 64), Image.Resampling.BOX))
    allowed = 60 if "bit" in name else 12  # one bit dithers
    draft = Image.fromarray(np.ascontiguousarray(read_picture(path)[..., 2::-1]))
    network = pictures.picture(path, 480, 640)
    for seen in (open_still(path)[0].convert("RGB"), draft, network, pictures.whole_picture(path)):
        small = np.asarray(seen.resize((48, 64), Image.Resampling.BOX))
        assert np.abs(small.astype(int) - shown).mean() < allowed, name
    assert ("portrait.animated" in codes(looked(path))) == name.startswith("moving")


def test_a_bitmap_is_a_picture_at_the_door(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    path.write_bytes(_formats()["portrait.bmp"])
    facts = probe(path)
    assert (facts.kind, facts.container, facts.width, facts.height) == ("image", "bmp", 480, 640)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    def png(width: int, height: int) -> bytes:
        held = io.BytesIO()
        Image.new("1", (8, 8)).save(held, "PNG")
        content = bytearray(held.getvalue())
        content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
        import zlib

        content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
        return bytes(content)

    for number, size in enumerate([(60_000, 60_000), (20_000, 4_000)]):
        path = tmp_path / f"{number}.png"
        path.write_bytes(png(*size))
        with pytest.raises(StudioError) as raised:
            looked(path)
        assert raised.value.code == "media.too_many_pixels"


def test_a_frame_of_a_film_is_a_portrait_too(tmp_path: Path) -> None:
    from studio.media.writer import write_video

    frames = [cartoon(size=(240, 320))] * 6
    write_video(tmp_path / "a.mp4", iter(frames), 12, 6, layout="bgr24", audio=None, comment={}, posters=tmp_path / "a")
    assert len(looked(tmp_path / "a.mp4", which="last")["faces"]) == 1

"""Every picture task of the draft engine: as long as asked, stamped, and the same for prompt, seed and style."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from draft_tools import SMALL, frames_of, landscape, make, save_png
from drawn_faces import cartoon

from studio.errors import MediaError
from studio.pipelines.draft.clean import is_stamped


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[dict]:
    """A cast, two plates and a clip, as files."""
    folder = tmp_path_factory.mktemp("world")
    flat = cartoon()
    alpha = cv2.cvtColor(flat, cv2.COLOR_BGR2BGRA)
    alpha[: flat.shape[0] // 3, :60, 3] = alpha[: flat.shape[0] // 3, -60:, 3] = 0
    yield {
        "flat": save_png(folder / "flat.png", flat),
        "alpha": save_png(folder / "alpha.png", alpha),
        "plate": save_png(folder / "plate.png", landscape()),
        "other": save_png(folder / "other.png", landscape(3)[:, ::-1]),
        "clip": make(folder, task_type="text_to_video", prompt="Wide: lighthouse, pan right", duration=2.0).path,
    }  # fmt: skip


def references(world, *names):
    files = {f"ref_imgs.{index}": world[name] for index, name in enumerate(names)}
    return {"task_type": "reference_to_video", "ref_imgs": list(names), "files": files}


def scenes(world):
    clip = {"input_video": "x", "files": {"input_video": world["clip"]}}
    picture = {"task_type": "image_to_video", "input_image": "x"}
    return {
        "text": {"task_type": "text_to_video", "prompt": "A girl walks in the night city, rain"},
        "one": {**references(world, "flat"), "prompt": "Medium shot at dawn by the sea"},
        "two": {**references(world, "plate", "flat"), "prompt": "Wide, handheld"},
        "three": {**references(world, "plate", "other", "alpha"), "prompt": "Close-up, night"},
        "prints": {**references(world, "plate", "other", "plate"), "prompt": "Pan left"},
        "image": {**picture, "files": {"input_image": world["plate"]}},
        "end": {**picture, "prompt": "Pull out", "end_image": "y",
                "files": {"input_image": world["plate"], "end_image": world["other"]}},
        "extension": {"task_type": "single_shot_extension", "prompt": "It goes on", **clip},
        **{cut: {"task_type": "shot_switching_extension", "prompt": f"{cut} the sea", **clip}
           for cut in ("[ZOOM_IN_CUT]", "[ZOOM_OUT_CUT]", "[STATIC_CUT]", "[PAN_LEFT_CUT]", "[PAN_RIGHT_CUT]")},
    }  # fmt: skip


KINDS = ("text", "one", "two", "three", "prints", "image", "end", "extension",
         "[ZOOM_IN_CUT]", "[ZOOM_OUT_CUT]", "[STATIC_CUT]", "[PAN_LEFT_CUT]", "[PAN_RIGHT_CUT]")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_shot_is_as_long_as_asked_moves_and_is_the_same_twice(kind, world, tmp_path):
    scene = scenes(world)[kind]
    first, again = (frames_of(make(tmp_path, **scene).path) for _ in range(2))
    assert len(first) == 12
    assert all(frame.shape == (SMALL.height, SMALL.width, 3) for frame in first)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert np.abs(first[0].astype(int) - first[-1]).mean() > 0.5
    assert min(frame.std() for frame in first) > 8  # never black, never blank


def test_another_seed_is_another_shot(world, tmp_path):
    scene = scenes(world)["text"]
    a, b = (frames_of(make(tmp_path, seed=seed, **scene).path)[6] for seed in (1, 2))
    assert np.abs(a.astype(int) - b).mean() > 1


def test_shots_of_one_style_share_their_light(tmp_path):
    def sky(style, prompt):
        frame = frames_of(make(tmp_path, task_type="text_to_video", prompt=prompt, style=style, duration=0.2).path)[0]
        return frame[40:60].reshape(-1, 3).mean(axis=0)

    styles = [f"style {i}" for i in range(6)]
    together = [np.abs(sky(s, "Wide: the hills") - sky(s, "Wide: the hills, a man")).max() for s in styles[:2]]
    apart = np.ptp([sky(s, "Wide: the hills") for s in styles], axis=0).max()
    assert max(together) < 14 < 25 < apart


def test_stills_are_stamped_and_have_no_text(tmp_path):
    prompt = "Wide: a forest at dawn, snow"
    made = make(tmp_path, task_type="text_to_image", prompt=prompt)
    still = cv2.imread(str(made.path))
    assert made.facts["place"] == "forest"
    assert still.shape == (SMALL.height, SMALL.width, 3) and still.std() > 8


def test_facts_say_how_it_was_done(world, tmp_path):
    all_scenes = scenes(world)
    assert make(tmp_path, **all_scenes["two"]).facts["how"][0] == "plate"
    assert make(tmp_path, **all_scenes["one"]).facts["how"] == ["flat"]
    assert make(tmp_path, **all_scenes["end"]).facts["end"] in ("morph", "dissolve")
    assert make(tmp_path, **all_scenes["extension"]).facts["mode"] in ("drift", "boomerang")
    assert "foreground" in make(tmp_path, **all_scenes["[ZOOM_OUT_CUT]"]).facts["mode"]


def test_an_extension_starts_where_the_clip_ended(world, tmp_path):
    before = [frame[:-8] for frame in frames_of(world["clip"])]  # without the card's line, which ends with the card
    after = [frame[:-8] for frame in frames_of(make(tmp_path, **scenes(world)["extension"]).path)]
    seam = np.abs(before[-1].astype(int) - after[0]).mean()
    steps = [np.abs(a.astype(int) - b).mean() for a, b in zip(before[-6:], before[-5:], strict=False)]
    assert seam < max(3.0, 1.6 * max(steps))


def test_an_end_image_is_reached(world, tmp_path):
    last = frames_of(make(tmp_path, **scenes(world)["end"]).path)[-1]
    start, end = (cv2.resize(cv2.imread(str(world[n])), (SMALL.width, SMALL.height)) for n in ("plate", "other"))
    assert np.corrcoef(last.ravel(), end.ravel())[0, 1] > np.corrcoef(last.ravel(), start.ravel())[0, 1] + 0.02


def test_a_pan_left_and_a_pan_right_go_opposite_ways(world, tmp_path):
    left, right = (frames_of(make(tmp_path, **scenes(world)[f"[PAN_{way}_CUT]"]).path) for way in ("LEFT", "RIGHT"))
    assert np.abs(left[0].astype(int) - right[-1]).mean() < 0.5 * np.abs(left[0].astype(int) - right[0]).mean()


def test_a_picture_that_is_none_is_named(tmp_path):
    lie = tmp_path / "lie.png"
    lie.write_text("not a picture")
    with pytest.raises(MediaError) as failure:
        make(tmp_path, task_type="image_to_video", prompt="", input_image="x", files={"input_image": lie})
    assert failure.value.code == "draft.unreadable_picture" and failure.value.params["name"] == "lie.png"


def test_larger_frames_carry_the_pill(tmp_path, monkeypatch):
    import draft_tools

    from studio.domain import Frame

    monkeypatch.setattr(draft_tools, "SMALL", Frame(width=640, height=360, fps=12))
    made = make(tmp_path, task_type="text_to_video", prompt="The sea", duration=0.5)
    assert all(is_stamped(frame) for frame in frames_of(made.path))


def test_the_app_can_name_the_engine_without_loading_it():
    import subprocess
    import sys

    code = (
        "import sys; import studio.pipelines.draft.engine;"
        "print([m for m in ('cv2', 'av', 'PIL', 'scipy', 'numpy') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_a_line_is_spoken_in_the_voice_it_names(tmp_path):
    from studio.pipelines.draft.speech import VOICES

    said = {
        voice: make(
            tmp_path, task_type="speech", lines=[{"character": "Inês", "text": "The lamp is lit.", "voice": voice}]
        )
        for voice in ("woman-1", "man-2")
    }
    for voice, made in said.items():
        assert made.facts["voice"]["variant"] == VOICES[voice]["variant"]
    assert said["woman-1"].facts["voice"]["pitch"] != said["man-2"].facts["voice"]["pitch"]


def test_an_avatar_without_words_listens(world, tmp_path):
    made = make(
        tmp_path, task_type="talking_avatar", input_image="x", duration=0.5, files={"input_image": world["flat"]}
    )
    assert made.facts["lips_from"] == "nothing"
    assert frames_of(made.path)

"""References and extensions of SkyReels-V3: what is really asked of the pipeline, against docs/models.md."""

from pathlib import Path
from typing import Any

import pytest
import skyreels_runs as runs
import torch
from engine_calls import asked, loaded, picture, row, scene

from studio.pipelines import engine_class
from studio.pipelines.base import Plan
from studio.pipelines.parts import SHELF

ENGINES = ("skyreels-v3-r2v-14b", "skyreels-v3-v2v-14b", "skyreels-v3-shot-14b")
SECONDS = 5.0
GIVEN: dict[str, dict[str, Any]] = {
    "reference_to_video": {"ref_imgs": ["x"]},
    "single_shot_extension": {"input_video": "x"},
    "shot_switching_extension": {"input_video": "x", "prompt": "[STATIC_CUT] a lamp"},
}


@pytest.fixture(scope="module", autouse=True)
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("shelf")
    runs.put_on_shelf(ENGINES, folder / "models", folder / "repositories")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SHELF, str(folder / "models"))
        yield


@pytest.mark.parametrize("engine_id", ENGINES)
def test_the_pipeline_is_called_as_the_table_says(engine_id: str, tmp_path: Path) -> None:
    said, cls = row(engine_id, "shift"), engine_class(engine_id)
    engine = loaded(cls, Plan(dtype="bfloat16"))
    encoded: list[tuple[int, ...]] = []

    def encode(pixels: Any) -> Any:  # the real size takes the VAE a while, and only the call is looked at
        encoded.append(tuple(pixels.shape))
        _, _, frames, height, width = pixels.shape
        return torch.zeros(1, 16, (frames - 1) // 4 + 1, height // 8, width // 8)

    engine.pipe.encode_pixels = encode
    task = said["task"]
    wide = runs.clip(tmp_path / "clip.mp4", 40, size=(64, 36))
    what = scene(task, resolution="480P", aspect="1:1", duration=SECONDS, **GIVEN[task])
    files = {item.field: wide if item.kind == "video" else wide_picture(tmp_path) for item in what.inputs()}
    seen = asked(engine, what, cls.Options(), tmp_path, files=files, duration=SECONDS)
    shift, frames = engine.pipe.scheduler.config.flow_shift, int(said["frames for 5 s"])
    engine.close()
    assert task in cls.tasks and seen["pipeline"] == said["pipeline"]
    assert (seen["num_inference_steps"], seen["guidance_scale"]) == (int(said["steps"]), float(said["guidance"]))
    assert seen["negative_prompt_embeds"] is None and seen["prompt_embeds"].shape[1] == 512
    assert shift == float(said["shift"])
    assert (cls.limits.fps, cls.limits.frames(SECONDS)) == (float(said["fps"]), frames)
    assert seen["num_frames"] == (4 * 33 - 3 if task == "single_shot_extension" else frames)
    assert f"{seen['width']}x{seen['height']}" == said["size at 16:9, 480P"]
    given = {"reference_to_video": 1, "single_shot_extension": 25, "shot_switching_extension": 33}[task]
    assert encoded == [(1, 3, given, seen["height"], seen["width"])]
    kept = {name for name, dtype in seen["dtypes"].items() if dtype == "torch.float32"}
    assert kept == {said["kept in float32"]} == cls.keep_float32
    assert seen["dtypes"]["transformer"] == seen["dtypes"]["text_encoder"] == "torch.bfloat16"


def wide_picture(folder: Path) -> Path:
    from PIL import Image

    path = picture(folder)
    Image.open(path).resize((160, 90)).save(path)
    return path


@pytest.mark.parametrize("engine_id", ENGINES)
def test_presets_and_limits_are_those_of_the_page(engine_id: str) -> None:
    cls = engine_class(engine_id)
    assert cls.presets["default"] == {"num_inference_steps": 8} and cls.presets["fast"] == {"num_inference_steps": 4}
    assert cls.Options().model_dump() | cls.presets["default"] == cls.Options().model_dump()
    assert cls.limits.resolutions == ("480P", "540P", "720P")
    assert (
        dict(cls.limits.seconds)
        == {
            "skyreels-v3-r2v-14b": {"reference_to_video": (1.0, 5.0)},
            "skyreels-v3-v2v-14b": {"single_shot_extension": (1.0, 30.0)},
            "skyreels-v3-shot-14b": {"shot_switching_extension": (2.0, 5.0)},
        }[engine_id]
    )

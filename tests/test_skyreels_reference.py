"""SkyReels-V3 R2V at tiny size: references, sizes, and what the network and the VAE are really asked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skyreels_runs as runs
from PIL import Image

from studio.domain import SceneAdapter
from studio.errors import Cancelled, Refused
from studio.media.probe import probe
from studio.pipelines import engine_class
from studio.pipelines.base import Inputs
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.memory.footprint import Shape
from studio.pipelines.parts import SHELF

ENGINE = "skyreels-v3-r2v-14b"
TASK = "reference_to_video"


@pytest.fixture(scope="module", autouse=True)
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    import torch

    folder, threads = tmp_path_factory.mktemp("shelf"), torch.get_num_threads()
    torch.set_num_threads(1)
    runs.put_on_shelf([ENGINE], folder / "models", folder / "repositories")
    for name, size, colour in (("wide", (120, 40), (200, 30, 30)), ("tall", (40, 90), (30, 30, 200))):
        Image.new("RGB", size, colour).save(folder / f"{name}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SHELF, str(folder / "models"))
        yield folder
    torch.set_num_threads(threads)


@pytest.fixture
def engine(shelf: Path) -> Iterator[Any]:
    engine = runs.loaded(ENGINE)
    yield engine
    engine.close()


def files_of(shelf: Path, *names: str) -> dict[str, Path]:
    return {f"ref_imgs.{i}": shelf / f"{name}.png" for i, name in enumerate(names)}


def scene_of(seconds: float = 1.0, **more: Any) -> Any:
    return runs.scene_of(TASK, ref_imgs=["x"], duration=seconds, **more)


def small(engine: Any, **more: Any) -> Any:
    return engine.Options(**{"width": 64, "height": 32, "num_inference_steps": runs.STEPS, **more})


# ------------------------------------------------------------------------------------------------ what is asked
def test_the_network_sees_four_references_behind_the_film(
    engine: Any, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    seen: list[dict[str, Any]] = []
    hook = engine.pipe.transformer.patch_embedding.register_forward_pre_hook(
        lambda part, args: seen.append({"latents": args[0].clone()})
    )
    given: list[Any] = []
    denoised = engine.denoised
    monkeypatch.setattr(
        engine, "denoised", lambda arguments, watch: (given.append(arguments), denoised(arguments, watch))[1]
    )
    run = runs.run_of(files_of(shelf, "wide", "tall"), 1.0, tmp_path)
    engine.run(scene_of(), small(engine), run)
    hook.remove()
    (arguments,) = given
    references = arguments["given_latents"]
    assert [one["latents"].shape for one in seen] == [(1, 16, 7 + 4, 4, 8)] * runs.STEPS  # no second call
    assert all(torch.equal(one["latents"][:, :, 7:], references) for one in seen)
    assert references[:, :, :2].abs().min() > 0 and not references[:, :, 2:].any()
    alone = engine.pipe.encode_references([Image.open(shelf / "tall.png")], 32, 64)
    assert torch.equal(references[:, :, 1], alone[:, :, 0])
    assert arguments["negative_prompt_embeds"] is None


def test_the_prediction_of_references_is_cut_off_and_no_hook_stays(engine: Any, shelf: Path, tmp_path: Path) -> None:
    found: list[Any] = []
    engine.saved = lambda latents, scene, run: found.append(latents)
    for stop in (False, True):
        answers = iter((False,) * 2 + (stop,) * 100)  # to what the phases ask, then to what the steps do
        run = runs.run_of(files_of(shelf, "wide"), 1.0, tmp_path, cancelled=lambda answers=answers: next(answers))
        if stop:
            with pytest.raises(Cancelled):
                engine.run(scene_of(), small(engine), run)
        else:
            engine.run(scene_of(), small(engine), run)
        network = engine.pipe.transformer
        assert not network._forward_hooks and not network._forward_pre_hooks
    assert found[0].shape == (1, 16, 7, 4, 8)


def test_other_references_make_another_film(engine: Any, shelf: Path, tmp_path: Path) -> None:
    found: list[Any] = []
    engine.saved = lambda latents, scene, run: found.append(latents)
    for names in (("wide",), ("wide",), ("wide", "tall"), ("tall",)):
        engine.run(scene_of(), small(engine), runs.run_of(files_of(shelf, *names), 1.0, tmp_path))
    first, same, two, other = found
    assert (first == same).all() and not (first == two).all() and not (first == other).all()


def test_references_are_encoded_before_the_network_needs_the_room_and_only_once(
    engine: Any, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    vae, using, encoded, busy = engine.pipe.vae, engine.placement.using, [], list[str]()
    encode = vae.encode
    monkeypatch.setattr(vae, "encode", lambda pixels: (encoded.append([*busy]), encode(pixels))[1])
    monkeypatch.setattr(engine.placement, "using", lambda *parts: (busy.extend(parts), using(*parts))[1])
    for names in (("wide", "tall"), ("wide", "tall"), ("wide",)):
        busy.clear()
        engine.run(scene_of(), small(engine), runs.run_of(files_of(shelf, *names), 1.0, tmp_path))
    assert len(encoded) == 3  # two of the first run, none of the second, one of the third
    assert all("vae" in parts and "transformer" not in parts for parts in encoded)


# ------------------------------------------------------------------------------------------------ pictures and sizes
def test_a_reference_is_whole_in_the_middle_of_white(shelf: Path) -> None:
    from studio.pipelines.skyreels_v3.reference_pipeline import letterboxed

    page = np.asarray(letterboxed(Image.new("RGB", (120, 40), (0, 0, 0)), 60, 60))
    rows = page.mean(axis=(1, 2))
    assert page.shape == (60, 60, 3)
    assert (rows[:20] == 255).all() and (rows[20:40] == 0).all() and (rows[40:] == 255).all()
    page = np.asarray(letterboxed(Image.new("RGB", (10, 40), (0, 0, 0)), 32, 64))
    assert (page[:, :28] == 255).all() and (page[:, 28:36] == 0).all() and (page[:, 36:] == 255).all()


@pytest.mark.parametrize(
    ("name", "resolution", "size"),
    [
        ("wide", "480P", (1040, 384)),  # 0.33: the widest there is
        ("tall", "480P", (432, 912)),  # 2.25
        ("tall", "720P", (656, 1376)),
        ("wide", "540P", (1216, 416)),
    ],
)
def test_the_first_reference_chooses_the_size(shelf: Path, name: str, resolution: str, size: tuple[int, int]) -> None:
    engine, scene = engine_class(ENGINE)(), scene_of(resolution=resolution)
    shape = engine.shape(scene, engine.Options(), Inputs(files=files_of(shelf, name, "wide"), duration=5.0))
    assert (shape.width, shape.height, shape.num_frames) == (*size, 121)


def test_a_turned_photo_counts_as_it_is_seen(shelf: Path, tmp_path: Path) -> None:
    image = Image.new("RGB", (120, 40))
    exif = image.getexif()
    exif[0x0112] = 6  # a quarter turn
    image.save(tmp_path / "turned.jpg", exif=exif)
    engine = engine_class(ENGINE)()
    inputs = Inputs(files={"ref_imgs.0": tmp_path / "turned.jpg"}, duration=5.0)
    shape = engine.shape(scene_of(resolution="480P"), engine.Options(), inputs)
    assert shape.height > shape.width


@pytest.mark.parametrize(("aspect", "size"), [("16:9", (848, 480)), ("9:16", (480, 848)), ("1:1", (640, 640))])
def test_before_the_pictures_are_known_the_aspect_says_the_size(aspect: str, size: tuple[int, int]) -> None:
    engine = engine_class(ENGINE)()
    shape = engine.shape(scene_of(resolution="480P", aspect=aspect), engine.Options(), Inputs(duration=1.0))
    assert (shape.width, shape.height) == size
    assert (shape.extra_frames, shape.steps, shape.forwards, shape.encodes) == (4, 8, 1, True)


def test_options_choose_another_size_and_odd_ones_are_refused(shelf: Path) -> None:
    engine, inputs = engine_class(ENGINE)(), Inputs(files=files_of(shelf, "tall"), duration=1.0)
    assert engine.shape(scene_of(), engine.Options(width=64, height=32), inputs) == Shape(
        64, 32, 25, steps=8, forwards=1, extra_frames=4, encodes=True
    )
    with pytest.raises(Refused) as refused:
        engine.shape(scene_of(), engine.Options(width=72, height=32), inputs)
    assert refused.value.code == "engine.size_multiple" and refused.value.params["multiple"] == 16


@pytest.mark.parametrize("seconds", [1, 2, 3, 4, 5])
def test_frames_are_24_a_second_and_one_more(engine: Any, shelf: Path, tmp_path: Path, seconds: int) -> None:
    made = engine.run(
        scene_of(seconds), small(engine, num_inference_steps=1), runs.run_of(files_of(shelf, "wide"), seconds, tmp_path)
    )
    facts = probe(made.path)
    assert (facts.num_frames, facts.fps, facts.width, facts.height) == (24 * seconds + 1, 24.0, 64, 32)
    assert made.facts["size"] == [64, 32, 24 * seconds + 1]


def test_tokens_are_those_that_go_through(engine: Any, shelf: Path, tmp_path: Path) -> None:
    through: list[int] = []
    hook = engine.pipe.transformer.blocks[0].register_forward_pre_hook(
        lambda part, args: through.append(args[0].shape[1])
    )
    run = runs.run_of(files_of(shelf, "wide"), 1.0, tmp_path)
    engine.run(scene_of(), small(engine), run)
    hook.remove()
    assert {*through} == {engine.footprint.tokens(engine.shape(scene_of(), small(engine), run.inputs))}


# ------------------------------------------------------------------------------------------------ guidance
def test_a_negative_prompt_counts_only_with_guidance(engine: Any, shelf: Path, tmp_path: Path) -> None:
    asked: list[Any] = []
    encode = engine.pipe.encode_prompt

    def watched(prompt: Any, negative_prompt: Any, **named: Any) -> Any:
        if isinstance(prompt, str):  # the pipeline asks too, of what is encoded
            asked.append((negative_prompt, named["do_classifier_free_guidance"]))
        return encode(prompt, negative_prompt, **named)

    engine.pipe.encode_prompt = watched
    found: list[Any] = []
    engine.saved = lambda latents, scene, run: found.append(latents)
    for guidance, negative in ((1.0, "grey"), (1.0, "blue"), (3.0, "grey")):
        run = runs.run_of(files_of(shelf, "wide"), 1.0, tmp_path)
        engine.run(scene_of(negative_prompt=negative), small(engine, guidance_scale=guidance), run)
    assert asked == [(None, False), (None, False), ("grey", True)]
    assert (found[0] == found[1]).all() and not (found[0] == found[2]).all()
    assert engine.shape(scene_of(), small(engine, guidance_scale=3.0), run.inputs).forwards == 2


def test_a_scene_of_more_references_is_no_scene() -> None:
    with pytest.raises(ValueError, match="4"):
        SceneAdapter.validate_python({"task_type": TASK, "prompt": "x", "ref_imgs": ["x"] * 5})
    assert engine_class(ENGINE).limits.references == (1, 4)

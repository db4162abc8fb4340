"""Wan, VACE and SkyReels-V2: what is really asked of diffusers' pipelines, against the table in docs/models.md."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import published
import pytest
from PIL import Image
from pydantic import ValidationError

from studio.domain import SceneAdapter
from studio.errors import Refused
from studio.media.writer import write_video
from studio.pipelines import engine_class
from studio.pipelines.base import Inputs, Plan, Run
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.memory.footprint import Shape
from studio.pipelines.parts import SHELF
from studio.pipelines.pool import Pool
from studio.pipelines.wan import NEGATIVE, answering

PAGE = Path(__file__).parent.parent / "docs" / "models.md"
ENGINES = tuple(published.PUBLISHED)
GIVEN = {
    "image_to_video": {"input_image": "x"},
    "reference_to_video": {"ref_imgs": ["x", "x"]},
    "single_shot_extension": {"input_video": "x"},
}


def table() -> dict[tuple[str, str], dict[str, str]]:
    """The rows of docs/models.md headed "What is asked of the model", by engine and task."""
    lines = PAGE.read_text("utf-8").partition("## What is asked of the model")[2].partition("\n## ")[0].splitlines()
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    head, _, *body = rows
    return {(row[0], row[1]): dict(zip(head, row, strict=True)) for row in body}


CASES = [case for case in table() if case[0] in ENGINES]


@pytest.fixture(scope="module", autouse=True)
def shelf(tiny_shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    import torch

    folder, threads = tmp_path_factory.mktemp("shelf"), torch.get_num_threads()
    torch.set_num_threads(1)
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(folder / "x.png")
    grey = (np.full((32, 48, 3), 10 * i, np.uint8) for i in range(24))
    write_video(folder / "x.mp4", grey, 24, 24, layout="rgb24", audio=None, comment={}, posters=folder / "x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SHELF, str(tiny_shelf))
        patch.setenv(CACHE, str(folder / "cache"))
        yield folder
    torch.set_num_threads(threads)


def scene_of(task: str, **more: Any) -> Any:
    values = {"task_type": task, "prompt": "a lighthouse", "seed": 1, "duration": 0.3, **GIVEN.get(task, {}), **more}
    return SceneAdapter.validate_python(values)


def loaded(engine_id: str) -> Any:
    engine = engine_class(engine_id)()
    engine.pool = Pool()
    engine.load(Plan())
    return engine


def run_of(scene: Any, shelf: Path, folder: Path, **more: Any) -> Run:
    files = {item.field: shelf / ("x.mp4" if item.kind == "video" else "x.png") for item in scene.inputs()}
    return Run(1, Inputs(files=files, duration=scene.duration), Plan(), folder / "made", folder / "small", **more)


class Stop(Exception):
    """Seen enough of a call."""


# ------------------------------------------------------------------------------------------------ the real call
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_the_pipeline_is_called_as_the_table_says(
    case: tuple[str, str], shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import diffusers

    row, (engine_id, task) = table()[case], case
    seen: dict[str, Any] = {}

    def called(pipe: Any, **named: Any) -> Any:
        seen.update(named, shift=pipe.scheduler.config.flow_shift, built=dict(pipe.config))
        raise Stop

    monkeypatch.setattr(getattr(diffusers, row["pipeline"]), "__call__", called)
    engine = loaded(engine_id)
    resolution = row["sizes"].split()[0]
    scene = scene_of(task, resolution=resolution, duration=5.0)
    monkeypatch.setattr(type(engine), "given", _cheaply(engine))
    with pytest.raises(Stop):
        engine.run(scene, engine.Options(), run_of(scene, shelf, tmp_path))
    engine.close()
    told = [seen["num_inference_steps"], seen["guidance_scale"], seen.get("guidance_scale_2")]
    guidance = [float(value) for value in row["guidance"].split("/")]
    assert told == [int(row["steps"]), *guidance, *[None] * (2 - len(guidance))]
    assert seen["shift"] == float(row["shift"].split()[0])
    assert seen["num_frames"] == int(row["frames for 5 s"]) + (17 if task == "single_shot_extension" else 0)
    assert f"{seen['width']}×{seen['height']}" == row["sizes"].split()[1].strip("(),")
    assert engine.limits.fps == float(row["fps"])
    assert tuple(re.findall(r"\d+P", row["sizes"])) == engine.limits.resolutions
    assert str(seen["prompt_embeds"].shape[1]) == "512"
    boundary = seen["built"].get("boundary_ratio")
    assert boundary == (
        float(row["notes"].partition("boundary ")[2].split()[0]) if "boundary" in row["notes"] else None
    )


def _cheaply(engine: Any) -> Any:
    """At the real size only the call is looked at: pictures do not go through the VAE."""

    def given(self: Any, scene: Any, options: Any, run: Run) -> dict[str, Any]:
        return {"image": Image.new("RGB", (16, 16))} if scene.task_type == "image_to_video" else {"ahead": {}}

    return given


@pytest.mark.parametrize(
    ("engine_id", "task", "names"),
    [
        ("wan2.1-i2v-14b", "image_to_video", {"image", "last_image"}),
        ("wan2.2-i2v-a14b", "image_to_video", {"image", "last_image"}),
        ("wan2.1-vace-1.3b", "image_to_video", {"video", "mask"}),
        ("wan2.1-vace-1.3b", "reference_to_video", {"reference_images"}),
        ("skyreels-v2-df-1.3b", "single_shot_extension", {"video", "overlap_history", "base_num_frames"}),
    ],
)
def test_given_pictures_reach_the_pipeline_and_the_vae_sees_them_once(
    engine_id: str, task: str, names: set[str], shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, scene = loaded(engine_id), scene_of(task)
    pipe, vae, encoded, used = type(engine.pipe), engine.pipe.vae, [], []
    call, encode, using = pipe.__call__, vae.encode, engine.placement.using
    monkeypatch.setattr(pipe, "__call__", lambda self, **named: (used.append(set(named)), call(self, **named))[1])

    def counted(pixels: Any) -> Any:
        encoded.append(("transformer" in busy, pixels.shape))
        return encode(pixels)

    busy: list[str] = []

    def watched(*parts: str) -> Any:
        busy[:] = [*busy, *parts]
        return using(*parts)

    engine._picture = lambda: None  # the preview asks the VAE for its colours
    monkeypatch.setattr(vae, "encode", counted)
    monkeypatch.setattr(engine.placement, "using", watched)
    options = engine.Options(width=32, height=32, num_inference_steps=2)
    engine.run(scene, options, run_of(scene, shelf, tmp_path))
    engine.close()
    assert engine.shape(scene, options, Inputs(duration=1.0)).encodes
    assert names <= used[0]
    assert encoded and not any(late for late, _ in encoded)


def test_what_is_worked_out_ahead_is_what_the_pipeline_would_have_made(shelf: Path, tmp_path: Path) -> None:
    """The stock pipeline, called as its authors call it, makes the same latents to the bit."""
    import torch

    engine, scene = loaded("wan2.1-i2v-14b"), scene_of("image_to_video")
    run = run_of(scene, shelf, tmp_path)
    options = engine.Options(width=32, height=32, num_inference_steps=2)
    found: list[Any] = []
    engine.saved = lambda latents, scene, run: found.append(latents)
    engine.run(scene, options, run)
    with torch.no_grad():
        image = Image.open(run.inputs.files["input_image"]).resize((32, 32), Image.Resampling.LANCZOS, (10, 0, 50, 40))
        stock = engine.pipe(
            image=image, prompt=scene.prompt, negative_prompt=NEGATIVE, width=32, height=32, num_frames=5,
            num_inference_steps=2, guidance_scale=5.0, output_type="latent", return_dict=False,
            generator=torch.Generator("cpu").manual_seed(1),
        )[0]  # fmt: skip
    engine.close()
    assert torch.equal(found[0], stock)


def test_answers_are_taken_back(shelf: Path) -> None:
    class Owner:
        def method(self) -> str:
            return "its own"

    owner = Owner()
    with answering(owner, {"method": "worked out"}):
        assert owner.method() == "worked out"
    assert owner.method() == "its own"


def test_a_first_and_a_last_picture_differ_from_the_first_alone(shelf: Path, tmp_path: Path) -> None:
    for engine_id in ("wan2.2-i2v-a14b", "wan2.1-vace-1.3b"):
        engine, found = loaded(engine_id), []
        engine.saved = lambda latents, scene, run, found=found: found.append(latents)
        for more in ({}, {"end_image": "x"}):
            scene = scene_of("image_to_video", **more)
            options = engine.Options(width=32, height=32, num_inference_steps=2)
            engine.run(scene, options, run_of(scene, shelf, tmp_path))
        engine.close()
        assert engine.limits.end_image and not (found[0] == found[1]).all()


@pytest.mark.parametrize("engine_id", ["wan2.1-t2v-1.3b", "wan2.2-ti2v-5b"])
def test_words_alone_need_no_vae_before_the_first_step(engine_id: str) -> None:
    cls = engine_class(engine_id)
    assert not cls().shape(scene_of("text_to_video"), cls.Options(), Inputs(duration=1.0)).encodes


def test_two_networks_take_turns(shelf: Path, tmp_path: Path) -> None:
    engine, scene, used = loaded("wan2.2-t2v-a14b"), scene_of("text_to_video"), []
    for name in ("transformer", "transformer_2"):
        getattr(engine.pipe, name).register_forward_pre_hook(lambda *_, name=name: used.append(name))
    engine.run(scene, engine.Options(width=32, height=32, num_inference_steps=4), run_of(scene, shelf, tmp_path))
    engine.close()
    assert set(used) == {"transformer", "transformer_2"} and used == sorted(used)


def test_the_text_encoder_is_one_part_for_all_of_them() -> None:
    assert len({tuple(p for p in engine_class(name).parts if p.name == "text_encoder") for name in ENGINES}) == 1


# ------------------------------------------------------------------------------------------------ windows
def test_a_long_extension_goes_window_by_window_and_counts_all_steps(shelf: Path, tmp_path: Path) -> None:
    engine, scene = loaded("skyreels-v2-df-1.3b"), scene_of("single_shot_extension", duration=5.0)
    told: list[tuple[int, int]] = []
    through, decoded = list[int](), list[int]()  # latent frames at once
    run = run_of(scene, shelf, tmp_path, report=lambda done, total, preview: told.append((done, total)))
    options = engine.Options(width=32, height=32, num_inference_steps=2)
    engine.pipe.transformer.register_forward_pre_hook(
        lambda part, args, named: through.append(named["hidden_states"].shape[2]), with_kwargs=True
    )
    engine._picture = lambda: None  # the preview asks the VAE too
    decode = engine.pipe.vae.decode
    engine.pipe.vae.decode = lambda latents, **named: (decoded.append(latents.shape[2]), decode(latents, **named))[1]
    engine.run(scene, options, run)
    shape = engine.shape(scene, options, run.inputs)
    del engine.pipe.vae.decode
    engine.close()
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]  # 17 + 120 frames, 97 in a window
    assert engine.footprint.tokens(shape) == 2 * 2 * max(through)
    whole = replace(engine.footprint, decode_bytes=0.0, decode_frame_bytes=1.0).decode_peak(shape)
    assert decoded == [(whole // (32 * 32) - 1) // 4 + 1] and shape.encodes


def test_stopped_in_its_first_window_an_extension_keeps_that_window(shelf: Path, tmp_path: Path) -> None:
    engine, scene = loaded("skyreels-v2-df-1.3b"), scene_of("single_shot_extension", duration=5.0)
    told: list[int] = []
    run = run_of(
        scene, shelf, tmp_path, report=lambda done, total, preview: told.append(done), enough=lambda: len(told) == 2
    )
    found: list[Any] = []
    engine.saved = lambda latents, scene, run: found.append(latents)
    engine.run(scene, engine.Options(width=32, height=32, num_inference_steps=3), run)
    engine.close()
    assert told == [1, 2] and found[0].shape[2] == (97 - 1) // 4 + 1


# ------------------------------------------------------------------------------------------------ published sizes
@pytest.mark.parametrize("engine_id", ENGINES)
def test_the_published_configuration_weighs_what_the_footprint_says(engine_id: str) -> None:
    import torch
    from meta_tracker import cast, weight_bytes

    engine = engine_class(engine_id)
    network, kept = engine.footprint.network, engine.keep_float32
    for part in published.PUBLISHED[engine_id]:
        module = published.build(engine_id, part)
        on_disk = next(one for one in engine.parts if one.name == part).bytes
        published_as = weight_bytes(module) // (2 if part == "text_encoder" else 1)
        assert on_disk == pytest.approx(published_as, rel=0.01)
        if part == "text_encoder":
            module = module.to(torch.bfloat16)  # transformers keeps nothing of it in float32 beside bf16
        bytes_ = weight_bytes(module if part in kept or part == "text_encoder" else cast(module))
        if part.startswith("transformer"):
            blocks = [block for attr in engine.blocks[part] for block in getattr(module, attr)]
            assert network.blocks == len(blocks) and network.bytes == pytest.approx(bytes_, rel=0.01)
            assert network.block_bytes == pytest.approx(max(map(weight_bytes, blocks)), rel=0.01)
        else:
            said = {"text_encoder": "text_bytes", "vae": "vae_bytes", "image_encoder": "image_encoder_bytes"}[part]
            assert getattr(engine.footprint, said) == pytest.approx(bytes_, rel=0.01)
    assert network.count == sum(part.startswith("transformer") for part in published.PUBLISHED[engine_id])


@pytest.mark.parametrize("engine_id", ENGINES)
def test_tokens_are_those_of_the_network(engine_id: str) -> None:
    tokens = engine_class(engine_id).footprint.tokens(Shape(832, 480, 81))
    assert tokens == (21 * 15 * 26 if engine_id == "wan2.2-ti2v-5b" else 21 * 30 * 52)


@pytest.mark.parametrize("engine_id", ["wan2.1-t2v-14b", "wan2.2-ti2v-5b", "skyreels-v2-df-1.3b", "wan2.1-vace-14b"])
def test_a_forward_takes_what_the_footprint_says_also_at_sizes_it_was_not_fitted_on(engine_id: str) -> None:
    import torch
    from meta_tracker import cast, peak_bytes

    make, config = published.PUBLISHED[engine_id]["transformer"]
    layers = {} if "vace_layers" in config else {"num_layers": 2}  # one block at a time is alive; VACE keeps its hints
    with torch.device("meta"):
        network = cast(make(**{**config, **layers}))
    footprint, shape = engine_class(engine_id).footprint, Shape(1088, 624, 49)
    _, rows, columns = footprint.scale
    size = (1, config["in_channels"], 13, shape.height // rows, shape.width // columns)
    latents, words = meta(*size), meta(1, 512, 4096)
    more = {
        "wan2.2-ti2v-5b": {"timestep": meta(1, footprint.tokens(shape), dtype=torch.float32)},
        "skyreels-v2-df-1.3b": {
            "timestep": meta(1, 13, dtype=torch.long), "enable_diffusion_forcing": True, "fps": [1],
        },
        "wan2.1-vace-14b": {
            "control_hidden_states": meta(1, 96, *size[2:]), "control_hidden_states_scale": torch.ones(8),
        },
    }.get(engine_id, {})  # fmt: skip
    named = {
        "hidden_states": latents, "encoder_hidden_states": words, "timestep": meta(1, dtype=torch.float32), **more,
    }  # fmt: skip
    peak = peak_bytes(
        network, lambda: network(**named), [one for one in named.values() if isinstance(one, torch.Tensor)]
    )
    assert footprint.activation_bytes(shape) == pytest.approx(peak, rel=0.01)


def meta(*size: int, dtype: Any = None) -> Any:
    import torch

    return torch.empty(*size, device="meta", dtype=dtype or torch.bfloat16)


# ------------------------------------------------------------------------------------------------ bad input
def test_a_size_that_is_no_multiple_is_refused_with_the_multiple(shelf: Path) -> None:
    for engine_id, side, multiple in (("wan2.1-t2v-1.3b", 40, 16), ("wan2.2-ti2v-5b", 48, 32)):
        engine = engine_class(engine_id)()
        with pytest.raises(Refused) as refused:
            engine.shape(scene_of("text_to_video"), engine.Options(width=side, height=64), Inputs(duration=1))
        assert refused.value.code == "engine.size_multiple" and refused.value.params["multiple"] == multiple


def test_a_clip_shorter_than_the_overlap_is_refused_with_the_cure(shelf: Path, tmp_path: Path) -> None:
    black = (np.zeros((32, 48, 3), np.uint8) for _ in range(12))
    write_video(tmp_path / "s.mp4", black, 24, 12, layout="rgb24", audio=None, comment={}, posters=tmp_path / "s")
    engine, scene = loaded("skyreels-v2-df-1.3b"), scene_of("single_shot_extension")
    inputs = Inputs(files={"input_video": tmp_path / "s.mp4"}, duration=0.3)
    with pytest.raises(Refused) as refused:
        engine.run(scene, engine.Options(width=32, height=32), Run(1, inputs, Plan(), tmp_path / "m", tmp_path / "p"))
    engine.close()
    assert refused.value.code == "engine.clip_too_short" and refused.value.params["needed"] == 0.71


def test_more_references_than_it_takes_are_refused(shelf: Path) -> None:
    assert engine_class("wan2.1-vace-14b").limits.references == (1, 4)
    with pytest.raises(ValidationError):
        scene_of("reference_to_video", ref_imgs=["x"] * 5)

"""Plans as faces see them, the plan at claim, what is said where nothing fits, and which engine suits a machine."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import instant_engine
import pytest
from drawing import draw
from runner_tools import SHOT, add, states
from starlette.testclient import TestClient
from test_runner_policy import Clock

from studio.api import make_api
from studio.domain import SceneAdapter
from studio.errors import Refused
from studio.pipelines import ENGINES, engine_class, engines_for
from studio.pipelines.base import Inputs, Limits, Machine, Made, Plan, Run
from studio.pipelines.memory.footprint import Footprint, Network, Shape
from studio.service import Studio
from studio.tools import ToolRun, load

GB = 1_000_000_000
SEEN: list[Plan] = []


class Weighty(instant_engine.Instant):
    """10 GB of weights, of which 9 can be streamed; activations by pixels and frames."""

    id = "weighty"
    tasks = frozenset({"text_to_video"})
    lane = "cpu"
    limits = Limits(fps=8.0)
    footprint: ClassVar[Footprint] = Footprint(
        Network(9, GB, GB // 2, GB, 1000, activation=12.0, activation_chunked=12.0, flops_per_token=1e9),
        vae_bytes=GB // 2, decode_bytes=1000.0, tiles=False, steps=10,
    )  # fmt: skip

    def shape(self, scene: Any, options: Any, inputs: Any) -> Shape:
        return Shape(*scene.size, round((inputs.duration or 1) * 8))

    def run(self, scene: Any, options: Any, run: Run) -> Made:
        SEEN.append(run.plan)
        made = super().run(scene, options, run)
        return replace(made, facts={"step_seconds": 0.5, "steps": 3})


class Lighter(Weighty):
    id = "lighter"
    footprint: ClassVar[Footprint] = replace(Weighty.footprint, network=replace(Weighty.footprint.network, blocks=3))


@pytest.fixture
def on(build: Callable[..., Studio], instant: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Studio]:
    """A studio on a machine of that much memory, in GB, with the engines above."""
    monkeypatch.setitem(ENGINES, "weighty", "test_service_memory:Weighty")
    monkeypatch.setitem(ENGINES, "lighter", "test_service_memory:Lighter")
    engine_class.cache_clear()
    SEEN.clear()

    def studio(vram: float, ram: float = 64.0, **more: Any) -> Studio:
        gpu = "Test card" if vram else ""
        machine = Machine(4, ram, gpu, vram, ram_free_gb=ram, vram_free_gb=vram, **more)
        monkeypatch.setattr("studio.app.this_machine", lambda settings: machine)
        return build()

    return studio


WISH = {**SHOT, "engine": "weighty", "resolution": "480P"}


# ------------------------------------------------------------------------------------------------ at claim
def test_a_job_gets_the_plan_that_fits_when_it_is_claimed(on: Callable[..., Studio]) -> None:
    studio = on(8)
    queue = studio.queues.create("Q")["id"]
    scene = add(studio, queue, engine="weighty", resolution="480P")
    studio.runs.run(queue)
    studio.drain()
    (plan,) = SEEN
    assert plan.profile == "hybrid" and plan.transformer == "stream" and 0 < plan.resident_blocks < 9
    (take,) = studio._store.takes.of_scene(scene)
    assert take.profile == "hybrid" and take.facts["plan"]["peak_bytes"] == plan.peak_bytes


def test_a_scene_that_fits_in_no_way_fails_with_its_cure_and_the_queue_goes_on(
    on: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = on(8)
    queue = studio.queues.create("Q")["id"]
    add(studio, queue, engine="weighty", resolution="480P")
    add(studio, queue, engine="instant")
    studio.runs.run(queue)
    small = Machine(4, 64, "Test card", 3.0, ram_free_gb=64, vram_free_gb=3.0)
    monkeypatch.setattr(studio.memory._planner, "_machine", lambda: small)  # another program took the card meanwhile
    studio.drain()
    assert states(studio, queue) == ["failed", "done"]
    error = studio.queues.get(queue)["scenes"][0]["error"]
    assert error["code"] == "memory.nothing_fits" and error["params"]["engine"] == "weighty"
    told = studio.words.error(error, "en")
    assert "GB of video memory" in told["message"] and told["hint"]


def test_a_scene_whose_memory_others_have_is_tried_again(
    on: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the queue wants that; one that fits in no way is not tried in vain."""
    studio = on(8)
    queue = studio.queues.create("Q")["id"]
    studio.queues.update(queue, {"on_error": "retry", "retries": 2})
    scene = add(studio, queue, engine="weighty", resolution="480P")
    studio.runs.run(queue)
    free = iter([3.0, 3.0, 8.0])

    def machine() -> Machine:
        return Machine(4, 64, "Test card", 8.0, ram_free_gb=64, vram_free_gb=next(free, 8.0))

    monkeypatch.setattr(studio.memory._planner, "_machine", machine)
    Clock(studio)
    studio.drain()
    assert states(studio, queue) == ["done"] and len(SEEN) == 1
    (take,) = studio._store.takes.of_scene(scene)
    assert take.facts["plan"]["peak_bytes"] <= 8 * GB


def test_an_engine_without_a_footprint_needs_no_plan(on: Callable[..., Studio]) -> None:
    studio = on(8)
    answer = studio.memory.plan_of({**WISH, "engine": "instant"})
    assert answer["engine"] == "instant" and not any(answer[name] for name in ("plan", "refused", "profiles"))


def test_runs_teach_later_plans(on: Callable[..., Studio]) -> None:
    studio = on(8)
    before = studio.memory.plan_of(WISH)["plan"]
    assert before["guess"]
    facts = {
        "profile": "hybrid", "step_seconds": 4 * before["step_seconds"],
        "plan": {"peak_bytes": 1, "step_seconds": before["step_seconds"]},
    }  # fmt: skip
    studio._store.calibration.learn("weighty", "text_to_video", facts, (848, 480, 2))
    after = studio.memory.plan_of(WISH)["plan"]
    assert not after["guess"] and after["step_seconds"] == pytest.approx(4 * before["step_seconds"], rel=1e-3)


def test_what_a_take_took_is_written_down(on: Callable[..., Studio]) -> None:
    studio = on(8)
    queue = studio.queues.create("Q")["id"]
    add(studio, queue, engine="weighty", resolution="480P")
    studio.runs.run(queue)
    studio.drain()
    assert not studio.memory.plan_of(WISH)["plan"]["guess"]


# ------------------------------------------------------------------------------------------------ before the run
def test_a_form_that_is_not_finished_is_told_its_plan_and_every_profile(on: Callable[..., Studio]) -> None:
    studio = on(8)
    answer = studio.memory.plan_of({"task_type": "text_to_video", "engine": "weighty", "resolution": "480P"})
    plan = answer["plan"]
    assert plan["profile"] == "hybrid" and plan["blocks"] == 9 and 0 < plan["resident_blocks"] < 9
    assert plan["peak_bytes"] < 8 * GB and plan["step_seconds"] > 0
    assert {row["profile"]: row["ok"] for row in answer["profiles"]} == {
        "resident": False, "swap": False, "hybrid": True, "stream8": False, "tight": True, "disk": True,
    }  # fmt: skip
    assert answer["refused"] is answer["next_best"] is None


def test_a_scene_that_does_not_fit_is_told_what_would(on: Callable[..., Studio]) -> None:
    studio = on(5.7)
    answer = studio.memory.plan_of({**WISH, "resolution": "720P", "duration": 12})
    assert answer["plan"] is None and answer["refused"]["code"] == "memory.fits_smaller"
    best = answer["next_best"]
    assert best["resolution"] in ("480P", "540P") and best["seconds"] == 12
    assert f"{best['width']} × {best['height']}" in studio.words.error(answer["refused"], "en")["hint"]


def next_best(studio: Studio, engine: str, vram: float, inputs: Inputs, **wish: Any) -> Any:
    """What the planner would make in place of a scene of a published engine on such a card."""
    planner, cls = studio.memory._planner, engine_class(engine)
    scene = SceneAdapter.validate_python({"prompt": "x", **wish})
    asked = planner.asked(cls, scene, inputs)
    machine = Machine(8, 64, "Test card", vram, ram_free_gb=64, vram_free_gb=vram)
    assert asked is not None
    with pytest.raises(Refused):
        planner.plan(asked, machine, "auto", allow_8bit=False)
    return planner.next_best(asked, machine, "auto", scene, allow_8bit=False)


def test_what_would_fit_has_the_shape_that_the_engine_would_make(studio: Studio, tmp_path: Path) -> None:
    tall = draw(tmp_path / "tall.png", (60, 120))
    inputs = Inputs(files={"ref_imgs.0": tall}, duration=5.0)
    wish = {"task_type": "reference_to_video", "ref_imgs": ["x"], "resolution": "720P", "aspect": "16:9"}
    best = next_best(studio, "skyreels-v3-r2v-14b", 10.0, inputs, **wish)
    assert (best.resolution, best.shape.width, best.shape.height) == ("540P", 512, 1024) and best.seconds > 5


def test_preflight_tells_plans_and_refuses_what_fits_in_no_way(on: Callable[..., Studio]) -> None:
    studio = on(5.7)
    queue = studio.queues.create("Q")["id"]
    add(studio, queue, engine="weighty", resolution="480P", duration=1)
    add(studio, queue, engine="weighty", resolution="720P", duration=12)
    add(studio, queue, engine="weighty", resolution="480P", profile="resident")
    add(studio, queue, engine="instant")
    scenes = studio.preflight.queue(queue)["scenes"]
    assert [scene["plan"] and scene["plan"]["profile"] for scene in scenes] == ["hybrid", None, None, None]
    codes = [[problem["code"] for problem in scene["problems"] if problem["level"] == "error"] for scene in scenes]
    assert codes == [[], ["memory.fits_smaller"], ["memory.profile_unfit"], []]


@pytest.mark.parametrize(("vram", "seconds", "long"), [(0, 12, True), (0, 0.25, False), (24, 12, False)])
def test_without_a_gpu_a_large_model_is_said_to_take_long(
    on: Callable[..., Studio], vram: float, seconds: float, long: bool
) -> None:
    studio = on(vram)
    queue = studio.queues.create("Q")["id"]
    add(studio, queue, engine="weighty", resolution="480P", duration=seconds)
    (scene,) = studio.preflight.queue(queue)["scenes"]
    found = {problem["code"]: problem for problem in scene["problems"]}
    assert ("preflight.slow_cpu" in found) == long
    if not long:
        return
    problem = found["preflight.slow_cpu"]
    reckoned = scene["plan"]["step_seconds"] * Weighty.footprint.steps / 3600
    assert (problem["level"], problem["params"]["hours"]) == ("warning", pytest.approx(reckoned, abs=0.5))
    for language in ("en", "pt", "zh"):
        told = studio.words.error(problem, language)
        assert f"{reckoned:.0f}"[0] in told["message"] and "weighty" in told["message"] and told["hint"]


def test_a_queue_is_told_of_by_profile(on: Callable[..., Studio]) -> None:
    studio = on(5.7)
    queue = studio.queues.create("Q")["id"]
    add(studio, queue, engine="weighty", resolution="480P", duration=1)
    add(studio, queue, engine="weighty", resolution="720P", duration=12)
    add(studio, queue, engine="instant")
    rows = {row["profile"]: row for row in studio.memory.queue(queue)["profiles"]}
    assert (rows["hybrid"]["ok"], rows["hybrid"]["scenes_that_fit"], rows["hybrid"]["scenes"]) == (False, 1, 2)
    assert rows["hybrid"]["seconds"]["guess"] and rows["hybrid"]["seconds"]["median"] > 0
    assert rows["resident"]["scenes_that_fit"] == 0 and rows["resident"]["reason"]["code"] == "memory.vram"


# ------------------------------------------------------------------------------------------------ engines
@pytest.mark.parametrize(
    ("vram", "chosen"),
    [(24, "weighty"), (10, "lighter"), (5.7, "lighter"), (0, "lighter")],
    ids=["the larger stays on the device", "only the smaller does", "the smaller one is streamed", "no GPU"],
)
def test_auto_takes_what_suits_the_machine(
    on: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch, vram: float, chosen: str
) -> None:
    studio = on(vram)
    for engine_id in list(ENGINES):
        if engine_id not in ("weighty", "lighter", "draft"):
            monkeypatch.delitem(ENGINES, engine_id)
    policy = studio._store.queues.get(studio.queues.create("Q")["id"]).policy
    assert studio.engines.pick("text_to_video", "auto", policy).engine.id == chosen


@pytest.mark.parametrize(
    ("vram", "task", "first"),
    [
        (141, "reference_to_video", "skyreels-v3-r2v-14b"),
        (141, "single_shot_extension", "skyreels-v3-v2v-14b"),
        (141, "talking_avatar", "infinitetalk"),
        (24, "image_to_video", "wan2.2-ti2v-5b"),
        (24, "reference_to_video", "wan2.1-vace-1.3b"),
        (24, "text_to_image", "sdxl"),
    ],
)  # fmt: skip
def test_the_published_models_by_the_size_of_the_card(
    on: Callable[..., Studio], vram: float, task: str, first: str
) -> None:
    planner = on(vram).memory._planner
    machine = planner.whole()
    able = [cls for cls in engines_for(task) if cls.parts]
    assert min(able, key=lambda cls: planner.rank(cls, machine)).id == first


def test_an_engine_that_fits_in_no_way_says_so(on: Callable[..., Studio]) -> None:
    studio = on(2)
    found = {engine["id"]: engine["availability"] for engine in studio.engines.list()}
    assert found["weighty"]["state"] == "unfit" and found["weighty"]["reason"] == "memory.nothing_fits"
    assert found["instant"]["state"] == found["draft"]["state"] == "ready"


# ------------------------------------------------------------------------------------------------ measuring
def test_the_machine_is_measured_and_remembered(
    on: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    studio = on(0)
    client = TestClient(make_api(studio))
    assert client.get("/memory").json()["measured"] is None
    monkeypatch.setattr("studio.tools.TOOLS", {"measure_machine": "test_service_memory:measured"})
    client.post("/memory/measure")
    studio.memory._thread.join()  # type: ignore[union-attr]
    memory = client.get("/memory").json()
    assert memory["measured"].pop("at") and memory["measured"] == {"copy_gb_s": 9.0, "disk_gb_s": 2.0, "tflops": 1.0}
    assert memory["measuring"] is memory["measure_error"] is None
    assert studio.memory._planner.now().copy_gb_s == 9.0


def measured(arguments: Any, run: ToolRun) -> Any:
    run.step(1, 3, "copy")
    return {"copy_gb_s": 9.0, "disk_gb_s": 2.0, "tflops": 1.0}


def test_measuring_says_how_far_it_is_and_leaves_nothing_on_the_disk(tmp_path: Path) -> None:
    said: list[tuple[int, int, str]] = []
    run = ToolRun(lambda done, total, note: said.append((done, total, note)))
    arguments = {"device": "cpu", "folder": str(tmp_path), "scale": 0.001}
    found = load("measure_machine")(arguments, run)
    assert isinstance(found, dict) and all(value > 0 for value in found.values())
    assert list(dict.fromkeys(note for *_, note in said)) == ["copy", "disk", "tflops"]
    assert [done for done, *_ in said] == sorted(done for done, *_ in said) and said[-1][0] == said[-1][1]
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------ before it is finished
class Still(Weighty):
    """Prefers itself, but makes small pictures and no long ones."""

    id = "still"
    tasks = frozenset({"text_to_video", "talking_avatar", "reference_to_video"})
    limits = Limits(resolutions=("480P",), seconds={"text_to_video": (0.5, 3.0)}, fps=8.0, references=(1, 2))
    footprint: ClassVar[Footprint] = replace(Weighty.footprint, network=replace(Weighty.footprint.network, blocks=30))


class Broad(Weighty):
    id = "broad"
    tasks = Still.tasks
    limits = Limits(fps=8.0, speakers=2)


@pytest.mark.parametrize(
    ("scene", "engine"),
    [
        ({"resolution": "480P", "duration": 2.0}, "still"),
        ({"resolution": "720P", "duration": 2.0}, "broad"),
        ({"resolution": "480P", "duration": 4.0}, "broad"),
        ({"resolution": "480P", "duration": "a while"}, "broad"),  # what makes no sense yet says nothing: 720P
        ({"resolution": "480P", "duration": 2.0, "engine": "broad"}, "broad"),
        ({"task_type": "reference_to_video", "resolution": "480P", "ref_imgs": []}, "still"),  # they may still come
        ({"task_type": "reference_to_video", "resolution": "480P", "ref_imgs": ["a", "b", "c"]}, "broad"),
        ({"task_type": "reference_to_video", "resolution": "720P", "ref_imgs": []}, "broad"),
        ({"task_type": "talking_avatar", "resolution": "480P", "lines": [{"character": "A"}, {"character": "B"}]},
         "broad"),
    ],
)  # fmt: skip
def test_a_form_names_the_engine_that_the_run_takes(
    on: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch, scene: dict[str, Any], engine: str
) -> None:
    for cls in (Still, Broad):
        monkeypatch.setitem(ENGINES, cls.id, f"test_service_memory:{cls.__name__}")
    for other in ("instant", "weighty", "lighter"):
        monkeypatch.delitem(ENGINES, other)
    studio = on(80, 128)
    asked = {"task_type": "text_to_video", "engine": "auto", **scene}
    assert studio.memory.engine_for(asked) == engine
    if scene.get("duration") != "a while":
        assert studio.memory.plan_of(asked)["engine"] == engine

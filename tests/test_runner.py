"""The life of a job: failures and what the queue does about them, crashes, cancels, edits while something waits."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from runner_tools import SHOT, add, states

from studio.errors import Conflict, Refused, StudioError
from studio.runner.recovery import finished_files, sweep
from studio.service import Studio
from studio.store.ends import MAX_CRASHES


@pytest.fixture
def queue(studio: Studio) -> str:
    return str(studio.queues.create("Night pier", frame={"width": 256, "height": 144})["id"])


def code_of(studio: Studio, scene: str) -> str | None:
    error = studio.scenes.get(scene)["error"]
    return error["code"] if error else None


def during(instant: Any, action: Callable[[], Any], times: int = 1) -> list[Any]:
    """Do something while a scene is being rendered; what it gave."""
    given: list[Any] = []

    def hook(scene: Any, run: Any) -> None:
        if len(given) < times:
            given.append(None)
            given[-1] = action()

    instant.ON_RUN.append(hook)
    return given


# ------------------------------------------------------------------------------------------------ all is well
def test_a_queue_is_rendered_in_order_and_stays(studio: Studio, queue: str, instant: Any) -> None:
    add(studio, queue, "one", "hello", "there")
    add(studio, queue, "two")
    assert studio.runs.run(queue) == {"queued": 2, "jobs": 4}
    assert studio.queues.get(queue)["queue"]["state"] == "running"
    assert studio.drain() == 4
    assert [made[0] for made in instant.MADE] == ["speech", "speech", "text_to_video", "text_to_video"]
    assert states(studio, queue) == ["done", "done"]
    assert studio.runs.run(queue) == {"queued": 0, "jobs": 0}
    view = studio.queues.get(queue)["queue"]
    assert view["state"] == "done" and view["counts"]["done"] == 2
    assert studio.system.now()["waiting"] == 0 and studio.system.now()["running"] == []


def test_what_is_rendered_is_shown_while_it_is(studio: Studio, queue: str, instant: Any) -> None:
    scene = add(studio, queue, "one")
    studio.runs.run(queue)
    (seen,) = [during(instant, lambda: (studio.system.now(), studio.snapshot(queue)))]
    studio.drain()
    now, page = seen[0]
    assert [(row["scene_id"], row["number"], row["of"], row["layer"]) for row in now["running"]] == [
        (scene, 1, 1, "picture")
    ]
    assert page["scenes"][0]["state"] == "running" and scene in page["progress"]


# ------------------------------------------------------------------------------------------------ failures
def test_a_failure_is_skipped_by_default(studio: Studio, queue: str) -> None:
    bad, _ = add(studio, queue, "fail"), add(studio, queue)
    studio.runs.run(queue)
    studio.drain()
    assert states(studio, queue) == ["failed", "done"] and code_of(studio, bad) == "engine.failed"
    assert studio.queues.get(queue)["queue"]["state"] == "failed"


def test_a_failure_stops_a_queue_that_wants_it(studio: Studio, queue: str, instant: Any) -> None:
    for prompt in ("fine", "fail", "never", "never"):
        add(studio, queue, prompt)
    studio.queues.update(queue, {"on_error": "stop"})
    other = str(studio.queues.create("Other")["id"])
    add(studio, other, "goes on")
    studio.runs.run(queue), studio.runs.run(other)
    studio.drain()
    assert states(studio, queue) == ["done", "failed", "cancelled", "cancelled"]
    assert states(studio, other) == ["done"]
    assert studio.runs.retry(queue)["queued"] == 3


def test_an_input_that_went_away_stops_it_too(studio: Studio, queue: str, tmp_path: Path, picture: Path) -> None:
    asset = studio.library.add(picture, "a.png")
    studio.scenes.add(queue, {"task_type": "image_to_video", "input_image": asset["ref"], "duration": 0.25})
    add(studio, queue)
    studio.queues.update(queue, {"on_error": "stop"})
    studio.runs.run(queue)
    studio.library.file(asset["sha256"]).unlink()  # after preflight has seen it
    studio.drain()
    assert states(studio, queue) == ["failed", "cancelled"]
    assert studio.queues.get(queue)["scenes"][0]["error"]["code"] == "input.gone"
    assert studio.queues.get(queue)["scenes"][0]["error"]["params"]["name"] == "a.png"  # not the hash it lies under


def test_a_full_disk_pauses_the_queue_and_keeps_the_scene(studio: Studio, queue: str, instant: Any) -> None:
    scene, _ = add(studio, queue, "full"), add(studio, queue, "after")
    studio.runs.run(queue)
    for _ in range(MAX_CRASHES + 1):  # however often somebody tries
        studio.drain()
        assert studio.queues.get(queue)["queue"]["state"] == "paused"
        assert states(studio, queue) == ["queued", "queued"]
        assert studio.scenes.get(scene)["note"] == "note.disk_full"
        studio.runs.resume(queue)
    studio.scenes.edit(scene, {"prompt": "room again"})
    studio.drain()
    assert states(studio, queue) == ["done", "done"]


def test_a_lost_worker_is_no_failure_until_the_third_time(studio: Studio, queue: str, instant: Any) -> None:
    scene = add(studio, queue, "lost")
    studio.runs.run(queue)
    notes = []
    instant.ON_RUN.append(lambda scene_, run: notes.append(studio.scenes.get(scene)["note"]))
    studio.drain()
    assert notes == [None, "note.resumed", "note.resumed"]
    assert states(studio, queue) == ["failed"] and code_of(studio, scene) == "worker.died"


def test_what_breaks_in_the_runner_fails_the_scene_and_not_the_studio(
    studio: Studio, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, _ = add(studio, queue, "odd"), add(studio, queue)
    studio.runs.run(queue)
    whole = studio._runner.assigner.assignment
    monkeypatch.setattr(
        studio._runner.assigner,
        "assignment",
        lambda job, extract: whole(job, extract) if job.scene_id != scene else 1 / 0,
    )
    studio.drain()
    assert states(studio, queue) == ["failed", "done"] and code_of(studio, scene) == "job.broken"


def test_a_voice_that_fails_fails_its_scene(studio: Studio, queue: str) -> None:
    scene = add(studio, queue, "one", "fine", "fail")
    studio.runs.run(queue)
    studio.drain()
    assert states(studio, queue) == ["failed"]
    studio.scenes.edit(scene, {"lines": [{"text": "fine"}, {"text": "better"}]})
    assert states(studio, queue) == ["draft"]
    studio.runs.run(queue)
    studio.drain()
    assert states(studio, queue) == ["done"]


# ------------------------------------------------------------------------------------------------ cancel, skip, stop
def test_a_waiting_scene_is_cancelled(studio: Studio, queue: str, instant: Any) -> None:
    scene = add(studio, queue)
    studio.runs.run(queue)
    assert studio.scenes.cancel(scene)["state"] == "cancelled"
    assert studio.drain() == 0 and instant.MADE == []
    studio.runs.run(queue)
    studio.drain()
    assert states(studio, queue) == ["done"]


def test_a_running_scene_is_cancelled_and_leaves_nothing(studio: Studio, queue: str, instant: Any) -> None:
    scene, _ = add(studio, queue, "wait"), add(studio, queue)
    studio.runs.run(queue)
    during(instant, lambda: studio.scenes.cancel(scene))
    studio.drain()
    assert states(studio, queue) == ["cancelled", "done"]
    assert studio.scenes.get(scene)["take_list"] == []
    assert not list(studio.settings.output_dir.rglob("*.part"))
    assert studio._runner._cancelled == set()


def test_a_cancel_between_claim_and_worker_is_heard(
    studio: Studio, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = add(studio, queue, "wait")
    studio.runs.run(queue)
    whole = studio._runner.assigner.assignment

    def asked_now(job: Any, extract: Any) -> Any:
        studio.scenes.cancel(scene)  # the job runs by now, and no executor knows it
        return whole(job, extract)

    monkeypatch.setattr(studio._runner.assigner, "assignment", asked_now)
    studio.drain()
    assert states(studio, queue) == ["cancelled"]


def test_skip_goes_on_with_the_next(studio: Studio, queue: str, instant: Any) -> None:
    add(studio, queue, "wait"), add(studio, queue)
    studio.runs.run(queue)
    skipped = during(instant, studio.scenes.skip)
    studio.drain()
    assert skipped == [1] and states(studio, queue) == ["cancelled", "done"]
    assert studio.scenes.skip() == 0


def test_stop_cancels_this_queue_only(studio: Studio, queue: str, instant: Any) -> None:
    add(studio, queue, "wait"), add(studio, queue)
    other = str(studio.queues.create("Other")["id"])
    add(studio, other)
    studio.runs.run(queue), studio.runs.run(other)
    during(instant, lambda: studio.runs.stop(queue))
    studio.drain()
    assert states(studio, queue) == ["cancelled", "cancelled"] and states(studio, other) == ["done"]


def test_a_cancel_does_not_bring_back_an_edited_scene(studio: Studio, queue: str) -> None:
    scene = add(studio, queue)
    studio.runs.run(queue)
    studio.drain()
    studio.scenes.edit(scene, {"prompt": "fail"})
    studio.runs.run(queue)
    studio.drain()
    studio.scenes.edit(scene, {"prompt": "another"})
    assert studio.scenes.cancel(scene)["state"] == "draft"  # failed, and edited since
    studio.runs.stop(queue)
    assert states(studio, queue) == ["draft"]


# ------------------------------------------------------------------------------------------------ pause, retry, restart
def test_a_paused_queue_finishes_its_scene_and_starts_no_other(studio: Studio, queue: str, instant: Any) -> None:
    add(studio, queue), add(studio, queue)
    studio.runs.run(queue)
    during(instant, lambda: studio.runs.pause(queue))
    studio.drain()
    assert states(studio, queue) == ["done", "queued"]
    assert studio.queues.get(queue)["queue"]["state"] == "paused" and studio.system.now()["paused"]
    studio.runs.resume(queue)
    studio.drain()
    assert states(studio, queue) == ["done", "done"]


def test_retry_takes_what_failed_and_restart_takes_all(studio: Studio, queue: str, instant: Any) -> None:
    bad, good = add(studio, queue, "fail"), add(studio, queue, "good", "hello")
    studio.runs.run(queue)
    studio.drain()
    instant.MADE.clear()
    assert studio.runs.retry(queue)["queued"] == 1
    studio.drain()
    assert len(instant.MADE) == 1
    studio.scenes.edit(bad, {"prompt": "fine"})
    instant.MADE.clear()
    assert studio.runs.restart(queue)["queued"] == 2
    studio.drain()
    assert sorted(made[0] for made in instant.MADE) == ["speech", "text_to_video", "text_to_video"]
    assert [take["number"] for take in studio.scenes.get(good)["take_list"]] == [2, 1]
    assert states(studio, queue) == ["done", "done"]


def test_only_the_named_scenes_run_done_or_not(studio: Studio, queue: str) -> None:
    first, second = add(studio, queue), add(studio, queue)
    studio.runs.run(queue, only=[first, "unknown"])
    studio.drain()
    assert states(studio, queue) == ["done", "draft"]
    studio.scenes.run(first)
    studio.drain()
    assert studio.scenes.get(first)["takes"] == 2 and studio.scenes.get(second)["takes"] == 0


def test_speech_that_is_run_again_is_spoken_again(studio: Studio, queue: str, instant: Any) -> None:
    scene = str(studio.scenes.add(queue, {"task_type": "speech", "lines": [{"text": "a"}, {"text": "b"}]})["id"])
    for _ in range(2):
        instant.MADE.clear()
        assert studio.scenes.run(scene)["state"] == "queued"
        studio.drain()
        assert len(instant.MADE) == 2 and states(studio, queue) == ["done"]
    studio.runs.restart(queue)
    during(instant, lambda: studio.runs.stop(queue))
    studio.drain()
    studio.runs.run(queue)
    studio.drain()
    assert states(studio, queue) == ["done"]


# ------------------------------------------------------------------------------------------------ edits
def test_an_edit_marks_a_done_scene_as_changed_and_a_label_does_not(studio: Studio, queue: str) -> None:
    scene = add(studio, queue)
    studio.runs.run(queue)
    studio.drain()
    for harmless in ({"label": "Lamp"}, {"in_cut": False}, {"transition": "dissolve"}):
        assert studio.scenes.edit(scene, harmless)["changed"] == []
    edited = studio.scenes.edit(scene, {"prompt": "another"})
    assert (edited["state"], edited["changed"], edited["takes"]) == ("done", ["picture"], 1)
    assert studio.runs.run(queue)["queued"] == 1


def test_only_changed_lines_are_spoken_again(studio: Studio, queue: str, instant: Any) -> None:
    scene = add(studio, queue, "shot", "same", "old")
    studio.runs.run(queue)
    studio.drain()
    lines = studio.scenes.get(scene)["scene"]["lines"]
    lines[1]["text"] = "new"
    studio.scenes.edit(scene, {"lines": lines})
    instant.MADE.clear()
    studio.runs.run(queue)
    studio.drain()
    assert [(task, said) for task, _, said in instant.MADE] == [("speech", "new")]  # it fits: no picture is made
    assert [line["text"] for line in studio.exports.timeline(queue)["lines"]] == ["same", "new"]


def test_a_character_speaks_with_their_voice(studio: Studio, queue: str, instant: Any) -> None:
    project = studio._store.queues.get(queue).project_id
    studio._store.queues.add_character(project, "Inês", "deep")
    scene = add(studio, queue, lines=[{"character": "inês", "text": "a"}, {"text": "b", "voice": "own"}])
    studio.runs.run(queue)
    studio.drain()
    spoken = studio.scenes.get(scene)["line_takes"].values()
    assert sorted(studio.takes.get(take["id"])["facts"]["voice"] for take in spoken) == ["deep", "own"]
    studio._store.queues.add_character(project, "Inês", "thin")
    instant.MADE.clear()
    studio.scenes.run(scene)
    studio.drain()
    assert [said for task, _, said in instant.MADE if task == "speech"] == ["a"]


def test_a_waiting_scene_may_be_edited(studio: Studio, queue: str, instant: Any) -> None:
    """Lines come, go and change after their voices were queued, even spoken; the picture waits for the right ones."""
    add(studio, queue, "first")
    scene = add(studio, queue, "shot", "kept", "changed", "gone")
    studio.runs.run(queue)
    lines = studio.scenes.get(scene)["scene"]["lines"]

    def edit() -> None:
        if instant.MADE[-1][2] == "changed":
            studio.runs.pause(queue)

    instant.ON_RUN.append(lambda scene_, run: edit())
    studio.drain()
    assert studio.scenes.get(scene)["state"] == "queued"
    lines[1]["text"] = "other"
    edited = studio.scenes.edit(scene, {"lines": [lines[0], lines[1], {"text": "new"}]})
    assert edited["state"] == "queued" and studio.queues.get(queue)["queue"]["paused"]
    instant.MADE.clear()
    studio.runs.resume(queue)
    studio.drain()
    assert [said for _, _, said in instant.MADE] == ["other", "new", "", "kept other new"]  # voices before pictures
    assert states(studio, queue) == ["done", "done"]


def test_a_waiting_scene_that_can_no_longer_run_is_a_draft(studio: Studio, queue: str) -> None:
    scene = add(studio, queue)
    studio.runs.run(queue)
    assert studio.scenes.edit(scene, {"options": {"instant": {"gray": 1}}})["state"] == "draft"
    with pytest.raises(Conflict) as refused:
        studio.runs.run(queue)
    assert refused.value.code == "preflight.errors" and refused.value.params["field"] == "options.instant.gray"
    assert studio.drain() == 0


def test_a_running_scene_is_neither_edited_nor_deleted(studio: Studio, queue: str, instant: Any) -> None:
    scene = add(studio, queue)
    studio.runs.run(queue)
    codes: list[str] = []

    def try_all() -> None:
        for verb in (
            lambda: studio.scenes.edit(scene, {"prompt": "x"}),
            lambda: studio.scenes.delete(scene),
            lambda: studio.queues.delete(queue),
        ):
            with pytest.raises(Conflict) as refused:
                verb()
            codes.append(refused.value.code)

    during(instant, try_all)
    studio.drain()
    assert codes == ["scene.running", "scene.running", "queue.still_running"]


# ------------------------------------------------------------------------------------------------ scenes read scenes
def reading(studio: Studio, queue: str, source: str, task: str = "single_shot_extension") -> str:
    field = "input_video" if task == "single_shot_extension" else "input_image"
    values = {"task_type": task, field: source, "duration": 0.25, "prompt": "on"}
    return str(studio.scenes.add(queue, values)["id"])


def test_a_scene_whose_source_lost_its_only_take_says_why(studio: Studio, queue: str) -> None:
    first = studio.scenes.add(queue, {**SHOT, "label": "Lamp"})["id"]
    studio.runs.run(queue)
    studio.drain()
    after = studio.scenes.add(
        queue, {"task_type": "single_shot_extension", "prompt": "on", "input_video": f"scene:{first}"}
    )["id"]
    studio.runs.run(queue)
    studio.takes.trash(studio.scenes.get(first)["take"]["id"])  # the scene is done, but has nothing to show
    assert studio.drain() == 0
    assert studio.scenes.get(after)["blocked"] == {"code": "scene.blocked", "params": {"number": 1, "label": "Lamp"}}


def test_a_blocked_scene_says_why(studio: Studio, queue: str) -> None:
    bad = add(studio, queue, "fail", label="Lamp")
    after = reading(studio, queue, f"scene:{bad}")
    last = reading(studio, queue, f"scene:{after}#first", "image_to_video")
    studio.runs.run(queue)
    assert studio.scenes.get(after)["blocked"] is None  # it is only waiting
    studio.drain()
    assert states(studio, queue) == ["failed", "queued", "queued"]
    assert studio.scenes.get(after)["blocked"] == {"code": "scene.blocked", "params": {"number": 1, "label": "Lamp"}}
    studio.scenes.edit(bad, {"prompt": "fine"})
    studio.runs.run(queue)
    studio.drain()
    assert states(studio, queue) == ["done", "done", "done"]
    assert studio.scenes.get(last)["blocked"] is None


def test_the_reader_of_a_deleted_scene_says_so(studio: Studio, queue: str) -> None:
    source = add(studio, queue)
    after = reading(studio, queue, f"scene:{source}")
    studio.runs.run(queue)
    studio.scenes.delete(source, force=True)
    assert studio.drain() == 0
    assert studio.scenes.get(after)["blocked"]["code"] == "scene.input_gone"


def test_what_would_wait_for_itself_is_refused(studio: Studio, queue: str) -> None:
    first = add(studio, queue)
    second = reading(studio, queue, f"scene:{first}", "image_to_video")
    third = reading(studio, queue, f"scene:{second}", "image_to_video")
    for source, code in ((first, "scene.reads_itself"), (second, "scene.circle"), (third, "scene.circle")):
        change = {"task_type": "single_shot_extension", "input_video": f"scene:{source}", "prompt": "on"}
        with pytest.raises(Refused) as refused:
            studio.scenes.edit(first, change)
        assert refused.value.code == code


def test_a_scene_is_read_only_where_it_fits(studio: Studio, queue: str) -> None:
    image = str(studio.scenes.add(queue, {"task_type": "text_to_image", "prompt": "a boat"})["id"])
    speech = str(studio.scenes.add(queue, {"task_type": "speech", "lines": [{"text": "a"}]})["id"])
    for source, code in (
        (f"scene:{image}", "input.kind"),
        (f"scene:{speech}", "reference.no_picture"),
        (f"scene:{image}#middle", "reference.unreadable"),
        ("scene:nobody", "scene.unknown"),
        ("{{prev}}", "reference.unreadable"),
        ("{{new:0}}", "reference.unreadable"),
        ("{{new:x}}", "reference.unreadable"),
    ):
        with pytest.raises(StudioError) as refused:
            reading(studio, queue, source)
        assert refused.value.code == code, source


# ------------------------------------------------------------------------------------------------ after a crash
def test_recover_puts_back_what_nobody_runs(studio: Studio, queue: str, build: Callable[..., Studio]) -> None:
    scene = add(studio, queue)
    studio.runs.run(queue)
    job = studio._store.jobs.claim("cpu")
    assert job
    folder = studio._runner.assigner.folder(studio._store.queues.get(queue))
    folder.mkdir(parents=True)
    ours, strangers = folder / f"01-a.{job.id}.mp4.part", folder / "download.mp4.part"
    unknown = folder / "01-a.01ARZ3NDEKTSV4RRFFQ69G5FAV.mp4.part"
    for path in (ours, strangers, unknown):
        path.write_bytes(b"half")
    studio._runner.recover()
    assert states(studio, queue) == ["queued"] and studio.scenes.get(scene)["note"] == "note.resumed"
    assert not ours.exists() and strangers.exists() and unknown.exists()
    studio.drain()
    assert states(studio, queue) == ["done"]


def test_recover_adopts_a_whole_file(studio: Studio, queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = add(studio, queue)
    studio.runs.run(queue)
    with monkeypatch.context() as dying:
        dying.setattr(studio._runner, "_record", lambda *_: None)  # the studio dies after the file got its name
        studio.drain()
    assert states(studio, queue) == ["running"]
    studio._runner.recover()
    card = studio.scenes.get(scene)
    assert card["state"] == "done" and card["takes"] == 1
    assert studio.takes.file(card["take"]["id"]).is_file()
    studio._runner.recover()
    assert studio.scenes.get(scene)["takes"] == 1


def test_strange_files_keep_nobody_from_starting(studio: Studio, queue: str, tmp_path: Path) -> None:
    job_id = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    for name, text in {"a.json": "[1]", "b.json": "{", "c.json": '{"job_id": 1}', "d.json": "\udc80"}.items():
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert finished_files(tmp_path, {job_id}) == {}
    assert finished_files(tmp_path / "nowhere", {job_id}) == {}
    assert sweep([tmp_path, tmp_path / "nowhere"], lambda job: None, set()) == 0


@pytest.fixture
def working(studio: Studio) -> Iterator[Studio]:
    studio.start()
    yield studio


def test_the_threads_work_by_themselves(working: Studio) -> None:
    """The same in threads, as in the app: no drain."""
    scene = str(working.scenes.generate(dict(SHOT))["id"])
    until = time.monotonic() + 20
    while working.scenes.get(scene)["state"] != "done" and time.monotonic() < until:
        time.sleep(0.01)
    assert working.scenes.get(scene)["state"] == "done"
    assert working.queues.list()[0]["inbox"]


def test_the_time_left_says_when_it_is_a_guess(studio: Studio, queue: str) -> None:
    assert (studio.system.now()["eta"], studio.system.now()["eta_is_guess"]) == (None, False)  # nothing to do
    add(studio, queue)
    studio.runs.run(queue)
    never = studio.system.now()  # never done anything here: the guess that preflight makes too
    assert never["eta"] > 0 and never["eta_is_guess"]
    studio.drain()
    add(studio, queue)
    studio.runs.run(queue)
    known = studio.system.now()
    assert known["eta"] is not None and not known["eta_is_guess"]
    add(studio, queue, "a shot", "a line")
    studio.runs.run(queue)
    assert studio.system.now()["eta_is_guess"]  # it never spoke here

"""A whole installation of SkyReels: finished videos become takes, odd things are said, the old folder stays as is."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from drawing import draw
from media_tools import clip, wav
from starlette.testclient import TestClient

from studio.errors import Forbidden, Refused
from studio.service import Studio
from studio.story import skyreels_installation as skyreels

PROJECT = "Série, Ação 灯"


def job(number: int, task: str = "reference_to_video", status: str = "done", **more: Any) -> dict[str, Any]:
    plain = {"id": 100 + number, "nq_id": 7, "nq_job_index": number, "status": status, "label": f"Cena {number} — Lumi",
             "created_at": "2026-02-25 02:10:26", "task_type": task, "prompt": "a lamp", "resolution": "540P",
             "duration": 4, "seed": 1000 + number, "offload": True, "low_vram": False, "output_video": ""}  # fmt: skip
    return {**plain, **more}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An installation: two projects, five scenes in every state, retakes, a video of nobody's, a broken one."""
    home = tmp_path / "old SkyReels, café"
    made = clip(tmp_path / "one.mp4", num_frames=6, size=(160, 96))
    other = clip(tmp_path / "two.mp4", num_frames=12, size=(160, 96))
    portrait = draw(home / "uploads/eps01/ChatGPT Image, 00_51 灯.png")
    wav(home / "uploads/fala.wav", 1.0)
    draw(home / f"projetos/{PROJECT}/figurantes/Dona_Inês.png", (30, 40))
    draw(home / f"projetos/{PROJECT}/imagens/escola.png", (50, 40))
    (home / f"projetos/{PROJECT}/imagens/notes.png").write_text("no picture")
    wav(home / f"projetos/{PROJECT}/audios/bed, noite.wav", 1.0)
    ref = portrait.relative_to(home).as_posix()
    results = f"result/{PROJECT}"
    jobs = [
        job(0, ref_imgs=[ref], audio_text="Olá!", audio_bg=f"projetos/{PROJECT}/audios/bed, noite.wav",
            output_video=f"{results}/reference_to_video/1000_2026-02-25_14-35-49.mp4"),
        job(1, "single_shot_extension", input_video="{{prev}}",
            output_video=f"{results}/single_shot_extension/1001_2026-02-25_15-00-00.mp4"),
        job(2, "talking_avatar", input_image=ref, input_audio="uploads/fala.wav", resolution="480P",
            output_video="result/talking_avatar/1002_2026-02-25_03-20-00_with_audio.mp4"),
        job(3, status="running", ref_imgs=[ref, "uploads/gone.png"]),
        job(4, status="done", ref_imgs=[ref], output_video="result/reference_to_video/1004_2026-02-25_16-00-00.mp4"),
        job(5, "dance_video"),
    ]  # fmt: skip
    for path in (jobs[0]["output_video"], jobs[1]["output_video"], jobs[2]["output_video"],
                 "result/talking_avatar/1002_2026-02-25_03-20-00.mp4"):  # fmt: skip
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made, home / path)
    earlier = home / results / "reference_to_video/1000_2026-02-24_10-00-00.mp4"  # a retake, known by its sidecar
    shutil.copy(other, earlier)
    earlier.with_suffix(".json").write_text(json.dumps({"prompt": "an older lamp", "seed": "1000", "duration": "4s"}))
    earlier.with_name(earlier.stem + ".input.json").write_text(json.dumps(jobs[0]))
    loose = home / "result/reference_to_video/77_2026-02-20_10-00-00.mp4"
    loose.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(made, loose)
    loose.with_suffix(".json").write_text(json.dumps(
        {"task_type": "reference_to_video", "prompt": "alone", "resolution": "540P", "seed": "77", "duration": "5s",
         "ref_imgs": [ref], "generated_at": "2026-02-20 10:00:00", "offload": True, "low_vram": False}))  # fmt: skip
    (home / "result/text_to_video").mkdir()
    (home / "result/text_to_video/78_2026-02-21_10-00-00.mp4").write_bytes(b"broken")
    (home / "result/finalized").mkdir()
    shutil.copy(made, home / "result/finalized/Film_20260225.mp4")
    queues = [
        {"id": 7, "name": "Episódio 01 — Primeiro Dia", "project": PROJECT, "ep_code": "EP004", "status": "running",
         "created_at": "2026-02-25 02:10:26", "jobs": jobs},
        {"id": 8, "name": "empty", "jobs": []},
        "no queue",
    ]  # fmt: skip
    (home / "uploads/queues.json").write_text(json.dumps(queues, ensure_ascii=False), "utf-8")
    return home


def listing(folder: Path) -> dict[str, tuple[int, float]]:
    return {str(p): (p.stat().st_size, p.stat().st_mtime) for p in folder.rglob("*") if p.is_file()}


def bring(studio: Studio, folder: Path) -> dict[str, Any]:
    found = studio.installations.begin(str(folder), trusted=True, wait=True)
    assert found["state"] == "done" and found["progress"] == 1, found
    return found


def test_finished_videos_become_takes_and_nothing_is_rendered(studio: Studio, old: Path, instant: Any) -> None:
    before = listing(old)
    found = bring(studio, old)
    assert listing(old) == before  # not a byte, not a time
    queue, loose = found["queues"]
    assert (queue["scenes"], queue["takes"], loose["name"], loose["takes"]) == (5, 4, "SkyReels results", 1)
    view = studio.queues.view(queue["id"])
    assert (view["name"], view["code"], view["project"]) == ("Episódio 01 — Primeiro Dia", "EP004", PROJECT)
    assert view["frame"] == {"width": 160, "height": 96, "fps": 24} or view["frame"]["fps"] == 24
    assert view["music"]["ref"].startswith("asset:")
    cards = studio.queues.get(queue["id"])["scenes"]
    assert [card["state"] for card in cards] == ["done", "done", "done", "draft", "draft"]
    assert [card["takes"] for card in cards] == [2, 1, 1, 0, 0]
    assert not any(card["changed"] for card in cards)
    newest, older = studio.scenes.get(cards[0]["id"])["take_list"]
    assert newest["selected"] and newest["seed"] == 1000 and newest["engine"] == "skyreels"
    assert newest["created"] > older["created"] and not older["selected"]
    assert studio.takes.get(older["id"])["settings"]["prompt"] == "an older lamp"
    assert studio.takes.get(newest["id"])["settings"]["lines"][0]["text"] == "Olá!"
    path = studio.takes.file(newest["id"])
    assert path.is_relative_to(studio.settings.output_dir)
    assert path.samefile(old / f"result/{PROJECT}/reference_to_video/1000_2026-02-25_14-35-49.mp4")
    scene = studio._store.queues.scene(cards[1]["id"]).scene
    assert scene.input_video == f"scene:{cards[0]['id']}"  # type: ignore[attr-defined]
    assert studio.takes.poster(newest["id"])  # made when it is first wanted
    instant.MADE.clear()
    shutil.rmtree(old)  # the studio stands alone
    studio.runs.run(queue["id"], override=True)
    studio.drain()
    assert [label for _, label, _ in instant.MADE] == ["Cena 4 — Lumi"]  # the draft whose inputs are here
    film = studio.exports.cut(queue["id"], "leave_out", wait=True)
    assert film["state"] == "done", film["error"]


def test_what_is_odd_is_said_and_stops_nothing(studio: Studio, old: Path) -> None:
    found = bring(studio, old)
    said = {(row["code"], row["scene"][:6]) for row in found["problems"]}
    assert ("installation.state", "4 · Ce") in said and ("input.missing", "4 · Ce") in said
    assert ("installation.no_video", "5 · Ce") in said and ("field.unknown_task", "6 · Ce") in said
    assert ("installation.bad_video", "78_202") in said and ("installation.broken_queue", "") in said
    assert ("installation.bad_file", "") in said
    assert len(said) == len(found["problems"]), found["problems"]
    for row in found["problems"]:
        words = studio.words.error(row, "pt")
        assert words["message"] != f"error.{row['code']}" and "…" not in words["message"], row


def test_a_second_import_brings_nothing_twice(studio: Studio, old: Path) -> None:
    first = bring(studio, old)
    again = bring(studio, old.rename(old.with_name("moved")))
    assert [row["id"] for row in again["queues"]] == [row["id"] for row in first["queues"]]
    assert all(row["was_here"] for row in again["queues"]) and len(studio.queues.list()) == 2


@pytest.mark.parametrize("text", [b"", b"{", b"[1, null]", b"{}", b'[{"jobs": 3}]', b"\xff\xfe", b"[" * 5000])
def test_a_broken_list_of_queues_still_brings_the_videos(studio: Studio, old: Path, text: bytes) -> None:
    (old / "uploads/queues.json").write_bytes(text)
    found = bring(studio, old)
    assert [row["name"] for row in found["queues"]] == ["SkyReels results"]
    assert found["queues"][0]["takes"] == 5


def test_projects_come_with_their_portraits_and_files(studio: Studio, old: Path) -> None:
    bring(studio, old)
    files = studio.projects.files(PROJECT)
    assert {row["name"] for row in files["imagens"]} == {"escola.png"}
    assert {row["name"] for row in files["audios"]} == {"bed, noite.wav"}
    cast = studio._store.queues.cast(studio._store.projects.named(PROJECT)["id"])
    assert cast["dona-ines"]["name"] == "Dona Inês" and cast["dona-ines"]["portrait"].startswith("asset:")


def test_a_failure_in_between_leaves_no_half_queue(studio: Studio, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr("studio.service.landing._give_name", full)
    found = studio.installations.begin(str(old), trusted=True, wait=True)
    assert found["state"] == "failed" and not studio.queues.list()
    assert not list(studio.settings.output_dir.rglob("*.mp4*"))


# ------------------------------------------------------------------------------------------------ the door
def test_over_the_network_only_our_folders_are_read(build: Callable[..., Studio], old: Path, tmp_path: Path) -> None:
    closed = build()
    for path in (str(old), "..", "/etc", str(tmp_path / "nowhere")):
        with pytest.raises(Refused):
            closed.installations.begin(path)
    os.symlink(old, closed.settings.output_dir / "link")
    with pytest.raises(Forbidden):
        closed.installations.begin(str(closed.settings.output_dir / "link"))
    with pytest.raises(Refused) as refused:
        closed.installations.begin(str(closed.settings.output_dir))
    assert refused.value.code == "installation.none"


def test_an_installation_comes_in_over_rest(studio: Studio, client: TestClient, old: Path) -> None:
    home = studio.settings.output_dir / "old"
    shutil.move(old, home)
    begun = client.post("/installations", json={"path": str(home)})
    assert begun.status_code == 202, begun.text
    for thread in studio.installations._threads:
        thread.join(60)
    row = client.get(f"/installations/{begun.json()['id']}").json()
    assert row["state"] == "done" and row["takes"] == 5 and len(client.get("/installations").json()) == 1
    assert all("error." not in problem["message"] for problem in row["problems"])
    assert client.delete(f"/installations/{row['id']}").status_code == 204
    assert client.get("/installations/x").status_code == 404


# ------------------------------------------------------------------------------------------------ names
@pytest.mark.parametrize(
    ("path", "project", "seed"),
    [("result/reference_to_video/1001_2026-02-24_05-25-15.mp4", "", 1001),
     ("result/INETUSX/talking_avatar/9_2026-02-24_05-25-15_with_audio.mp4", "INETUSX", 9),
     ("result/Ação, 灯 1/text_to_video/0_2026-02-24_05-25-15.mp4", "Ação, 灯 1", 0)],
)  # fmt: skip
def test_a_video_says_by_its_name_what_it_is(path: str, project: str, seed: int) -> None:
    video = skyreels.video_of(path)
    assert video and (video.project, video.seed) == (project, seed)


@pytest.mark.parametrize(
    "path",
    ["result/finalized/film_2026.mp4", "result/x/y/z/1_2026-02-24_05-25-15.mp4", "result/t/1_2026-02-31_05-25-15.mp4",
     "result/t/1_2026-02-24_05-25-15.json", "uploads/1_2026-02-24_05-25-15.mp4", "result/t/" + "9" * 30 + "_2026.mp4"],
)  # fmt: skip
def test_other_files_are_no_videos_of_scenes(path: str) -> None:
    assert skyreels.video_of(path) is None

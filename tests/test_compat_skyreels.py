"""Every route of SkyReels' web API that we answer: the documented fields, their states, and what must not work."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import media_tools
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from studio.api.compat import add_peers
from studio.service import Studio
from studio.service.views import peer_path

JOB = {
    "label": "Porto",
    "task_type": "text_to_video",
    "prompt": "a harbour",
    "resolution": "480P",
    "duration": 1,
    "seed": 7,
}
SECOND = {
    "label": "Mais perto",
    "task_type": "single_shot_extension",
    "prompt": "on",
    "input_video": "{{prev}}",
    "duration": 1,
}
NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
TRAVERSALS = (
    "../data/studio.db",
    "..%2fdata%2fstudio.db",
    "%2e%2e/%2e%2e/etc/passwd",
    "result/../../data/studio.db",
    "/etc/passwd",
)


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    site = FastAPI()
    add_peers(site, studio)
    with TestClient(site, raise_server_exceptions=False) as opened:
        yield opened


def make(client: TestClient, *jobs: dict[str, Any], name: str = "Farol", project: str = "") -> str:
    answer = client.post("/nqueues", json={"name": name, "project": project, "jobs": list(jobs)})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def jobs(client: TestClient, queue: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/nqueues/{queue}").json()["jobs"]
    return found


# ------------------------------------------------------------------------------------------------ queues and jobs
def test_a_queue_is_made_run_and_read(client: TestClient, studio: Studio) -> None:
    queue = make(client, JOB, SECOND, project="Inês e o farol")
    listed = client.get("/nqueues").json()
    assert [one["id"] for one in listed] == [queue]
    assert {
        "name": "Farol",
        "project": "Inês e o farol",
        "ep_code": "EP001",
        "status": "idle",
        "job_count": 2,
    }.items() <= listed[0].items()
    assert {"estimated_minutes", "remaining_minutes"} <= set(listed[0])
    assert [job["status"] for job in jobs(client, queue)] == ["idle", "idle"]
    assert jobs(client, queue)[1]["input_video"] == "{{job:0}}" and jobs(client, queue)[1]["nq_job_index"] == 1

    ran = client.post(f"/nqueues/{queue}/run").json()
    assert ran["callback_registered"] is False
    assert [job["status"] for job in jobs(client, queue)] == ["pending", "pending"]
    studio.drain()
    done = jobs(client, queue)
    assert [job["status"] for job in done] == ["done", "done"]
    assert client.get(f"/nqueues/{queue}").json()["status"] == "done"
    assert done[0]["output_video"].startswith("result/text_to_video/") and done[0]["finished_at"]
    assert [row["id"] for row in client.get(f"/nqueues/{queue}/gallery").json()] == [job["id"] for job in done]


def test_their_file_comes_in_and_what_is_written_comes_back(client: TestClient) -> None:
    markdown = "# Cena um\n- task_type: text_to_video\n- prompt: mar\n- duration: 2\n- offload: sim\n"
    made = client.post("/nqueues/import?name=Mar&project=S%C3%A9rie", content=markdown).json()
    assert made["name"] == "Mar" and made["job_count"] == 1
    exported = client.get(f"/nqueues/{made['id']}/export-json").json()
    again = client.post("/nqueues/import?name=Outra", content=json.dumps(exported)).json()
    assert again["job_count"] == 1
    told = ("label", "task_type", "prompt", "duration", "resolution", "seed")
    first, second = jobs(client, made["id"])[0], jobs(client, again["id"])[0]
    assert {name: first[name] for name in told} == {name: second[name] for name in told}
    assert first["label"] == "Cena um"


def test_a_job_is_added_changed_and_deleted(client: TestClient, studio: Studio) -> None:
    queue = make(client, JOB)
    client.post(f"/nqueues/{queue}/run")
    studio.drain()
    added = client.post(f"/nqueues/{queue}/jobs", json=SECOND).json()
    assert added["ok"] and jobs(client, queue)[1]["input_video"] == "{{job:0}}"
    first = jobs(client, queue)[0]

    protected = {"id": NOBODY, "status": "done", "output_video": "x", "task_type": "speech", "nq_job_index": 9}
    assert client.patch(f"/nqueues/{queue}/jobs/{first['id']}", json=protected).json() == {"ok": True, "reset": False}
    assert jobs(client, queue)[0] == first

    sound = client.patch(
        f"/nqueues/{queue}/jobs/{first['id']}", json={"audio_text": "Olá", "voice_id": "woman-1"}
    ).json()
    assert sound["reset"] is False
    assert (
        jobs(client, queue)[0]["audio_text"] == "Olá"
        and jobs(client, queue)[0]["output_video"] == first["output_video"]
    )

    picture = client.patch(f"/nqueues/{queue}/jobs/{first['id']}", json={"prompt": "a storm", "duration": "2"}).json()
    assert picture == {"ok": True, "reset": True}
    assert jobs(client, queue)[0]["prompt"] == "a storm" and jobs(client, queue)[0]["duration"] == 2

    assert client.delete(f"/nqueues/{queue}/jobs/{first['id']}").json() == {"ok": True}
    assert len(jobs(client, queue)) == 1
    assert client.patch(f"/nqueues/{queue}/jobs/{NOBODY}", json={"prompt": "x"}).status_code == 404


def test_run_leaves_what_failed_and_reset_retries_it(client: TestClient, studio: Studio, instant: Any) -> None:
    queue = make(client, JOB, {**JOB, "label": "Dois", "seed": 8}, {**JOB, "label": "Três", "seed": 9})
    assert client.post(f"/nqueues/{queue}/resume-from-error").status_code == 400
    broken = jobs(client, queue)[1]["id"]
    ids = [job["id"] for job in jobs(client, queue)]
    client.post(f"/nqueues/{queue}/jobs/{ids[0]}/run")
    studio.drain()
    instant.ON_RUN.append(_explode)
    client.post(f"/nqueues/{queue}/jobs/{broken}/run")
    studio.drain()
    instant.ON_RUN.clear()
    assert [job["status"] for job in jobs(client, queue)] == ["done", "error", "idle"]
    assert client.get("/nqueues").json()[0]["error_count"] == 1

    resumed = client.post(f"/nqueues/{queue}/resume-from-error").json()
    assert (resumed["skipped_errors"], resumed["will_run"]) == (1, 1)
    studio.drain()
    assert [job["status"] for job in jobs(client, queue)] == ["done", "error", "done"]
    assert client.get(f"/nqueues/{queue}").json()["status"] == "error"
    assert client.post(f"/nqueues/{queue}/resume-from-error").status_code == 400
    client.post(f"/nqueues/{queue}/reset")
    studio.drain()
    assert {job["status"] for job in jobs(client, queue)} == {"done"}
    assert client.post(f"/nqueues/{queue}/restart").json()["will_run"] == 3


def test_whoever_asked_to_be_called_back_is_registered(client: TestClient, studio: Studio) -> None:
    queue = make(client, JOB)
    ran = client.post(f"/nqueues/{queue}/run", params={"callback_url": "https://hooks.example.com/done"})
    assert ran.json()["callback_registered"] is True
    studio.drain()
    sent = [json.loads(row["body"]) for row in studio._store._connection.rows("select body from deliveries")]
    video = jobs(client, queue)[0]["output_video"]
    assert [peer_path(take["task_type"], take) for take in sent[0]["outputs"]] == [video]
    assert client.get(f"/video/{video}").status_code == 200
    assert client.post(f"/nqueues/{queue}/run", params={"callback_url": "file:///etc/passwd"}).status_code == 400


def _explode(*_: Any) -> None:
    raise RuntimeError("the lamp broke")


def test_a_queue_of_a_project_is_emptied_and_any_other_is_deleted(client: TestClient) -> None:
    free, bound = make(client, JOB), make(client, JOB, name="Dois", project="Série")
    assert client.delete(f"/nqueues/{free}").json()["deleted"]
    assert client.get(f"/nqueues/{free}").status_code == 404
    assert client.delete(f"/nqueues/{bound}").json()["emptied"] and jobs(client, bound) == []
    assert client.delete(f"/nqueues/{bound}/project-link").json() == {"ok": True}
    assert client.get(f"/nqueues/{bound}").json()["project"] == "Default"
    assert client.delete(f"/nqueues/{bound}?force=true").json()["deleted"]


def test_the_film_is_cut_and_its_music_set(client: TestClient, studio: Studio, tmp_path: Path) -> None:
    queue = make(client, JOB)
    sound = media_tools.wav(studio.settings.data_dir / "bed.wav", 2.0)
    assert (
        client.post(f"/nqueues/{queue}/set-audio-bg", json={"audio_bg": str(sound)})
        .json()["audio_bg"]
        .startswith("asset:")
    )
    assert client.post(f"/nqueues/{queue}/set-audio-bg", json={"audio_bg": ""}).json()["audio_bg"] == ""
    assert client.post(f"/nqueues/{queue}/finalize").status_code == 400  # nothing is rendered
    client.post(f"/nqueues/{queue}/run")
    studio.drain()
    film = client.post(f"/nqueues/{queue}/finalize").json()
    assert film["scene_count"] == 1
    assert client.get(f"/video/{film['output_video']}").content[4:8] == b"ftyp"
    assert set(client.post(f"/nqueues/{queue}/mix-audio").json()) == {"ok", "mixed", "skipped", "errors"}
    zipped = client.get(f"/nqueues/{queue}/download-zip?include_sources=1")
    assert zipped.status_code == 200 and zipped.content[:2] == b"PK"


# ------------------------------------------------------------------------------------------------ one scene at a time
def test_generate_takes_their_form(client: TestClient, studio: Studio, picture: Path) -> None:
    form = {"task_type": "reference_to_video", "prompt": "walks", "resolution": "480P", "duration": "1", "seed": "42"}
    made = client.post("/generate", data=form, files={"ref_imgs": ("Inês, 1.png", io.BytesIO(picture.read_bytes()))})
    assert made.status_code == 200, made.text
    job = made.json()["job_id"]
    assert client.get("/queue").json()[0]["id"] == job
    studio.drain()
    told = client.get("/status").json()
    assert {
        "running": False,
        "progress": 0,
        "total": 8,
        "status": "done",
        "current_job_id": None,
    }.items() <= told.items()
    assert {"log", "last_video", "current_nq_id", "current_nq_name", "current_nq_scene"} <= set(told)
    lines = [json.loads(line[6:]) for line in client.get("/stream").text.splitlines() if line.startswith("data: ")]
    assert lines[-1]["done"]["video"] == told["last_video"] and lines[-1]["done"]["progress"] == 8
    assert client.post("/generate", data={**form, "task_type": "talking_avatar"}).status_code == 400


def test_the_simple_queue(client: TestClient, studio: Studio) -> None:
    first = client.post("/queue/add", json=JOB).json()
    assert first["ok"]
    assert client.post("/queue/import", content=json.dumps([JOB, {**JOB, "seed": 8}])).json() == {
        "ok": True,
        "added": 2,
    }
    assert [job["status"] for job in client.get("/queue").json()] == ["pending"] * 3
    assert client.post(f"/queue/remove/{first['id']}").json() == {"ok": True}
    assert client.post(f"/queue/remove/{first['id']}").status_code == 404
    assert client.post("/queue/clear").json() == {"removed": 2}
    assert client.get("/queue").json() == []


# ------------------------------------------------------------------------------------------------ files
def test_videos_are_listed_and_served_by_their_made_up_paths(client: TestClient, studio: Studio) -> None:
    client.post("/queue/add", json=JOB)
    studio.drain()
    listed = client.get("/videos").json()
    assert len(listed) == 1 and set(listed[0]) == {"path", "name", "task", "size", "has_meta"}
    path = listed[0]["path"]
    assert len(client.get(f"/video/{path}").content) == listed[0]["size"]
    assert client.get(f"/video/{path}", headers={"range": "bytes=0-9"}).status_code == 206
    assert "attachment" in client.get(f"/download/{path}").headers["content-disposition"]
    assert client.get(f"/file/{path}").status_code == 200
    meta = client.get(f"/video-meta/{path}").json()
    assert meta["seed"] == "7" and meta["prompt"] == "a harbour" and meta["task_type"] == "text_to_video"
    assert {"resolution", "offload", "low_vram", "inputs", "duration", "generated_at"} <= set(meta)
    unknown = client.get(f"/video-meta/result/x/{NOBODY}.mp4")
    assert (unknown.status_code, unknown.json()) == (404, {})


@pytest.mark.parametrize("path", TRAVERSALS)
@pytest.mark.parametrize("route", ["video", "file", "download", "video-meta"])
def test_no_path_leads_out(client: TestClient, studio: Studio, route: str, path: str) -> None:
    assert studio.settings.database.is_file()
    answer = client.get(f"/{route}/{path}")
    assert answer.status_code == 404
    assert b"SQLite" not in answer.content and b"root:" not in answer.content


# ------------------------------------------------------------------------------------------------ projects
def test_projects_have_folders_and_settings(client: TestClient, picture: Path) -> None:
    assert client.post("/projects", json={"name": "Série"}).json() == {"ok": True, "name": "Série"}
    assert client.post("/projects", json={"name": "Série"}).status_code == 409
    assert {"name": "Série", "episodes": 0} in client.get("/projects").json()
    sent = {"file": ("../../Inês, 1.png", io.BytesIO(picture.read_bytes()))}
    added = client.post("/projects/S%C3%A9rie/upload/figurantes", files=sent).json()["files"]
    assert added[0]["name"] == "Inês, 1.png"
    project = client.get("/projects/Série").json()
    assert [one["name"] for one in project["figurantes"]] == ["Inês, 1.png"] and project["imagens"] == []
    assert client.get(f"/file/{project['figurantes'][0]['path']}").headers["content-type"] == "image/png"
    assert client.get("/uploads/list").json()["files"][0]["path"] == project["figurantes"][0]["path"]
    assert client.delete("/projects/Série/files/figurantes/Inês, 1.png").json() == {"ok": True}
    assert client.delete("/projects/Série/files/figurantes/Inês, 1.png").status_code == 404
    assert client.post("/projects/Série/upload/keys", files=sent).status_code in (400, 404)

    stored = client.post("/projects/Série/config", json={"style": "papel", "fal_key": "secret"}).json()
    assert stored["ignored"] == ["fal_key"]
    assert client.get("/projects/Série/config").json() == {"style": "papel"}
    queue = make(client, JOB, project="Série")
    assert [one["id"] for one in client.get("/projects/Série").json()["episodes"]] == [queue]
    assert client.delete("/projects/Série").status_code == 409
    client.delete(f"/nqueues/{queue}?force=true")
    assert client.delete("/projects/Série").json() == {"ok": True}


@pytest.mark.parametrize("name", ["..", "%2e%2e", "..%2f..", "a/../.."])
def test_deleting_a_project_deletes_no_folder(client: TestClient, studio: Studio, name: str) -> None:
    assert client.request("DELETE", f"/projects/{name}").status_code in (404, 405)
    assert studio.settings.output_dir.is_dir() and studio.settings.database.is_file()


# ------------------------------------------------------------------------------------------------ what is not there yet
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/nqueues/{queue}/generate-audio"), ("POST", "/nqueues/{queue}/generate-images"),
        ("POST", "/nqueues/{queue}/jobs/{job}/generate-audio"), ("POST", "/nqueues/{queue}/jobs/{job}/generate-image"),
        ("GET", "/projects/Default/voices"), ("POST", "/projects/Default/generate-episode"),
        ("GET", "/projects/Default/generate-episode-status/x"), ("POST", "/projects/Default/regenerate-scene"),
        ("POST", "/projects/Default/generate-images"), ("POST", "/projects/Default/generate-audio"),
        ("POST", "/projects/Default/upload/docs"), ("POST", "/skyreels/config"),
        ("GET", "/system-prompt/episode"), ("POST", "/system-prompt/episode"), ("POST", "/system-prompt/episode/reset"),
    ],
)  # fmt: skip
def test_what_is_not_built_says_so_with_the_cure(client: TestClient, method: str, path: str) -> None:
    queue = make(client, JOB)
    answer = client.request(method, path.format(queue=queue, job=jobs(client, queue)[0]["id"]), json={})
    assert answer.status_code == 501
    assert len(answer.json()["error"]) > 40 and answer.json()["code"].startswith("compat.")


def test_keys_are_never_told(client: TestClient) -> None:
    assert set(client.get("/skyreels/config").json().values()) == {""}


def test_bad_requests_are_sentences(client: TestClient) -> None:
    queue = make(client, JOB)
    for method, path, body in (
        ("POST", "/nqueues", {"name": "x", "jobs": [{"task_type": "dance"}]}),
        ("POST", f"/nqueues/{queue}/jobs", "text"),
        ("POST", f"/nqueues/{queue}/jobs", {"task_type": "text_to_video"}),
        ("PATCH", f"/nqueues/{queue}/jobs/{NOBODY[:4]}", {}),
        ("POST", "/nqueues", []),
    ):
        answer = client.request(method, path, json=body)
        assert answer.status_code in (400, 404) and answer.json()["error"], (path, answer.text)


def test_markup_in_a_label_stays_text(client: TestClient) -> None:
    queue = make(client, {**JOB, "label": "<img src=x onerror=alert(1)>"})
    answer = client.get(f"/nqueues/{queue}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["jobs"][0]["label"] == "<img src=x onerror=alert(1)>"

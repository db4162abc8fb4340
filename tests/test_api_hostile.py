"""Bodies that mean harm, sent to every kind of route: refused with words, stored harmlessly, never a 500."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from studio.api.compat import add_peers
from studio.service import Studio

JSON = {"content-type": "application/json"}
HALF_EMOJI = '"\\ud83c"'
DEEP = "[" * 900 + "]" * 900
BROKEN = [
    (b"[" * 100_000, "application/json"),
    (b'{"name":"\xff"}', "application/json"),
    (b'{"name":' + b"9" * 5000 + b"}", "application/json"),
    (b'{"name":', "application/json"),
    (b"x", "multipart/form-data"),
    (b"x", "multipart/form-data; boundary=x"),
    (b"--x\r\n\r\n", "multipart/form-data; boundary=x"),
]


@pytest.fixture
def site(studio: Studio) -> Iterator[TestClient]:
    """The routes of peers, at the root."""
    app = FastAPI()
    add_peers(app, studio)
    studio.projects.list()  # the one that always exists
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


@pytest.mark.parametrize("path", ["/nqueues", "/queue/add", "/queue/import", "/generate", "/projects",
                                  "/projects/default/upload/imagens", "/projects/default/config"])  # fmt: skip
@pytest.mark.parametrize(("body", "kind"), BROKEN)
def test_what_cannot_be_read_is_the_callers_mistake(site: TestClient, path: str, body: bytes, kind: str) -> None:
    answer = site.post(path, content=body, headers={"content-type": kind})
    assert 400 <= answer.status_code < 500 and answer.json()["error"], answer.text


def test_a_name_is_one_line_without_half_an_emoji(site: TestClient, client: TestClient) -> None:
    for name in (HALF_EMOJI, '"a\\nb\\u0000\\u001bc"', '"x\\u202egpj.exe"'):
        assert site.post("/nqueues", content=f'{{"name":{name}}}', headers=JSON).status_code == 200
    assert [row["name"] for row in client.get("/queues").json()] == ["?", "a b c", "x gpj.exe"]
    queue = client.get("/queues").json()[0]["id"]
    assert client.patch(f"/queues/{queue}", json={"name": "a\nb"}).json()["name"] == "a b"
    imported = client.post("/queues/import?name=a%0Ab%00", content=b'[{"task_type":"text_to_video","prompt":"x"}]')
    assert imported.json()["queue"]["name"] == "a b"


@pytest.mark.parametrize("value", [HALF_EMOJI, "NaN", "1e400", '{"x": ' + HALF_EMOJI + "}"])
def test_free_settings_can_always_be_read_again(site: TestClient, client: TestClient, value: str) -> None:
    assert site.post("/projects/default/config", content=f'{{"a":{value}}}', headers=JSON).status_code == 200
    assert set(site.get("/projects/default/config").json()) == {"a"}
    preset = f'{{"name":"x","settings":{{"task_type":"text_to_video","negative_prompt":{value}}}}}'
    assert client.post("/presets", content=preset, headers=JSON).status_code == 201
    assert client.get("/presets").json()[0]["name"] == "x"


def test_free_settings_that_nobody_could_store_are_refused(site: TestClient, client: TestClient) -> None:
    assert site.post("/projects/default/config", content=f'{{"a":{DEEP}}}', headers=JSON).status_code == 400
    preset = f'{{"name":"x","settings":{{"task_type":"text_to_video","options":{DEEP}}}}}'
    assert client.post("/presets", content=preset, headers=JSON).status_code == 422
    assert client.get("/presets").json() == [] and site.get("/projects/default/config").json() == {}


def test_an_error_may_name_half_an_emoji(client: TestClient) -> None:
    answer = client.post("/presets", content=f'{{"name":"x","settings":{{"task_type":{HALF_EMOJI}}}}}', headers=JSON)
    assert answer.status_code == 422 and answer.json()["error"]["params"]["task"] == "?"


def test_keys_are_not_stored_at_any_depth(site: TestClient) -> None:
    body: dict[str, Any] = {"style": "noir", "fal": {"api_KEY": "K", "model": "m"}, "password": "P",
                            "voices": [{"name": "n", "client_Secret": "S"}]}  # fmt: skip
    told = site.post("/projects/default/config", json=body).json()
    assert told["ignored"] == ["api_KEY", "client_Secret", "password"]
    assert site.get("/projects/default/config").json() == {
        "style": "noir", "fal": {"model": "m"}, "voices": [{"name": "n"}]
    }  # fmt: skip
    assert json.dumps(body) != site.get("/projects/default").text


@pytest.mark.parametrize("name", ["..", "../..", "/etc", "con", "NUL", "aux.txt", "a\\b"])
def test_a_projects_name_is_no_folders_name(site: TestClient, studio: Studio, name: str) -> None:
    assert site.post("/projects", json={"name": name}).status_code == 200
    queue = studio.queues.create("q")["id"]
    studio.projects.take_in(queue, name)
    folder = studio._runner.assigner.folder(studio._store.queues.get(queue)).parent
    assert folder.parent == studio.settings.root / "outputs" and folder.name.lower() not in ("con", "nul", "aux", "..")


# ------------------------------------------------------------------------------------------------ what is private
def test_what_is_private_is_in_no_list_and_on_no_page_for_others(
    site: TestClient, client: TestClient, studio: Studio
) -> None:
    job = {"task_type": "text_to_video", "prompt": "x", "duration": 1}
    queue = site.post("/nqueues", json={"name": "Q", "jobs": [job, job]}).json()["id"]
    client.post(f"/queues/{queue}/run")
    studio.drain()
    open_one, private = (card["take"]["id"] for card in studio.queues.get(queue)["scenes"])
    pages = ("contact-sheet.html", "contact-sheet.png")
    before = client.get(f"/queues/{queue}/{pages[0]}").text.count("data:image/jpeg")
    studio.takes.mark(private, {"private": True})
    run = client.get(f"/queues/{queue}/runs").json()[0]["id"]
    assert before == 2 and all(client.get(f"/queues/{queue}/{page}").status_code == 200 for page in pages)
    assert client.get(f"/queues/{queue}/{pages[0]}").text.count("data:image/jpeg") == 1
    assert client.get(f"/runs/{run}/report.html").text.count("data:image/jpeg") == 1
    for path in ("/videos", "/status", f"/nqueues/{queue}", f"/nqueues/{queue}/gallery"):
        shown = site.get(path).text
        assert open_one in shown and private not in shown, path
    assert site.get(f"/video/result/x/{private}.mp4").status_code == 200  # who has its name may have it
    states = [job["status"] for job in site.get(f"/nqueues/{queue}").json()["jobs"]]
    assert states == ["done", "done"]


# ------------------------------------------------------------------------------------------------ many jobs at once
JOB = {"task_type": "text_to_video", "prompt": "x", "duration": 1}


def test_a_list_of_jobs_is_added_whole_and_reads_the_queue_once(
    site: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = site.post("/nqueues", json={"name": "Q", "jobs": [JOB]}).json()["id"]
    read, looked = studio.queues.get, []
    monkeypatch.setattr(studio.queues, "get", lambda *a, **k: (looked.append(1), read(*a, **k))[1])
    chained = {**JOB, "task_type": "single_shot_extension", "input_video": "{{prev}}"}
    ids = site.post(f"/nqueues/{queue}/jobs", json=[JOB] * 20 + [chained]).json()["ids"]
    assert len(ids) == 21 and len(looked) == 1
    assert site.get(f"/nqueues/{queue}").json()["jobs"][-1]["input_video"] == "{{job:20}}"
    refused = site.post(f"/nqueues/{queue}/jobs", json=[JOB, {**JOB, "task_type": "nope"}])
    assert refused.status_code == 400 and site.get(f"/nqueues/{queue}").json()["job_count"] == 22


def test_one_job_never_becomes_another(site: TestClient) -> None:
    queue = site.post("/nqueues", json={"name": "Q"}).json()["id"]
    described = {"task_type": "reference_to_video", "prompt": "she waits", "image_prompt": "a harbour"}
    answer = site.post(f"/nqueues/{queue}/jobs", json=described)
    assert answer.status_code == 400 and "ref_imgs" in answer.json()["error"]
    assert site.get(f"/nqueues/{queue}").json()["jobs"] == []


def test_a_key_is_of_one_request(client: TestClient) -> None:
    """The same key with other parameters is another wish: it must not be answered with the first."""
    body, key = json.dumps([JOB]), {"idempotency-key": "K"}
    names = [client.post(f"/queues/import?name={name}", content=body, headers=key).json()["queue"]["name"]
             for name in ("A", "A", "B")]  # fmt: skip
    assert names == ["A", "A", "B"] and len(client.get("/queues").json()) == 2


def test_a_link_among_storyboards_is_not_followed(client: TestClient, studio: Studio, tmp_path: Path) -> None:
    folder = studio.settings.root / "outputs" / "boards"
    folder.mkdir(parents=True)
    (tmp_path / "secret.json").write_text("[1]")
    (folder / "storyboard_a.json").symlink_to(tmp_path / "secret.json")
    (folder / "storyboard_b.json").write_text(json.dumps([JOB]))
    found = client.post(f"/queues/check?path={folder}").json()["files"]
    assert [one["file"] for one in found] == ["storyboard_b.json"]

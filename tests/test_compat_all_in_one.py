"""A client of All-in-one works unchanged: voices, jobs, results, models, in its README's spelling and its code's."""

import base64
import io
import os
import signal
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import httpx2
import numpy as np
import pytest
import voice_samples
from all_in_one_client import DigitalHuman
from drawn_faces import cartoon
from fastapi import FastAPI
from starlette.testclient import TestClient

from studio.api import make_api
from studio.api.compat import add_peers
from studio.api.guard import UPLOADS
from studio.errors import EngineError
from studio.pipelines import ENGINES
from studio.pipelines.base import Limits
from studio.service import Studio
from studio.service.digital_humans import MODELS

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPT = "Hello, and welcome."
AGENT = "their-script/1.0"


@pytest.fixture
def http(studio: Studio) -> Iterator[TestClient]:
    site = FastAPI()
    site.mount("/api", make_api(studio))  # ours first, as in the app
    add_peers(site, studio)
    with TestClient(site, raise_server_exceptions=False, headers={"user-agent": AGENT}) as opened:
        yield opened


@pytest.fixture
def human(studio: Studio, http: TestClient) -> DigitalHuman:
    """Whoever waits lets one job of the studio be done."""
    return DigitalHuman(http, sleep=lambda seconds: studio.drain(1) and None)


@pytest.fixture(scope="session")
def recording() -> bytes:
    return as_wav(voice_samples.said(8))


@pytest.fixture(scope="session")
def portrait() -> bytes:
    return bytes(cv2.imencode(".png", cartoon())[1])


def as_wav(samples: np.ndarray) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(voice_samples.RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return out.getvalue()


def refused(answer: Any, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] == code and len(answer.json()["detail"]) > 20


# ------------------------------------------------------------------------------------------------ from voice to video
def test_a_client_goes_from_a_recording_to_a_video(
    studio: Studio, human: DigitalHuman, recording: bytes, portrait: bytes
) -> None:
    voice = human.clone(recording)
    assert voice["status"] == "ready" and voice["engine"] in ENGINES
    job = human.start(voice["voice_id"], portrait, SCRIPT, preferred_engine="auto", wangp_model="Wan t2v 1.3B")
    assert job["status"] == "queued" and job["wangp_model"] == "Wan t2v 1.3B"
    assert human.http.get(f"/api/jobs/{job['job_id']}/result").status_code == 404
    done = human.wait(job["job_id"])
    assert (done["status"], done["progress"], done["generated_script"]) == ("completed", 100, SCRIPT)
    assert done["selected_engine"] == "instant" and done["fallback_reason"] is None
    assert [one["status"] for one in human.seen] == ["queued", "running", "completed"]
    assert [one["progress"] for one in human.seen] == sorted(one["progress"] for one in human.seen)
    video = human.video(job["job_id"])
    assert video[4:8] == b"ftyp" and video == human.video_as_the_page_does(job["job_id"])
    assert human.http.get(done["result_url"]).content == video
    scene = studio.scenes.get(done["scene_id"])
    assert studio.queues.view(scene["queue_id"])["name"] == "All-in-one"


def test_the_engine_that_cloning_names_may_be_sent_back(human: DigitalHuman, recording: bytes, portrait: bytes) -> None:
    """Their page prefers for the job whatever engine cloned the voice."""
    voice = human.clone(recording)
    job = human.start(voice["voice_id"], portrait, SCRIPT, preferred_engine=voice["engine"])
    assert human.wait(job["job_id"])["status"] == "completed"


def test_no_part_of_a_script_is_taken_for_the_whole(
    studio: Studio, human: DigitalHuman, recording: bytes, portrait: bytes, instant: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A job has one video: what its engine cannot say in one go is refused, and is not split into many."""
    monkeypatch.setattr(instant.Instant, "limits", replace(Limits(), seconds={"talking_avatar": (0.4, 4.5)}))
    uri = "data:image/png;base64," + base64.b64encode(portrait).decode()
    script = " ".join([SCRIPT] * 8)
    asked = {"voice_id": human.clone(recording)["voice_id"], "avatar_url": uri, "script_mode": "manual"}
    answer = human.http.post("/api/jobs", json={**asked, "script_input": script, "preferred_engine": "instant"})
    refused(answer, 400, "preflight.speech_long")


def test_the_readmes_spelling_for_whoever_asks(
    studio: Studio, human: DigitalHuman, recording: bytes, portrait: bytes, instant: Any
) -> None:
    job = human.start(human.clone(recording)["voice_id"], portrait, SCRIPT)["job_id"]
    seen: list[Any] = []
    instant.ON_RUN.append(
        lambda scene, run: seen.extend(
            human.http.get(f"/api/jobs/{job}", params=how).json() for how in ({}, {"spelling": "readme"})
        )
    )
    studio.drain()
    code, readme = seen[-2:]
    assert (code["status"], readme["status"]) == ("running", "processing")
    assert code["state"] == readme["state"] == "running"


def test_progress_is_the_engines_own_and_never_goes_back(
    studio: Studio, human: DigitalHuman, recording: bytes, portrait: bytes, instant: Any
) -> None:
    job = human.start(human.clone(recording)["voice_id"], portrait, SCRIPT)["job_id"]
    told: list[int] = []

    def look(scene: Any, run: Any) -> None:
        for done, total in ((1, 4), (3, 4), (1, 50)):
            live = next(iter(studio._runner.live.values()))
            live.done, live.total = done, total
            told.append(human.http.get(f"/api/jobs/{job}").json()["progress"])

    instant.ON_RUN.append(look)
    studio.drain()
    assert told == [2, 7, 7, 32, 76, 76]  # its speech is a tenth


def test_a_stand_in_says_why(
    studio: Studio, human: DigitalHuman, recording: bytes, portrait: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "other", "instant_engine:Other")

    def fail(scene: Any, run: Any) -> None:
        if scene.task_type == "talking_avatar" and len(human.seen) < 3:
            raise EngineError("engine.failed", engine="instant", reason="no memory left")

    import instant_engine

    instant_engine.ON_RUN.append(fail)
    job = human.start(human.clone(recording)["voice_id"], portrait, SCRIPT)["job_id"]
    done = human.wait(job)
    assert (done["status"], done["selected_engine"]) == ("completed", "other")
    assert "no memory left" in done["fallback_reason"]
    between = human.http.get(f"/api/jobs/{job}", params={"spelling": "readme"}).json()
    assert between["status"] == "completed"


def test_a_job_that_fails_says_so_in_words(
    human: DigitalHuman, studio: Studio, recording: bytes, portrait: bytes
) -> None:
    job = human.start(human.clone(recording)["voice_id"], portrait, "you will fail", preferred_engine="instant")
    done = human.wait(job["job_id"])
    assert done["status"] == "failed" and "told to" in done["message"] and done["result_url"] is None


def test_a_job_that_was_cancelled_is_cancelled(
    human: DigitalHuman, studio: Studio, recording: bytes, portrait: bytes
) -> None:
    job = human.start(human.clone(recording)["voice_id"], portrait, SCRIPT)["job_id"]
    studio.scenes.cancel(human.http.get(f"/api/jobs/{job}").json()["scene_id"])
    assert human.wait(job)["status"] == "cancelled"


# ------------------------------------------------------------------------------------------------ voices
def test_consent_is_written_down_as_the_clients(studio: Studio, human: DigitalHuman, recording: bytes) -> None:
    human.clone(recording)
    voice = studio.voices.list()[0]
    assert voice["consent"]["by"].startswith("API client testclient (") and AGENT in voice["consent"]["by"]


def test_the_same_recording_is_the_same_voice(studio: Studio, human: DigitalHuman, recording: bytes) -> None:
    assert human.clone(recording)["voice_id"] == human.clone(recording, "other.wav")["voice_id"]
    assert len(studio.voices.list()) == 1


@pytest.mark.parametrize("spelled", ["{id}", "/srv/aio/data/voices/{id}.wav", r"C:\aio\data\voices\{ID}.mp4"])
def test_an_id_is_opaque_also_as_a_path(human: DigitalHuman, recording: bytes, portrait: bytes, spelled: str) -> None:
    made = human.clone(recording)["voice_id"]
    job = human.start(spelled.format(id=made, ID=made.upper()), portrait, SCRIPT)
    assert human.wait(job["job_id"])["status"] == "completed"


@pytest.mark.parametrize("kind", ["silence", "no sound", "missing"])
def test_what_is_no_sample_is_refused_in_words(http: TestClient, kind: str) -> None:
    content = {"silence": as_wav(voice_samples.silence(8)), "no sound": b"hello", "missing": b""}[kind]
    files = {"audio_file": ("me.wav", content)} if kind != "missing" else {"other": ("me.wav", b"x")}
    answer = http.post("/api/voice/clone", files=files)
    assert answer.status_code in (400, 422) and len(answer.json()["detail"]) > 20, answer.text


def test_a_recording_may_be_as_large_as_any_upload() -> None:
    assert UPLOADS.fullmatch("/api/voice/clone") and not UPLOADS.fullmatch("/api/jobs")


# ------------------------------------------------------------------------------------------------ what is refused
@pytest.mark.parametrize("mode", ["ai", "auto"])
def test_nobody_writes_the_script_yet_and_no_text_is_made_up(
    studio: Studio, human: DigitalHuman, recording: bytes, portrait: bytes, mode: str
) -> None:
    voice = human.clone(recording)["voice_id"]
    uri = "data:image/png;base64," + base64.b64encode(portrait).decode()
    body = {"voice_id": voice, "avatar_url": uri, "script_mode": mode, "script_input": "lamps"}
    refused(human.http.post("/api/jobs", json=body), 501, "all_in_one.writer")
    assert not [queue for queue in studio.queues.list() if queue["name"] == "All-in-one"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"voice_id": "voice_1234abcd"}, 400, "all_in_one.voice"),
        ({"voice_id": "/etc/passwd"}, 400, "all_in_one.voice"),
        ({"wangp_model": "Sora"}, 400, "all_in_one.model"),
        ({"preferred_engine": "magic"}, 400, "all_in_one.engine"),
        ({"preferred_engine": "infinitetalk"}, 400, "engine.needs_download"),
        ({"script_input": "   "}, 400, "all_in_one.script"),
        ({"script_input": ""}, 422, "request.invalid"),
        ({"script_mode": "robot"}, 422, "request.invalid"),
        ({"avatar_url": "data:text/html;base64,PGI+"}, 400, "all_in_one.data_uri"),
        ({"avatar_url": "data:image/png;base64,AAAA"}, 400, ""),
        ({"avatar_url": "/etc/passwd"}, 400, ""),
        ({"avatar_url": "http://127.0.0.1:1/a.png"}, 400, ""),
    ],
)
def test_what_cannot_be_is_refused_with_its_cure_and_leaves_nothing(
    studio: Studio, human: DigitalHuman, recording: bytes, portrait: bytes, change: dict[str, str], status: int,
    code: str,
) -> None:  # fmt: skip
    uri = "data:image/png;base64," + base64.b64encode(portrait).decode()
    good = {"voice_id": human.clone(recording)["voice_id"], "avatar_url": uri, "script_mode": "manual"}
    answer = human.http.post("/api/jobs", json={**good, "script_input": SCRIPT, **change})
    assert answer.status_code == status, answer.text
    assert not code or answer.json()["code"] == code, answer.text
    left = [queue for queue in studio.queues.list() if queue["name"] == "All-in-one"]
    assert not left or not studio.queues.get(left[0]["id"])["scenes"]
    if code == "all_in_one.model":
        assert all(name in answer.json()["detail"] for name in MODELS)


def test_a_portrait_may_be_a_path_below_the_studios_folders(
    studio: Studio, human: DigitalHuman, recording: bytes, portrait: bytes
) -> None:
    path = studio.settings.output_dir / "me.png"
    path.write_bytes(portrait)
    job = human.start(human.clone(recording)["voice_id"], str(path), SCRIPT)
    assert human.wait(job["job_id"])["status"] == "completed"


def test_a_portrait_of_the_web_comes_through_the_safe_fetcher(
    studio: Studio, human: DigitalHuman, recording: bytes, portrait: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fetch(url: str, target: Path, **more: Any) -> Any:
        from studio.media.fetch import Fetched

        asked.append(url)
        target.write_bytes(portrait)
        return Fetched(target, "me.png", "image/png", len(portrait))

    monkeypatch.setattr("studio.media.fetch.fetch", fetch)
    job = human.start(human.clone(recording)["voice_id"], "https://example.com/me.png", SCRIPT)
    assert human.wait(job["job_id"])["status"] == "completed" and asked == ["https://example.com/me.png"]


@pytest.mark.parametrize("job", ["job_9876efgh", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "..", "job_"])
@pytest.mark.parametrize("path", ["", "/result", "/download"])
def test_unknown_jobs_are_404(http: TestClient, job: str, path: str) -> None:
    assert http.get(f"/api/jobs/{job}{path}").status_code == 404


def test_a_scene_of_another_queue_is_no_job(studio: Studio, http: TestClient) -> None:
    queue = studio.queues.create("Mine")["id"]
    scene = studio.scenes.add(queue, {"task_type": "text_to_video", "prompt": "a"})["id"]
    refused(http.get(f"/api/jobs/job_{scene.lower()}"), 404, "all_in_one.job")


# ------------------------------------------------------------------------------------------------ models
def test_models_are_named_and_none_is_simulated(http: TestClient) -> None:
    models = http.get("/api/models/status").json()
    assert {model["model_id"] for model in models} == set(MODELS)
    assert {model["status"] for model in models} <= {"ready", "not_downloaded", "downloading"}
    assert http.get("/api/models/download/LTX-2").json()["model_id"] == "LTX-2"
    assert http.get("/api/models/download", params={"model_id": "LTX-2"}).status_code == 200
    refused(http.get("/api/models/download/Sora"), 404, "all_in_one.no_model")
    refused(http.post("/api/models/download", json={"model_id": "Hunyuan Avatar"}), 400, "all_in_one.own_models")
    # a licence is accepted by a person
    refused(http.post("/api/models/download", json={"model_id": "LTX-2"}), 400, "model.licence")


def test_every_model_means_an_engine_that_knows_it() -> None:
    from studio.pipelines import engine_class

    for name, model in MODELS.items():
        cls = engine_class(model.engine)
        assert "talking_avatar" in cls.tasks, name
        cls.Options.model_validate(model.options)


def test_our_own_routes_are_still_ours(http: TestClient) -> None:
    assert http.get("/api/voices").status_code == 200 and http.get("/api/catalogue").status_code == 200
    assert http.get("/api/jobs").status_code in (404, 405)


# ------------------------------------------------------------------------------------------------ a power cut
class Server:
    """The studio as people start it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", "import sys; from studio.cli import main; sys.exit(main(sys.argv[1:]))",
             "--no-browser", "--port", str(self.port), "--data-dir", str(folder / "data"),
             "--output-dir", str(folder / "outputs")],
            cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(600):
            try:
                if httpx2.get(f"{self.url}/health", timeout=2, trust_env=False).json()["ok"]:
                    return
            except (httpx2.HTTPError, ValueError):
                assert self.process.poll() is None, "it ended"
                time.sleep(0.1)
        raise AssertionError("it did not start")

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, timeout=60, trust_env=False)

    def kill(self) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_power_cut_leaves_the_job_resumable(tmp_path: Path, recording: bytes, portrait: bytes) -> None:
    """The real thing, with the draft engine: killed while the job runs, started again, and the job completes."""
    first = Server(tmp_path)
    try:
        with first.client() as http:
            human = DigitalHuman(http)
            job = human.start(human.clone(recording)["voice_id"], portrait, f"{SCRIPT} " * 2)["job_id"]
            for _ in range(600):
                before = http.get(f"/api/jobs/{job}").json()
                if before["status"] != "queued":
                    break
                time.sleep(0.05)
            assert before["status"] == "running"
    finally:
        first.kill()
    second = Server(tmp_path)
    try:
        with second.client() as http:
            human = DigitalHuman(http)
            done = human.wait(job)
            assert done["status"] == "completed", done
            assert human.video(job)[4:8] == b"ftyp"
    finally:
        second.kill()

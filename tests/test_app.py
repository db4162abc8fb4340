"""The whole app behind its door: hostile requests end to end, light imports, hosts, ports, a clean start and stop."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
import uvicorn
from starlette.testclient import TestClient

from studio import app
from studio.errors import Unavailable
from studio.reach.lan import Server
from studio.settings import Settings

REPOSITORY = Path(__file__).parent.parent
HERE = "http://127.0.0.1:7860"
EVIL = {"origin": "https://evil.example"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Everything that `serve` serves, without a port and without workers."""
    environment = dict(os.environ)
    studio = app.build_studio(Settings(root=tmp_path_factory.mktemp("home")), in_process=True)
    with TestClient(
        app.web_app(studio, "token"), base_url=HERE, follow_redirects=False, raise_server_exceptions=False
    ) as client:
        yield client
    studio.close()
    os.environ.clear()
    os.environ.update(environment)


# ------------------------------------------------------------------------------------------------ what is there
@pytest.mark.parametrize(
    "path",
    ["/", "/health", "/healthz", "/ready", "/api/queues", "/api/openapi.json", "/api/docs", "/ui/locales/en.json"],
)
def test_every_face_answers(whole, path):
    assert whole.get(path).status_code == 200


def test_the_page_calls_nobody_else(whole):
    page = whole.get("/").text
    assert "lanterna" in page.lower()
    for stranger in ("googleapis", "gstatic", "cdn.", "huggingface.co", "unpkg", "jsdelivr"):
        assert stranger not in page
    assert "http" not in whole.get("/api/docs").text.replace("http-equiv", "")


@pytest.mark.parametrize(
    "path", ["/docs", "/redoc", "/openapi.json", "/monitoring", "/monitoring/x", "/gradio_api/mcp"]
)
def test_doors_that_nobody_needs_are_shut(whole, path):
    assert whole.get(path).status_code in (401, 403, 404)


def test_gradio_records_nothing(whole):
    assert whole.get("/config").json().get("run_history") in (False, None)
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False" and os.environ["HF_HUB_DISABLE_TELEMETRY"] in ("1", "True")


# ------------------------------------------------------------------------------------------------ who is refused
@pytest.mark.parametrize("path", ["/", "/api/queues", "/gradio_api/info", "/ui/locales/en.json", "/health", "/sign-in"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_no_other_host_reaches_anything(whole, path, method):
    assert whole.request(method, path, headers={"host": "evil.example"}).status_code == 421


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/queues/sample"), ("POST", "/api/queues"), ("DELETE", "/api/queues/1"), ("POST", "/api/assets"),
        ("POST", "/gradio_api/upload"), ("POST", "/gradio_api/queue/join"), ("POST", "/gradio_api/call/x"),
        ("POST", "/gradio_api/run/predict"), ("POST", "/gradio_api/reset"), ("POST", "/sign-out"), ("POST", "/login"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "headers", [EVIL, {"origin": "null"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}]
)
def test_no_other_site_writes(whole, method, path, headers):
    answer = whole.request(
        method, path, headers=headers, files={"files": ("a.txt", b"x")} if method == "POST" else None
    )
    assert answer.status_code == 403
    assert "guard.cross_site" in answer.text


def test_nothing_was_written_by_them(whole):
    assert [queue for queue in whole.get("/api/queues").json() if not queue["inbox"]] == []
    uploads = Path(os.environ["GRADIO_TEMP_DIR"])
    assert not uploads.exists() or not [path for path in uploads.rglob("*") if path.is_file()]


def test_a_preflight_gets_no_leave_from_gradio(whole):
    headers = {**EVIL, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    for path in ("/api/queues", "/gradio_api/upload", "/"):
        answer = whole.options(path, headers=headers)
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "path",
    [
        "/ui/../requirements.txt", "/ui/%2e%2e/requirements.txt", "/ui/..%2frequirements.txt", "/ui/%2e%2e%2flaunch.py",
        "/ui//etc/passwd", "/ui/..\\requirements.txt", "/ui/%5c..%5crequirements.txt", "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=../requirements.txt", "/gradio_api/file=data/studio.db", "/static/../../app.py",
        "/assets/%2e%2e/%2e%2e/app.py", "/api/takes/..%2f..%2fstudio.db/file", "/api/assets/..%2f..%2fstudio.db/file",
        "/api/exports/%2e%2e/file", "/ui/", "/ui/locales", "/ui/locales/",
    ],
)  # fmt: skip
def test_no_path_leads_out(whole, path):
    answer = whole.get(path)
    assert answer.status_code in (307, 400, 401, 403, 404, 405)
    assert b"root:" not in answer.content and b"gradio==" not in answer.content and b"SQLite" not in answer.content


def test_answers_of_gradio_carry_our_headers_too(whole):
    for path in ("/", "/config", "/api/queues"):
        headers = whole.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors" in headers["content-security-policy"]


def test_with_a_password_every_face_is_shut(tmp_path, build):
    studio = build(auth="mina:lantern light")
    client = TestClient(app.web_app(studio, "command-line"), base_url=HERE, follow_redirects=False)
    shut = ["/", "/config", "/api/queues", "/api/openapi.json", "/gradio_api/info", "/ui/locales/en.json", "/theme.css"]
    assert {path: client.get(path).status_code for path in shut} == dict.fromkeys(shut, 401)
    assert client.get("/gradio_api/startup-events").status_code == 401
    assert client.get("/health").status_code == 200 and client.get("/sign-in").status_code == 200
    assert client.post("/login", data={"username": "mina", "password": "lantern light"}).status_code == 401
    client.post("/sign-in", data={"user": "mina", "password": "lantern light"})
    assert {path: client.get(path).status_code for path in shut} == dict.fromkeys(shut, 200)
    client.cookies.clear()
    assert client.get("/api/queues", headers={"authorization": "Bearer command-line"}).status_code == 200


# ------------------------------------------------------------------------------------------------ who may be reached
def test_a_strangers_file_does_not_keep_the_tools_for_half_an_hour(tmp_path):
    lanes = app._lanes(Settings(root=tmp_path), in_process=False)
    assert lanes.tools[0]._stalled_after < lanes.cpu[0]._stalled_after  # type: ignore[attr-defined]


def test_what_the_settings_want_to_be_open(tmp_path):
    assert app.wished(Settings(root=tmp_path)) == []
    assert app.wished(Settings(root=tmp_path, allowed_hosts=["a.example"])) == ["proxy"]
    assert app.wished(Settings(root=tmp_path, host="10.1.2.3", share=True)) == ["share", "lan"]


def test_a_studio_that_listens_everywhere_is_called_by_its_own_names_alone(tmp_path, build):
    studio = build(host="0.0.0.0", auth="a:long enough", port=free_port())
    studio.people.start(studio.settings.auth)
    studio.sharing.use(app.ways(studio.settings, idle_server()))
    studio.sharing.start(app.wished(studio.settings))
    hosts = studio.people.hosts
    assert hosts.way("127.0.0.1:7860") == "local" and hosts.way("evil.example") is None and hosts.way("0.0.0.0") is None
    lan = next(one for one in studio.sharing.view()["ways"] if one["way"] == "lan")
    assert lan["state"] == "failed" or hosts.way(socket.gethostname()) == "lan"  # a machine without network waits


def idle_server() -> Server:
    return Server(uvicorn.Config(lambda scope: None))


@pytest.mark.parametrize(
    "flags",
    [
        {"host": "0.0.0.0"}, {"host": "192.168.1.5"}, {"host": "::"}, {"share": True}, {"allowed_hosts": ["a.example"]},
        {"root_path": "/films"}, {"trusted_proxies": ["127.0.0.1"]},
    ],
)  # fmt: skip
def test_a_studio_without_a_password_stays_at_home(tmp_path, flags):
    with pytest.raises(Unavailable) as refused:
        app.serve(Settings(root=tmp_path, **flags), lambda url: pytest.fail("it opened"))
    assert (refused.value.code, refused.value.params["asked"]) == ("app.needs_auth", f"{next(iter(flags))} (flag)")


def test_a_busy_port_is_named_with_its_holder_and_a_free_one(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Unavailable) as busy:
            app.listen(Settings(root=tmp_path, port=port))
    assert busy.value.code == "app.port_busy"
    assert f"(process {os.getpid()})" in busy.value.params["holder"]
    assert busy.value.params["free"] > port


def test_an_address_that_is_not_ours_is_named(tmp_path, build):
    studio = build(host="203.0.113.7", auth="a:long enough", port=free_port())
    studio.people.start(studio.settings.auth)
    studio.sharing.use(app.ways(studio.settings, idle_server()))
    with pytest.raises(Unavailable) as bad:
        studio.sharing.start(app.wished(studio.settings))
    assert bad.value.code == "sharing.no_listener" and bad.value.params["address"] == "203.0.113.7"


def test_the_port_itself_is_of_this_computer_alone(tmp_path):
    for host in ("127.0.0.1", "0.0.0.0", "203.0.113.7"):
        with app.listen(Settings(root=tmp_path, host=host, port=free_port())) as listener:
            assert listener.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "url"), [("127.0.0.1", "//127.0.0.1:1"), ("0.0.0.0", "//127.0.0.1:1"), ("::1", "//[::1]:1")]
)
def test_the_address_for_the_browser(tmp_path, host, url):
    assert app.browser_url(Settings(root=tmp_path, host=host, port=1)) == "http:" + url


def test_a_share_server_of_ones_own(tmp_path):
    settings = Settings(root=tmp_path, share_server="films.example:7000", share_server_certificate="own.pem")
    with pytest.raises(Unavailable) as missing:
        app.share_server(settings, tmp_path)
    assert missing.value.code == "sharing.no_certificate"
    (tmp_path / "own.pem").write_text("CERT")
    server = app.share_server(settings, tmp_path)
    assert (server.address, server.certificate) == ("films.example:7000", tmp_path / "own.pem")
    assert app.share_server(Settings(root=tmp_path, share_server="f.example:1"), tmp_path).certificate is None


# ------------------------------------------------------------------------------------------------ a real one
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """A studio as users start it: its own process, a port, workers."""

    def __init__(self, home: Path, *flags: str) -> None:
        self.port, self.home = free_port(), home
        self.url = f"http://127.0.0.1:{self.port}"
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-c", "import sys; from studio.cli import main; sys.exit(main(sys.argv[1:]))",
             "--no-browser", "--port", str(self.port), "--data-dir", str(home / "data"),
             "--output-dir", str(home / "outputs"), *flags],
            cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def wait(self) -> None:
        with httpx2.Client(trust_env=False) as client:
            while self.process.poll() is None:
                try:
                    client.get(self.url + "/ready", timeout=60)
                    return
                except httpx2.ConnectError:
                    time.sleep(0.02)
        raise AssertionError(self.process.stdout and self.process.stdout.read())

    def get(self, path: str, **more: Any) -> httpx2.Response:
        return httpx2.get(self.url + path, timeout=60, trust_env=False, **more)

    def end(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=60)
        return self.process.returncode, said


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_opens_works_and_closes_cleanly(tmp_path, number):
    studio = Running(tmp_path)
    studio.wait()
    assert studio.get("/").status_code == 200
    lock = json.loads((tmp_path / "data" / "studio.lock").read_text())
    assert (lock["pid"], lock["url"]) == (studio.process.pid, studio.url)
    scene = {"task_type": "speech", "lines": [{"text": "one two three four five six seven"}]}
    httpx2.post(studio.url + "/api/scenes", json=scene, trust_env=False)
    workers = wait_for_workers(studio.process.pid)
    code, said = studio.end(number)
    assert code == 0, said
    assert "Traceback" not in said
    ends = time.monotonic() + 60  # one that was just starting goes when it finds nobody at the other end of its pipe
    while any(alive(worker) for worker in workers):
        assert time.monotonic() < ends, "a worker outlived its studio"
        time.sleep(0.05)
    assert (tmp_path / "data" / "studio.lock").read_text() == ""


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # one that nobody has reaped yet is dead all the same
    except psutil.NoSuchProcess:
        return False


def wait_for_workers(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    for _ in range(1500):
        if children := parent.children(recursive=True):
            return children
        time.sleep(0.02)
    raise AssertionError("no worker started")


def test_the_app_process_is_light_and_workers_know_no_face(tmp_path):
    """In a fresh interpreter: everything is built, a scene is made, and what was imported is looked at."""
    program = f"""
import sys, json
from pathlib import Path
if __name__ == "__main__":
    from studio import app
    from studio.settings import Settings
    studio = app.build_studio(Settings(root=Path({str(tmp_path)!r})))
    app.web_app(studio, "t")
    from studio.execution.wire import WorkerSettings
    from studio.execution.process import WorkerProcess
    worker = WorkerProcess(WorkerSettings(tools={{"modules": "worker_modules:modules"}}))
    inside = [event for event in worker.call("modules", {{}})][-1]
    worker.close()
    studio.close()
    print(json.dumps({{"app": sorted(sys.modules), "worker": inside.result}}))
"""
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "worker_modules.py").write_text(
        "import importlib, sys\n"
        "def modules(arguments, run):\n"
        "    importlib.import_module('studio.pipelines.draft.engine')\n"
        "    return sorted(sys.modules)\n"
    )
    paths = os.pathsep.join([str(tmp_path), str(REPOSITORY)])
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py")], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": paths}, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert "gradio" in found["app"] and "studio.tabs" in found["app"], "the app is whole"
    assert not {"torch", "diffusers", "transformers", "cv2", "librosa", "moviepy"} & set(found["app"])
    assert "studio.execution.worker" in found["worker"]
    faces = ("gradio", "fastapi", "uvicorn", *(f"studio.{name}" for name in ("app", "tabs", "api", "service", "store")))
    assert not set(faces) & set(found["worker"])


def test_quick_import_keeps_gradio_from_writing_stubs():
    program = """
from studio import quick_import; quick_import.install()
import sys, gradio, gradio.component_meta as meta
assert "<lambda>" in repr(meta.create_or_modify_pyi), meta.create_or_modify_pyi
assert not [finder for finder in sys.meta_path if "Stubs" in repr(finder)]
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr

"""The doctor: what it finds on this machine and in broken folders, as lines and as JSON. It changes nothing."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.app import build_studio
from studio.cli import main
from studio.cli.checks import around, home, machine
from studio.cli.doctor import CHECKS, examine, findings, said
from studio.cli.speech import Speaker
from studio.lock import StudioLock
from studio.settings import Settings

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    environment = dict(os.environ)
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    monkeypatch.setenv("LANTERNA_OFFLINE", "1")  # no test asks the network
    yield
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """For the command line: an empty folder."""
    monkeypatch.setenv("LANTERNA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LANTERNA_OUTPUT_DIR", str(tmp_path / "outputs"))
    return tmp_path


def found(check: Any, settings: Settings) -> dict[str, dict[str, str]]:
    speaker = Speaker("en")
    return {one.what: said(one, speaker) for one in findings(settings, [check])}


def with_database(settings: Settings) -> Path:
    build_studio(settings, in_process=True).close()
    return settings.database


# ------------------------------------------------------------------------------------------------ how it speaks
@pytest.mark.parametrize("lang", ["en", "pt", "zh"])
def test_it_finds_this_machine_well(folders, capsys, lang):
    (folders / "data").mkdir()
    assert main(["doctor", "--lang", lang]) == 0
    text = capsys.readouterr().out
    lines = [line for line in text.splitlines() if line[:4].strip() in ("ok", "warn", "bad")]
    assert len(lines) >= len(CHECKS) - 1, "a line for each check; that of a running studio says nothing here"
    assert "doctor." not in text, "every line has its words"
    assert not [line for line in lines if line.startswith("bad")], text


def test_it_says_1_and_the_cure_when_something_is_bad(folders, capsys, monkeypatch):
    monkeypatch.setenv("HOST", "0.0.0.0")
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "bad" in text and "auth" in text


def test_as_json_it_is_one_document_with_the_same_code(folders, capsys, monkeypatch):
    assert main(["doctor", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is True and len(document["checks"]) >= len(CHECKS) - 1
    assert all(set(check) == {"what", "state", "value", "message", "cure"} for check in document["checks"])
    monkeypatch.setenv("HOST", "0.0.0.0")
    assert main(["doctor", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    bad = [check for check in document["checks"] if check["state"] == "bad"]
    assert document["ok"] is False and [check["what"] for check in bad] == ["reach"] and bad[0]["cure"]


def test_others_may_come_where_an_owner_has_a_password(folders, capsys, monkeypatch, build):
    monkeypatch.setenv("HOST", "0.0.0.0")
    studio = build(data_dir=folders / "data")
    assert main(["doctor", "--json"]) == 1
    studio.people.make_owner("Mina", "three plain words")
    capsys.readouterr()
    assert main(["doctor", "--json"]) == 0


def test_a_package_that_is_not_there_is_named_and_the_other_checks_go_on(folders, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)  # as if it were not installed
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "imageio_ffmpeg" in text and "SQLite" in text


def test_a_check_that_breaks_is_a_finding(settings, capsys, monkeypatch):
    def breaks(settings: Settings) -> Any:
        raise ZeroDivisionError("a driver that divides by nothing")

    monkeypatch.setattr("studio.cli.doctor.findings", lambda given: findings(given, [breaks, machine.sqlite]))
    assert examine(settings, Speaker("en")) == 1
    text = capsys.readouterr().out
    assert "breaks: ZeroDivisionError" in text and "SQLite" in text


def test_it_needs_no_package_that_only_a_studio_needs(folders):
    """Gradio, torch and the server may be broken: the doctor says so, and does not import them."""
    program = (
        "import sys\n"
        "for name in ('gradio', 'uvicorn', 'fastapi', 'av', 'cv2', 'diffusers'): sys.modules[name] = None\n"
        "from studio.cli import main\n"
        "code = main(['doctor', '--json'])\n"
        "sys.exit(9 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        env=dict(os.environ),
    )
    document = json.loads(done.stdout)
    assert done.returncode == 1, done.stderr
    bad = {check["what"]: check["value"] for check in document["checks"] if check["state"] == "bad"}
    assert bad == {"packages_wrong": "av (-)"}, "PyAV is asked for its codecs"
    assert len(document["checks"]) >= len(CHECKS) - 2


# ------------------------------------------------------------------------------------------------ database
def test_a_database_that_is_well(settings):
    path = with_database(settings)
    before = sorted((file.name, file.read_bytes()) for file in path.parent.iterdir() if file.is_file())
    one = found(home.database, settings)
    assert one["database"]["state"] == "ok" and "MB" in one["database"]["value"] and not one["database"]["cure"]
    assert one["backups"]["value"] == "0"
    assert sorted((file.name, file.read_bytes()) for file in path.parent.iterdir() if file.is_file()) == before


def test_what_a_running_studio_has_just_written_is_seen(settings):
    studio = build_studio(settings, in_process=True)
    try:
        assert settings.database.with_name("studio.db-wal").stat().st_size > 0
        assert found(home.database, settings)["database"]["state"] == "ok"
    finally:
        studio.close()


def test_without_a_database_nothing_is_wrong_and_none_is_made(settings):
    assert found(home.database, settings)["database"]["state"] == "ok"
    assert not settings.database.exists()


def test_a_damaged_database_is_told_with_its_backup(settings):
    path = with_database(settings)
    (path.parent / "backups").mkdir()
    shutil.copy(path, path.parent / "backups" / "studio-2026-11-20T101112.000Z.db")
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 4)
    one = found(home.database, settings)["database"]
    assert one["state"] == "bad" and "studio-2026-11-20T101112.000Z.db" in one["cure"]
    shutil.rmtree(path.parent / "backups")
    assert "no backup" in found(home.database, settings)["database"]["cure"]
    path.write_bytes(b"this is no database at all" * 200)
    assert found(home.database, settings)["database"]["state"] == "bad"


def test_a_database_of_a_newer_studio_asks_for_an_update(settings):
    path = with_database(settings)
    db = sqlite3.connect(path)
    db.execute("insert into _sqlite_migrations (migration_set, name, applied_at) values ('studio', 'm999_future', '')")
    db.commit()
    db.close()
    one = found(home.database, settings)["database"]
    assert one["state"] == "bad" and "m999_future" in one["value"] and "launch.py update" in one["cure"]


def test_a_database_of_an_older_studio_is_well(settings):
    path = with_database(settings)
    db = sqlite3.connect(path)
    newest = db.execute("select name from _sqlite_migrations order by rowid desc limit 1").fetchone()[0]
    db.execute("delete from _sqlite_migrations where name = ?", [newest])
    db.commit()
    db.close()
    one = found(home.database, settings)["database"]
    assert one["state"] == "ok" and newest in one["value"] and "next start" in one["cure"]


# ------------------------------------------------------------------------------------------------ models
def test_models_that_are_half_here_are_named(settings, tiny_shelf, tmp_path):
    shutil.copytree(tiny_shelf, settings.models_dir)
    table = settings.models_dir / "folders.json"
    home_of = tiny_shelf.parent / "repositories"
    shutil.copytree(home_of, tmp_path / "repositories", dirs_exist_ok=True)
    table.write_text(table.read_text().replace(str(home_of), str(tmp_path / "repositories")))
    whole = found(home.models, settings)
    assert "models_half" not in whole and int(whole["models"]["value"].split()[0]) > 5
    weights = next(path for path in sorted((tmp_path / "repositories").rglob("vae/*.safetensors")))
    weights.write_bytes(weights.read_bytes()[:-10])
    one = found(home.models, settings)
    assert one["models_half"]["state"] == "warn" and "models get" in one["models_half"]["cure"]
    assert "/vae (" in one["models_half"]["value"]


def test_half_a_lora_is_named(settings):
    folder = settings.models_dir / "loras"
    folder.mkdir(parents=True)
    (folder / "rain.safetensors").write_bytes(b"\x40\0\0\0\0\0\0\0{")
    one = found(home.models, settings)
    assert one["model_files_half"]["value"] == "rain.safetensors" and one["model_files_half"]["cure"]


# ------------------------------------------------------------------------------------------------ driver and torch
@pytest.mark.parametrize(
    ("built", "driver", "state"),
    [
        (("cuda", "13.0"), (13, 1), "ok"), (("cuda", "13.2"), (13, 0), "ok"), (("cuda", "13.0"), (12, 8), "bad"),
        (("", ""), (13, 0), "warn"), (("", ""), None, "ok"), (("hip", "7.2"), None, "ok"),
    ],
)  # fmt: skip
def test_the_driver_must_run_what_torch_was_built_for(settings, monkeypatch, built, driver, state):
    monkeypatch.setattr(machine, "torch_build", lambda: built)
    monkeypatch.setattr(machine, "cuda_of_driver", lambda: driver)
    one = found(machine.torch, settings)["torch"]
    assert one["state"] == state and bool(one["cure"]) == (state != "ok")
    if state == "bad":
        assert "CUDA 12.8" in one["cure"] and "CUDA 13.0" in one["cure"]


@pytest.mark.parametrize(
    ("text", "build"),
    [
        ("cuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n", ("cuda", "13.0")),
        ("cuda: Optional[str] = None\nhip: Optional[str] = '7.2.53150-7b886380f9'\n", ("hip", "7.2.53150")),
        ("cuda: Optional[str] = None\nhip: Optional[str] = None\n", ("", "")),
    ],
)
def test_what_torch_was_built_for_is_read_from_its_files(monkeypatch, tmp_path, text, build):
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('torch must not be imported')")
    (package / "version.py").write_text(f"__version__ = '2.13.0'\n{text}")
    monkeypatch.syspath_prepend(tmp_path)
    loaded = sys.modules.pop("torch", None)
    try:
        assert machine.torch_build() == build
    finally:
        if loaded is not None:
            sys.modules["torch"] = loaded


# ------------------------------------------------------------------------------------------------ around
def test_a_running_studio_and_its_port_are_no_fault(settings, monkeypatch):
    lock = StudioLock(settings.data_dir)
    lock.acquire()
    lock.announce(f"http://127.0.0.1:{settings.port}")
    monkeypatch.setattr("studio.app.port_holder", lambda port: "python3 (process 4711)")
    try:
        assert str(os.getpid()) in found(around.running, settings)["studio"]["value"]
        assert found(around.port, settings)["port"]["state"] == "ok"
    finally:
        lock.release()
    assert found(around.running, settings) == {}
    one = found(around.port, settings)["port"]
    assert one["state"] == "warn" and "4711" in one["value"] and "--port" in one["cure"]


def test_no_internet_is_a_warning_and_offline_is_none(tmp_path, monkeypatch):
    assert found(around.internet, Settings(root=tmp_path))["internet"]["state"] == "ok"
    monkeypatch.delenv("LANTERNA_OFFLINE")
    away = Settings(root=tmp_path, hf_endpoint="http://127.0.0.1:9")
    one = found(around.internet, away)["internet"]
    assert one["state"] == "warn" and "127.0.0.1" in one["value"] and one["cure"]

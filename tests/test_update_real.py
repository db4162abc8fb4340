"""An update of the real program, from the commit before: a clone with data, its own .venv, and a pip that only notes.

What is tested is the last commit; what is not committed yet is not part of it.
"""

import os
import sqlite3
import subprocess
import sys
import sysconfig
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from small_lanterna import REPOSITORY, environment, git, rows

from installer import Place, selftest
from studio.app import build_studio
from studio.settings import Settings

PIP = """
import sys
from pathlib import Path
with (Path(sys.prefix) / "asked").open("a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
print("pip 24.2")
"""
SCENE = ("generate", "--task_type", "text_to_video", "--prompt", "A lamp", "--duration", "0.2", "--engine", "draft")


def history() -> bool:
    """Is there a commit before this one that can update itself?"""
    asked = ["git", "-C", str(REPOSITORY), "cat-file", "-e", "HEAD~1:installer/selftest.py"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


def with_its_own_venv(root: Path) -> Place:
    """An environment that has everything this one has, and a pip of its own."""
    place = Place.at(root)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place.venv)], check=True, timeout=60)
    packages = next(place.venv.rglob("site-packages"))
    (packages / "all.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    (packages / "pip").mkdir()
    (packages / "pip" / "__main__.py").write_text(PIP)
    (packages / "pip" / "__init__.py").write_text("")
    place.write_down({"app": place.wanted("app"), "torch": place.torch, "gpu": "cpu"})
    return place


def launch(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "launch.py", *arguments], cwd=place.root, env=environment() | {"LANTERNA_OFFLINE": "1"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def user_files(place: Place) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (place.root / "outputs").rglob("*") if path.is_file()}


def kept(place: Place) -> list[Any]:
    """Every row, of the tables that there were before."""
    return [(table, found) for table, found in rows(place.data / "studio.db") if not table.startswith("_")]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell's environment")
@pytest.mark.skipif(not history(), reason="no git history that can update itself")
def test_an_update_from_the_commit_before_keeps_everything_and_a_broken_one_goes_back(tmp_path):
    git(tmp_path, "init", "-q", "--bare", "--initial-branch=main", "origin.git")
    git(REPOSITORY, "push", "-q", str(tmp_path / "origin.git"), "HEAD:refs/heads/main")
    for name in ("author", "here"):
        git(tmp_path, "clone", "-q", "origin.git", name)
    author, root = tmp_path / "author", tmp_path / "here"
    git(root, "reset", "-q", "--hard", "HEAD~1")
    place = with_its_own_venv(root)
    done = launch(place, *SCENE)
    assert done.returncode == 0, done.stdout + done.stderr
    films, before = user_files(place), dict(kept(place))
    assert any(name.endswith(".mp4") for name in films) and before["takes"]

    with (author / "requirements.txt").open("a") as file:
        file.write("# changed\n")
    git(author, "commit", "-qam", "Change what is required")
    git(author, "push", "-q")
    done = launch(place, "update", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert git(root, "rev-parse", "HEAD") == git(author, "rev-parse", "HEAD")
    after = dict(kept(place))
    assert {table: after[table] for table in before} == before and user_files(place) == films
    assert "install" in (place.venv / "asked").read_text() and "requirements.txt" in (place.venv / "asked").read_text()
    assert place.installed()["app"] == place.wanted("app") and not (root / ".update").exists()

    good = git(root, "rev-parse", "HEAD")
    with (author / "studio" / "app.py").open("a") as file:
        file.write("raise RuntimeError('a release that does not work')\n")
    git(author, "commit", "-qam", "Break it")
    git(author, "push", "-q")
    done = launch(place, "update", "--yes")
    assert done.returncode == 1 and "a release that does not work" in done.stderr, done.stdout + done.stderr
    assert "Everything is as it was" in done.stderr
    assert git(root, "rev-parse", "HEAD") == good and git(root, "status", "--porcelain") == ""
    assert dict(kept(place)) == after and user_files(place) == films


# ------------------------------------------------------------------------------------------------ what is asked of it
def test_a_database_that_is_newer_than_the_code_is_refused(tmp_path, capsys):
    settings = Settings(root=tmp_path)
    build_studio(settings, in_process=True).close()
    assert selftest.migrate(str(settings.database)) == 0
    with closing(sqlite3.connect(settings.database)) as db, db:
        db.execute("insert into _sqlite_migrations (migration_set, name, applied_at) values ('studio', 'm999', '')")
    assert selftest.migrate(str(settings.database)) == 1
    assert "m999" in capsys.readouterr().out


def test_a_program_that_lacks_a_module_or_a_package_fails_its_test(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(selftest, "render", lambda: 0)
    monkeypatch.setattr(selftest, "MODULES", ("studio.app",))
    database = tmp_path / "studio.db"
    assert selftest.check(str(database)) == 0
    wanted = (REPOSITORY / "requirements.txt").read_text() + "nobody-has-this>=1\n"
    (tmp_path / "requirements.txt").write_text(wanted)
    monkeypatch.setattr("studio.cli.checks.machine.ROOT", tmp_path)
    assert selftest.check(str(database)) == 1
    assert "nobody-has-this" in capsys.readouterr().out
    monkeypatch.setattr(selftest, "MODULES", ("studio.nowhere",))
    with pytest.raises(ImportError):
        selftest.check(str(database))


def test_the_scene_that_is_rendered_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("LANTERNA_OFFLINE", "0")
    asked: list[list[str]] = []
    monkeypatch.setattr("studio.cli.main", lambda arguments: asked.append(arguments) or 5)
    assert selftest.render() == 5
    folders = [Path(asked[0][asked[0].index(flag) + 1]) for flag in ("--data-dir", "--output-dir")]
    assert all(folder.is_relative_to(tmp_path) for folder in folders) and "draft" in asked[0]
    assert list(tmp_path.iterdir()) == []

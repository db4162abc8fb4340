"""A Lanterna of a few files with the real launch.py and the real installer, for tests that update and remove it.

Its studio prints what it is asked; its selftest.py does what the files `breaks` and `migrates` beside it say.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from installer import Place

REPOSITORY = Path(__file__).parent.parent
NAMED = ("LANTERNA_", "HF_HOME", "GIT_")  # of the environment that runs the tests, and none of these projects' business
QUIET = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}

SELFTEST = """
import os, sqlite3, sys
from pathlib import Path
root = Path(__file__).resolve().parent.parent
verb, *rest = sys.argv[1:]
sys.path[0] = str(root)
from installer import Place
place = Place.at(root)
breaks = (root / "breaks").read_text().split() if (root / "breaks").exists() else []
with (place.venv / "asked").open("a") as log: log.write(" ".join([verb, *rest]) + "\\n")
if verb == "packages":
    (place.venv / "packages").write_text((root / "requirements.txt").read_text())
    if verb not in breaks:
        place.write_down({**place.installed(), "torch": place.torch, **{part: place.wanted(part) for part in rest}})
if verb == "migrate":
    db = sqlite3.connect(rest[0])
    for line in (root / "migrates").read_text().splitlines() if (root / "migrates").exists() else []:
        db.execute(line)
    db.commit(); db.close()
if verb in breaks:
    print("No space left on device" if "full" in breaks else f"{verb} is broken")
    sys.exit(3)
"""


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(NAMED)} | QUIET


def program(folder: Path, version: str, **files: str) -> None:
    """Write the program: what a release or a commit holds. `files`: more of them, `__` for a slash."""
    (folder / "studio" / "cli").mkdir(parents=True, exist_ok=True)
    shutil.copytree(REPOSITORY / "installer", folder / "installer", dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
    shutil.copy(REPOSITORY / "launch.py", folder)
    content = {
        "installer/selftest.py": SELFTEST,
        "studio/__init__.py": f'__version__ = "{version}"\n',
        "studio/cli/__init__.py": f"def main(arguments):\n    print('studio {version}', *arguments)\n    return 0\n",
        "requirements.txt": "torch==1.0\n", "requirements-dev.txt": "pytest\n",
        "CHANGELOG.md": f"# Changelog\n\n## {version}\n\n- This is {version}.\n- Old news.\n",
        ".gitignore": ".venv/\n/data/\n/outputs/\n/.update/\n__pycache__/\n",
    }  # fmt: skip
    for name, text in (content | {name.replace("__", "/"): text for name, text in files.items()}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def set_up(root: Path) -> Place:
    """As it is after a set-up and some work: .venv, its stamp, a database with rows that lie in the log still."""
    place = Place.at(root)
    place.python.parent.mkdir(parents=True)
    place.python.symlink_to(sys.executable)
    executable = getattr(sys, "_base_executable", sys.executable)
    (place.venv / "pyvenv.cfg").write_text(
        f"home = {Path(executable).parent}\nversion = 3.11.7\nexecutable = {executable}\n"
    )
    place.write_down({"app": place.wanted("app"), "torch": "1.0", "gpu": "cpu"})
    (place.venv / "packages").write_text((root / "requirements.txt").read_text())
    data = place.user / "data"
    data.mkdir(parents=True, exist_ok=True)
    (data / "settings.toml").write_text("port = 7999\n")
    program = (  # ends without closing it, like a studio that is killed
        "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('pragma journal_mode = wal');"
        "db.execute('create table scenes (id integer primary key, text text)');"
        "db.executemany('insert into scenes (text) values (?)', [('scene %d' % n,) for n in range(300)]);"
        "db.commit(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(data / "studio.db")], check=True)
    (place.user / "outputs").mkdir(exist_ok=True)
    (place.user / "outputs" / "film.mp4").write_bytes(b"a film")
    return place


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(folder: Path, version: str, **files: str) -> str:
    """The next version of an origin's working copy, pushed."""
    program(folder, version, **files)
    git(folder, "add", "-A", "-f", ".")
    git(folder, "commit", "-qm", f"Make it {version}")
    git(folder, "push", "-q", "origin", "HEAD:main")
    return git(folder, "rev-parse", "HEAD")


def checkout(tmp_path: Path) -> tuple[Path, Place]:
    """(a working copy whose commits are pushed to the origin, a clone of it that is set up)"""
    git(tmp_path, "init", "-q", "--bare", "--initial-branch=main", "origin.git")
    git(tmp_path, "clone", "-q", "origin.git", "author")
    author = tmp_path / "author"
    git(author, "checkout", "-q", "-B", "main")
    commit(author, "0.1.0", studio__gone="goes with the next version\n", empty__folder__x="x")
    git(tmp_path, "clone", "-q", "origin.git", "here")
    return author, set_up(tmp_path / "here")


def state(place: Place) -> dict[str, Any]:
    """All that an update must bring back: program, git, packages, what is installed, every row, the user's files."""
    found: dict[str, Any] = {}
    for path in sorted(place.root.rglob("*")):
        name = path.relative_to(place.root).as_posix()
        if path.is_file() and not name.startswith((".git/", ".venv/", "data/")) and "__pycache__" not in name:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mode
    if (place.root / ".git").exists():
        found["git"] = [git(place.root, *what.split()) for what in ("rev-parse HEAD", "symbolic-ref HEAD", "status -s")]
    stamp = json.loads(place.stamp.read_text())
    found["installed"] = {name: stamp.get(name) for name in ("app", "dev", "gpu", "torch", "python")}
    found["packages"] = (place.venv / "packages").read_text()
    found["rows"] = rows(place.user / "data" / "studio.db")
    found["user"] = [(place.user / name).read_bytes() for name in ("outputs/film.mp4", "data/settings.toml")]
    found["update"] = (place.root / ".update").exists()
    return found


def rows(database: Path) -> list[Any]:
    with closing(sqlite3.connect(database)) as db:
        assert db.execute("pragma quick_check").fetchone() == ("ok",)
        tables = [name for (name,) in db.execute("select name from sqlite_master where type = 'table' order by name")]
        return [(table, db.execute(f"select * from {table}").fetchall()) for table in tables]

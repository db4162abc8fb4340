"""`launch.py update` of a git checkout: what it refuses, what it keeps, and that a failure brings everything back."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_lanterna import checkout, commit, environment, git, rows, state

from installer import Outside, Place, Said, SetUpError, database, update
from installer import checkout as checkout_of_git
from installer.folders import folders
from installer.lock import owning
from installer.unfinished import ROOM, Unfinished
from studio.errors import Unavailable
from studio.lock import StudioLock
from studio.settings import Settings

STEPS = [name for name, _, _ in update.STEPS]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(os.environ) - set(environment()):
        monkeypatch.delenv(name)
    monkeypatch.setattr("installer.unfinished.sync", lambda: None)  # of the whole machine's disks


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    checkout(folder)
    return folder


@pytest.fixture
def both(tmp_path: Path, template: Path) -> tuple[Path, Place]:
    shutil.copytree(template, tmp_path, symlinks=True, dirs_exist_ok=True)
    for name in ("author", "here"):
        config = tmp_path / name / ".git" / "config"
        config.write_text(config.read_text().replace(str(template), str(tmp_path)))
    return tmp_path / "author", Place.at(tmp_path / "here")


@pytest.fixture
def here(both: tuple[Path, Place]) -> Place:
    return both[1]


@pytest.fixture
def author(both: tuple[Path, Place]) -> Path:
    return both[0]


def run(place: Place, *arguments: str, outside: Outside | None = None) -> int:
    return update.main([*arguments], place, outside or Outside())


def newer(author: Path, **files: str) -> str:
    """A version in which everything is different: packages, tables, files that come and go."""
    git(author, "rm", "-q", "studio/gone", "empty/folder/x")
    return commit(author, "0.2.0", **{
        "requirements.txt": "torch==2.0\n", "studio__new": "new\n", "fresh__deep__y": "y",
        "migrates": "alter table scenes add column note text\ndelete from scenes where id > 100", **files,
    })  # fmt: skip


# ------------------------------------------------------------------------------------------------ it works
def test_an_update_brings_everything_and_keeps_what_is_the_users(author, here, capsys):
    new, before = newer(author), state(here)
    assert run(here, "--yes") == 0
    after = state(here)
    assert git(here.root, "rev-parse", "HEAD") == new and after["git"][2] == ""
    assert here.version == "0.2.0" and not (here.root / "studio" / "gone").exists()
    assert after["packages"] == "torch==2.0\n" and after["installed"]["gpu"] == "cpu"
    assert len(after["rows"][0][1]) == 100, "it was migrated"
    assert after["user"] == before["user"] and not after["update"]
    copies = sorted((here.data / "backups").iterdir())
    assert len(copies) == 1 and rows(copies[0]) == before["rows"]
    said = capsys.readouterr().out
    assert "- This is 0.2.0." in said and "Old news" not in said and "0.2.0 is ready" in said
    asked = (here.venv / "asked").read_text().splitlines()
    assert [line.split()[0] for line in asked] == ["packages", "migrate", "check"]
    assert run(here, "--yes") == 0 and "is the newest" in capsys.readouterr().out


def test_what_is_not_different_is_left(author, here):
    commit(author, "0.1.1")
    assert run(here, "--yes") == 0
    assert [line.split()[0] for line in (here.venv / "asked").read_text().splitlines()] == ["migrate", "check"]


def test_a_look_changes_nothing(author, here, capsys):
    newer(author)
    before = state(here)
    with owning(here.data, "a studio that runs"):
        assert run(here, "--check") == 0
    assert state(here) == before and "- This is 0.2.0." in capsys.readouterr().out


def test_without_an_environment_or_data_only_the_program_changes(author, tmp_path):
    newer(author)
    git(tmp_path, "clone", "-q", "origin.git", "bare_one")
    place = Place.at(tmp_path / "bare_one")
    git(place.root, "reset", "-q", "--hard", "HEAD~1")
    assert run(place, "--yes") == 0
    assert place.version == "0.2.0" and not place.venv.exists() and not (place.data / "studio.db").exists()


def test_it_asks_and_takes_no_for_an_answer(author, here, monkeypatch, capsys):
    newer(author)
    before = state(here)
    monkeypatch.setattr(sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    monkeypatch.setattr("builtins.input", lambda question: "n")
    assert run(here) == 1 and state(here) == before
    monkeypatch.setattr("builtins.input", lambda question: "")
    assert run(here) == 0 and here.version == "0.2.0"


# ------------------------------------------------------------------------------------------------ what it refuses
def changed(place: Place, author: Path) -> None:
    (place.root / "CHANGELOG.md").write_text("mine")


def detached(place: Place, author: Path) -> None:
    git(place.root, "checkout", "-q", "--detach")


def no_upstream(place: Place, author: Path) -> None:
    git(place.root, "checkout", "-q", "-b", "own")


def diverged(place: Place, author: Path) -> None:
    (place.root / "own").write_text("own")
    git(place.root, "add", "own")
    git(place.root, "commit", "-qm", "Own")


def no_network(place: Place, author: Path) -> None:
    git(place.root, "remote", "set-url", "origin", "https://127.0.0.1:9/lanterna.git")


def in_the_way(place: Place, author: Path) -> None:
    (place.root / "data" / "mine").write_text("mine")  # git ignores it, and would write over it
    git(author, "rm", "-q", "--cached", ".gitignore")
    commit(author, "0.3.0", data__mine="theirs")


def damaged(place: Place, author: Path) -> None:
    path = place.user / "data" / "studio.db"
    rows(path)  # and with that the log is gone
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\xff" * 1000 + content[9192:])  # a page that is copied all the same


@pytest.mark.parametrize(
    ("spoil", "told", "cure"),
    [
        (changed, "CHANGELOG.md", "git restore"), (detached, "on no branch", "git switch"),
        (no_upstream, "does not know where", "--set-upstream-to"), (diverged, "different ways", "git rebase"),
        (no_network, "could not be reached", "connection"), (in_the_way, "data/mine", "Move them"),
        (damaged, "is damaged", "doctor"),
    ],
)  # fmt: skip
def test_it_refuses_with_the_cure_and_changes_nothing(author, here, spoil, told, cure):
    newer(author)
    spoil(here, author)
    files = {path: path.read_bytes() for path in here.root.rglob("*") if path.is_file() and ".git/" not in str(path)}
    head = git(here.root, "rev-parse", "HEAD")
    with pytest.raises(SetUpError) as refused:
        run(here, "--yes")
    assert told in str(refused.value) and cure in refused.value.cure
    assert git(here.root, "rev-parse", "HEAD") == head and not (here.root / ".update").exists()
    assert all(path.read_bytes() == content for path, content in files.items() if path.suffix not in (".log", ".lock"))


def test_it_does_not_touch_a_studio_that_runs(author, here):
    newer(author)
    lock = StudioLock(here.data)
    lock.acquire()
    lock.announce("http://127.0.0.1:7860")
    try:
        with pytest.raises(SetUpError) as refused:
            run(here, "--yes")
    finally:
        lock.release()
    assert str(os.getpid()) in str(refused.value) and "http://127.0.0.1:7860" in str(refused.value)
    assert here.version == "0.1.0"


def test_no_studio_opens_while_it_updates(tmp_path):
    with owning(tmp_path, "an update"):
        with pytest.raises(Unavailable) as held:
            StudioLock(tmp_path).acquire()
        assert held.value.params["pid"] == os.getpid()
    lock = StudioLock(tmp_path)
    lock.acquire()
    lock.release()


def test_room_is_checked_before_anything_changes(author, here):
    newer(author)
    before = state(here)
    outside = Outside()
    outside.free_bytes = lambda folder: 1_000_000  # type: ignore[method-assign]
    with pytest.raises(SetUpError, match="0.00 GB are free") as refused:
        run(here, "--yes", outside=outside)
    assert "Free some space" in refused.value.cure and state(here) == before


def test_without_git_it_says_so(author, here):
    outside = Outside()
    outside.which = lambda program: None  # type: ignore[method-assign]
    with pytest.raises(SetUpError, match="git is not installed"):
        run(here, "--yes", outside=outside)


# ------------------------------------------------------------------------------------------------ it fails
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_full_disk_at_any_step_brings_everything_back(author, here, monkeypatch, step, when):
    newer(author)
    before = state(here)
    monkeypatch.setattr(update, "STEPS", failing(step, when, OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(SetUpError) as failed:
        run(here, "--yes")
    assert "disk is full" in str(failed.value) and "Everything is as it was: Lanterna 0.1.0" in str(failed.value)
    assert "Free some space" in failed.value.cure
    assert state(here) == before


def failing(step: str, when: str, error: BaseException) -> tuple[Any, ...]:
    """The steps, one of which fails when it has begun or when it is done."""

    def fails(one: update.Update, name: str) -> None:
        if when == "after":
            done(one, name)
        else:
            one.one.begin(name)
        raise error

    done = next(function for name, _, function in update.STEPS if name == step)
    return tuple((name, words, fails if name == step else function) for name, words, function in update.STEPS)


@pytest.mark.parametrize("verb", ["packages", "migrate", "check"])
def test_a_new_version_that_does_not_work_is_undone(author, here, verb):
    newer(author, breaks=verb)
    before = state(here)
    with pytest.raises(SetUpError, match=f"{verb} is broken") as failed:
        run(here, "--yes")
    assert "Everything is as it was" in str(failed.value) and failed.value.cure
    assert state(here) == before
    assert rows(here.data / "studio.db")[0][1][0] == (1, "scene 0")


def test_a_full_disk_in_the_middle_of_writing_files(author, here, monkeypatch):
    newer(author)
    before = state(here)

    class Full(Outside):
        def run(self, command: Any, seconds: float | None = None) -> Said:
            if "merge" not in command:
                return super().run(command)
            git(here.root, "checkout", command[-1], "--", "studio/new", "fresh", "CHANGELOG.md")
            git(here.root, "reset", "-q")  # and the index was not written
            return Said(1, "error: unable to write file installer/x: No space left on device")

    with pytest.raises(SetUpError, match="disk is full"):
        run(here, "--yes", outside=Full())
    assert state(here) == before and not (here.root / "fresh").exists(), "no empty folder either"


def test_undoing_has_the_room_that_was_kept_back(author, here, monkeypatch):
    newer(author, breaks="check")
    before, room, seen = state(here), here.root / ".update" / "room", []

    def apply(*given: Any) -> None:
        seen.append(room.stat().st_size)
        done(*given)

    def undone(*given: Any) -> None:
        seen.append(room.exists())
        undo(*given)

    done, undo = checkout_of_git.apply, checkout_of_git.undo
    monkeypatch.setattr(checkout_of_git, "apply", apply)
    monkeypatch.setattr(checkout_of_git, "undo", undone)
    with pytest.raises(SetUpError, match="check is broken"):
        run(here, "--yes")
    assert seen == [ROOM, False] and state(here) == before


def test_ctrl_c_brings_everything_back(author, here, monkeypatch):
    newer(author)
    before = state(here)
    monkeypatch.setattr(update, "STEPS", failing("migration", "after", KeyboardInterrupt()))
    with pytest.raises(SetUpError, match="was stopped"):
        run(here, "--yes")
    assert state(here) == before


def test_what_cannot_be_undone_now_is_undone_at_the_next_start(author, here, monkeypatch):
    newer(author, breaks="check")
    before = state(here)

    class Full(Outside):
        def run(self, command: Any, seconds: float | None = None) -> Said:
            return Said(1, "fatal: No space left on device") if "reset" in command else super().run(command)

    with pytest.raises(SetUpError, match="cannot be undone yet") as failed:
        run(here, "--yes", outside=Full())
    assert "Then start launch.py" in failed.value.cure and (here.root / ".update" / "update.json").exists()
    assert "studio 0.1.0 hello" in start(here, "hello")
    assert state(here) == before


def test_old_packages_that_cannot_come_back_now_come_with_the_next_start(author, here, capsys):
    newer(author, breaks="check")
    (here.root / ".git" / "info" / "exclude").write_text("breaks\n")

    class NoNetwork(Outside):
        asked = 0

        def listen(self, command: Any, heard: Any, environ: Any = None) -> int:
            self.asked += "packages" in command
            if self.asked == 2 and "packages" in command:
                heard("The package index could not be reached.")
                return 1
            return super().listen(command, heard, environ)

    with pytest.raises(SetUpError, match="check is broken"):
        run(here, "--yes", outside=NoNetwork())
    assert here.version == "0.1.0" and len(rows(here.data / "studio.db")[0][1]) == 300
    assert "next start" in capsys.readouterr().err
    assert "app" not in here.installed() and here.installed()["gpu"] == "cpu", "so the next start installs them"


# ------------------------------------------------------------------------------------------------ it is killed
KILLED = """
import os, sys
sys.path[0] = sys.argv[1]
from pathlib import Path
from installer import Outside, Place, update
step, when = sys.argv[2:]
def dies(one, name):
    if when == "after":
        done(one, name)
    else:
        one.one.begin(name)
    os._exit(9)
done = next(function for name, _, function in update.STEPS if name == step)
update.STEPS = tuple((name, words, dies if name == step else function) for name, words, function in update.STEPS)
update.main(["--yes"], Place.at(Path(sys.argv[1])), Outside())
"""


def start(place: Place, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "launch.py", *arguments], cwd=place.root, env=environment(), capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.parametrize(("step", "when"), [*((step, "after") for step in STEPS), ("code", "before")])
def test_the_next_start_undoes_what_was_killed(author, here, step, when):
    newer(author)
    before = state(here)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(here.root), step, when], env=environment(), capture_output=True, timeout=60
    )
    assert done.returncode == 9, done.stderr
    said = start(here, "hello")
    assert "was cut off" in said and "studio 0.1.0 hello" in said, said
    assert state(here) == before
    assert "cut off" not in start(here, "hello")


def test_a_start_during_an_update_waits_for_it(author, here):
    newer(author)
    one = Unfinished(here)
    one.folder.mkdir()
    one.prepare(here)
    one.facts.update(data=str(here.data), kind="git")
    one.begin("backup")
    with owning(here.data, "an update"):
        said = start(here, "hello")
    assert f"process {os.getpid()}" in said and "studio" not in said.lower().replace("a studio is open", "")
    assert one.file.exists()


def test_a_git_that_died_with_the_update_does_not_stand_in_the_way(author, here):
    new, before = newer(author), state(here)
    one = Unfinished(here)
    one.folder.mkdir()
    one.prepare(here)
    old = git(here.root, "rev-parse", "HEAD")
    git(here.root, "fetch", "-q")
    one.facts.update(data=str(here.data), database=str(here.data / "studio.db"), kind="git", old=old, new=new)
    one.begin("code")
    git(here.root, "checkout", new, "--", ".")
    lock = here.root / ".git" / "index.lock"
    lock.write_text("")
    os.utime(lock, (1, 1))
    update.undo(here, Outside(), one)
    assert state(here) == before


# ------------------------------------------------------------------------------------------------ the database
CUT_OFF = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute(f"pragma journal_mode = {sys.argv[2]}")
db.execute("pragma cache_size = 2")
db.execute("begin")
db.execute("update scenes set text = text || hex(randomblob(3000))")
os._exit(0)
"""


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_what_was_being_written_when_it_was_cut_off_is_in_no_copy_and_spoils_none(here, mode):
    path = here.data / "studio.db"
    before = rows(path)
    good = database.back_up(path)
    subprocess.run([sys.executable, "-c", CUT_OFF, str(path), mode], check=True)
    assert path.with_name(path.name + {"wal": "-wal", "delete": "-journal"}[mode]).stat().st_size > 0
    good.rename(path.with_name("kept.db"))
    copy = database.back_up(path)
    assert rows(copy) == before
    subprocess.run([sys.executable, "-c", CUT_OFF, str(path), mode], check=True)
    database.restore(copy, path)
    assert rows(path) == before and not copy.exists()
    database.restore(copy, path)
    assert rows(path) == before, "it was put back already"


def test_old_copies_go_and_the_newest_stay(tmp_path):
    (tmp_path / "backups").mkdir()
    for hour in range(9):
        (tmp_path / "backups" / f"studio-2026-11-20T0{hour}0000.000Z.db").write_text("x")
    (tmp_path / "backups" / "mine.db").write_text("x")
    database.forget_old(tmp_path / "studio.db")
    names = sorted(path.name for path in (tmp_path / "backups").iterdir())
    assert names == ["mine.db", *(f"studio-2026-11-20T0{hour}0000.000Z.db" for hour in range(4, 9))]


# ------------------------------------------------------------------------------------------------ small things
@pytest.mark.parametrize("way", ["environment", "dotenv", "toml", "nothing", "mixed"])
def test_the_users_folders_are_those_of_the_settings(tmp_path, monkeypatch, way):
    monkeypatch.setattr("os.environ", dict(os.environ))
    place = Place(tmp_path, tmp_path, tmp_path)
    (tmp_path / "data").mkdir()
    toml, dotenv = tmp_path / "data" / "settings.toml", tmp_path / ".env"
    if way == "environment":
        os.environ.update(LANTERNA_DATA_DIR="d", LANTERNA_OUTPUT_DIR="~/o", LANTERNA_MEDIA_ROOTS="m, n/x", HF_HOME="")
    if way in ("dotenv", "mixed"):
        dotenv.write_text(
            "# a\nexport LANTERNA_OUTPUT_DIR='o p' # here\nHF_HOME=\"/h\"\nLANTERNA_MEDIA_ROOTS=m # x\n\n=\n"
        )
    if way in ("toml", "mixed"):
        toml.write_text('data_dir = "elsewhere"\noutput_dir = "t"\nmedia_roots = ["a,b", "c"]\n')
    mine, theirs = folders(place, os.environ), Settings(root=tmp_path)
    assert (mine.data, mine.outputs, mine.models, list(mine.media)) == (
        theirs.data_dir, theirs.output_dir, theirs.hf_home, theirs.media_roots,
    )  # fmt: skip
    assert mine.database == theirs.database

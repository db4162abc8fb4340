"""`launch.py uninstall`: what it lists, what it keeps, and that it touches nothing but our own folders."""

import json
import os
import sys
from pathlib import Path

import pytest
from small_lanterna import environment, program, set_up

from installer import Outside, Place, SetUpError, uninstall
from studio.lock import StudioLock


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in set(os.environ) - set(environment()):
        monkeypatch.delenv(name)
    monkeypatch.setenv("LANTERNA_HOME", str(tmp_path / "home"))


def furnished(root: Path) -> Place:
    """A program that was used: environments, caches, models, an upload, keys, shortcuts."""
    program(root, "0.1.0")
    place = set_up(root)
    data, desktop = place.user / "data", root.parent / "desktop"
    for name in ("envs/voxcpm/python", "cache/gradio/x", "models/hub/weights", "assets/upload.png", "logs/app.log"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(name * 100)
    (place.user / ".env").write_text("FAL_KEY=secret\n")
    (place.home / ".venv.lock").write_text("")
    desktop.mkdir()
    for name in ("lanterna.desktop", "letter.txt"):
        (desktop / name).write_text("x")
    stamp = place.installed()
    place.write_down(
        stamp | {"shortcuts": "\n".join(str(desktop / name) for name in ("lanterna.desktop", "letter.txt"))}
    )
    return place


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return furnished(tmp_path / "here")


@pytest.fixture
def bundle(tmp_path: Path) -> Place:
    app = tmp_path / "Lanterna" / "app"
    app.mkdir(parents=True)
    (app / "bundle.json").write_text(json.dumps({"version": "0.1.0"}))
    place = furnished(app)
    for name in ("bin/uv", "python/bin/python3", "Lanterna.sh", "README.txt", "mine.txt"):
        (place.home / name).parent.mkdir(parents=True, exist_ok=True)
        (place.home / name).write_text("x")
    return place


def run(place: Place, *arguments: str) -> int:
    return uninstall.main(arguments, place, Outside())


def there(folder: Path, *names: str) -> list[bool]:
    return [os.path.lexists(folder / name) for name in names]


USERS = ("outputs/film.mp4", "data/studio.db", "data/settings.toml", "data/assets/upload.png", ".env")


# ------------------------------------------------------------------------------------------------ what is kept
def test_by_default_all_that_is_the_users_stays(here, tmp_path, capsys):
    assert run(here, "--yes") == 0
    assert all(there(here.root, *USERS, "data/models/hub/weights", "studio", "launch.py"))
    assert not any(there(here.root, ".venv", ".venv.lock", "data/envs", "data/cache"))
    assert there(tmp_path / "desktop", "lanterna.desktop", "letter.txt") == [False, True]
    said = capsys.readouterr().out
    assert "MB" in said and str(here.venv) in said and f"delete the folder {here.root}" in said


@pytest.mark.parametrize(
    ("keep", "gone"),
    [
        ("none", {"outputs", "data", "models"}), ("", {"outputs", "data", "models"}),
        ("data,outputs", {"models"}), ("models", {"outputs", "data"}), ("outputs", {"data", "models"}),
    ],
)  # fmt: skip
def test_exactly_what_is_named_is_kept(here, keep, gone):
    assert run(here, "--yes", "--keep", keep) == 0
    assert there(here.root, "outputs/film.mp4") == ["outputs" not in gone]
    assert there(here.root, "data/studio.db", ".env") == ["data" not in gone] * 2
    assert there(here.root, "data/models/hub/weights") == ["models" not in gone]
    assert there(here.root, "data") == [not gone >= {"data", "models"}], "and no empty folder stays"


def test_the_user_is_asked_for_each_and_once_more(here, monkeypatch):
    asked: list[str] = []
    answers = iter(["n", "y", "n", "y"])
    monkeypatch.setattr(sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or next(answers))
    assert run(here) == 0
    assert len(asked) == 4 and not any(there(here.root, "outputs")) and all(there(here.root, *USERS[1:]))


def test_no_is_no(here, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    monkeypatch.setattr("builtins.input", lambda question: "")
    assert run(here) == 1
    assert all(there(here.root, *USERS, ".venv", "data/cache")) and "Nothing was changed" in capsys.readouterr().out


def test_without_anybody_to_ask_nothing_is_removed(here):
    with pytest.raises(SetUpError, match="nobody here to ask") as refused:
        run(here)
    assert "--yes" in refused.value.cure and all(there(here.root, ".venv", *USERS))


def test_a_word_it_does_not_know_is_told(here):
    with pytest.raises(SetUpError, match="does not know film"):
        run(here, "--yes", "--keep", "film,outputs")
    assert all(there(here.root, ".venv", *USERS))


# ------------------------------------------------------------------------------------------------ what is not touched
def test_folders_that_the_user_put_elsewhere_are_named_and_left(here, tmp_path, monkeypatch, capsys):
    for name, variable in (("films", "LANTERNA_OUTPUT_DIR"), ("cache", "HF_HOME")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious").write_text("x")
        monkeypatch.setenv(variable, str(tmp_path / name))
    assert run(here, "--yes", "--keep", "none") == 0
    assert all(there(tmp_path, "films/precious", "cache/precious"))
    assert capsys.readouterr().out.count("it is left") == 2


def test_media_folders_inside_ours_are_left(here, monkeypatch):
    for name in ("data/references", "outputs/refs"):
        (here.root / name).mkdir()
        (here.root / name / "face.png").write_text("x")
    monkeypatch.setenv("LANTERNA_MEDIA_ROOTS", "data/references,outputs/refs")
    assert run(here, "--yes", "--keep", "none") == 0
    assert all(there(here.root, "data/references/face.png", "outputs/refs/face.png"))
    assert not any(there(here.root, "data/studio.db", "outputs/film.mp4", "data/models"))


@pytest.mark.skipif(os.name == "nt", reason="links")
def test_of_a_link_only_the_link_goes(here, tmp_path):
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "weights").write_text("x")
    (here.root / "data" / "cache" / "linked").symlink_to(tmp_path / "big")
    (here.root / "data" / "assets" / "linked").symlink_to(tmp_path / "big")
    assert run(here, "--yes", "--keep", "none") == 0
    assert not any(there(here.root, "data")) and all(there(tmp_path, "big/weights"))


def test_a_studio_that_runs_stops_it(here):
    lock = StudioLock(here.root / "data")
    lock.acquire()
    lock.announce("http://127.0.0.1:7860")
    try:
        with pytest.raises(SetUpError, match=f"7860 .process {os.getpid()}"):
            run(here, "--yes", "--keep", "none")
    finally:
        lock.release()
    assert all(there(here.root, ".venv", *USERS))


def test_what_cannot_be_removed_is_told_and_the_rest_goes(here, monkeypatch, capsys):
    def stuck(path: Path) -> None:
        if path == here.venv:
            raise PermissionError(13, "Access is denied")
        remove(path)

    remove = uninstall.remove
    monkeypatch.setattr(uninstall, "remove", stuck)
    assert run(here, "--yes") == 1
    said = capsys.readouterr().err
    assert f"{here.venv}: Access is denied" in said and "by hand" in said
    assert not any(there(here.root, "data/cache"))


# ------------------------------------------------------------------------------------------------ a bundle
def test_a_bundle_goes_with_its_program_and_the_users_folder_stays(bundle, capsys):
    assert run(bundle, "--yes") == 0
    assert "The program itself is left" not in capsys.readouterr().out
    assert there(bundle.home, "app", "bin", "python", "Lanterna.sh", "README.txt", ".venv") == [False] * 6
    assert (bundle.home / "mine.txt").exists() and all(there(bundle.user, *USERS))


def test_a_bundle_goes_without_a_trace(bundle):
    (bundle.home / "mine.txt").unlink()
    (bundle.home / "desktop" / "letter.txt").unlink()
    assert run(bundle, "--yes", "--keep", "none") == 0
    assert not bundle.user.exists() and list(bundle.home.iterdir()) == [bundle.home / "desktop"]


def test_a_program_that_was_moved_out_of_its_bundle_takes_nothing_with_it(bundle):
    (bundle.home / "Lanterna.sh").unlink()
    assert run(bundle, "--yes") == 0
    assert all(there(bundle.home, "bin/uv", "python", "README.txt")) and not bundle.root.exists()


def test_inside_the_environment_another_python_does_it(here, monkeypatch):
    asked: list[list[str]] = []
    monkeypatch.setattr(sys, "prefix", str(here.venv))
    outside = Outside()
    outside.become = lambda command, folder=None: asked.append(list(command)) or 5  # type: ignore
    assert uninstall.main(["--yes"], here, outside) == 5
    assert asked == [[outside.executable, str(here.launcher), "uninstall", "--yes"]] and here.venv.exists()

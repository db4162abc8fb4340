"""Whose is what in a bundle: the program in its own folder, films and settings in the user's home. An update replaces
the first and never touches the second."""

from pathlib import Path

import pytest

import launch
from installer import Place
from studio import settings as settings_module
from studio.settings import Settings


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of launch.py in an unpacked bundle, with a home beside it."""
    folder = tmp_path / "Meus filmes é" / "Lanterna-program" / "app"
    folder.mkdir(parents=True)
    (folder / "bundle.json").write_text('{"version": "1.2.3"}')
    monkeypatch.setattr(settings_module, "ROOT", folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("LANTERNA_HOME", "LANTERNA_DATA_DIR", "LANTERNA_OUTPUT_DIR", "LANTERNA_PORT", "PORT"):
        monkeypatch.delenv(name, raising=False)
    return folder


def test_films_and_settings_of_a_bundle_lie_in_the_users_home(app: Path, tmp_path: Path) -> None:
    found = Settings()
    home = tmp_path / "home" / "Lanterna"
    assert (found.root, found.data_dir, found.output_dir) == (home, home / "data", home / "outputs")
    for path in (found.database, found.models_dir, found.log_dir, found.cache_dir, found.hf_home, found.file):
        assert home in path.parents, path
    assert found.assets_dir == app / "assets"


def test_its_env_file_is_read_there_too(app: Path, tmp_path: Path) -> None:
    (tmp_path / "home" / "Lanterna").mkdir(parents=True)
    (tmp_path / "home" / "Lanterna" / ".env").write_text("LANTERNA_PORT=7999\n")
    (app / ".env").write_text("LANTERNA_PORT=7111\n")  # an update would take it away
    assert Settings().port == 7999


def test_lanterna_home_is_another_folder(app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANTERNA_HOME", str(tmp_path / "disco" / "Lanterna"))
    assert Settings().root == tmp_path / "disco" / "Lanterna"
    monkeypatch.setenv("LANTERNA_HOME", "~/filmes")
    assert Settings().root == tmp_path / "home" / "filmes"


def test_a_checkout_keeps_them_beside_launch_py(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (app / "bundle.json").unlink()
    monkeypatch.setenv("LANTERNA_HOME", "/elsewhere")
    assert Settings().root == app


def test_the_installer_means_the_same_folder_and_keeps_its_environment_outside_app(app: Path) -> None:
    place = Place.at(app)
    assert (place.user, place.data) == (Settings().root, Settings().data_dir)
    assert place.venv == app.parent / ".venv"  # an update that replaces app/ keeps it


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("win32", {"USERPROFILE": r"C:\Users\José Ação"}, Path(r"C:\Users\José Ação") / "Lanterna"),
        ("win32", {"USERPROFILE": r"C:\Users\José", "LANTERNA_HOME": r"D:\Meus filmes"}, Path(r"D:\Meus filmes")),
        ("darwin", {"HOME": "/Users/you"}, Path("/Users/you/Lanterna")),
        ("linux", {"HOME": "/home/you", "XDG_DATA_HOME": "/home/you/.data"}, Path("/home/you/Lanterna")),
    ],
)
def test_the_home_of_every_system(app: Path, platform: str, environ: dict[str, str], expected: Path) -> None:
    assert Place.at(app, environ, platform).user == expected


# ------------------------------------------------------------------------------------------------ what is typed
def test_a_cure_names_what_can_be_typed_here(app: Path) -> None:
    cure = "Run: python3 launch.py install    or: python3 launch.py doctor"
    assert Place.at(app).typed(cure) == "Run: ./Lanterna.sh install    or: ./Lanterna.sh doctor"
    (app.parent / "Lanterna.command").touch()
    assert Place.at(app).command == "./Lanterna.command"
    assert Place.at(app, {"USERPROFILE": r"C:\Users\José"}, "win32").command == "Lanterna.bat"
    (app / "bundle.json").unlink()
    assert Place.at(app).typed(cure) == cure
    assert Place.at(app, {}, "win32").command == "py launch.py"


def test_a_bundle_says_that_it_has_no_tests(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert launch.main(["test"], Place.at(app)) == 1
    assert launch.main(["install", "--dev"], Place.at(app)) == 1
    assert "comes without the tests" in capsys.readouterr().err and not (app.parent / ".venv").exists()


def test_the_command_line_of_a_bundle_says_it_so(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from studio.cli import speech
    from studio.errors import Refused

    (app / "assets").symlink_to(Path(speech.__file__).parent.parent.parent / "assets")
    monkeypatch.setattr(speech, "ROOT", app)
    speaker = speech.Speaker("pt")
    assert "`./Lanterna.sh`" in speaker.text("cli.demo_next") and "python3" not in speaker.text("cli.demo_next")
    with speaker.err.capture() as said:
        speaker.error(Refused("cli.nothing_runs"))
    assert "./Lanterna.sh" in said.get() and "python3" not in said.get()

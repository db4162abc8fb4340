"""Where things lie: in a checkout beside launch.py, of a bundle never inside it."""

from pathlib import Path

import pytest
from computer import lay_out

from installer import Place


def test_a_checkout_holds_everything(tmp_path):
    place = lay_out(tmp_path)
    assert (place.root, place.home, place.user, place.bundled) == (tmp_path, tmp_path, tmp_path, False)
    assert place.python == tmp_path / ".venv" / "bin" / "python"
    assert place.log == tmp_path / "data" / "logs" / "install.log"
    assert (place.version, place.torch) == ("1.2.3", "9.9.9")


def test_a_bundle_holds_the_program_and_its_environment_only(tmp_path):
    place = lay_out(tmp_path / "Lanterna", bundle=True)
    assert place.bundled and place.root == tmp_path / "Lanterna" / "app"
    assert place.venv == tmp_path / "Lanterna" / ".venv", "an update that replaces app/ keeps it"
    assert tmp_path / "Lanterna" / "app" not in place.log.parents
    assert place.requirements("app").name == "requirements.lock"


@pytest.mark.parametrize(
    ("platform", "environ", "user"),
    [
        ("linux", {"HOME": "/home/you"}, "/home/you/Lanterna"),
        ("darwin", {"HOME": "/Users/you"}, "/Users/you/Lanterna"),
        ("win32", {"USERPROFILE": "/c/Usuários/João Café"}, "/c/Usuários/João Café/Lanterna"),
        ("linux", {"HOME": "/home/you", "LANTERNA_HOME": "/media/films"}, "/media/films"),
    ],
)
def test_what_is_the_users_lies_in_their_home(tmp_path, platform, environ, user):
    lay_out(tmp_path, bundle=True)
    assert Place.at(tmp_path / "app", environ, platform).user == Path(user)


def test_windows_has_other_names(tmp_path):
    assert Place.at(tmp_path, {}, "win32").python == tmp_path / ".venv" / "Scripts" / "python.exe"

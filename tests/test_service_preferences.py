"""Settings on screen: what is shown of them, who may change them, what is written, and what takes effect at once."""

import errno
import logging
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from visitors import AT_HOME

from studio import logs
from studio.api import make_api
from studio.api.guard import Guard
from studio.errors import Forbidden, Refused, StudioError, Unavailable
from studio.service import Studio
from studio.settings import Settings


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine that runs the tests."""
    for info in Settings.model_fields.values():
        for name in getattr(info.validation_alias, "choices", ()):
            monkeypatch.delenv(str(name), raising=False)


def shown(studio: Studio) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in studio.preferences.list()["settings"]}


def saved(tmp_path: Path) -> str:
    return (tmp_path / "data" / "settings.toml").read_text("utf-8")


def test_every_setting_is_described(studio: Studio, tmp_path: Path) -> None:
    found = shown(studio)
    assert set(found) == set(Settings.model_fields) - {"root"}
    assert all(one["description"] for one in found.values())
    kinds = {
        name: found[name]["kind"] for name in ("data_dir", "media_roots", "hf_token", "port", "lang", "offline", "host")
    }
    assert list(kinds.values()) == ["path", "paths", "secret", "number", "choice", "switch", "text"]
    assert found["lang"]["choices"] == ["auto", "en", "pt", "zh"] and found["port"]["choices"] is None
    assert found["hf_home"]["value"] == str(tmp_path / "data" / "models")
    assert found["hf_home"]["origin"] == "default"  # though libraries were told by the environment


def test_a_change_is_saved_and_takes_effect(studio: Studio, tmp_path: Path) -> None:
    studio.preferences.change({"trash_days": 3, "offline": True, "port": 8000})
    found = shown(studio)
    assert (found["trash_days"]["value"], found["trash_days"]["origin"]) == (3, "data/settings.toml")
    assert studio.storage.view()["trash"]["days"] == 3 and studio.models.list()["offline"]
    assert (found["port"]["value"], found["port"]["restart"], found["port"]["pending"]) == (8000, True, True)
    assert studio.settings.port == 7860
    fresh = Settings(root=tmp_path)
    assert (fresh.trash_days, fresh.offline, fresh.port) == (3, True, 8000)
    assert not found["trash_days"]["pending"]


def test_none_takes_a_value_out(studio: Studio, tmp_path: Path) -> None:
    studio.preferences.change({"trash_days": 3, "hf_token": "hf_secretsecretsecret", "offline": True})
    assert os.environ["HF_TOKEN"] == "hf_secretsecretsecret" and os.environ["HF_HUB_OFFLINE"] == "1"
    studio.preferences.change({"trash_days": None, "hf_token": "", "offline": False})
    assert "trash_days" not in saved(tmp_path) and "hf_token" not in saved(tmp_path)
    assert studio.storage.view()["trash"]["days"] == 30 and studio.settings.hf_token is None
    assert "HF_TOKEN" not in os.environ and "HF_HUB_OFFLINE" not in os.environ


def test_a_media_root_is_read_from_at_once(studio: Studio, tmp_path: Path) -> None:
    footage = tmp_path / "far" / "footage"
    footage.mkdir(parents=True)
    (footage / "notes.txt").write_text("x")
    client = TestClient(make_api(studio))
    assert str(footage) not in [place["path"] for place in client.get("/folders").json()["places"]]
    client.patch("/preferences", json={"media_roots": ["far/footage"]}).raise_for_status()
    assert str(footage) in [place["path"] for place in client.get("/folders").json()["places"]]
    studio.preferences.change({"media_roots": None})
    assert str(footage) not in [place["path"] for place in client.get("/folders").json()["places"]]


def test_the_file_keeps_what_the_user_wrote_and_is_private(studio: Studio, tmp_path: Path) -> None:
    file = tmp_path / "data" / "settings.toml"
    file.write_text("# mine\ntrash_days = 9  # a week and a bit\nLANTERNA_PORT = 7000\nown = 'x'\n", "utf-8")
    file.chmod(0o644)
    studio.preferences.change({"trash_days": 4, "port": 7001})
    text = saved(tmp_path)
    assert "# mine" in text and "own = 'x'" in text and "trash_days = 4" in text
    assert "port = 7001" in text and "LANTERNA_PORT" not in text
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.glob("settings*")] == ["settings.toml"]


@pytest.mark.parametrize(
    ("values", "code", "setting"),
    [
        ({"port": 70_000}, "settings.invalid", "port"),
        ({"lang": "xx"}, "settings.invalid", "lang"),
        ({"name_template": "{take"}, "settings.invalid", "name_template"),
        ({"trash_days": 5, "port": "many"}, "settings.invalid", "port"),
        ({"nothing": 1}, "settings.unknown", "nothing"),
        ({"root": "/"}, "settings.unknown", "root"),
        ({"auth": "nobody"}, "settings.invalid", "auth"),
        ({"hf_endpoint": "x" * 20_000}, "settings.invalid", "hf_endpoint"),
        ({"hf_home": "~nobody-at-all/models"}, "settings.invalid", "hf_home"),
        ({"hf_home": "a\0b"}, "settings.invalid", "hf_home"),
        ({"media_roots": ["~nobody-at-all/x"]}, "settings.invalid", "media_roots"),
        ({"hf_endpoint": "\ud800"}, "settings.invalid", "hf_endpoint"),
        ({"hf_token": "hf_one\nX-Other: header"}, "settings.invalid", "hf_token"),
        ({"port": True}, "settings.invalid", "port"),
    ],
)
def test_what_cannot_be_so_is_refused_and_nothing_is_written(
    studio: Studio, tmp_path: Path, values: dict[str, Any], code: str, setting: str
) -> None:
    with pytest.raises(Refused) as refused:
        studio.preferences.change(values)
    assert (refused.value.code, refused.value.params["setting"]) == (code, setting)
    assert not (tmp_path / "data" / "settings.toml").exists() and studio.settings.trash_days == 30


def test_a_media_root_must_be_there(studio: Studio, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        studio.preferences.change({"media_roots": ["nowhere"]})
    assert refused.value.code == "settings.no_folder"


def test_no_saved_folder_and_no_open_door_keeps_the_studio_from_starting(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    for values in ({"output_dir": "taken/films"}, {"hf_home": "x" * 5000}, {"media_roots": ["x" * 5000]}):
        with pytest.raises(Refused) as refused:
            studio.preferences.change(values)
        assert refused.value.code == "settings.no_folder", values
    proxies: list[dict[str, object]] = [{"allowed_hosts": ["a.example"]}, {"root_path": "/films"}]
    for values in ({"host": "0.0.0.0"}, {"host": ""}, {"share": True}, *proxies):  # noqa: S104
        with pytest.raises(Unavailable) as open_door:
            studio.preferences.change(values)
        assert open_door.value.code == "app.needs_auth", values
    studio.preferences.change({"host": "0.0.0.0", "auth": "me:password"})  # noqa: S104
    with pytest.raises(Unavailable):
        studio.preferences.change({"auth": None})
    studio.preferences.change({"auth": None, "host": None})
    assert Settings(root=tmp_path).local_only


def test_another_data_folder_leaves_the_file_where_it_is_read(
    studio: Studio, build: Callable[..., Studio], tmp_path: Path
) -> None:
    studio.preferences.change({"data_dir": "elsewhere"})
    studio.close()
    moved = build()
    assert moved.settings.data_dir == tmp_path / "elsewhere"
    moved.preferences.change({"trash_days": 3})
    assert Settings(root=tmp_path).trash_days == 3 and not (tmp_path / "elsewhere" / "settings.toml").exists()


def test_the_password_of_a_proxy_is_not_shown(studio: Studio, tmp_path: Path) -> None:
    client = TestClient(make_api(studio))
    answer = client.patch("/preferences", json={"proxy": "http://me:s3cr:t@proxy.example.org:3128"})
    assert answer.status_code == 200 and "s3cr" not in answer.text
    assert shown(studio)["proxy"]["value"] == "http://me:***@proxy.example.org:3128"
    assert "s3cr" not in str(studio.settings.described()) and "s3cr:t" in studio.settings.secrets()
    studio.preferences.change({"proxy": "http://me:***@proxy.example.org:3128"})  # the form sent as it was shown
    assert Settings(root=tmp_path).proxy == "http://me:s3cr:t@proxy.example.org:3128"


@pytest.mark.parametrize("content", [b"port = ", b"\xff\xfe", b"a = [[[", b"= ="])
def test_a_file_broken_by_hand_is_told(studio: Studio, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data" / "settings.toml").write_bytes(content)
    for asked in (studio.preferences.list, lambda: studio.preferences.change({"trash_days": 1})):
        with pytest.raises(Refused) as refused:
            asked()
        assert refused.value.code == "settings.toml"
    assert (tmp_path / "data" / "settings.toml").read_bytes() == content


@pytest.mark.parametrize(("number", "code"), [(errno.EROFS, "settings.unwritable"), (errno.ENOSPC, "disk.full")])
def test_a_file_that_cannot_be_written(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    def fails(path: Path) -> None:
        raise OSError(number, os.strerror(number))

    studio.preferences.change({"trash_days": 3})
    monkeypatch.setattr("studio.service.preferences.fsync_file", fails)
    with pytest.raises(StudioError) as refused:
        studio.preferences.change({"trash_days": 4})
    assert refused.value.code == code and studio.settings.trash_days == 3
    assert [path.name for path in (tmp_path / "data").glob("settings*")] == ["settings.toml"]


def test_what_is_set_elsewhere_is_shown_and_not_changed(
    build: Callable[..., Studio], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    (tmp_path / ".env").write_text("LANTERNA_TRASH_DAYS=7\n")
    studio = build(lang="pt")
    origins = {name: one["origin"] for name, one in shown(studio).items() if one["origin"] != "default"}
    assert origins == {"lang": "flag", "hf_home": "environment", "trash_days": ".env"}
    for name, origin in origins.items():
        with pytest.raises(Refused) as refused:
            studio.preferences.change({name: "en"})
        assert (refused.value.code, refused.value.params["origin"]) == ("settings.elsewhere", origin)


def test_a_key_goes_in_and_never_comes_out(studio: Studio, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    key = "secret-without-any-known-shape"
    client = TestClient(make_api(studio))
    answer = client.patch("/preferences", json={"fal_key": key})
    answer.raise_for_status()
    assert key not in answer.text and key not in client.get("/preferences").text
    assert shown(studio)["fal_key"]["value"] == "set" and Settings(root=tmp_path).fal_key is not None
    logging.getLogger("studio").warning("it is %s", key)
    logging.shutdown([])
    assert key not in (tmp_path / "data" / "logs" / "app.log").read_text()
    bad = client.patch("/preferences", json={"auth": key})
    assert bad.status_code == 422 and key not in bad.text
    assert logs.HIDDEN in (tmp_path / "data" / "logs" / "app.log").read_text()


def test_what_this_computer_runs_is_chosen_at_this_computer(build: Callable[..., Studio], tmp_path: Path) -> None:
    with_a_door = build(auth="me:password")
    for name in ("voxcpm_python", "qwen3_tts_python", "pocket_tts_python"):
        with pytest.raises(Forbidden) as refused:
            with_a_door.preferences.change({"trash_days": 1, name: "/bin/sh"})
        assert (refused.value.code, refused.value.params["setting"]) == ("settings.program", name)
    assert not (tmp_path / "data" / "settings.toml").exists()
    with_a_door.preferences.change({"voxcpm_python": "/opt/voxcpm"}, trusted=True)
    build(data_dir=tmp_path / "home").preferences.change({"voxcpm_python": "/opt/voxcpm"})


def test_an_editor_may_not_even_read_them(build: Callable[..., Studio]) -> None:
    studio = build(allowed_hosts=["studio.example.org"], auth="me:password")
    studio.people.hosts.add("studio.example.org", "proxy")
    link = studio.people.invite("editor", "", None, 1, 1, AT_HOME)["token"]
    token, _ = studio.people.accept(link, "Ana", "a long password", "proxy", "")
    site = Guard(make_api(studio), studio.words, "token", studio.people, 10**9)
    client = TestClient(site, base_url="http://studio.example.org")
    editor = {"Authorization": f"Bearer {token}"}
    for method, body in (("GET", None), ("PATCH", {"trash_days": 1})):
        answer = client.request(method, "/api/preferences", json=body, headers=editor)
        assert answer.status_code == 403 and answer.json()["error"]["hint"]
    answer = client.patch("/preferences", json={"trash_days": 1}, headers={"Authorization": "Bearer token"})
    answer.raise_for_status()

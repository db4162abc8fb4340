"""What wins, where it came from, and that no secret is shown."""

from pathlib import Path

import pytest

from studio.errors import Refused
from studio.settings import Settings

DOCS = Path(__file__).parent.parent / "docs" / "settings.md"
EXAMPLE = Path(__file__).parent.parent / ".env.example"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine that runs the tests."""
    for name in names():
        monkeypatch.delenv(name, raising=False)


def names() -> list[str]:
    """Every environment name of every setting."""
    return [
        str(name)
        for field, info in Settings.model_fields.items()
        if field != "root"
        for name in info.validation_alias.choices  # type: ignore[union-attr]
        if str(name).isupper()
    ]


def test_the_order(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    assert Settings(root=tmp_path).port == 7860
    (tmp_path / "data" / "settings.toml").write_text("port = 1\nshare = true\nauth = 'a:b'")
    assert Settings(root=tmp_path).port == 1
    (tmp_path / ".env").write_text("PORT=2\n")
    assert Settings(root=tmp_path).port == 2
    monkeypatch.setenv("PORT", "3")
    assert Settings(root=tmp_path).port == 3
    monkeypatch.setenv("LANTERNA_PORT", "4")
    assert Settings(root=tmp_path).port == 4
    settings = Settings(root=tmp_path, port=5)
    assert (settings.port, settings.origin("port")) == (5, "flag")
    assert (settings.share, settings.origin("share")) == (True, "data/settings.toml")
    assert settings.origin("host") == "default"


def test_settings_toml_follows_the_data_folder(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "settings.toml").write_text("lang = 'pt'")
    assert Settings(root=tmp_path, data_dir=elsewhere).lang == "pt"
    monkeypatch.setenv("LANTERNA_DATA_DIR", str(elsewhere))
    assert Settings(root=tmp_path).lang == "pt"
    assert Settings(root=tmp_path).database == elsewhere / "studio.db"


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("PORT", "9000", "port", 9000),
        ("FORCE_CPU", "true", "force_cpu", True),
        ("LOG_LEVEL", "debug", "log_level", "DEBUG"),
        ("MAX_CONCURRENT_TASKS", "9", "max_concurrent_tasks", 9),
        ("PYTORCH_CUDA_ALLOC_CONF", "backend:native", "cuda_alloc_conf", "backend:native"),
        ("LANTERNA_MEDIA_ROOTS", "a, b", "media_roots", ["a", "b"]),
    ],
)
def test_names_the_peers_users_know(tmp_path, monkeypatch, name, text, field, value):
    monkeypatch.setenv(name, text)
    found = getattr(Settings(root=tmp_path), field)
    assert found == ([tmp_path / part for part in value] if isinstance(value, list) else value)


@pytest.mark.parametrize("name", ["LANG", "AUTH", "SHARE", "ROOT", "HOSTNAME", "LANGUAGE"])
def test_names_of_the_shell_change_nothing(tmp_path, monkeypatch, name):
    before = Settings(root=tmp_path).model_dump()
    monkeypatch.setenv(name, "x:y")
    assert Settings(root=tmp_path).model_dump() == before


def test_folders_are_beside_launch_py_wherever_the_terminal_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(root=tmp_path / "home", output_dir="films")
    assert settings.output_dir == tmp_path / "home" / "films"
    assert settings.hf_home == tmp_path / "home" / "data" / "models"


@pytest.mark.parametrize(
    ("field", "value"),
    [("port", "x"), ("port", 0), ("port", 99999), ("lang", "fr"), ("auth", "nocolon"), ("auth", "user:"),
     ("auth", ":secretword"), ("max_concurrent_tasks", 0), ("log_level", "LOUD"), ("port", 2**70)],
)  # fmt: skip
def test_a_bad_value_names_setting_and_origin_but_not_the_value_of_a_secret(tmp_path, field, value):
    with pytest.raises(Refused) as refused:
        Settings(root=tmp_path, **{field: value})
    assert refused.value.params["setting"] == field and refused.value.params["origin"] == "flag"
    assert "secretword" not in str(refused.value) and refused.value.__cause__ is None


def test_a_broken_settings_toml_is_named(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "settings.toml").write_text("port = ")
    with pytest.raises(Refused) as refused:
        Settings(root=tmp_path)
    assert refused.value.code == "settings.toml" and "settings.toml" in refused.value.params["path"]


def test_no_secret_is_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("FAL_KEY", "topsecret1")
    settings = Settings(root=tmp_path, auth="mina:topsecret2")
    assert "topsecret" not in repr(settings) + str(settings.described())
    assert {"topsecret1", "mina:topsecret2", "topsecret2"} <= set(settings.secrets())
    assert ("fal_key", "set", "environment") in settings.described()


def test_libraries_are_told_by_environment(tmp_path):
    told: dict[str, str] = {}
    Settings(root=tmp_path, force_cpu=True, hf_token="hf_x").export(told)
    assert told["PYTORCH_CUDA_ALLOC_CONF"] == "expandable_segments:True"
    assert told["GRADIO_ANALYTICS_ENABLED"] == "False" and told["HF_HUB_DISABLE_TELEMETRY"] == "1"
    assert told["GRADIO_TEMP_DIR"].startswith(str(tmp_path)) and told["HF_HOME"].startswith(str(tmp_path))
    assert told["CUDA_VISIBLE_DEVICES"] == "" and told["HF_TOKEN"] == "hf_x"
    assert "FAL_KEY" not in told


def test_engines_that_speak_are_told_addresses_keys_and_pythons(tmp_path):
    told: dict[str, str] = {}
    Settings(
        root=tmp_path, cosyvoice_url="http://127.0.0.1:50000/", elevenlabs_api_key="xi-1", voxcpm_python="~/v"
    ).export(told)
    assert told["LANTERNA_COSYVOICE_URL"] == "http://127.0.0.1:50000" and told["LANTERNA_VOXCPM_PYTHON"] == str(
        Path.home() / "v"
    )
    assert told["LANTERNA_ELEVENLABS_API_KEY"] == "xi-1" and told["LANTERNA_ENVS"] == str(tmp_path / "data" / "envs")
    assert "LANTERNA_OPENAI_API_KEY" not in told
    (tmp_path / "python").symlink_to("/usr/bin/env")
    Settings(root=tmp_path, voxcpm_python="python").export(told)
    assert told["LANTERNA_VOXCPM_PYTHON"] == str(tmp_path / "python")  # beside launch.py, and not where it leads
    for wrong in ("127.0.0.1:50000", "file:///etc", "http://", "http://a/?key=b"):
        with pytest.raises(Refused) as refused:
            Settings(root=tmp_path, cosyvoice_url=wrong)
        assert refused.value.params["setting"] == "cosyvoice_url"
    for wrong in ("~nobody-of-this-name/python", "a\0b"):
        with pytest.raises(Refused) as refused:
            Settings(root=tmp_path, voxcpm_python=wrong)
        assert refused.value.params["setting"] == "voxcpm_python"
    assert "pa55" in Settings(root=tmp_path, speech_server_url="http://me:pa55@127.0.0.1:1").secrets()


def test_media_roots_of_one_name_are_refused(tmp_path):
    with pytest.raises(Refused) as refused:
        Settings(root=tmp_path, media_roots=[tmp_path / "a" / "clips", tmp_path / "b" / "clips"])
    assert refused.value.params["setting"] == "media_roots" and "clips" in refused.value.params["reason"]
    assert len(Settings(root=tmp_path, media_roots=[tmp_path / "a", tmp_path / "a"]).media_roots) == 2


def test_local_only(tmp_path):
    assert Settings(root=tmp_path).local_only
    assert not Settings(root=tmp_path, host="0.0.0.0").local_only
    assert not Settings(root=tmp_path, share=True).local_only


def test_a_studio_that_a_proxy_leads_to_is_nobodys_own(tmp_path):
    proxies = {"allowed_hosts": ["a.example"], "root_path": "/films", "trusted_proxies": ["127.0.0.1"]}
    for name, value in proxies.items():
        settings = Settings(root=tmp_path, **{name: value})
        assert (settings.opens, settings.local_only, settings.at_home) == ([name], False, False)
    assert Settings(root=tmp_path).at_home


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("/lanterna", "/lanterna"), ("/lanterna/", "/lanterna"), (" /a/b-c.d/~x// ", "/a/b-c.d/~x"), ("/", ""),
        ("/apis", "/apis"), ("", ""),
    ],
)  # fmt: skip
def test_a_root_path_is_written_in_one_way(tmp_path, written, means):
    assert Settings(root=tmp_path, root_path=written).root_path == means


@pytest.mark.parametrize(
    "written",
    [
        "lanterna", "//lanterna", "/a//b", "/..", "/a/../b", "/.", "/a/.b", "/a?b", "/a#b", "/a b", "/a%2fb", "/a\\b",
        "/é", "/a\r\nb", "https://a.example/b", "/api", "/api/x", "/ui", "/sign-in", "/review", "/gradio_api",
    ],
)  # fmt: skip
def test_a_root_path_that_leads_astray_is_refused(tmp_path, written):
    with pytest.raises(Refused) as refused:
        Settings(root=tmp_path, root_path=written)
    assert refused.value.params["setting"] == "root_path"


@pytest.mark.parametrize("written", ["0.0.0.0/0", "::/0", "proxy.example", "127.0.0.1:80", "*", "10.0.0.0/40"])
def test_a_trusted_proxy_is_an_address_and_never_everybody(tmp_path, written):
    with pytest.raises(Refused) as refused:
        Settings(root=tmp_path, trusted_proxies=["127.0.0.1", written])
    assert refused.value.params["setting"] == "trusted_proxies"


def test_every_setting_is_in_the_docs_with_its_names():
    rows = {
        line.split("|")[1].strip().strip("`"): line for line in DOCS.read_text("utf-8").splitlines() if "| `" in line
    }
    fields = [field for field in Settings.model_fields if field != "root"]
    assert set(fields) <= set(rows), "a setting without its row"
    for field in fields:
        for name in Settings.model_fields[field].validation_alias.choices:  # type: ignore[union-attr]
            assert f"`{name}`" in rows[field], f"{name} is missing in the row of {field}"


def test_the_example_names_only_settings():
    lines = [line.lstrip("# ").partition("=")[0] for line in EXAMPLE.read_text("utf-8").splitlines() if "=" in line]
    assert lines and set(lines) <= set(names())


def test_a_python_of_an_environment_keeps_its_place(tmp_path: Path) -> None:
    """It is a link to another Python, and knows its packages only by where it lies."""
    (tmp_path / "env" / "bin").mkdir(parents=True)
    python = tmp_path / "env" / "bin" / "python"
    python.symlink_to("/bin/sh")
    for name in ("qwen3_tts_python", "wan2gp_python"):
        told: dict[str, str] = {}
        Settings(root=tmp_path, **{name: "env/bin/python"}).export(told)
        assert told[f"LANTERNA_{name.upper()}"] == str(python)

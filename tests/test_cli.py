"""The command line: flags, exit codes, languages, an episode rendered here and in a studio that already runs."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient
from through import Through

from studio import app
from studio import cli as command_line
from studio.api import make_api
from studio.api.guard import Guard
from studio.cli import desk, main
from studio.errors import NotFound, StudioError, Unavailable
from studio.lock import Holder, StudioLock
from studio.service import Studio
from studio.settings import Settings

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    environment = dict(os.environ)
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    yield
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A terminal that stands in an empty folder; nothing beside launch.py is touched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LANTERNA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LANTERNA_OUTPUT_DIR", str(tmp_path / "outputs"))
    return tmp_path


def episode(folder: Path, **more: Any) -> Path:
    scenes = [
        {
            "label": "One",
            "task_type": "text_to_video",
            "prompt": "a lamp",
            "duration": 0.2,
            "engine": "instant",
            **more,
        },
        {"label": "Two", "task_type": "text_to_video", "prompt": "a street", "duration": 0.2, "engine": "instant"},
    ]
    path = folder / "episode.json"
    path.write_text(json.dumps({"title": "Two shots", "scenes": scenes}))
    return path


# ------------------------------------------------------------------------------------------------ flags
def test_version_and_help(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("Lanterna ")
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(verb in said for verb in ("demo", "render", "generate", "doctor", "bench", "launch.py install"))


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["--nonsense"], ["render"], ["--port", "x"], ["--port", "0"], ["generate"],
                  ["render", "a.json", "--missing", "maybe"]],
)  # fmt: skip
def test_unknown_flags_are_2(arguments, home):
    assert main(arguments) == 2
    assert not (home / "data").exists()


def test_print_config_says_where_everything_comes_from(home, capsys):
    (home / "films").mkdir()
    code = main(["--port", "8123", "--auth", "mina:lantern light", "--media-root", "a", "--media-root", "b",
                 "--output-dir", "films", "--listen", "--print-config"])  # fmt: skip
    said = capsys.readouterr().out
    rows = {line.split()[0]: line for line in said.splitlines() if line.strip()}
    assert code == 0 and "lantern light" not in said
    assert "8123" in rows["port"] and "flag" in rows["port"] and "0.0.0.0" in rows["host"]
    assert str(home / "films") in said, "a flag's folder is as seen from the terminal"
    assert "environment" in rows["data_dir"] and "default" in rows["log_level"]
    assert not (home / "data").exists(), "looking changes nothing"


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        (["--listen"], "0.0.0.0"), (["--listen", "10.0.0.1"], "10.0.0.1"), (["--listen", "--port", "1"], "0.0.0.0"),
        (["--listen", "::1"], "::1"), (["--listen", "demo"], "0.0.0.0"), (["--listen", "localhost"], "localhost"),
    ],
)  # fmt: skip
def test_listen_may_stand_alone(arguments, address):
    full = command_line._with_address(arguments)
    assert full[full.index("--listen") + 1] == address


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("verb", [["demo"], ["render", "x.json"], ["generate", "--task_type", "speech"], ["doctor"]])
def test_path_flags_work_before_and_after_every_verb(home, monkeypatch, verb, before):
    seen: list[Settings] = []

    def look(settings: Settings, *_: Any, **__: Any) -> int:
        seen.append(settings)
        return 0

    monkeypatch.setattr("studio.cli.verbs.render", look)
    monkeypatch.setattr("studio.cli.verbs.generate", look)
    monkeypatch.setattr("studio.cli.doctor.examine", look)
    paths = ["--output-dir", "o", "--data-dir", "d", "--media-root", "m", "--lang", "zh"]
    assert main([*paths, *verb] if before else [*verb, *paths]) == 0
    settings = seen[0]
    assert (settings.output_dir, settings.data_dir, settings.media_roots, settings.lang) == (
        home / "o", home / "d", [home / "m"], "zh",
    )  # fmt: skip


def test_start_flags_reach_the_studio(home, monkeypatch):
    seen: list[Settings] = []
    monkeypatch.setattr(app, "serve", lambda settings, say: seen.append(settings))
    assert main(["--listen", "10.1.1.1", "--port", "9", "--auth", "a:b", "--no-browser", "--share"]) == 0
    found = seen[0]
    assert (found.host, found.port, found.open_browser, found.share) == ("10.1.1.1", 9, False, True)
    assert found.auth is not None and found.auth.get_secret_value() == "a:b"


def test_the_users_own_proxy_is_named_by_flags(home, monkeypatch):
    seen: list[Settings] = []
    monkeypatch.setattr(app, "serve", lambda settings, say: seen.append(settings))
    named = ["--allowed-host", "a.example", "--allowed-host", "b.example", "--trusted-proxy", "172.18.0.0/16"]
    assert main([*named, "--trusted-proxy", "::1", "--root-path", "/films/", "--auth", "a:b"]) == 0
    found = seen[0]
    assert (found.allowed_hosts, found.trusted_proxies) == (["a.example", "b.example"], ["172.18.0.0/16", "::1"])
    assert (found.root_path, found.origin("root_path")) == ("/films", "flag")


@pytest.mark.parametrize(("lang", "word"), [("en", "password"), ("pt", "senha"), ("zh", "密码")])
def test_errors_are_in_the_users_language_with_the_cure(home, capsys, lang, word):
    assert main(["--listen", "--lang", lang]) == 1
    said = capsys.readouterr().err
    assert word in said and "--auth" in said and "Traceback" not in said


def test_the_terminals_language_is_heard(home, capsys, monkeypatch):
    monkeypatch.setenv("LC_ALL", "pt_BR.UTF-8")
    assert main(["--share"]) == 1
    assert "senha" in capsys.readouterr().err


def test_a_bad_setting_is_named(home, capsys, monkeypatch):
    monkeypatch.setenv("PORT", "harbour")
    assert main([]) == 1
    said = capsys.readouterr().err
    assert "port" in said and "environment" in said


# ------------------------------------------------------------------------------------------------ render, here
@pytest.fixture
def here(home: Path, instant: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Renders in this process with the instant engine."""
    build = app.build_studio
    monkeypatch.setattr(app, "build_studio", lambda settings: build(settings, in_process=True))
    return instant


def test_an_episode_becomes_a_film(here, home, capsys):
    assert main(["render", str(episode(home)), "--out", "film.mp4"]) == 0
    said = capsys.readouterr()
    assert str(home / "film.mp4") in said.out
    assert (home / "film.mp4").stat().st_size > 0
    assert "One" in said.err and "[2/2]" in said.err, "a line for each scene in a log"
    assert StudioLock(home / "data").holder() is None, "the folder is free again"


def test_a_scene_that_fails_makes_no_film_unless_asked(here, home, capsys):
    path = episode(home, prompt="fail")
    assert main(["render", str(path), "--out", "f.mp4"]) == 1
    assert "1 · One" in capsys.readouterr().err and not (home / "f.mp4").exists()
    assert main(["render", str(path), "--missing", "leave_out", "--out", "f.mp4"]) == 1, "one is missing"
    assert (home / "f.mp4").exists()


def test_a_full_disk_ends_a_render_that_nobody_watches(here, home, capsys):
    assert main(["render", str(episode(home, prompt="full"))]) == 1
    assert "disk is full" in capsys.readouterr().err


def test_an_invalid_episode_names_scene_and_field_and_renders_nothing(here, home, capsys):
    path = episode(home, duration=-1)
    assert main(["render", str(path)]) == 1
    said = capsys.readouterr().err
    assert "1 · One" in said and "duration" in said
    assert here.MADE == []
    assert main(["render", str(path), "--only-valid", "--out", "f.mp4"]) == 0


@pytest.mark.parametrize("content", [b"", b"not json", b"[]", b'{"scenes": 3}', b"\xff\xfe\x00", b"[" * 100_000])
def test_a_foreign_file_is_told_and_never_a_traceback(here, home, capsys, content):
    (home / "bad.json").write_bytes(content)
    assert main(["render", str(home / "bad.json")]) == 1
    said = capsys.readouterr().err
    assert said.strip() and "Traceback" not in said


def test_a_missing_file_is_named(here, home, capsys):
    assert main(["render", "nowhere.json"]) == 1
    assert "nowhere.json" in capsys.readouterr().err


def test_ctrl_c_stops_what_it_started_and_is_130(here, home, monkeypatch):
    stopped: list[str] = []
    stop = desk.Here.stop
    monkeypatch.setattr(desk.Here, "stop", lambda self, queue: (stopped.append(queue), stop(self, queue))[1])

    def interrupt(self: Any, queue: str) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(desk.Here, "snapshot", interrupt)
    assert main(["render", str(episode(home))]) == 130
    assert stopped
    assert StudioLock(home / "data").holder() is None


def test_a_folder_that_another_command_holds_is_told(here, home, capsys):
    lock = StudioLock(home / "data")
    lock.acquire()
    assert main(["render", str(episode(home))]) == 1
    assert str(os.getpid()) in capsys.readouterr().err
    lock.release()


# ------------------------------------------------------------------------------------------------ generate
def test_generate_makes_one_take_and_copies_it(here, home, capsys):
    code = main(["generate", "--task_type", "text_to_video", "--prompt", "a lamp", "--duration", "0.2", "--engine",
                 "instant", "--seed", "7", "--out", "deep/take.mp4"])  # fmt: skip
    assert code == 0
    assert (home / "deep" / "take.mp4").exists() and "take.mp4" in capsys.readouterr().out


def test_flags_of_skyreels_that_cannot_apply_are_said_and_passed_over(here, home, capsys):
    code = main(["generate", "--task_type", "text_to_video", "--prompt", "a lamp", "--duration", "0.2", "--engine",
                 "instant", "--use_usp", "--low_vram", "--offload", "--model_id", "Skywork/X"])  # fmt: skip
    said = capsys.readouterr().err
    assert code == 0
    assert all(flag in said for flag in ("--use_usp", "--low_vram", "--offload", "--model_id"))


def test_names_of_skyreels_and_hyphens_mean_the_same(home, monkeypatch):
    seen: list[Any] = []
    monkeypatch.setattr("studio.cli.verbs.generate", lambda s, p, scene, asked, out: seen.append(scene) or 0)
    for name in ("{}_{}", "{}-{}"):
        flag = "--" + name.format("ref", "imgs")
        main(
            [
                "generate",
                "--" + name.format("task", "type"),
                "reference_to_video",
                flag,
                "a.png, b.png",
                "--prompt",
                "x",
            ]
        )
    assert seen[0] == seen[1]
    assert seen[0]["ref_imgs"] == ["a.png", "b.png"] and "seed" not in seen[0]


def test_a_wrong_scene_names_its_field(here, home, capsys):
    assert main(["generate", "--task_type", "talking_avatar", "--resolution", "540P"]) == 1
    assert main(["generate", "--task_type", "juggling"]) == 1
    said = capsys.readouterr().err
    assert "juggling" in said and "Traceback" not in said


# ------------------------------------------------------------------------------------------------ a running studio
@pytest.fixture
def there(studio: Studio) -> Callable[[str], desk.There]:
    """A desk in a studio that asks for a password: only the lock file's token opens it."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    studio.people.hosts.add("studio.example.org", "proxy")  # somebody else can reach it
    site = Starlette(routes=[Mount("/api", make_api(studio))])
    client = TestClient(Guard(site, studio.words, "token", studio.people, 10**9), base_url="http://127.0.0.1:7860")
    return lambda token: desk.There(Holder(1, "http://127.0.0.1:7860", token), Through(client))


def test_a_running_studio_does_the_work(there, studio, home, monkeypatch, capsys):
    work = there("token")
    monkeypatch.setattr("studio.cli.verbs.open_desk", lambda settings: work)
    monkeypatch.setattr("time.sleep", lambda seconds: studio.drain())  # the studio works while the command line waits
    run = desk.There.run
    monkeypatch.setattr(desk.There, "run", lambda self, *how: (run(self, *how), studio.drain())[0])
    assert main(["render", str(episode(home)), "--out", "film.mp4", "--engine", "instant"]) == 0
    assert (home / "film.mp4").stat().st_size > 0
    assert "film.mp4" in capsys.readouterr().out


def test_it_reads_the_files_that_we_name(there, home):
    from PIL import Image

    (home / "shots").mkdir()
    Image.new("RGB", (320, 180), "teal").save(home / "shots" / "a.png")
    path = home / "shots" / "episode.json"
    scenes = [{"task_type": "image_to_video", "input_image": "a.png", "prompt": "it moves", "engine": "instant"}]
    path.write_text(json.dumps(scenes))
    queue = there("token").bring(path)[0]["queue"]
    assert queue["counts"]["total"] == 1


def test_a_wrong_token_opens_nothing(there, home):
    with pytest.raises(StudioError) as refused:
        there("guess").sample()
    assert refused.value.code == "guard.signed_out"


def test_its_errors_are_ours(there, home):
    with pytest.raises(StudioError) as unknown:
        there("token").export("01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert unknown.value.code != "cli.studio_silent"


def test_a_studio_that_does_not_answer_is_told(home):
    silent = desk.There(Holder(1, "http://127.0.0.1:9", "x"))
    with pytest.raises(Unavailable) as error:
        silent.run("q")
    assert error.value.code == "cli.studio_silent"


def test_open_desk_takes_the_lock_or_talks_to_its_holder(home, monkeypatch):
    monkeypatch.setattr(desk, "Here", lambda settings, lock: lock)
    settings = Settings(root=home)
    mine = desk.open_desk(settings)
    assert isinstance(mine, StudioLock)
    mine.announce("http://127.0.0.1:7860")
    assert isinstance(desk.open_desk(settings), desk.There)
    mine.release()


def test_a_download_that_breaks_off_leaves_nothing(home):
    class Broken(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            def half() -> Iterator[bytes]:
                yield b"half"
                raise httpx2.ReadError("gone")

            return httpx2.Response(200, content=half())

    there = desk.There(Holder(1, "http://127.0.0.1:9", "x"), Broken())
    with pytest.raises(Unavailable) as error:
        there.exported("x", home / "film.mp4")
    assert error.value.code == "cli.studio_silent" and not list(home.glob("film*"))


def test_an_episode_that_is_not_there_is_told(home):
    with pytest.raises(NotFound) as error:
        desk.There(Holder(1, "http://127.0.0.1:9", "x")).bring(home / "nobody.json")
    assert error.value.code == "cli.no_episode"


# ------------------------------------------------------------------------------------------------ doctor and docs
def test_every_verb_and_flag_is_in_the_docs():
    import typer

    text = (REPOSITORY / "docs" / "commands.md").read_text("utf-8")
    group = typer.main.get_command(command_line.cli)
    verbs = dict(group.commands)  # type: ignore[attr-defined]
    for inner in ("bench", "models"):
        verbs |= {f"{inner} {name}": verb for name, verb in verbs.pop(inner).commands.items()}
    shared = {"--output-dir", "--data-dir", "--media-root", "--lang"}
    for name, verb in verbs.items():
        assert f"`{name}" in text
        part = text.partition(f"## {name}")[2].partition("## ")[0]
        for flag in [flag for option in verb.params for flag in option.opts[:1] if flag.startswith("--")]:
            assert flag in shared or f"`{flag}`" in part, f"{name} {flag}"
    start = text.partition("## Opening the studio")[2].partition("## ")[0]
    for option in group.params:
        assert f"`{option.opts[0]}" in start, option.opts[0]


def test_importing_the_command_line_is_cheap():
    """Every spawned worker imports launch.py, and `--help` should be quick."""
    import subprocess

    program = "import sys, studio.cli; print([m for m in ('gradio', 'studio.app', 'studio.store') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done

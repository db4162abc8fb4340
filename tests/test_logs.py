"""Logs without secrets, in which the log of one scene can be found."""

import io
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio import logs

KEY = "sk-live-0123456789abcdefghij"
ELEVEN = "plainkeywithoutshape42"


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    import sys

    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    level, handlers = root.level, list(root.handlers)
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks


def written(log_dir: Path, name: str = "app") -> str:
    return (log_dir / f"{name}.log").read_text("utf-8")


@pytest.mark.parametrize(
    "line",
    [
        f"Authorization: Bearer {KEY}",
        f"calling with {KEY}",
        f'{{"api_key": "{ELEVEN}", "model": "wan"}}',
        f"FAL_KEY went by as {ELEVEN}",
        f"https://cdn.example/clip.mp4?X-Amz-Signature={ELEVEN}&Expires=9",
        f"https://cdn.example/clip.mp4?Expires=9&part=1&sig={ELEVEN}",
        f"https://mina:{ELEVEN}@cdn.example/clip.mp4",
        f"password={ELEVEN}",
        f"HF_TOKEN=hf_{'a' * 30}",
        f"cookie: lanterna_session={ELEVEN}",
        f"--auth mina:{ELEVEN}",
    ],
)
def test_no_secret_reaches_a_log(tmp_path, line):
    logs.start(tmp_path, "app", secrets=[ELEVEN])
    logging.getLogger("studio.x").info("%s and on", line)
    text = written(tmp_path)
    assert KEY not in text and ELEVEN not in text and "a" * 30 not in text
    assert "and on" in text and logs.HIDDEN in text


@pytest.mark.parametrize(
    "line",
    [f"Authorization: Bearer {KEY}", f'"api_key": "{ELEVEN}"', f"https://c.example/a?sig={ELEVEN}&e=1",
     f"https://u:{ELEVEN}@c.example/", f"password={ELEVEN}", f"access_token: {ELEVEN}"],
)  # fmt: skip
def test_known_shapes_need_no_list_of_secrets(line):
    assert ELEVEN not in logs.redact(line) and KEY not in logs.redact(line)


def test_plain_words_stay():
    line = "scene 3: 120 frames, 4096 tokens per second, https://example.org/a.png?size=3"
    assert logs.redact(line) == line


def test_exceptions_and_arguments_are_redacted_too(tmp_path):
    logs.start(tmp_path, "app", secrets=[ELEVEN])
    try:
        raise ValueError(f"refused key {ELEVEN}")
    except ValueError:
        logging.getLogger("studio.x").exception("calling %r", {"token": KEY})
    text = written(tmp_path)
    assert "Traceback" in text and "ValueError" in text
    assert ELEVEN not in text and KEY not in text


def test_uncaught_errors_of_threads_are_logged(tmp_path):
    logs.start(tmp_path, "worker", secrets=[ELEVEN])
    thread = threading.Thread(target=lambda: int(f"no number {ELEVEN}"))
    thread.start()
    thread.join()
    assert "uncaught" in written(tmp_path, "worker") and ELEVEN not in written(tmp_path, "worker")


def test_the_log_of_one_scene(tmp_path):
    log = logging.getLogger("studio.x")
    logs.start(tmp_path, "app")
    log.info("before everything")
    with logs.scene_log("SCENE1", "JOB1"):
        log.info("lent to the worker")
        with logs.scene_log("SCENE2", "JOB2"):
            log.info("the other one")
        try:
            raise OSError("lamp\nbroke")
        except OSError:
            log.exception("it failed")
    log.info("afterwards")
    told = logs.read_scene_log(tmp_path, "SCENE1")
    assert "lent to the worker" in told and "JOB1" in told
    assert "Traceback" in told and "broke" in told, "a traceback belongs to its record"
    assert "other one" not in told and "everything" not in told and "afterwards" not in told
    assert logs.read_scene_log(tmp_path, "SCENE") == ""
    assert logs.read_scene_log(tmp_path / "nowhere", "SCENE1") == ""


def test_app_and_worker_are_told_in_order_of_time_over_rotated_files(tmp_path):
    line = "2026-11-20 10:00:0{}.000 INFO    [{} J] studio: {}\n"
    (tmp_path / "app.log.1").write_text(line.format(1, "S", "first") + line.format(2, "T", "not mine"))
    (tmp_path / "app.log").write_text(line.format(5, "S", "fourth"))
    (tmp_path / "worker.log").write_text(
        line.format(3, "S", "second") + "  more of it\n" + line.format(4, "S", "third")
    )
    told = logs.read_scene_log(tmp_path, "S")
    order = [told.index(word) for word in ("first", "second", "more of it", "third", "fourth")]
    assert order == sorted(order) and "not mine" not in told


def test_logs_rotate(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "MAX_BYTES", 2000)
    logs.start(tmp_path, "app")
    for number in range(200):
        with logs.scene_log("S"):
            logging.getLogger("studio.x").info("line %d", number)
    assert len(list(tmp_path.iterdir())) == logs.BACKUPS + 1
    assert "line 199" in logs.read_scene_log(tmp_path, "S")


def test_starting_twice_writes_once(tmp_path):
    logs.start(tmp_path, "app")
    logs.start(tmp_path, "app")
    logging.getLogger("studio.x").warning("only once")
    assert written(tmp_path).count("only once") == 1


def test_a_console_handler_of_somebody_else_is_left_alone(tmp_path):
    theirs = logging.StreamHandler(io.StringIO())
    logging.getLogger().addHandler(theirs)
    logs.start(tmp_path, "app")
    assert theirs in logging.getLogger().handlers
    logging.getLogger().removeHandler(theirs)

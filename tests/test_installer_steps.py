"""`launch.py install`: the steps, each failing once and then run again; what is wished for; what is written down."""

import json

import pytest
from computer import Computer, lay_out

import launch
from installer import Said, SetUpError
from installer.builds import INDEX
from installer.install import main as install
from installer.journal import LARGEST, Journal
from installer.steps import alone, set_up

CARD = {"nvidia-smi": "580.65.06, 8.9, NVIDIA GeForce RTX 4090"}
FULL = Said(1, "OSError: [Errno 28] No space left on device")
NO_NETWORK = Said(1, "NewConnectionError: Failed to establish a new connection")
CU130, CPU = (f"--extra-index-url {INDEX}{build} torch==9.9.9+{build}" for build in ("cu130", "cpu"))


@pytest.fixture
def place(tmp_path):
    return lay_out(tmp_path)


@pytest.fixture
def computer(place):
    return Computer(place, reachable=(INDEX,))


def log_of(place):
    return place.log.read_text("utf-8")


# ------------------------------------------------------------------------------------------------ steps
STEPS = ["venv", "torch", "requirements", "test tools"]


@pytest.mark.parametrize(
    "failure", [FULL, NO_NETWORK, Said(1, "something nobody has seen before")], ids=["full", "net", "odd"]
)
@pytest.mark.parametrize(
    ("number", "fail_on"), [*enumerate(["venv", "torch==", "requirements.txt", "requirements-dev"])]
)
def test_each_step_fails_with_a_cure_and_goes_on_where_it_was(place, computer, number, fail_on, failure, capsys):
    computer.fail_on, computer.failure = fail_on, failure
    if fail_on == "torch==":
        computer.reachable = ()  # else the usual index would take over
    assert launch.main(["install", "--dev"], place, computer) == 1
    said = capsys.readouterr().err
    assert "->" in said and "Traceback" not in said
    failed = STEPS[number]
    assert f"{failed}: failed after" in log_of(place) and f"{failed}: cure: " in log_of(place)
    assert all(f"{step}: done in" in log_of(place) for step in STEPS[:number])
    assert not any(f"{step}: begins" in log_of(place) for step in STEPS[number + 1 :])
    place.log.unlink()
    computer.fail_on = ""
    assert launch.main(["install", "--dev"], place, computer) == 0
    assert not any(f"{step}: begins" in log_of(place) for step in STEPS[:number]), "what was done is not done again"
    assert all(f"{step}: done in" in log_of(place) for step in [*STEPS[number:], "bytecode"])


def test_everything_in_its_order_and_the_second_time_nothing(place, computer):
    assert install(["--dev"], place, computer) == 0
    assert computer.asked == ["venv", CPU, "-r requirements.txt", "-r requirements-dev.txt"]
    computer.asked.clear()
    assert install(["--dev"], place, computer) == 0
    assert computer.asked == []


def test_bytecode_that_fails_is_a_line_in_the_log(place, computer):
    computer.fail_on, computer.failure = "compileall", Said(1, "SyntaxError: in a file for Python 2")
    assert install([], place, computer) == 0
    assert "nothing hangs on it" in log_of(place) and "for Python 2" in log_of(place)


def test_what_pip_said_is_in_the_log(place, computer):
    lines = [*(f"Collecting package-{number}" for number in range(30)), "ERROR: a strange thing"]
    computer.fail_on, computer.failure = "requirements.txt", Said(1, "\n".join(lines))
    with pytest.raises(SetUpError) as error:
        install([], place, computer)
    assert "package-0\n" in log_of(place) and "a strange thing" in log_of(place)
    assert "package-0\n" not in str(error.value), "on screen its end is enough"


def test_the_log_does_not_grow_for_ever(tmp_path):
    path = tmp_path / "logs" / "install.log"
    Journal(path).line("x" * LARGEST)
    Journal(path).line("after")
    assert path.read_text("utf-8").endswith(" after\n") and len(path.read_text("utf-8")) < 100
    assert path.with_name("install.log.1").stat().st_size > LARGEST


def test_a_log_that_cannot_be_written_stops_no_set_up(place, computer):
    place.data.write_text("a file where the folder should be")
    assert install([], place, computer) == 0


def test_two_clicks_are_one_set_up(place, computer):
    with alone(place), pytest.raises(SetUpError, match="being set up already"):
        install([], place, computer)
    assert computer.asked == [] and install([], place, computer) == 0


# ------------------------------------------------------------------------------------------------ wishes
def test_the_card_decides_and_the_flag_decides_over_it(place, computer):
    computer.programs = CARD
    install([], place, computer)
    assert computer.asked[1] == CU130
    install(["--cpu"], place, computer)
    assert computer.asked[-1] == CPU
    install([], place, computer)
    assert computer.asked[-1] == CU130


def test_a_wish_is_remembered_by_every_later_start(place, computer):
    computer.programs = CARD
    install(["--cpu"], place, computer)
    (place.root / "requirements.txt").write_text("rich\ntorch==9.9.10\n")
    computer.asked.clear()
    set_up(place, computer, "app")
    assert computer.asked == [CPU.replace("9.9.9", "9.9.10"), "-r requirements.txt"]


def test_a_wish_for_what_is_there_already_is_remembered_too(place, computer):
    install([], place, computer)
    install(["--cpu"], place, computer)
    assert json.loads(place.stamp.read_text())["gpu"] == "cpu" and len(computer.asked) == 3


def test_an_ordinary_start_keeps_the_build_while_the_card_sleeps(place, computer):
    computer.programs = CARD
    install([], place, computer)
    computer.programs = {}
    (place.root / "requirements.txt").write_text("rich>=14\ntorch==9.9.9\n")
    computer.asked.clear()
    set_up(place, computer, "app")
    assert computer.asked == ["-r requirements.txt"]


def test_a_driver_that_is_too_old_installs_nothing(place, computer, capsys):
    computer.programs = {"nvidia-smi": "470.82.01, 8.6, NVIDIA GeForce RTX 3090"}
    assert launch.main(["demo"], place, computer) == 1
    said = capsys.readouterr().err
    assert "driver 470.82.01" in said and "launch.py install --cpu" in said and computer.asked == []
    assert launch.main(["install", "--cpu"], place, computer) == 0


def test_only_one_kind_of_gpu_can_be_wished_for(place, computer, capsys):
    with pytest.raises(SystemExit):
        install(["--cpu", "--cuda"], place, computer)
    assert "not allowed with" in capsys.readouterr().err


def test_offline_needs_a_folder_of_wheels(place, computer, tmp_path):
    with pytest.raises(SetUpError, match="holds no wheels"):
        install(["--offline", str(tmp_path)], place, computer)
    for name in ("torch-9.9.9+cpu", "rich-14.0.0"):
        (tmp_path / f"{name}-py3-none-any.whl").touch()
    computer.reachable = ()
    assert install(["--offline", str(tmp_path)], place, computer) == 0
    flags = f"--no-index --find-links {tmp_path}"
    assert computer.asked[1:] == [f"{flags} torch==9.9.9+cpu", f"{flags} -r requirements.txt"]


def test_start_opens_the_studio_or_shows_the_one_that_is_open(place, computer):
    assert install(["--start"], place, computer) == 7
    assert computer.asked[-1] == "start /launch.py --or-show"


# ------------------------------------------------------------------------------------------------ check
@pytest.mark.parametrize(
    ("facts", "told", "cure"),
    [
        ({"python": (3, 10, 12)}, "needs Python 3.11 or newer; this is 3.10.12", "python.org"),
        (
            {"python": (3, 8, 18), "programs": {"python3.12": ""}},
            "this is 3.8.18",
            "Run: /usr/bin/python3.12 launch.py",
        ),
        ({"bits": 32}, "32-bit", "64-bit"),
        ({"libc": ("", "")}, "no glibc", "container"),
        ({"libc": ("glibc", "2.17")}, "glibc 2.17", "newer system"),
        ({"free": 2e9}, "Only 2.0 GB are free on this disk; what is to be installed needs 4.0", "Free some space"),
        (
            {"free": 8e9, "programs": CARD},
            "needs 10.0",
            "Without the GPU it is 4.0 GB: python3 launch.py install --cpu",
        ),
        ({"platform": "darwin", "arch": "x86_64"}, "Intel Macs", "arm64"),
    ],
)
def test_a_computer_that_will_not_do_is_told_before_anything_is_made(place, computer, facts, told, cure):
    vars(computer).update(facts)
    with pytest.raises(SetUpError) as error:
        install([], place, computer)
    assert told in str(error.value) and cure in error.value.cure
    assert computer.asked == [] and not place.venv.exists()


def test_a_folder_that_cannot_be_written(place, computer, monkeypatch):
    monkeypatch.setattr("installer.steps.os.access", lambda path, mode: False)
    with pytest.raises(SetUpError, match="cannot be written"):
        install([], place, computer)


def test_the_disk_is_asked_for_what_is_still_to_be_installed(place, computer):
    computer.fail_on, computer.failure = "requirements.txt", FULL
    with pytest.raises(SetUpError):
        install([], place, computer)
    computer.fail_on, computer.free = "", 3e9  # too little for all of it, enough for the rest
    assert install([], place, computer) == 0


def test_a_few_newer_packages_need_little_of_it(place, computer):
    install([], place, computer)
    (place.root / "requirements.txt").write_text("rich>=14\ntorch==9.9.9\n")
    computer.free = 1e9
    set_up(place, computer, "app")
    assert place.installed()["app"] == place.wanted("app")
    computer.free = 0.4e9
    (place.root / "requirements.txt").write_text("rich>=15\ntorch==9.9.9\n")
    with pytest.raises(SetUpError, match=r"needs 0\.5"):
        set_up(place, computer, "app")


def test_a_python_newer_than_ours_is_told_and_tried(place, computer, capsys):
    computer.python = (3, 15, 0)
    assert install([], place, computer) == 0
    assert "3.15.0 is newer than those we are tested with" in capsys.readouterr().out

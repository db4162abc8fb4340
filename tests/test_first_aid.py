"""`launch.py doctor` where the studio's own doctor cannot come: before a set-up, and with broken packages."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from computer import Computer
from small_lanterna import environment, program, set_up

import launch
from installer import Place
from installer.doctor import first_aid


@pytest.fixture
def place(tmp_path: Path) -> Place:
    program(tmp_path / "here", "0.1.0")
    return Place.at(tmp_path / "here")


@pytest.fixture
def computer(place: Place) -> Computer:
    return Computer(place, reachable=("https://",), programs={"nvidia-smi": "580.95.05, NVIDIA GeForce RTX 4090, 8.9"})


def checks(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"ok", "checks"}
    assert all(set(one) == {"what", "state", "value", "message", "cure"} for one in document["checks"])
    assert document["ok"] == all(one["state"] != "bad" for one in document["checks"])
    return {one["what"]: one for one in document["checks"]}


def test_before_a_set_up_it_looks_and_installs_nothing(place, computer, capsys):
    assert launch.main(["doctor"], place, computer) == 1
    said = capsys.readouterr().out
    assert "not set up yet" in said and "launch.py install" in said and "Python" in said
    assert computer.asked == [] and not place.venv.exists() and not place.data.exists()


def test_it_answers_as_json_like_the_studios_own(place, computer, capsys):
    assert launch.main(["doctor", "--json"], place, computer) == 1
    found = checks(capsys)
    assert {what for what, one in found.items() if one["state"] == "bad"} == {"environment"}
    assert {"python", "venv", "disk", "write_home", "gpu", "internet"} <= set(found)


@pytest.mark.parametrize(
    ("facts", "what", "state"),
    [
        ({"python": (3, 8, 18)}, "python", "bad"), ({"bits": 32}, "python", "bad"), ({"free": 1e9}, "disk", "bad"),
        ({"reachable": ()}, "internet", "warn"),
    ],
)  # fmt: skip
def test_each_thing_that_a_set_up_needs_has_its_cure(place, computer, capsys, facts, what, state):
    vars(computer).update(facts)
    assert first_aid(["--json"], place, computer) == 1
    one = checks(capsys)[what]
    assert one["state"] == state and one["cure"]


def test_with_an_environment_the_studios_own_doctor_does_it(place, computer, tmp_path):
    set_up(place.root)
    assert launch.main(["doctor", "--json"], place, computer) == 7
    assert computer.asked == ["start /launch.py doctor --json"], "even if requirements have changed since"
    place.requirements("app").write_text("torch==3.0\n")
    assert launch.main(["doctor"], place, computer) == 7
    assert computer.asked == ["start /launch.py doctor --json", "start /launch.py doctor"]


def test_with_broken_packages_it_says_which(place):
    """Inside .venv: typer cannot be imported."""
    set_up(place.root)
    (place.root / "studio" / "cli" / "making.py").write_text("import nobody_has_this\n")
    (place.root / "studio" / "cli" / "doctor.py").write_text("")
    done = subprocess.run(
        [sys.executable, "launch.py", "doctor", "--json"], cwd=place.root, capture_output=True, text=True, timeout=60,
        env=environment() | {"HTTPS_PROXY": "http://127.0.0.1:9"},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    found = {one["what"]: one for one in json.loads(done.stdout)["checks"]}
    assert "nobody_has_this" in found["packages_wrong"]["value"] and ".venv" in found["packages_wrong"]["cure"]
    (place.root / "studio" / "cli" / "making.py").write_text("")
    done = subprocess.run(
        [sys.executable, "launch.py", "doctor"], cwd=place.root, capture_output=True, text=True, timeout=60,
        env=environment(),
    )  # fmt: skip
    assert "studio 0.1.0 doctor" in done.stdout

"""What pip is asked, and what becomes of its answers. pip is simulated; test_launch.py has a round of the real one."""

import pytest
from computer import Computer, lay_out

from installer import Said, SetUpError
from installer.builds import APPLE, CPU, CUDAS, INDEX, ROCM
from installer.packages import NotFetched, compile_bytecode, install_requirements, install_torch, pip_install

CU130, CU126 = (cuda.build for cuda in CUDAS)
NO_WHEEL = "ERROR: No matching distribution found for torch==9.9.9"


@pytest.fixture
def place(tmp_path):
    return lay_out(tmp_path)


@pytest.fixture
def computer(place):
    return Computer(place)


# ------------------------------------------------------------------------------------------------ torch
def test_the_build_is_asked_for_by_its_whole_name(place, computer):
    """So that no index can give another one, whatever else it has."""
    computer.reachable = (INDEX,)
    assert install_torch(place, computer, CU126) == "9.9.9+cu126"
    assert computer.asked == [f"--extra-index-url {INDEX}cu126 torch==9.9.9+cu126"]


def test_a_mac_takes_the_usual_one_without_asking_pytorchs_index(place, computer, monkeypatch):
    monkeypatch.setattr(computer, "answers", lambda url: pytest.fail("asked for an index that has nothing for it"))
    assert install_torch(place, computer, APPLE) == "9.9.9"
    assert computer.asked == ["torch==9.9.9"]


def test_where_the_usual_build_runs_too_it_takes_over_and_says_so(place, computer, capsys):
    assert install_torch(place, computer, CPU) == "9.9.9"
    assert computer.asked == ["torch==9.9.9"] and "could not be reached" in capsys.readouterr().out


@pytest.mark.parametrize("said", [NO_WHEEL, "ReadTimeoutError: Read timed out.", "IncompleteRead(1 bytes read)"])
def test_an_index_that_fails_half_way_is_left_where_the_usual_build_runs_too(place, computer, said):
    computer.reachable, computer.fail_on, computer.failure = (INDEX,), "--extra-index-url", Said(1, said)
    assert install_torch(place, computer, CPU) == "9.9.9"
    assert computer.asked[-1] == "torch==9.9.9"


@pytest.mark.parametrize("build", [CU126, ROCM, CU130], ids=lambda build: build.name)
def test_never_another_build_than_the_one_that_runs(place, computer, build):
    computer.fail_on, computer.failure = "--extra-index-url", Said(1, NO_WHEEL)
    with pytest.raises(NotFetched) as error:
        install_torch(place, computer, build)
    assert len(computer.asked) == 1 and "install --cpu" in error.value.cure


def test_a_full_disk_is_no_reason_for_a_larger_build(place, computer):
    computer.reachable, computer.fail_on = (INDEX,), "--extra-index-url"
    computer.failure = Said(1, "OSError: [Errno 28] No space left on device")
    with pytest.raises(SetUpError, match="disk is full"):
        install_torch(place, computer, CPU)
    assert len(computer.asked) == 1


@pytest.mark.parametrize(("there", "without"), [("9.9.9+cpu", True), ("9.9.9", False), ("9.9.8+cpu", False)])
def test_pip_keeps_no_other_build_of_the_same_version(place, computer, there, without):
    """For pip, 9.9.9+cpu is a 9.9.9: the usual build would not replace it."""
    from dataclasses import replace

    computer.run(["python3", "-m", "venv", "x"])
    place.write_down({"torch": there})
    computer.asked.clear()
    install_torch(place, computer, replace(CU130, usual=True))
    assert ("without torch" in computer.asked) == without and computer.asked[-1] == "torch==9.9.9"


# ------------------------------------------------------------------------------------------------ without a network
def wheels_in(folder, *names):
    folder.mkdir()
    for name in names:
        (folder / f"{name}-cp311-cp311-linux_x86_64.whl").touch()
    return folder


@pytest.mark.parametrize(
    ("build", "there", "taken"),
    [
        (CU126, ["torch-9.9.9+cu126"], "9.9.9+cu126"),
        (CU126, ["torch-9.9.9%2Bcu126"], "9.9.9+cu126"),  # as browsers save it
        (CPU, ["torch-9.9.9"], "9.9.9"),
        (CPU, ["torch-9.9.9", "torch-9.9.9+cpu"], "9.9.9+cpu"),
        (APPLE, ["torch-9.9.9"], "9.9.9"),
    ],
)
def test_a_folder_of_wheels_is_enough(place, computer, tmp_path, build, there, taken):
    wheels = wheels_in(tmp_path / "wheels", *there)
    assert install_torch(place, computer, build, wheels) == taken
    assert computer.asked == [f"--no-index --find-links {wheels} torch=={taken}"]


@pytest.mark.parametrize(
    ("build", "there"), [(CU126, ["torch-9.9.9"]), (CU126, ["torch-9.9.9+cpu"]), (CPU, []), (CPU, ["torch-9.9.8"])]
)
def test_a_wheel_that_is_missing_is_named_with_the_way_to_it(place, computer, tmp_path, build, there):
    wheels = wheels_in(tmp_path / "my wheels", *there)
    with pytest.raises(SetUpError) as error:
        install_torch(place, computer, build, wheels)
    assert f"no wheel of torch 9.9.9+{build.name}" in str(error.value)
    assert f'--dest "my wheels" --extra-index-url {INDEX}{build.name} torch==9.9.9+{build.name}' in error.value.cure
    assert str(tmp_path) not in error.value.cure, "this computer's folders are not that one's"
    assert computer.asked == []


def test_a_requirement_that_is_missing_is_named(place, computer, tmp_path):
    wheels = wheels_in(tmp_path / "wheels", "torch-9.9.9")
    computer.fail_on = "requirements"
    computer.failure = Said(1, "ERROR: No matching distribution found for rich>=14,<16")
    with pytest.raises(SetUpError) as error:
        install_requirements(place, computer, "app", CPU, wheels)
    assert "no wheel of rich>=14,<16" in str(error.value) and "pip download" in error.value.cure
    assert computer.asked == [f"--no-index --find-links {wheels} -r requirements.txt"]


# ------------------------------------------------------------------------------------------------ requirements
def test_a_bundle_takes_exactly_what_it_was_tested_with(tmp_path):
    place = lay_out(tmp_path, bundle=True)
    computer = Computer(place)
    install_requirements(place, computer, "app", CPU)
    assert computer.asked == ["--require-hashes --no-deps -r requirements.lock"]
    before = place.wanted("app")
    place.requirements("app").write_text("rich==15.0.0 --hash=sha256:01\n")
    assert place.wanted("app") != before, "another lock is installed anew"


def test_how_to_fetch_what_a_bundle_needs(tmp_path):
    place = lay_out(tmp_path, bundle=True)
    with pytest.raises(SetUpError) as error:
        install_torch(place, Computer(place), CPU, wheels_in(tmp_path / "wheels"))
    assert "--no-deps --require-hashes" in error.value.cure and "torch==9.9.9+cpu" in error.value.cure


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("NewConnectionError: Failed to establish a new connection\nERROR: No matching distribution", "reached"),
        (NO_WHEEL, "no build for this Python"),
        ("PermissionError: [Errno 13] Permission denied: '.venv/x'", "could not be written"),
        ("OSError: [WinError 32] The process cannot access the file", "could not be written"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "not the one that this release"),
        ("error: metadata-generation-failed", "compiled"),
        ("something nobody has seen before", "Installing failed"),
    ],
)
def test_what_pip_says_becomes_a_cure(place, computer, said, told):
    computer.fail_on, computer.failure = "torch", Said(1, "Collecting torch\n" + said)
    noted: list[str] = []
    with pytest.raises(SetUpError) as failed:
        pip_install(place, computer, ["torch"], "PyTorch", noted.append)
    assert told in str(failed.value), "the meaning"
    assert said.splitlines()[-1] in str(failed.value), "and the last lines"
    assert failed.value.cure and noted[0].strip() == "Collecting torch"


def test_what_pip_unpacks_lies_on_the_disk_of_the_environment(place, computer, monkeypatch):
    """/tmp may be no larger than the RAM."""
    seen = []

    def listen(command, heard, environ):
        seen.append(environ["TMPDIR"])
        assert (place.venv / "tmp").is_dir()
        return 0

    monkeypatch.setattr(computer, "listen", listen)
    pip_install(place, computer, ["torch"], "PyTorch")
    assert seen == [str(place.venv / "tmp")] and not (place.venv / "tmp").exists()


# ------------------------------------------------------------------------------------------------ bytecode
def test_bytecode_that_fails_is_told_and_stops_nothing(place, computer):
    assert compile_bytecode(place, computer) == ""
    computer.fail_on, computer.failure = "compileall", Said(1, "SyntaxError: in a file for Python 2")
    assert "SyntaxError" in compile_bytecode(place, computer)

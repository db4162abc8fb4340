"""Which card a computer has, and which build of PyTorch runs on it: a table of simulated machines."""

import pytest
from computer import Computer, lay_out

from installer import Said, SetUpError
from installer.builds import ROCM_CARDS, choose
from installer.machine import AMD_NODES, Machine, look

AGAIN = "python3 launch.py install"
PROC = "/proc/driver/nvidia/version"
CLOSED = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC version: 12.3.0"
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder@U16)"
NO_DRIVER = Said(9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.")


@pytest.fixture
def computer(tmp_path):
    return Computer(lay_out(tmp_path))


def amd(*versions):
    """Nodes as the kernel lists them: the processor first, which has no gfx version."""
    nodes = [
        f"cpu_cores_count {16 * (not v)}\nsimd_count {4 * i}\ngfx_target_version {v}\n" for i, v in enumerate(versions)
    ]
    return {AMD_NODES.format(number): text for number, text in enumerate(nodes)}


# ------------------------------------------------------------------------------------------------ what is seen
@pytest.mark.parametrize(
    ("platform", "programs", "files", "seen"),
    [
        ("linux", {}, {}, Machine("linux", "x86_64")),
        (
            "linux",
            {"nvidia-smi": "580.65.06, 8.9, NVIDIA GeForce RTX 4090"},
            {},
            Machine("linux", "x86_64", "nvidia", "NVIDIA GeForce RTX 4090", (580, 65, 6), (8, 9)),
        ),
        (
            "linux",
            {"nvidia-smi": "535.183.01, 6.1, NVIDIA GeForce GTX 1080\n535.183.01, 8.6, NVIDIA GeForce RTX 3090"},
            {},
            Machine("linux", "x86_64", "nvidia", "NVIDIA GeForce RTX 3090", (535, 183, 1), (8, 6)),
        ),
        ("linux", {"nvidia-smi": NO_DRIVER}, {}, Machine("linux", "x86_64")),
        (
            "linux",
            {"nvidia-smi": NO_DRIVER},
            {PROC: CLOSED},
            Machine("linux", "x86_64", "nvidia", driver=(535, 183, 1)),
        ),
        ("linux", {}, {PROC: OPEN}, Machine("linux", "x86_64", "nvidia", driver=(580, 65, 6))),
        ("win32", {}, {r"C:\Windows\System32\nvcuda.dll": ""}, Machine("win32", "x86_64", "nvidia")),
        ("linux", {}, amd(0, 110000), Machine("linux", "x86_64", "amd", gfx="gfx1100")),
        ("linux", {}, amd(0, 110000, 100306), Machine("linux", "x86_64", "amd", gfx="gfx1036")),
        ("linux", {}, amd(0, 90010), Machine("linux", "x86_64", "amd", gfx="gfx90a")),
        ("linux", {}, amd(0), Machine("linux", "x86_64")),
        (
            "linux",
            {"nvidia-smi": "580.65.06, 8.9, NVIDIA L4"},
            amd(0, 100306),
            Machine("linux", "x86_64", "nvidia", "NVIDIA L4", (580, 65, 6), (8, 9)),
        ),
        ("darwin", {}, {}, Machine("darwin", "x86_64")),
    ],
)
def test_what_the_driver_tells(computer, platform, programs, files, seen):
    computer.platform, computer.programs, computer.files = platform, programs, files
    assert look(computer) == seen


def test_windows_and_wsl_have_nvidia_smi_beside_the_path(computer, monkeypatch):
    monkeypatch.setattr(computer, "which", lambda program: None)
    for platform, path in (("win32", r"C:\Windows\System32\nvidia-smi.exe"), ("linux", "/usr/lib/wsl/lib/nvidia-smi")):
        computer.platform, computer.files = platform, {path: ""}
        computer.programs = {path.replace("\\", "/").rpartition("/")[2]: "581.57, 12.0, NVIDIA GeForce RTX 5090"}
        assert look(computer).driver == (581, 57) and look(computer).capability == (12, 0)


def test_an_old_nvidia_smi_knows_no_compute_cap(computer, monkeypatch):
    computer.programs = {"nvidia-smi": ""}

    def run(command, seconds=None):
        known = "compute_cap" not in command[1]
        return Said(0, "470.82.01, GeForce GTX 1080") if known else Said(2, 'Field "compute_cap" is not a valid field')

    monkeypatch.setattr(computer, "run", run)
    assert look(computer) == Machine("linux", "x86_64", "nvidia", "GeForce GTX 1080", (470, 82, 1))


@pytest.mark.parametrize(("arch", "known"), [("arm64", "arm64"), ("aarch64", "arm64"), ("amd64", "x86_64")])
def test_processors_have_one_name_each(computer, arch, known):
    computer.arch = arch
    assert look(computer).arch == known


def test_apples_own_chips_are_gpus(computer):
    computer.platform, computer.arch = "darwin", "arm64"
    assert look(computer).gpu == "apple" and look(computer).told == "an Apple chip"


# ------------------------------------------------------------------------------------------------ what is installed
def nvidia(driver, capability=(8, 9), platform="linux", arch="x86_64"):
    return Machine(platform, arch, "nvidia", "NVIDIA Card", driver, capability)


@pytest.mark.parametrize(
    ("machine", "asked", "build", "usual"),
    [
        (Machine("linux", "x86_64"), "", "cpu", True),
        (Machine("win32", "x86_64"), "", "cpu", True),
        (Machine("darwin", "arm64", "apple"), "", "", True),
        (Machine("darwin", "arm64", "apple"), "cpu", "", True),
        (nvidia((580, 65, 6)), "", "cu130", True),
        (nvidia((580, 65, 6), arch="arm64"), "", "cu130", False),
        (nvidia((581, 57), platform="win32"), "", "cu130", False),
        (nvidia((575, 51, 3)), "", "cu126", False),
        (nvidia((525, 60, 13)), "", "cu126", False),
        (nvidia((527, 41), platform="win32"), "", "cu126", False),
        (nvidia((580, 65, 6), (6, 1)), "", "cu126", False),  # Pascal: CUDA 13 has no code for it
        (nvidia((580, 65, 6), (7, 0)), "", "cu126", False),  # Volta
        (nvidia((580, 65, 6), (7, 5)), "", "cu130", True),  # Turing
        (nvidia((580, 65, 6), (12, 0)), "", "cu130", True),  # Blackwell
        (nvidia((580, 65, 6), (0, 0)), "", "cu130", True),  # nobody told
        (nvidia((580, 65, 6)), "cpu", "cpu", True),
        (nvidia((470, 82)), "cpu", "cpu", True),
        (Machine("linux", "x86_64"), "cuda", "cu130", True),
        (Machine("win32", "x86_64"), "cuda", "cu130", False),
        (Machine("linux", "x86_64", "amd", gfx="gfx1100"), "", "rocm7.2", False),
        (Machine("linux", "x86_64", "amd", gfx="gfx1036"), "", "cpu", True),
        (Machine("linux", "x86_64", "amd", gfx="gfx1036"), "rocm", "rocm7.2", False),
        (Machine("linux", "x86_64", "amd", gfx="gfx1100"), "cpu", "cpu", True),
    ],
)  # fmt: skip
def test_the_build_that_runs_there(machine, asked, build, usual):
    chosen = choose(machine, asked, AGAIN)
    assert (chosen.name, chosen.usual) == (build, usual)
    assert chosen.version("2.13.0") == ("2.13.0+" + build if build else "2.13.0")


@pytest.mark.parametrize(
    ("machine", "asked", "told", "cure"),
    [
        (nvidia((470, 82)), "", "too old", "install --cpu"),
        (nvidia((470, 82)), "", "525.60 or newer", "nvidia.com/drivers"),
        (nvidia((527, 40), platform="win32"), "", "527.41 or newer", "install --cpu"),
        (nvidia((470, 82)), "cuda", "too old", "install --cpu"),
        (nvidia((570, 86), (12, 0)), "", "580 or newer", "newer driver"),  # CUDA 12.6 has no code for Blackwell
        (nvidia((470, 82), (3, 5)), "", "older than all cards", "install --cpu"),
        (nvidia(()), "", "does not tell", "--cuda"),
        (Machine("darwin", "x86_64"), "", "Intel Macs", "arm64"),
        (Machine("darwin", "arm64", "apple"), "cuda", "no CUDA on a Mac", AGAIN),
        (Machine("win32", "x86_64"), "rocm", "Linux only", "--cpu"),
    ],
)
def test_what_would_not_run_is_told_with_its_cure(machine, asked, told, cure):
    with pytest.raises(SetUpError) as error:
        choose(machine, asked, AGAIN)
    assert told in str(error.value) and cure in error.value.cure


def test_an_amd_card_without_code_is_told():
    assert "gfx1036" in choose(Machine("linux", "x86_64", "amd", gfx="gfx1036"), "", AGAIN).remark
    assert "gfx1036" not in ROCM_CARDS

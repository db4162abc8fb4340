"""install.sh run by a real shell among simulated programs; install.bat as far as it can be read without Windows."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
TOOLS = ("sh", "dirname", "uname", "mkdir", "cat", "cp", "chmod")  # all that install.sh may ask of a system
# a Python that is good if its version is: it answers install.sh's question, and says how it was started
PYTHON = """#!/bin/sh
[ "$1" = -c ] && exit {bad}
echo "{name}: $*$PYTHONHOME"
"""
# a uv that puts a Python where it is told to
UV = """#!/bin/sh
echo "uv: $*"
folder="$UV_PYTHON_INSTALL_DIR/cpython-3.11.9-linux-x86_64-gnu/bin"
mkdir -p "$folder" && cp "{python}" "$folder/python3" && chmod 755 "$folder/python3"
"""
FETCHES = """#!/bin/sh
while [ "$1" != --output ]; do shift; done
cp "{installer}" "$2"
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="runs a POSIX shell")


class Terminal:
    """A computer with nothing but what a test puts on it, and Lanterna in a folder with a space and an accent."""

    def __init__(self, tmp_path: Path) -> None:
        self.bin, self.home, self.root = tmp_path / "bin", tmp_path / "home", tmp_path / "Vídeos de João" / "app"
        for folder in (self.bin, self.home, self.root):
            folder.mkdir(parents=True)
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)
        shutil.copy(REPOSITORY / "install.sh", self.root)

    def program(self, path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def python(self, name: str, good: bool = True, folder: Path | None = None) -> Path:
        return self.program((folder or self.bin) / name, PYTHON.format(name=name, bad=0 if good else 1))

    def install(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": str(self.bin), "HOME": str(self.home), "PYTHONHOME": "/nowhere"}
        return subprocess.run(
            ["/bin/sh", str(self.root / "install.sh"), *arguments], env=environ, capture_output=True, text=True, cwd="/"
        )


@pytest.fixture
def terminal(tmp_path):
    return Terminal(tmp_path)


# ------------------------------------------------------------------------------------------------ install.sh
def test_it_hands_over_with_every_flag_as_it_was_given(terminal):
    terminal.python("python3.12")
    done = terminal.install("--cpu", "--offline", "/media/my wheels")
    assert done.stdout == f"python3.12: {terminal.root}/launch.py install --start --cpu --offline /media/my wheels\n"
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        ({"python3": True}, "python3"),
        ({"python": True}, "python"),
        ({"python3.11": True, "python3.13": True, "python3": True}, "python3.13"),
        ({"python3": False, "python3.11": True}, "python3.11"),
        ({"python3.13": False, "python3": True}, "python3"),  # one without its venv module, say
    ],
)
def test_the_newest_python_that_will_do(terminal, there, taken):
    for name, good in there.items():
        terminal.python(name, good)
    assert terminal.install().stdout.startswith(f"{taken}: ")


def test_a_bundles_own_python_comes_first(terminal):
    terminal.python("python3.13")
    terminal.python("python3", folder=terminal.root.parent / "python" / "bin")
    assert terminal.install().stdout.startswith("python3: ")


def test_macos_own_python_is_left_alone(terminal):
    """Without Xcode's tools it opens a window; /usr/bin is out of a test's reach, so the script is read."""
    assert (
        '[ "$python" = /usr/bin/python3 ] && [ "$(uname)" = Darwin ] && continue'
        in (REPOSITORY / "install.sh").read_text()
    )


# ------------------------------------------------------------------------------------------------ no Python
def with_uv(terminal, folder):
    seed = terminal.python("seed", folder=terminal.home)
    return terminal.program(folder / "uv", UV.format(python=seed))


@pytest.mark.parametrize("where", ["bin", "home/.local/bin", "beside"])
def test_uv_fetches_one(terminal, where):
    terminal.python("python3", good=False)
    folders = {"bin": terminal.bin, "beside": terminal.root.parent / "bin"}
    uv = with_uv(terminal, folders.get(where, terminal.home / ".local" / "bin"))
    done = terminal.install("--cpu")
    told, fetching, uv_said, started = done.stdout.splitlines()
    assert "no Python 3.11 to 3.13" in told and uv.name in fetching
    assert uv_said == "uv: python install 3.11" and started.endswith("install --start --cpu")
    assert (terminal.root / ".uv" / "python").is_dir(), "what is fetched lies in our folder"
    assert "Fetching" not in terminal.install().stdout, "and is found the next time"


def test_a_bundle_keeps_its_python_beside_the_program(terminal):
    (terminal.root / "bundle.json").write_text("{}")
    with_uv(terminal, terminal.root.parent / "bin")
    assert terminal.install().returncode == 0
    assert list((terminal.root.parent / "python").glob("cpython-3.11*"))


def test_uv_itself_is_fetched_after_it_was_told(terminal, tmp_path):
    uv = with_uv(terminal, tmp_path / "the internet")
    installer = terminal.program(tmp_path / "install-uv", f'cp "{uv}" "$UV_UNMANAGED_INSTALL/uv"\n')
    terminal.program(terminal.bin / "curl", FETCHES.format(installer=installer))
    lines = terminal.install().stdout.splitlines()
    assert "https://astral.sh/uv/install.sh" in lines[1] and lines[-1].endswith("install --start")
    assert (terminal.root / ".uv" / "uv").exists() and not (terminal.home / ".local").exists()


@pytest.mark.parametrize("curl", [None, "#!/bin/sh\necho 'curl: (6) Could not resolve host' >&2\nexit 6\n"])
def test_without_network_and_python_there_is_a_cure(terminal, curl):
    if curl:
        terminal.program(terminal.bin / "curl", curl)
    done = terminal.install()
    assert done.returncode == 1
    assert "-> " in done.stderr and "https://www.python.org/downloads/" in done.stderr
    assert ("neither curl nor wget" if not curl else "Could not resolve host") in done.stderr


def test_uv_without_network_is_a_cure_too(terminal):
    terminal.program(terminal.bin / "uv", "#!/bin/sh\necho 'error: dns error' >&2\nexit 2\n")
    done = terminal.install()
    assert done.returncode == 1 and "dns error" in done.stderr and "python.org" in done.stderr


def test_what_python_returns_is_returned(terminal):
    terminal.program(terminal.bin / "python3", '#!/bin/sh\n[ "$1" = -c ] && exit 0\nexit 3\n')
    assert terminal.install().returncode == 3


@pytest.mark.parametrize("facts", ["3.10.0 64", "3.14.0 64", "3.12.0 32", "3.11.7 64"])
def test_the_question_itself(facts, tmp_path):
    """Of install.sh, asked of this Python with other facts."""
    version, bits = facts.split()
    question = re.search(r"-c '(.*?)'", (REPOSITORY / "install.sh").read_text(), re.DOTALL)
    program = (
        f"import sys; sys.version_info = {tuple(map(int, version.split('.')))}; sys.maxsize = 2**{int(bits) - 1} - 1"
    )
    done = subprocess.run([sys.executable, "-I", "-c", f"{program}\n{question[1]}"])
    assert (done.returncode == 0) == (facts == "3.11.7 64")


def test_shellcheck_finds_nothing():
    checker = Path(sys.executable).with_name("shellcheck")  # of requirements-dev.txt
    scripts = [REPOSITORY / "install.sh", *(REPOSITORY / "packaging").rglob("*.sh")]
    done = subprocess.run([checker, "--shell=sh", "--severity=warning", *scripts], capture_output=True, text=True)
    assert done.stdout + done.stderr == ""


# ------------------------------------------------------------------------------------------------ install.bat
BATCH = (REPOSITORY / "install.bat").read_bytes()


def test_windows_gets_its_line_ends():
    """cmd.exe loses its way in a file without them. A checkout has them by .gitattributes."""
    assert BATCH.count(b"\r\n") == BATCH.count(b"\n") > 50
    assert BATCH.isascii()
    assert "*.bat text eol=crlf" in (REPOSITORY / ".gitattributes").read_text()


def test_every_label_is_there_and_none_can_be_run_into():
    text = BATCH.decode().replace("\r\n", "\n")
    labels = set(re.findall(r"^:(\w+)$", text, re.MULTILINE))
    assert set(re.findall(r"(?:goto|call) :?(\w+)", text)) == labels
    before = re.findall(r"^(.*)\n\n:(\w+)$", text, re.MULTILINE)
    fall_through = {label for line, label in before if not line.startswith(("exit /b", "goto "))}
    assert fall_through == {"nothing"}, "only the end of all attempts"


def test_folders_are_quoted_and_never_inside_a_block():
    """A bracket in a folder's name would end the block."""
    lines = BATCH.decode().splitlines()
    for line in lines:
        for name in ("%HERE%", "%PYTHON%", "%UV%", "%UV_PYTHON_INSTALL_DIR%"):
            for at in (found.start() for found in re.finditer(re.escape(name), line)):
                assert line[:at].count('"') % 2 == 1, line
    assert not any(line.rstrip().endswith("(") for line in lines)
    assert "EnableDelayedExpansion" not in BATCH.decode(), "it would eat exclamation marks"


def test_both_ask_for_the_same_pythons_and_start_the_same():
    shell, batch = (REPOSITORY / "install.sh").read_text(), BATCH.decode()
    for words in (
        "3.13",
        "3.12",
        "3.11",
        "ensurepip",
        'launch.py" install --start',
        "https://www.python.org/downloads/",
    ):
        assert words in shell and words in batch

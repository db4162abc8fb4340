"""The arrows hold, a violation is seen to fail, and the docs name every command, setting, engine and route."""

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from studio.api import make_api
from studio.pipelines import ENGINES
from studio.service import Studio

REPOSITORY = Path(__file__).parent.parent


def linted(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter over the `studio` of a folder."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache"], cwd=folder, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )  # fmt: skip


def test_the_arrows_hold():
    done = linted(REPOSITORY)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("studio/media/files.py", "from studio.service import Studio"),
        ("studio/service/takes.py", "import gradio"),
        ("studio/tabs/queues.py", "from studio.store import Store"),
        ("studio/runner/__init__.py", "import torch"),
        ("studio/domain/words.py", "from studio.settings import Settings"),
    ],
)
def test_a_violation_is_seen(tmp_path, module, line):
    shutil.copytree(REPOSITORY / "studio", tmp_path / "studio", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / ".importlinter", tmp_path)
    file = tmp_path / module
    file.write_text(f"{line}\n{file.read_text('utf-8')}", encoding="utf-8")
    done = linted(tmp_path)
    assert done.returncode == 1 and "BROKEN" in done.stdout, done.stdout + done.stderr


def test_every_package_of_the_house_is_in_the_contract():
    """A new top-level module must be given its place among the layers."""
    config = configparser.ConfigParser()
    config.read(REPOSITORY / ".importlinter")
    layers = re.findall(r"studio\.(\w+)", config["importlinter:contract:arrows"]["layers"])
    house = [path for path in (REPOSITORY / "studio").iterdir() if path.suffix == ".py" or any(path.glob("*.py"))]
    modules = {path.stem for path in house}
    assert modules - {"__init__"} == set(layers)


def test_heavy_libraries_load_inside_functions_only():
    """What import-linter cannot tell apart: an import at the top of a module that the app process reads."""
    heavy = re.compile(r"^(?:import|from) (?:torch|diffusers|transformers|cv2|librosa|moviepy)\b", re.M)
    light = [REPOSITORY / "studio" / name for name in ("service", "runner", "store", "api", "tabs", "cli", "story")]
    files = [file for folder in light for file in folder.rglob("*.py")]
    files += [*(REPOSITORY / "studio").glob("*.py"), *(REPOSITORY / "studio" / "pipelines").glob("*.py")]
    assert len(files) > 20
    # what only workers read may be heavy, and whoever reads that: everybody else fetches it inside a function
    texts = {file: file.read_text("utf-8") for file in files}
    workers = {file for file in files if file.parent.name == "pipelines" and heavy.search(texts[file])}
    before = 0
    while len(workers) > before:
        before, names = len(workers), "|".join(sorted(file.stem for file in workers))
        reads = re.compile(rf"^from studio\.pipelines(?:\.(?:{names}) | import (?:.*\W)?(?:{names})\b)", re.M)
        workers |= {file for file in files if reads.search(texts[file])}
    engines = {Path(f"{where.partition(':')[0].replace('.', '/')}.py") for where in ENGINES.values()}
    assert [file for file in files if file not in workers and heavy.search(texts[file])] == []
    assert [file for file in workers if file.parent.name != "pipelines"] == []
    assert {file.relative_to(REPOSITORY) for file in workers} & engines == set()


def test_every_engine_is_in_the_docs():
    pages = [(REPOSITORY / "docs" / name).read_text("utf-8") for name in ("engines.md", "models.md", "speech.md")]
    assert [engine for engine in ENGINES if not any(f"| `{engine}` |" in page for page in pages)] == []


def test_every_route_is_in_the_docs(studio: Studio):
    text = (REPOSITORY / "docs" / "api.md").read_text("utf-8")
    missing = []
    for path, verbs in make_api(studio).openapi()["paths"].items():
        # a row names a path once; what hangs below it stands behind it: `GET /scenes/{scene_id}` ... `/run`
        base, _, last = path.rpartition("/")
        written = path in text or (base in text and f"/{last}" in text)
        missing += [f"{verb.upper()} {path}" for verb in verbs if not written or verb.upper() not in text]
    assert missing == []


def test_nothing_of_one_machine_is_in_the_repository():
    """No path of somebody's computer in what is committed."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = REPOSITORY / name
        if path.is_file() and path.suffix in (".py", ".md", ".json", ".toml", ".js", ".css", ".txt", ".yaml", ""):
            text = path.read_bytes().decode("utf-8", "replace")
            found += [name] if re.search(r"/(?:home|Users)/(?!me\b|you\b|user\b)\w+/", text) else []
    assert found == []

"""Dockerfile, compose.yaml and pinokio.js without Docker and Pinokio: linted, against their schemas, and run where they
are programs. Whether the image runs is for a machine with Docker (docs/release.md)."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
BESIDE_PYTHON = Path(sys.executable).parent


def ran(*command: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, **more)


# ------------------------------------------------------------------------------------------------ Docker
@pytest.mark.skipif(os.name == "nt", reason="hadolint's package has no build for Windows")
def test_the_dockerfile_is_linted(tmp_path: Path) -> None:
    hadolint = shutil.which("hadolint", path=str(BESIDE_PYTHON))
    assert hadolint, "run: python3 launch.py install --dev"
    linted = ran(hadolint, "--no-color", "Dockerfile")
    assert (linted.returncode, linted.stdout) == (0, "")
    broken = tmp_path / "Dockerfile"
    broken.write_text(DOCKERFILE.replace("FROM python:3.11-slim-bookworm", "FROM python"))
    assert "DL3006" in ran(hadolint, str(broken)).stdout  # it does look


def test_everything_that_the_image_copies_is_there_and_let_through() -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line[:1] == "!"}
    copied = [
        name.rstrip("/")
        for line in DOCKERFILE.splitlines() if line.startswith("COPY")
        for name in line.split()[2:-1]
    ]  # fmt: skip
    assert copied and all((ROOT / name).exists() for name in copied)
    assert {name if name in let_through else name.split("/")[0] for name in copied} <= let_through
    assert {"launch.py", "installer", "studio", "assets"} <= set(copied)
    assert not {"data", "outputs", ".env", "."} & set(copied)


def test_nobody_in_the_image_is_root_at_the_end_and_it_tells_its_health() -> None:
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.M)[-1] == "1000"
    assert "HEALTHCHECK" in DOCKERFILE and "/healthz" in (ROOT / "packaging/docker/healthy.py").read_text("utf-8")
    assert 'VOLUME ["/lanterna/data", "/lanterna/outputs"]' in DOCKERFILE


@pytest.fixture
def entrance(tmp_path: Path) -> Path:
    """The image's entrypoint, with a `python` that says how it was called."""
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text('#!/bin/sh\nshift\necho "$@"\n')
    python.chmod(0o755)
    return Path(shutil.copy(ROOT / "packaging" / "docker" / "entrypoint.sh", tmp_path))


def enter(entrance: Path, *arguments: str, auth: str = "") -> subprocess.CompletedProcess[str]:
    environ = {"PATH": f"{entrance.parent / 'bin'}:{os.environ['PATH']}", "LANTERNA_AUTH": auth}
    return ran(str(entrance), *arguments, env=environ)


@pytest.mark.skipif(os.name == "nt", reason="the image is Linux")
def test_a_container_without_a_password_is_refused_with_the_cure(entrance: Path) -> None:
    for arguments in ([], ["--port", "7860"]):
        refused = enter(entrance, *arguments)
        assert refused.returncode == 64 and refused.stdout == ""
        assert "LANTERNA_AUTH=user:password" in refused.stderr


@pytest.mark.skipif(os.name == "nt", reason="the image is Linux")
def test_with_one_it_listens_and_a_verb_needs_none(entrance: Path) -> None:
    assert enter(entrance, auth="mina:geheim").stdout == "--listen 0.0.0.0 --no-browser\n"
    assert enter(entrance, "--lang", "pt", auth="mina:x").stdout == "--listen 0.0.0.0 --no-browser --lang pt\n"
    assert enter(entrance, "doctor", "--json").stdout == "doctor --json\n"


def test_compose_follows_its_schema(tmp_path: Path) -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    good = ran(*check, "compose.yaml")
    assert good.returncode == 0, good.stdout
    wrong = tmp_path / "compose.yaml"
    wrong.write_text((ROOT / "compose.yaml").read_text("utf-8").replace("restart:", "restrat:"))
    assert ran(*check, str(wrong)).returncode == 1


def test_compose_has_a_profile_for_each_kind_of_machine_and_shows_itself_to_nobody_else() -> None:
    services = COMPOSE["services"]
    assert {name: service["profiles"] for name, service in services.items()} == {"cpu": ["cpu"], "cuda": ["cuda"]}
    for name, service in services.items():
        assert service["build"]["args"] == {"GPU": name}
        assert service["ports"] == ["${LANTERNA_ADDRESS:-127.0.0.1}:${LANTERNA_PORT:-7860}:7860"]
        assert service["environment"]["LANTERNA_AUTH"].startswith("${LANTERNA_AUTH:?")  # compose itself refuses
        assert {volume.split(":")[0] for volume in service["volumes"]} == set(COMPOSE["volumes"])
        assert {volume.split(":")[1] for volume in service["volumes"]} == {"/lanterna/data", "/lanterna/outputs"}
    devices = services["cuda"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
    assert "deploy" not in services["cpu"]


# ------------------------------------------------------------------------------------------------ Pinokio
SCRIPTS = ("install", "start", "update", "reset")
MENU = """
const [file, running, local, installed] = process.argv.slice(1)
const info = {
  running: name => name === running, exists: () => installed === "yes", local: () => ({ url: local || undefined }),
}
require(file).menu({}, info).then(menu => console.log(JSON.stringify(menu)))
"""


def menu(running: str = "", url: str = "", installed: str = "yes") -> list[dict[str, Any]]:
    said = ran("node", "-e", MENU, str(ROOT / "pinokio.js"), running, url, installed)
    assert said.returncode == 0, said.stderr
    found: list[dict[str, Any]] = json.loads(said.stdout)
    return found


needs_node = pytest.mark.skipif(not shutil.which("node"), reason="node, which reads JavaScript, is not on this machine")


@needs_node
def test_pinokios_menu_shows_what_can_be_done_now() -> None:
    assert [item["text"] for item in menu(installed="no")] == ["Install"]
    assert [item["text"] for item in menu()] == ["Start", "Update", "Reset"]
    assert [item["text"] for item in menu("packaging/pinokio/update.js")] == ["Updating"]
    assert [item["text"] for item in menu("packaging/pinokio/start.js")] == ["Terminal"]
    opened = menu("packaging/pinokio/start.js", "http://127.0.0.1:7860")
    assert (opened[0]["href"], opened[0]["default"]) == ("http://127.0.0.1:7860", True)
    offered = {item["href"] for item in [*menu(), *menu(installed="no")]}
    assert offered == {f"packaging/pinokio/{name}.js" for name in SCRIPTS}
    assert all((ROOT / path).exists() for path in offered)


@needs_node
@pytest.mark.parametrize("name", SCRIPTS)
def test_every_button_runs_launch_py_from_its_own_folder(name: str) -> None:
    said = ran("node", "-p", f"JSON.stringify(require('./packaging/pinokio/{name}.js').run)")
    first = json.loads(said.stdout)[0]
    assert first["method"] == "shell.run" and " launch.py" in first["params"]["message"]
    assert (ROOT / "packaging" / "pinokio" / first["params"]["path"] / "launch.py").resolve() == ROOT / "launch.py"


@needs_node
def test_pinokio_finds_the_address_that_the_studio_prints() -> None:
    said = ran("node", "-p", "JSON.stringify(require('./packaging/pinokio/start.js').run[0].params.on[0].event)")
    pattern = json.loads(said.stdout).strip("/").replace(r"\/", "/")
    found = re.search(pattern, "Lanterna is at http://127.0.0.1:7861 and ready")
    assert found and found[0] == "http://127.0.0.1:7861"

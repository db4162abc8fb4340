"""Fixtures that other tests share: a studio on a folder of its own, an engine that needs no time, a REST client."""

import os
import shutil
from collections import namedtuple

# before torch is imported, here and in every worker: several test processes share few cores, and threads that wait for
# a core of somebody else wait very long
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import instant_engine
import psutil
import pytest
from drawing import draw
from starlette.testclient import TestClient
from visitors import Known

from studio.api import make_api
from studio.app import build_studio
from studio.pipelines import ENGINES, engine_class
from studio.service import Studio
from studio.settings import Settings

RAM, CORES = (64 * 10**9, 48 * 10**9), 8  # bytes in all and free
ORDER = tuple(ENGINES)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Any:
    """An engine that a test took out of the table is put back at its end; `auto` goes by the order of the table."""
    result = yield
    there = dict(ENGINES)
    ENGINES.clear()
    ENGINES.update({name: there.pop(name) for name in ORDER if name in there} | there)
    return result


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    """What a studio of one module told the libraries by the environment does not reach the next module."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """500 GB of disk, 48 of 64 GB of RAM and 8 cores are there wherever a test asks: what a plan or a download says
    must not hang on the machine that runs the tests."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12 // 2, 10**12 // 2))
    memory = psutil.virtual_memory()._replace(total=RAM[0], available=RAM[1])
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: CORES)


@pytest.fixture(scope="session")
def tiny_shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of models with every engine's weights at tiny size, for LANTERNA_SHELF: built once for all processes
    of a test run. Nobody writes there; who does builds one with tiny_models.put_on_shelf."""
    from filelock import FileLock

    base = tmp_path_factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny"
    home.mkdir(exist_ok=True)
    with FileLock(home / "lock"):
        if not (home / "models" / "folders.json").is_file():  # written last
            import tiny_models

            tiny_models.put_on_shelf(home / "models", home / "repositories")
    return home / "models"


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The engine of tests/instant_engine.py is there, real and ready, and nothing has been made yet."""
    monkeypatch.setitem(ENGINES, "instant", "instant_engine:Instant")
    instant_engine.MADE.clear()
    yield instant_engine
    instant_engine.ON_RUN.clear()
    engine_class.cache_clear()


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., Studio]]:
    """Build a studio on tmp_path whose engines run here; whatever was built is closed in the end."""
    built: list[Studio] = []
    environment = dict(os.environ)

    def one(**settings: Any) -> Studio:
        built.append(build_studio(Settings(root=tmp_path, **settings), in_process=True))
        return built[-1]

    yield one
    for studio in built:
        studio.close()
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture
def studio(instant: Any, build: Callable[..., Studio]) -> Studio:
    """A studio with the instant engine. Nothing runs by itself: `studio.drain()` runs all that can."""
    return build()


@pytest.fixture
def client(studio: Studio) -> TestClient:
    """REST without its door: the owner at home asks. What breaks in a route comes as 500 and not as an exception."""
    api = make_api(studio)
    api.add_middleware(Known)
    return TestClient(api, raise_server_exceptions=False)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A small PNG beside the studio's folders."""
    return draw(tmp_path / "a.png")

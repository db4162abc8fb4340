"""Every verb a face may use. Screen, REST and command line import this and nothing below it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.pipelines.base import Machine
from studio.runner import Runner
from studio.service.engines import Engines
from studio.service.exports import Exports
from studio.service.library import Library
from studio.service.queues import Queues
from studio.service.scenes import Scenes
from studio.service.system import System
from studio.service.takes import Takes
from studio.service.words import LANGUAGES, Words
from studio.settings import Settings
from studio.store import Store

__all__ = ["LANGUAGES", "Studio", "Words"]


@dataclass(frozen=True)
class Studio:
    """The one object that faces hold. Built by studio.app."""

    settings: Settings
    words: Words
    queues: Queues
    scenes: Scenes
    takes: Takes
    library: Library
    engines: Engines
    exports: Exports
    system: System
    _store: Store
    _runner: Runner

    @classmethod
    def build(cls, settings: Settings, store: Store, runner: Runner, machine: Machine, assets: Path) -> "Studio":
        """`assets`: the bundled folder with locales and samples."""
        data = settings.data_dir
        library = Library(store, runner, data / "assets", assets / "samples", settings.max_upload_mb * 1_000_000)
        engines = Engines(machine)
        exports = Exports(store, runner, settings.cache_dir)
        queues = Queues(store, runner, library, engines, exports, assets / "samples" / "episode.json")
        default = settings.lang if settings.lang != "auto" else "en"
        return cls(
            settings=settings,
            words=Words(assets / "locales", default),
            queues=queues,
            scenes=Scenes(store, runner, library, queues, data / "logs"),
            takes=Takes(store, runner),
            library=library,
            engines=engines,
            exports=exports,
            system=System(store, runner, machine, settings.output_dir),
            _store=store,
            _runner=runner,
        )

    def snapshot(self, queue_id: str, since: str | None = None) -> dict[str, Any]:
        """What the page polls: what changed in a queue, the progress in it, and what goes on everywhere."""
        return {
            **self.queues.get(queue_id, since),
            "progress": self.system.progress(queue_id),
            "now": self.system.now(),
        }

    def drain(self) -> int:
        """Run everything that can run, in the calling thread; how many jobs."""
        return self._runner.drain()

    def start(self) -> None:
        """Put right what a crash left, and let the workers begin. Returns at once."""
        self.library.tidy()
        self._runner.start()

    def answered(self, key: str) -> tuple[int, str] | None:
        """(status, body) that a request with this idempotency key was answered with."""
        row = self._store.answer(key)
        return (row["status"], row["body"]) if row else None

    def remember(self, key: str, status: int, body: str) -> None:
        self._store.remember(key, status, body)

    def close(self) -> None:
        """Let the workers go and close the database."""
        self._runner.close()
        self.exports.close()
        self._store.close()

"""Every verb a face may use. Screen, REST and command line import this and nothing below it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from studio.media.fetch import post
from studio.pipelines.base import Machine
from studio.runner import Runner
from studio.service.audit import Audit
from studio.service.avatars import Avatars
from studio.service.casting import Casting
from studio.service.contact_sheet import ContactSheets
from studio.service.cut_list import CutLists
from studio.service.digital_humans import DigitalHumans
from studio.service.downloads import Downloads
from studio.service.editing import Editing
from studio.service.engines import Engines
from studio.service.episodes import Episodes
from studio.service.exports import Exports
from studio.service.folders import Folders
from studio.service.heard import Heard
from studio.service.hooks import Hooks
from studio.service.hosts import Hosts
from studio.service.installations import Installations
from studio.service.landing import Landing
from studio.service.library import Library
from studio.service.listening import Listening
from studio.service.memory import Memory
from studio.service.models import Models
from studio.service.notices import Notices
from studio.service.packages import Packages
from studio.service.peers import Peers
from studio.service.people import People
from studio.service.planner import Planner
from studio.service.preferences import Preferences
from studio.service.preflight import Preflight
from studio.service.presets import Presets
from studio.service.projects import Projects
from studio.service.queues import Queues
from studio.service.relink import Relink
from studio.service.reports import Reports
from studio.service.review import Review
from studio.service.review_package import ReviewPackages
from studio.service.review_page import ReviewPages
from studio.service.reviewing import Reviewing
from studio.service.runs import Runs
from studio.service.scenes import Scenes
from studio.service.sharing import Sharing
from studio.service.stand_ins import StandIns
from studio.service.storage import Storage
from studio.service.system import System
from studio.service.takes import Takes
from studio.service.voice_packages import VoicePackages
from studio.service.voices import Voices
from studio.service.words import LANGUAGES, Words
from studio.settings import Settings
from studio.store import Store
from studio.story.wildcards import Wildcards

__all__ = ["LANGUAGES", "Studio", "Words"]


@dataclass(frozen=True)
class Studio:
    """The one object that faces hold. Built by studio.app."""

    settings: Settings
    words: Words
    projects: Projects
    people: People
    sharing: Sharing
    audit: Audit
    peers: Peers
    queues: Queues
    runs: Runs
    preflight: Preflight
    episodes: Episodes
    scenes: Scenes
    editing: Editing
    casting: Casting
    voices: Voices
    listening: Listening
    digital_humans: DigitalHumans
    voice_packages: VoicePackages
    avatars: Avatars
    relink: Relink
    folders: Folders
    presets: Presets
    takes: Takes
    heard: Heard
    review: Review
    reviewing: Reviewing
    review_packages: ReviewPackages
    contact_sheets: ContactSheets
    storage: Storage
    reports: Reports
    hooks: Hooks
    notices: Notices
    library: Library
    engines: Engines
    models: Models
    memory: Memory
    downloads: Downloads
    preferences: Preferences
    exports: Exports
    packages: Packages
    installations: Installations
    system: System
    _store: Store
    _runner: Runner

    @classmethod
    def build(
        cls, settings: Settings, store: Store, runner: Runner, machine: Callable[[], Machine], assets: Path
    ) -> "Studio":
        """`machine`: this computer as it is at the moment. `assets`: the bundled folder with locales and samples."""
        data = settings.data_dir
        most = settings.max_upload_mb * 1_000_000
        people = People(store, Hosts(), settings.at_home)
        library = Library(
            store, runner, data / "assets", assets / "samples", most,
            lambda: [Path.home()] if people.at_home else [],
        )  # fmt: skip
        planner = Planner(store, runner, machine)
        engines = Engines(planner, Wildcards(data / "wildcards"))
        memory = Memory(store, runner, engines, planner, settings)
        runner.assigner.plan = memory.plan
        runner.next_engine = StandIns(store, engines).next_engine
        exports = Exports(store, runner, settings.cache_dir)
        preflight = Preflight(store, runner, library, engines, planner, settings.output_dir)
        runs = Runs(store, runner, engines, preflight)
        queues = Queues(store, library, exports, runs)
        landing = Landing(store, runner, library, settings.output_dir)
        default = settings.lang if settings.lang != "auto" else "en"
        words = Words(assets / "locales", default)
        sharing, audit = Sharing(people), Audit(store, people, words)
        people.came, people.refused = audit.came, audit.refused
        scenes = Scenes(store, runner, library, queues, runs, data / "logs")
        voices = Voices(store, runner, library, scenes)
        editing = Editing(store, scenes, runs)
        casting = Casting(store, runner, library, editing)
        sample = assets / "samples" / "episode.json"
        episodes = Episodes(store, library, engines, queues, preflight, casting, sample)
        hooks = Hooks(store, words, settings, post, alone=lambda: people.hosts.alone)
        packages = Packages(store, runner, library, queues, episodes, exports, landing)
        installations = Installations(store, runner, library, landing)
        runner.power.busy += [library.busy, packages.busy, installations.busy]
        downloads = Downloads(store, runner, settings)
        storage = Storage(store, runner, settings.output_dir, settings.cache_dir, settings.trash_days)
        reviewing = Reviewing(store, runner, exports, words, data / "reviews")
        takes, system = Takes(store, runner, runs), System(store, runner, machine(), settings.output_dir, people)
        models = Models(store, runner, settings, engines, library, runs, downloads, planner)
        return cls(
            settings=settings,
            words=words,
            projects=Projects(store),
            people=people,
            sharing=sharing,
            audit=audit,
            queues=queues,
            runs=runs,
            preflight=preflight,
            episodes=episodes,
            peers=Peers(store, episodes, runs),
            scenes=scenes,
            editing=editing,
            casting=casting,
            voices=voices,
            listening=Listening(store, runner, library),
            digital_humans=DigitalHumans(
                store, library, scenes, queues, runs, takes, voices, engines, models, system
            ),  # fmt: skip
            voice_packages=VoicePackages(store, runner, library, voices, settings.cache_dir),
            avatars=Avatars(store, runner, library, scenes, queues, runs),
            relink=Relink(store, runner, library, queues, editing),
            folders=Folders(store, library),
            presets=Presets(store, editing),
            takes=takes,
            heard=Heard(store, runner, CutLists(store), settings.cache_dir),
            review=Review(store, runner, runs, scenes),
            reviewing=reviewing,
            review_packages=ReviewPackages(store, reviewing, ReviewPages(words, assets)),
            contact_sheets=ContactSheets(store, runner, words, settings.cache_dir),
            storage=storage,
            reports=Reports(store, runner, words, assets / "report.css"),
            hooks=hooks,
            notices=Notices(store, runner, hooks, words),
            library=library,
            engines=engines,
            models=models,
            downloads=downloads,
            preferences=Preferences(
                settings,
                people,
                {
                    "media_roots": lambda new: store.roots.change(new.roots),
                    "trash_days": partial(_take_over, storage, "trash_days"),
                    "name_template": partial(_take_over, runner.assigner, "name_template"),
                },
            ),
            memory=memory,
            exports=exports,
            packages=packages,
            installations=installations,
            system=system,
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

    def drain(self, most: int | None = None) -> int:
        """Run everything that can run, or about the first `most` jobs, in the calling thread; how many."""
        return self._runner.drain(most)

    def start(self) -> None:
        """Put right what a crash left, and let the workers begin. Returns at once."""
        self.library.tidy()
        self.packages.tidy()
        self.reviewing.tidy()
        self._runner.start()
        self.notices.start()
        self.listening.start()
        self.downloads.start()
        self.storage.start()

    def answered(self, key: str) -> tuple[int, str] | None:
        """(status, body) that a request with this idempotency key was answered with."""
        row = self._store.answer(key)
        return (row["status"], row["body"]) if row else None

    def remember(self, key: str, status: int, body: str) -> None:
        self._store.remember(key, status, body)

    def close(self) -> None:
        """Let nobody in any more, the workers go, and close the database."""
        self.sharing.close()
        self.storage.close()
        self.notices.close()
        self.listening.close()
        self.downloads.stop()
        self._runner.close()  # first of all that lets workers go: what they were at is not cancelled, only put off
        self.downloads.close()
        self.memory.close()
        self.exports.close()
        self.reviewing.close()
        self.installations.close()
        self.relink.close()
        self.audit.close()
        self.people.close()
        self._store.close()


def _take_over(whom: Any, name: str, settings: Settings) -> None:
    setattr(whom, name, getattr(settings, name))

"""Speech by packages that cannot live beside ours: each runs in a Python of its own, as a program beside us.

The user names that Python in the settings, or makes an environment in data/envs/<engine>. The child is started for the
first sentence and stays while the engine is loaded. It never fetches anything: weights come from the shelf. Its scripts
are in own/, and import nothing of the studio.
"""

import json
import logging
import os
import queue
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, ClassVar

from studio.domain import JSON
from studio.errors import Cancelled, EngineError, OutOfMemory, Refused
from studio.pipelines.base import Availability, Inputs, Machine, Plan, Room, Run
from studio.pipelines.memory.footprint import Shape
from studio.pipelines.parts import Shelf
from studio.pipelines.speech.engine import Sound, SpeechEngine, Words
from studio.pipelines.speech.remote import setting
from studio.pipelines.speech.sample import wav_of

log = logging.getLogger(__name__)

SCRIPTS = Path(__file__).with_name("own")
ENVS = "LANTERNA_ENVS"  # environment: the folder of environments
LOAD_SECONDS = 900.0  # to import a package and read its weights from a slow disk
QUIET_SECONDS = 900.0  # without a sound: a sentence on a CPU takes minutes
LOOK = 0.1  # seconds between two looks at the cancel
MOST_LINE, MOST_BYTES = 1_000_000, 400_000_000  # of what a child says at once: a line, samples
PLACES = (  # of packages, below the folder of an environment
    "lib/python3*/site-packages", "Lib/site-packages", "lib/python3*/dist-packages", "local/lib/python3*/dist-packages",
)  # fmt: skip
OURS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "VIRTUAL_ENV")  # of the environment: mean our own Python
SECRETS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "AUTH", "LANTERNA_")  # parts of names that no package needs to know


@dataclass(frozen=True, slots=True)
class Package:
    """A package of PyPI and how it is found."""

    name: str  # at PyPI
    folder: str  # as it is imported
    version: str  # that this was written for, as pip takes it
    setting: str  # that names its Python
    more: tuple[str, ...] = ()  # to install beside it
    here: bool = False  # it may also live in our own environment


class OwnPython(SpeechEngine):
    """Subclass it: `package`, `script` in own/, parts, `request`."""

    package: ClassVar[Package]
    script: ClassVar[str]
    load_seconds: ClassVar[float] = LOAD_SECONDS
    quiet_seconds: ClassVar[float] = QUIET_SECONDS

    def __init__(self) -> None:
        self._plan = Plan()
        self._child: Child | None = None

    def availability(self, machine: Machine) -> Availability:
        try:
            self._python()
        except Refused as refused:
            return Availability("unfit", refused.code, refused.params)
        return super().availability(machine)

    def shape(self, scene: Any, options: Any, inputs: Inputs) -> Shape:
        return Shape(1, 1)  # a sentence at a time: no scene is larger than another

    def load(self, plan: Plan) -> None:
        if (plan.device, plan.dtype) != (self._plan.device, self._plan.dtype):
            self.close()
        self._plan = plan

    def park(self) -> None:
        """It cannot leave the device alone: it ends."""
        self.close()

    def close(self) -> None:
        child, self._child = self._child, None
        if child:
            child.close()

    def held(self) -> Mapping[Any, Room]:
        if self._child is None or not self._child.alive:
            return {}
        weights = sum(part.bytes for part in type(self).parts)
        on_device = self._plan.device != "cpu"
        return {(self.id, "child"): Room(self._plan.peak_bytes if on_device else 0, 0 if on_device else weights)}

    def revision(self) -> str:
        """Of package and weights."""
        weights = [f"{part.repo}@{part.revision}:{folder.name}" for part, folder in self._folders()]
        return sha256("|".join([installed(self._python(), self.package), *weights]).encode()).hexdigest()[:16]

    def made_by(self) -> dict[str, JSON]:
        version = installed(self._python(), self.package)
        return {
            "revision": self.revision(), "package": f"{self.package.name} {version}", "dtype": self._plan.dtype,
            "profile": self._plan.profile,
        }  # fmt: skip

    def request(self, words: Words, options: Any) -> dict[str, JSON]:
        """What the child is asked beside text, language, seed and sample."""
        return {}

    # ------------------------------------------------------------------------------------------ speaking
    def say(self, words: Words, options: Any, run: Run) -> Iterable[Sound]:
        def cancelled() -> bool:
            return run.cancelled

        child = self._child
        if child is None or not child.alive:
            child = self._child = self._started()
            folders: dict[str, JSON] = {part.name: str(folder) for part, folder in self._folders()}
            load = {"parts": folders, "device": self._plan.device, "dtype": self._plan.dtype}
            for _ in child.ask({"load": load}, cancelled, self.load_seconds):
                pass
        asked: dict[str, JSON] = {
            "text": words.text, "language": words.language, "seed": words.seed, "direction": words.direction,
            "transcript": words.speaker.transcript,
            "sample": child.sample(words.speaker.sample, self.speaks.sample[1]) if words.speaker.sample else "",
            **self.request(words, options),
        }  # fmt: skip
        yield from self._sounds(child.ask(asked, cancelled, self.quiet_seconds))

    def _sounds(self, heard: Iterator[tuple[dict[str, Any], bytes]]) -> Iterator[Sound]:
        """At our rate. Closing it ends the child where it still speaks."""
        import numpy as np

        try:
            for head, content in heard:
                samples = np.frombuffer(content[: len(content) // 4 * 4], "<f4")
                if (rate := int(head["rate"])) != self.rate:
                    import librosa

                    samples = librosa.resample(samples, orig_sr=rate, target_sr=self.rate)
                yield Sound(np.nan_to_num(samples.astype(np.float32)))
        finally:
            heard.close()  # type: ignore[attr-defined]

    def _started(self) -> "Child":
        return Child(self.id, self._python(), SCRIPTS / self.script)

    def _python(self) -> Path:
        """The Python that has the package. Raises Refused naming the cure."""
        return python_of(self.id, self.package)

    def _folders(self) -> list[tuple[Any, Path]]:
        shelf = Shelf.here()
        found = [(part, shelf.find(part)) for part in type(self).parts]
        if lacking := [part for part, folder in found if folder is None]:
            raise Refused("model.part_missing", engine=self.id, part=lacking[0].name, repo=lacking[0].repo)
        return [(part, folder) for part, folder in found if folder is not None]


# ------------------------------------------------------------------------------------------------ whose Python
def python_of(engine: str, package: Package) -> Path:
    """Named in the settings, or in data/envs/<engine>, or our own where it may be.

    Raises Refused: "speech.no_python", "speech.no_package" with the commands that install it."""
    folder = Path(os.environ.get(ENVS) or Shelf.here().folder.parent / "envs") / engine
    if named := setting(package.setting):
        python = _program(Path(named).expanduser())
        if python is None:
            raise Refused("speech.no_python", engine=engine, path=named, setting=package.setting)
    else:
        python = _program(folder)
    if python and installed(python, package):
        return python
    if package.here and not named and find_spec(package.folder) is not None:
        return Path(sys.executable)
    raise Refused(
        "speech.no_package", engine=engine, package=package.name, setting=package.setting,
        commands=_commands(python, folder, package),
    )  # fmt: skip


def _program(path: Path) -> Path | None:
    """The Python at a path: itself, or of the environment that the path is."""
    inside = [path, path / "bin" / "python", path / "Scripts" / "python.exe"]
    return next((one for one in inside if one.is_file()), None)


def installed(python: Path, package: Package) -> str:
    """The package's version in a Python's environment; empty: it is not there. Looks at folders, starts nothing."""
    if python == Path(sys.executable):
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version(package.name)
        except PackageNotFoundError:
            return ""
    home = python.parent.parent if python.parent.name in ("bin", "Scripts") else python.parent
    return _version(str(home), package.name.replace("-", "_"), int(time.monotonic() // 5))


@lru_cache(maxsize=64)
def _version(home: str, name: str, now: int) -> str:
    """`now`: an answer is believed for a few seconds; a page asks for all engines at once."""
    for place in PLACES:
        for found in sorted(Path(home).glob(f"{place}/{name}-*.dist-info")):
            return found.name.removesuffix(".dist-info").rpartition("-")[2]
    return ""


def _commands(python: Path | None, folder: Path, package: Package) -> str:
    """To be typed as they stand."""
    wanted = " ".join(shlex.quote(one) for one in (f"{package.name}{package.version}", *package.more))
    if python:
        return f'"{python}" -m pip install {wanted}'
    inside = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    base = "py" if os.name == "nt" else "python3"
    return f'{base} -m venv "{folder}"  &&  "{inside}" -m pip install {wanted}'


# ------------------------------------------------------------------------------------------------ the child
class Child:
    """One program that speaks. Used by one thread; two of its own read what it says."""

    def __init__(self, engine: str, python: Path, script: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises EngineError("speech.child_failed") where it cannot be started."""
        self._engine, self._clock = engine, clock
        self._said: queue.SimpleQueue[tuple[dict[str, Any], bytes] | None] = queue.SimpleQueue()
        self._errors: deque[str] = deque(maxlen=5)
        self._folder = tempfile.TemporaryDirectory(prefix="lanterna-voice-")
        hidden = 0x08000000 if os.name == "nt" else 0  # CREATE_NO_WINDOW
        try:
            self._process = subprocess.Popen(
                [str(python), "-u", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, env=child_environment(), creationflags=hidden,
            )  # fmt: skip
        except OSError as error:
            self._folder.cleanup()
            raise EngineError("speech.child_failed", engine=engine, reason=str(error)[:200]) from error
        log.info("%s: %s is started as process %d", engine, script.name, self._process.pid)
        assert self._process.stdout and self._process.stderr
        self._readers = [
            threading.Thread(target=self._hear, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._note, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def sample(self, path: Path, seconds: float) -> str:
        """A file with the sample, as every package can read it."""
        stat = path.stat()
        told = f"{path}|{stat.st_size}|{stat.st_mtime_ns}|{seconds}"
        file = Path(self._folder.name) / f"{sha256(told.encode()).hexdigest()[:16]}.wav"
        if not file.is_file():
            file.write_bytes(wav_of(path, seconds))
        return str(file)

    def ask(
        self, request: Mapping[str, JSON], cancelled: Callable[[], bool], seconds: float
    ) -> Iterator[tuple[dict[str, Any], bytes]]:
        """({rate}, float32 samples) as they come. Whoever stops listening ends the child, as do a cancel and so many
        `seconds` without a word. Raises Cancelled, OutOfMemory, EngineError."""
        over = False
        try:
            self._tell(request)
            while True:
                head, content = self._next(cancelled, seconds)
                if "error" in head:
                    over = True
                    self._fail(head)
                if "done" in head:
                    over = True
                    return
                yield head, content
        finally:
            if not over:
                self.close()

    def _fail(self, head: Mapping[str, Any]) -> None:
        if head.get("memory"):
            raise OutOfMemory("engine.out_of_memory", engine=self._engine)
        raise EngineError("speech.child_failed", engine=self._engine, reason=str(head["error"])[:300])

    def _tell(self, request: Mapping[str, JSON]) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            log.debug("%s: not delivered", self._engine)  # its death is heard below

    def _next(self, cancelled: Callable[[], bool], seconds: float) -> tuple[dict[str, Any], bytes]:
        since = self._clock()
        while True:
            try:
                said = self._said.get(timeout=LOOK)
            except queue.Empty:
                if cancelled():
                    raise Cancelled from None
                if self._clock() - since > seconds:
                    raise EngineError("speech.child_quiet", engine=self._engine, seconds=round(seconds)) from None
                continue
            if said is None:
                self._process.wait()
                self._readers[1].join(timeout=1)  # its last words
                raise EngineError("speech.child_died", engine=self._engine, reason=self._last())
            return said

    def _last(self) -> str:
        return self._errors[-1] if self._errors else f"exit status {self._process.returncode}"

    def close(self) -> None:
        """End it. Safe to call twice."""
        if self.alive:
            self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join(timeout=5)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe:
                try:
                    pipe.close()
                except OSError:
                    log.debug("%s: a pipe was broken", self._engine)
        self._folder.cleanup()

    # ------------------------------------------------------------------------------------------ reading
    def _hear(self, pipe: IO[bytes]) -> None:
        """Lines of JSON, each with as many bytes after it as it says; anything else ends the conversation."""
        try:
            while line := pipe.readline(MOST_LINE):
                head = json.loads(line)
                size = int(head.get("bytes", 0))
                if not 0 <= size <= MOST_BYTES or (size and int(head["rate"]) <= 0):
                    raise ValueError("samples")
                content = pipe.read(size)
                if len(content) < size:
                    break
                self._said.put((head, content))
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            self._errors.append("it said something that is no answer")
            self._process.kill()
        except OSError:
            log.debug("%s: its pipe is closed", self._engine)
        self._said.put(None)

    def _note(self, pipe: IO[bytes]) -> None:
        """The end of what it says beside: progress bars rewrite their line."""
        rest = b""
        try:
            while piece := os.read(pipe.fileno(), 65536):
                *lines, rest = (rest + piece).replace(b"\r", b"\n").split(b"\n")
                rest = rest[-4000:]
                self._errors.extend(text for line in lines if (text := line.decode("utf-8", "replace").strip()[:300]))
        except OSError:
            log.debug("%s: its pipe is closed", self._engine)
        if text := rest.decode("utf-8", "replace").strip()[:300]:
            self._errors.append(text)


def child_environment() -> dict[str, str]:
    """Ours without keys and without what means our own Python; nothing is fetched, nobody is told."""
    kept = {
        name: value for name, value in os.environ.items()
        if name not in OURS and not any(part in name.upper() for part in SECRETS)
    }  # fmt: skip
    return kept | {
        "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "DO_NOT_TRACK": "1",
        "HF_HUB_CACHE": str(Shelf.here().cache), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TOKENIZERS_PARALLELISM": "false", "PYTHONUTF8": "1", "PYTHONNOUSERSITE": "1",
    }  # fmt: skip

"""Where a verb works: `Here`, in this process, or `There`, in a studio that already owns the data folder.

Two ways to the same service functions, so that no verb asks which one it is using.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx2

from studio.cli.desk_models import HereModels, ModelDesk, ThereModels
from studio.cli.desk_voices import HereVoices, ThereVoices, VoiceDesk
from studio.errors import NotFound, StudioError, Unavailable
from studio.lock import Holder, StudioLock
from studio.media.files import replace, whole_or_gone
from studio.settings import Settings

View = dict[str, Any]
PACKAGE = ".zip"
MEDIA = (
    ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v",
    ".wav", ".mp3", ".flac", ".ogg", ".m4a", ".aac", ".opus",
)  # fmt: skip


class Desk(ModelDesk, VoiceDesk, Protocol):
    goes_on: bool  # does the studio work on when we leave?

    # what comes in: an episode file, a package or a folder of storyboards; each file with what became of it
    def check(self, source: Path) -> Sequence[View]: ...  # {file, report} | {file, error}
    def bring(self, source: Path, name: str = "", only_valid: bool = False) -> Sequence[View]: ...  # {…, queue}
    def sample(self) -> View: ...
    def install(self, folder: Path) -> View: ...  # a SkyReels installation begins to come in
    def installation(self, installation_id: str) -> View: ...
    # queues
    def queues(self) -> Sequence[View]: ...
    def snapshot(self, queue_id: str) -> View: ...
    def episode(self, queue_id: str) -> View: ...
    def preflight(self, queue_id: str) -> View: ...
    def run(self, queue_id: str, only: Sequence[str] | None = None, override: bool = False) -> View: ...
    def retry(self, queue_id: str) -> View: ...
    def stop(self, queue_id: str) -> None: ...
    # scenes
    def set_engine(self, scene_id: str, engine: str) -> None: ...
    def generate(self, scene: View) -> View: ...
    def cancel(self, scene_id: str) -> None: ...
    def enough(self, scene_id: str) -> None: ...
    # what goes out
    def cut(self, queue_id: str, wanted: View, out: Path | None) -> View: ...
    def pack(self, queue_id: str, takes: str, out: Path | None) -> View: ...
    def export(self, export_id: str) -> View: ...
    def cancel_export(self, export_id: str) -> None: ...
    def exported(self, export_id: str, out: Path | None) -> str: ...  # where it is
    def take(self, take_id: str, out: Path | None) -> str: ...
    def close(self) -> None: ...


def open_desk(settings: Settings) -> Desk:
    """Raises Unavailable("lock.held") when another command owns the folder and cannot be talked to."""
    lock = StudioLock(settings.data_dir)
    holder = lock.holder()
    if holder and holder.url:
        return There(holder)
    lock.acquire()
    try:
        return Here(settings, lock)
    except BaseException:
        lock.release()
        raise


class Here(HereModels, HereVoices):
    goes_on = False

    def __init__(self, settings: Settings, lock: StudioLock) -> None:
        from studio.app import build_studio

        self._lock = lock
        self._studio = build_studio(settings)
        self._studio.start()

    # ------------------------------------------------------------------------------------------ what comes in
    def check(self, source: Path) -> Sequence[View]:
        if source.suffix.lower() == PACKAGE:
            return [{"file": source.name, "report": self._studio.packages.check(_there_is(source))}]
        found: Sequence[View] = self._studio.episodes.check_path(str(_there_is(source)), trusted=True)["files"]
        return found

    def bring(self, source: Path, name: str = "", only_valid: bool = False) -> Sequence[View]:
        if source.suffix.lower() == PACKAGE:
            return [{"file": source.name, **self._studio.packages.bring(_there_is(source), name)}]
        taken: Sequence[View] = self._studio.episodes.import_path(
            str(_there_is(source)), name=name, only_valid=only_valid, trusted=True
        )["files"]
        return taken

    def sample(self) -> View:
        return self._studio.episodes.import_sample()

    def install(self, folder: Path) -> View:
        return self._studio.installations.begin(str(_there_is(folder)), trusted=True)

    def installation(self, installation_id: str) -> View:
        return self._studio.installations.get(installation_id)

    # ------------------------------------------------------------------------------------------ queues and scenes
    def queues(self) -> Sequence[View]:
        return self._studio.queues.list()

    def snapshot(self, queue_id: str) -> View:
        return self._studio.snapshot(queue_id)

    def episode(self, queue_id: str) -> View:
        return self._studio.episodes.export(queue_id)

    def preflight(self, queue_id: str) -> View:
        return self._studio.preflight.queue(queue_id)

    def run(self, queue_id: str, only: Sequence[str] | None = None, override: bool = False) -> View:
        return self._studio.runs.run(queue_id, only=only, override=override)

    def retry(self, queue_id: str) -> View:
        return self._studio.runs.retry(queue_id)

    def stop(self, queue_id: str) -> None:
        self._studio.runs.stop(queue_id)

    def set_engine(self, scene_id: str, engine: str) -> None:
        self._studio.scenes.edit(scene_id, {"engine": engine})

    def generate(self, scene: View) -> View:
        return self._studio.scenes.generate(scene, base=Path.cwd(), trusted=True)

    def cancel(self, scene_id: str) -> None:
        self._studio.scenes.cancel(scene_id)

    def enough(self, scene_id: str) -> None:
        self._studio.scenes.enough(scene_id)

    # ------------------------------------------------------------------------------------------ what goes out
    def cut(self, queue_id: str, wanted: View, out: Path | None) -> View:
        return self._studio.exports.cut(queue_id, **wanted, out=out.absolute() if out else None)

    def pack(self, queue_id: str, takes: str, out: Path | None) -> View:
        return self._studio.packages.export(queue_id, takes, out=out.absolute() if out else None)  # type: ignore[arg-type]

    def export(self, export_id: str) -> View:
        return self._studio.exports.get(export_id)

    def cancel_export(self, export_id: str) -> None:
        self._studio.exports.cancel(export_id)

    def exported(self, export_id: str, out: Path | None) -> str:
        return str(self._studio.exports.file(export_id))

    def take(self, take_id: str, out: Path | None) -> str:
        path = self._studio.takes.file(take_id)
        if out is None:
            return str(path)
        out.parent.mkdir(parents=True, exist_ok=True)
        return str(shutil.copyfile(path, out).absolute())

    def close(self) -> None:
        self._studio.close()
        self._lock.release()


class There(ThereModels, ThereVoices):
    """Talks REST with the token of the lock file, which lets us name any path of ours."""

    goes_on = True

    def __init__(self, holder: Holder, transport: httpx2.BaseTransport | None = None) -> None:
        self._url = holder.url
        self._http = httpx2.Client(
            base_url=holder.url + "/api", headers={"Authorization": f"Bearer {holder.token}"}, trust_env=False,
            timeout=120, transport=transport,
        )  # fmt: skip

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        try:
            answer = self._http.request(method, path, **more)
        except httpx2.HTTPError as error:
            raise Unavailable("cli.studio_silent", url=self._url, reason=type(error).__name__) from error
        if answer.is_success:
            return answer.json() if answer.content else None
        try:
            told = answer.json()["error"]
            raise StudioError(told["code"], **told["params"])
        except (ValueError, KeyError, TypeError):
            raise Unavailable("cli.studio_silent", url=self._url, reason=f"HTTP {answer.status_code}") from None

    # ------------------------------------------------------------------------------------------ what comes in
    def check(self, source: Path) -> Sequence[View]:
        if source.suffix.lower() == PACKAGE:
            return [{"file": source.name, "report": self._sent(source, "/queues/check")}]
        found: Sequence[View] = self._ask("POST", "/queues/check", params={"path": _there_is(source)})["files"]
        return found

    def bring(self, source: Path, name: str = "", only_valid: bool = False) -> Sequence[View]:
        if source.suffix.lower() == PACKAGE:
            return [{"file": source.name, **self._sent(source, "/queues/import", name=name)}]
        how = {"path": _there_is(source), "name": name, "only_valid": only_valid}
        taken: Sequence[View] = self._ask("POST", "/queues/import", params=how)["files"]
        return taken

    def _sent(self, package: Path, path: str, **params: Any) -> View:
        with Path(_there_is(package)).open("rb") as file:
            answer: View = self._ask("POST", path, params=params, files={"file": (package.name, file)}, timeout=None)
        return answer

    def sample(self) -> View:
        found: View = self._ask("POST", "/queues/sample")
        return found

    def install(self, folder: Path) -> View:
        begun: View = self._ask("POST", "/installations", json={"path": str(_there_is(folder))})
        return begun

    def installation(self, installation_id: str) -> View:
        found: View = self._ask("GET", f"/installations/{installation_id}")
        return found

    # ------------------------------------------------------------------------------------------ queues and scenes
    def queues(self) -> Sequence[View]:
        found: Sequence[View] = self._ask("GET", "/queues")
        return found

    def snapshot(self, queue_id: str) -> View:
        found: View = self._ask("GET", f"/queues/{queue_id}")
        return found

    def episode(self, queue_id: str) -> View:
        found: View = self._ask("GET", f"/queues/{queue_id}/episode")
        return found

    def preflight(self, queue_id: str) -> View:
        found: View = self._ask("GET", f"/queues/{queue_id}/preflight")
        return found

    def run(self, queue_id: str, only: Sequence[str] | None = None, override: bool = False) -> View:
        wanted = {"override": override} | ({"only": list(only)} if only is not None else {})
        begun: View = self._ask("POST", f"/queues/{queue_id}/run", json=wanted)
        return begun

    def retry(self, queue_id: str) -> View:
        begun: View = self._ask("POST", f"/queues/{queue_id}/retry")
        return begun

    def stop(self, queue_id: str) -> None:
        self._ask("POST", f"/queues/{queue_id}/stop")

    def set_engine(self, scene_id: str, engine: str) -> None:
        self._ask("PATCH", f"/scenes/{scene_id}", json={"engine": engine})

    def generate(self, scene: View) -> View:
        made: View = self._ask("POST", "/scenes", json=self._uploaded(scene, Path.cwd()))
        return made

    def _uploaded(self, value: Any, base: Path) -> Any:
        """The same JSON with every path of a media file turned into the asset that it became over there."""
        if isinstance(value, dict):
            return {key: self._uploaded(inner, base) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._uploaded(inner, base) for inner in value]
        if isinstance(value, str) and len(value) < 1024 and value.lower().endswith(MEDIA):
            path = base / Path(value.removeprefix("file://")).expanduser()
            if "\0" not in value and path.is_file():
                with path.open("rb") as file:
                    return self._ask("POST", "/assets", files={"file": (path.name, file)})["ref"]
        return value

    def cancel(self, scene_id: str) -> None:
        self._ask("POST", f"/scenes/{scene_id}/cancel")

    def enough(self, scene_id: str) -> None:
        self._ask("POST", f"/scenes/{scene_id}/enough")

    # ------------------------------------------------------------------------------------------ what goes out
    def cut(self, queue_id: str, wanted: View, out: Path | None) -> View:
        found: View = self._ask("POST", f"/queues/{queue_id}/exports", json=wanted)
        return found

    def pack(self, queue_id: str, takes: str, out: Path | None) -> View:
        found: View = self._ask("POST", f"/queues/{queue_id}/package", json={"takes": takes})
        return found

    def export(self, export_id: str) -> View:
        found: View = self._ask("GET", f"/exports/{export_id}")
        return found

    def cancel_export(self, export_id: str) -> None:
        self._ask("DELETE", f"/exports/{export_id}")

    def exported(self, export_id: str, out: Path | None) -> str:
        return self._download(f"/exports/{export_id}/file", out)

    def take(self, take_id: str, out: Path | None) -> str:
        return self._download(f"/takes/{take_id}/file", out)

    def _download(self, path: str, out: Path | None) -> str:
        if out is None:
            return f"{self._url}/api{path}"
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_name(out.name + ".part")
        with whole_or_gone(part):
            try:
                with self._http.stream("GET", path) as answer, part.open("wb") as file:
                    if not answer.is_success:
                        raise Unavailable("cli.studio_silent", url=self._url, reason=f"HTTP {answer.status_code}")
                    for chunk in answer.iter_bytes():
                        file.write(chunk)
            except httpx2.HTTPError as error:
                raise Unavailable("cli.studio_silent", url=self._url, reason=type(error).__name__) from error
            replace(part, out)
        return str(out.absolute())

    def close(self) -> None:
        self._http.close()


def _there_is(path: Path) -> Path:
    """Its absolute path. Raises NotFound."""
    if not path.exists():
        raise NotFound("cli.no_episode", path=str(path), reason="")
    return path.absolute()


def the_one(files: Sequence[View]) -> View:
    """What became of the only file. Raises its error; with several files, the first that there is."""
    for one in files:
        if "error" in one:
            raise StudioError(one["error"]["code"], **one["error"]["params"])
    return files[0]


def as_json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1)

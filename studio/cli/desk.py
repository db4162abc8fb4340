"""Where a verb works: `Here`, in this process, or `There`, in a studio that already owns the data folder.

Two ways to the same service functions, so that no verb asks which one it is using.
"""

import json
import shutil
from pathlib import Path
from typing import Any, Protocol

import httpx2

from studio.errors import NotFound, StudioError, Unavailable
from studio.lock import Holder, StudioLock
from studio.media.files import replace, whole_or_gone
from studio.settings import Settings

View = dict[str, Any]
MEDIA = (
    ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v",
    ".wav", ".mp3", ".flac", ".ogg", ".m4a", ".aac", ".opus",
)  # fmt: skip


class Desk(Protocol):
    def import_episode(self, episode: Path | None, only_valid: bool) -> View: ...  # None: the bundled sample
    def set_engine(self, scene_id: str, engine: str) -> None: ...
    def run(self, queue_id: str) -> None: ...
    def generate(self, scene: View) -> View: ...
    def snapshot(self, queue_id: str) -> View: ...
    def stop(self, queue_id: str) -> None: ...
    def cancel(self, scene_id: str) -> None: ...
    def cut(self, queue_id: str, missing: str, out: Path | None) -> View: ...
    def export(self, export_id: str) -> View: ...
    def cancel_export(self, export_id: str) -> None: ...
    def film(self, export_id: str, out: Path | None) -> str: ...  # where it is
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


class Here:
    def __init__(self, settings: Settings, lock: StudioLock) -> None:
        from studio.app import build_studio

        self._lock = lock
        self._studio = build_studio(settings)
        self._studio.start()

    def import_episode(self, episode: Path | None, only_valid: bool) -> View:
        queues = self._studio.queues
        if episode is None:
            return queues.import_sample()
        found: View = queues.import_episode(
            _read(episode), base=episode.absolute().parent, trusted=True, only_valid=only_valid,
            fallback_name=episode.stem,
        )["queue"]  # fmt: skip
        return found

    def set_engine(self, scene_id: str, engine: str) -> None:
        self._studio.scenes.edit(scene_id, {"engine": engine})

    def run(self, queue_id: str) -> None:
        self._studio.queues.run(queue_id)

    def generate(self, scene: View) -> View:
        return self._studio.scenes.generate(scene, base=Path.cwd(), trusted=True)

    def snapshot(self, queue_id: str) -> View:
        return self._studio.snapshot(queue_id)

    def stop(self, queue_id: str) -> None:
        self._studio.queues.stop(queue_id)

    def cancel(self, scene_id: str) -> None:
        self._studio.scenes.cancel(scene_id)

    def cut(self, queue_id: str, missing: str, out: Path | None) -> View:
        return self._studio.exports.cut(queue_id, missing, out=out.absolute() if out else None)  # type: ignore[arg-type]

    def export(self, export_id: str) -> View:
        return self._studio.exports.get(export_id)

    def cancel_export(self, export_id: str) -> None:
        self._studio.exports.cancel(export_id)

    def film(self, export_id: str, out: Path | None) -> str:
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


class There:
    """Talks REST. Files are sent as uploads: that studio may not read wherever we may."""

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

    def import_episode(self, episode: Path | None, only_valid: bool) -> View:
        if episode is None:
            sample: View = self._ask("POST", "/queues/sample")
            return sample
        try:
            content = json.dumps(self._uploaded(json.loads(_read(episode)), episode.absolute().parent)).encode()
        except (ValueError, RecursionError):
            content = _read(episode)  # not plain JSON: what is wrong with it is for the importer to say
        found: View = self._ask(
            "POST", "/queues/import", content=content, params={"only_valid": only_valid, "name": ""},
            headers={"Content-Type": "application/json"},
        )["queue"]  # fmt: skip
        return found

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

    def set_engine(self, scene_id: str, engine: str) -> None:
        self._ask("PATCH", f"/scenes/{scene_id}", json={"engine": engine})

    def run(self, queue_id: str) -> None:
        self._ask("POST", f"/queues/{queue_id}/run")

    def generate(self, scene: View) -> View:
        made: View = self._ask("POST", "/scenes", json=self._uploaded(scene, Path.cwd()))
        return made

    def snapshot(self, queue_id: str) -> View:
        found: View = self._ask("GET", f"/queues/{queue_id}")
        return found

    def stop(self, queue_id: str) -> None:
        self._ask("POST", f"/queues/{queue_id}/stop")

    def cancel(self, scene_id: str) -> None:
        self._ask("POST", f"/scenes/{scene_id}/cancel")

    def cut(self, queue_id: str, missing: str, out: Path | None) -> View:
        found: View = self._ask("POST", f"/queues/{queue_id}/exports", json={"missing": missing})
        return found

    def export(self, export_id: str) -> View:
        found: View = self._ask("GET", f"/exports/{export_id}")
        return found

    def cancel_export(self, export_id: str) -> None:
        self._ask("DELETE", f"/exports/{export_id}")

    def film(self, export_id: str, out: Path | None) -> str:
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


def _read(episode: Path) -> bytes:
    try:
        return episode.read_bytes()
    except OSError as error:
        raise NotFound("cli.no_episode", path=str(episode), reason=error.strerror or "") from error

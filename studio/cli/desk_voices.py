"""The verbs of a desk that speak of voices: `HereVoices` in this process, `ThereVoices` over REST."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from studio.service import Studio

View = dict[str, Any]


class VoiceDesk(Protocol):
    def voices(self) -> Sequence[View]: ...
    def look_at_voice(self, recording: Path, denoise: bool) -> View: ...
    def make_voice(self, values: View, consent: str) -> View: ...
    def remove_voice(self, voice_id: str, force: bool) -> None: ...
    def pack_voice(self, voice_id: str, out: Path) -> str: ...
    def unpack_voice(self, package: Path) -> View: ...
    def speak(self, queue_id: str) -> View: ...


class HereVoices:
    _studio: "Studio"

    def voices(self) -> Sequence[View]:
        return self._studio.voices.list()

    def look_at_voice(self, recording: Path, denoise: bool) -> View:
        return self._studio.voices.look(str(recording.absolute()), denoise=denoise, trusted=True)

    def make_voice(self, values: View, consent: str) -> View:
        return self._studio.voices.create(values, consent=consent)

    def remove_voice(self, voice_id: str, force: bool) -> None:
        self._studio.voices.delete(voice_id, force=force)

    def pack_voice(self, voice_id: str, out: Path) -> str:
        out.parent.mkdir(parents=True, exist_ok=True)
        return str(Path(shutil.copyfile(self._studio.voice_packages.pack(voice_id), out)).absolute())

    def unpack_voice(self, package: Path) -> View:
        return self._studio.voice_packages.unpack(package.absolute())

    def speak(self, queue_id: str) -> View:
        return self._studio.runs.speak(queue_id)


class ThereVoices:
    _ask: Callable[..., Any]
    _download: Callable[..., str]

    def voices(self) -> Sequence[View]:
        found: Sequence[View] = self._ask("GET", "/voices")["voices"]
        return found

    def look_at_voice(self, recording: Path, denoise: bool) -> View:
        with recording.open("rb") as file:
            ref = self._ask("POST", "/assets", files={"file": (recording.name, file)}, timeout=None)["ref"]
        found: View = self._ask("POST", "/voices/look", json={"ref": ref, "denoise": denoise}, timeout=None)
        return found

    def make_voice(self, values: View, consent: str) -> View:
        made: View = self._ask("POST", "/voices", json={**values, "consent": consent}, timeout=None)
        return made

    def remove_voice(self, voice_id: str, force: bool) -> None:
        self._ask("DELETE", f"/voices/{voice_id}", params={"force": force})

    def pack_voice(self, voice_id: str, out: Path) -> str:
        return self._download(f"/voices/{voice_id}/package", out)

    def unpack_voice(self, package: Path) -> View:
        with package.open("rb") as file:
            made: View = self._ask("POST", "/voices/import", files={"file": (package.name, file)}, timeout=None)
        return made

    def speak(self, queue_id: str) -> View:
        begun: View = self._ask("POST", f"/queues/{queue_id}/speak")
        return begun

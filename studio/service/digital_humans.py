"""Digital humans, as clients of All-in-one ask for them: a voice cloned from one recording, a job that makes a portrait
say a script with it. Each job is a scene of the queue `All-in-one`; how it stands is read from that scene, so a job
outlives a crash like any other. The routes of api/compat/all_in_one.py are its only callers."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from studio.domain import Job, Speech, State, Voice
from studio.errors import Conflict, NotFound, NotYet, Refused, StudioError, TooLarge
from studio.service.engines import Engines
from studio.service.library import Library
from studio.service.models import Models
from studio.service.queues import Queues
from studio.service.runs import Runs
from studio.service.scenes import Scenes
from studio.service.system import System
from studio.service.takes import Takes
from studio.service.views import View, reason_of
from studio.service.voices import Voices
from studio.store import POLICY, SceneRow, Store

QUEUE = "All-in-one"
ASKED = "all-in-one"  # among a scene's options: what the client asked for, in its own words
MOST_BYTES = 20_000_000  # of a picture that comes as a data URI
VOICE_SHARE = 10  # per cent of a job that its speech takes
DATA_URI = re.compile(r"data:image/[\w.+-]+;base64,(?P<content>[A-Za-z0-9+/=\s]*)")
STATES: Mapping[str, str] = {
    State.DRAFT: "queued", State.QUEUED: "queued", State.RUNNING: "running", State.DONE: "completed",
    State.FAILED: "failed", State.IN_DOUBT: "failed", State.CANCELLED: "cancelled",
}  # fmt: skip
INFINITETALK = ("infinitetalk", "infinitetalk-fp8")  # the best first
WAN2GP = "wan2gp"


@dataclass(frozen=True, slots=True)
class Model:
    """What a `wangp_model` means here."""

    engine: str
    options: Mapping[str, Any] = field(default_factory=dict)
    shows_portraits: bool = True  # a model that draws from words alone cannot be used: one that can takes its place


MODELS: Mapping[str, Model] = {
    "Wan t2v 1.3B": Model(WAN2GP, shows_portraits=False),
    "Wan t2v 14B": Model(WAN2GP, shows_portraits=False),
    "Hunyuan Avatar": Model(WAN2GP, {"model": "hunyuan_avatar"}),
    "Wan Multitalk": Model(WAN2GP, {"model": "multitalk"}),
    "Wan FantasySpeaking": Model(WAN2GP, {"model": "fantasy"}),
    "Fantasy": Model(WAN2GP, {"model": "fantasy"}),
    "InfiniteTalk": Model(WAN2GP, {"model": "infinitetalk"}),
    "LTX-2": Model("ltx2.3-distilled"),
}
USUAL_MODEL = "Wan t2v 1.3B"  # where a client names none


@dataclass(frozen=True, slots=True)
class Wish:
    """A job as a client asks for it."""

    voice_id: str
    avatar_url: str
    script_mode: Literal["ai", "auto", "manual"]
    script_input: str
    preferred_engine: str = "auto"
    wangp_model: str = USUAL_MODEL


class DigitalHumans:
    def __init__(
        self, store: Store, library: Library, scenes: Scenes, queues: Queues, runs: Runs, takes: Takes, voices: Voices,
        engines: Engines, models: Models, system: System,
    ) -> None:  # fmt: skip
        self._store, self._library, self._scenes, self._queues, self._runs = store, library, scenes, queues, runs
        self._takes, self._voices, self._engines, self._models, self._system = takes, voices, engines, models, system
        self._shown: dict[str, int] = {}  # by job: the most progress that was told; a new layer begins at 0 again

    # ------------------------------------------------------------------------------------------ voices
    def clone(self, ref: str, name: str, by: str) -> View:
        """A voice of this recording. `by`: the client, who says with the call that the speaker agreed. The same
        recording again is the same voice. Raises Refused where it is no sample."""
        looked = self._voices.look(ref)
        for check in looked["checks"]:
            if check["level"] == "error":
                raise Refused(check["code"], **check["params"])
        sha256 = looked["sample"]["sha256"]
        known = next((voice for voice in self._store.voices.all() if voice.sample == sha256), None)
        if known is None:
            self._create({"name": f"{QUEUE} · {Path(name).stem[:60] or 'voice'} · {sha256[:8]}", "sample": sha256}, by)
            known = next(voice for voice in self._store.voices.all() if voice.sample == sha256)
        return {
            "voice_id": voice_id_of(known), "status": "ready", "engine": self._speaks(known),
            "name": known.name, "checks": looked["checks"],
        }  # fmt: skip

    def _create(self, fields: View, by: str) -> None:
        try:
            self._voices.create(fields, consent=by)
        except Conflict:  # another call brought the same recording meanwhile
            if not any(voice.sample == fields["sample"] for voice in self._store.voices.all()):
                raise

    def _speaks(self, voice: Voice) -> str:
        """The engine that would speak with it now; "auto" where none can."""
        line = {"text": "…", "voice": voice.name, "language": voice.language}
        try:
            return self._engines.choose(Speech.model_validate({"lines": [line]}), POLICY, voice=voice)[0]
        except StudioError:
            return "auto"

    def _voice(self, voice_id: str) -> Voice:
        """Raises Refused("all_in_one.voice"). An absolute path, as their server made up ids, is opaque: only its last
        part counts, and nothing is read there."""
        wanted = re.split(r"[/\\]", voice_id.strip())[-1]
        stem = re.sub(r"\.\w{2,5}$", "", wanted).casefold()
        for voice in self._store.voices.all():
            if stem in (voice_id_of(voice), voice.id.casefold(), voice.name.casefold()):
                return voice
        raise Refused("all_in_one.voice", field="voice_id", voice=wanted[:80])

    # ------------------------------------------------------------------------------------------ making
    def create(self, wish: Wish) -> View:
        """A job, queued. Raises Refused naming the field, NotYet where nobody can write the script."""
        voice = self._voice(wish.voice_id)
        if wish.wangp_model not in MODELS:
            raise Refused("all_in_one.model", field="wangp_model", model=wish.wangp_model[:80], known=", ".join(MODELS))
        if not wish.script_input.strip():
            raise Refused("all_in_one.script", field="script_input")
        if wish.script_mode != "manual":
            raise NotYet("all_in_one.writer", mode=wish.script_mode)
        model = MODELS[wish.wangp_model]
        values = {
            "task_type": "talking_avatar", "label": wish.script_input.strip()[:60], "resolution": "480P",
            "aspect": "9:16", "input_image": self._portrait(wish.avatar_url), "engine": self._engine(wish, model),
            "lines": [{"text": wish.script_input.strip(), "voice": voice.name}],
            "options": {
                ASKED: {"wangp_model": wish.wangp_model, "preferred_engine": wish.preferred_engine},
                **({model.engine: dict(model.options)} if model.options else {}),
            },
        }  # fmt: skip
        queue = self._queue()
        scene_id = str(self._scenes.add(queue, values)["id"])
        try:
            self._runs.run(queue, only=[scene_id])
        except StudioError:
            self._scenes.delete(scene_id, force=True)  # refused: nothing was changed
            raise
        return self.get(scene_id)

    def _engine(self, wish: Wish, model: Model) -> str:
        """ "auto", or the one that is preferred: it gets the job or an error. Raises Refused("all_in_one.engine")."""
        preferred = wish.preferred_engine
        if preferred == WAN2GP:
            return model.engine
        if preferred == "infinitetalk":
            ready = self._engines.ready()
            return next((name for name in INFINITETALK if ready[name].state == "ready"), INFINITETALK[0])
        known = {engine["id"]: engine["tasks"] for engine in self._engines.list()}
        if preferred == "auto" or "speech" in known.get(preferred, ()):  # that of the voice, as cloning answered it
            return "auto"
        if "talking_avatar" not in known.get(preferred, ()):
            raise Refused("all_in_one.engine", field="preferred_engine", engine=preferred[:60])
        return preferred

    def _portrait(self, url: str) -> str:
        """A reference for what a client sent: http(s) and paths as they are, a data URI as an asset."""
        url = url.strip()
        if not url.startswith("data:"):
            return url
        found = DATA_URI.fullmatch(url)
        if found is None:
            raise Refused("all_in_one.data_uri", field="avatar_url")
        if len(found["content"]) * 3 // 4 > MOST_BYTES:
            raise TooLarge("all_in_one.data_size", field="avatar_url", most=MOST_BYTES // 1_000_000)
        try:
            content = base64.b64decode(found["content"], validate=False)
        except binascii.Error as error:
            raise Refused("all_in_one.data_uri", field="avatar_url") from error
        with self._library.incoming() as part:
            part.write_bytes(content)
            return str(self._library.add(part, "portrait")["ref"])

    def _queue(self) -> str:
        """Its scenes stay whole: a job has one video."""
        found = next((queue["id"] for queue in self._queues.list() if queue["name"] == QUEUE), None)
        if found is None:
            found = self._queues.create(QUEUE)["id"]
            self._queues.update(str(found), {"split_long": False})
        return str(found)

    # ------------------------------------------------------------------------------------------ looking
    def get(self, job_id: str) -> View:
        """How a job stands: {id, state, progress, error, engine, wangp_model, reason, script}. `progress` is that of
        the engine at work, and never goes back. Raises NotFound("all_in_one.job")."""
        row = self._row(job_id)
        state, jobs = self._state(row)
        asked = row.scene.options.get(ASKED, {})
        take = self._store.takes.selected([row.id]).get(row.id) if state == "completed" else None
        picture = next((job for job in jobs if job.layer == "picture"), None)
        engine = take.engine if take else picture.engine if picture else row.scene.engine
        kept = (
            take.degraded_reason if take else next((job.degraded_reason for job in jobs if job.degraded_reason), None)
        )
        model = str(asked.get("wangp_model", USUAL_MODEL))
        return {
            "id": job_id_of(row), "scene_id": row.id, "state": state, "progress": self._progress(row, state, jobs),
            "error": row.error, "engine": engine, "wangp_model": model, "reason": reason_of(kept),
            "words_only": not MODELS[model].shows_portraits if model in MODELS else False,
            "script": row.scene.lines[0].text if row.scene.lines else "",
        }  # fmt: skip

    def result(self, job_id: str) -> Path:
        """Its video. Raises NotFound("all_in_one.not_ready") before there is one."""
        row = self._row(job_id)
        take = self._store.takes.selected([row.id]).get(row.id)
        if take is None or STATES[row.state] != "completed":
            raise NotFound("all_in_one.not_ready", job=job_id[:60])
        return self._takes.file(take.id)

    def _row(self, job_id: str) -> SceneRow:
        """Only what was asked for here is a job."""
        try:
            row = self._store.queues.scene(job_id.removeprefix("job_").upper())
        except NotFound as error:
            raise NotFound("all_in_one.job", job=job_id[:60]) from error
        if ASKED not in row.scene.options:
            raise NotFound("all_in_one.job", job=job_id[:60])
        return row

    def _state(self, row: SceneRow) -> tuple[str, list[Job]]:
        """Between its speech and its picture a job goes on: it waits for nobody but its own next step."""
        jobs = self._store.jobs.latest([row.id]).get(row.id, [])
        state = STATES[row.state]
        if row.state is State.DRAFT and not any(job.state in (State.QUEUED, State.RUNNING) for job in jobs):
            return "cancelled", jobs  # somebody changed it to what cannot run: nothing goes on
        begun = any(job.state in (State.RUNNING, State.DONE) or job.degraded_reason for job in jobs)
        return ("running" if state == "queued" and begun else state), jobs

    def _progress(self, row: SceneRow, state: str, jobs: list[Job]) -> int:
        if state in ("completed", "failed", "cancelled"):
            told = self._shown.pop(row.id, 0)
            return 100 if state == "completed" else told
        live = self._system.progress(row.queue_id).get(row.id)
        spoken = any(job.layer == "voice" and job.state is State.DONE for job in jobs)
        now = float(VOICE_SHARE if spoken else 0)
        if live and live["total"]:
            share = min(1.0, live["done"] / live["total"])
            now = VOICE_SHARE * share if live["layer"] == "voice" else VOICE_SHARE + (99 - VOICE_SHARE) * share
        told = max(int(now), self._shown.get(row.id, 0)) if state == "running" else int(now)
        self._shown[row.id] = told
        return told

    # ------------------------------------------------------------------------------------------ models
    def models(self) -> list[View]:
        """{model_id, status: ready | not_downloaded | downloading, progress} of each."""
        ready = {engine["id"]: engine["availability"]["state"] for engine in self._engines.list()}
        return [self._model(name, str(ready.get(model.engine, ""))) for name, model in MODELS.items()]

    def model(self, name: str) -> View:
        """Raises NotFound("all_in_one.no_model")."""
        if name not in MODELS:
            raise NotFound("all_in_one.no_model", model=name[:80], known=", ".join(MODELS))
        return next(model for model in self.models() if model["model_id"] == name)

    def _model(self, name: str, state: str) -> View:
        if state == "ready":
            return {"model_id": name, "status": "ready", "progress": 100}
        if MODELS[name].engine == WAN2GP:
            return {"model_id": name, "status": "not_downloaded", "progress": 0}
        view = self._models.get(MODELS[name].engine)
        download = view["download"] or {}
        done, total = download.get("done") or 0, download.get("total") or view["bytes"] or 1
        busy = view["state"] == "downloading"
        return {
            "model_id": name, "status": "downloading" if busy else "not_downloaded",
            "progress": int(100 * done / total) if busy else 0,
        }  # fmt: skip

    def fetch(self, name: str) -> View:
        """Raises Refused("all_in_one.own_models") for those that Wan2GP fetches by itself, and what fetching raises: a
        licence is accepted by a person, in Settings."""
        before = self.model(name)
        if before["status"] == "ready":
            return {"status": "ready"}
        if before["status"] == "downloading":
            return {"status": "already_downloading"}
        if MODELS[name].engine == WAN2GP:
            raise Refused("all_in_one.own_models", model=name)
        self._models.fetch(MODELS[name].engine)
        return {"status": "started"}


def voice_id_of(voice: Voice) -> str:
    return f"voice_{voice.id.lower()}"


def job_id_of(row: SceneRow) -> str:
    return f"job_{row.id.lower()}"

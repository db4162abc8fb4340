"""From a claimed job to an Assignment that needs no database: inputs as files, lines on the scene's clock, a name.

Knows the store and where files go; no thread and no worker.
"""

import glob
import hashlib
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from studio import __version__, naming
from studio.domain import RECORDINGS, Input, Job, Line, SceneBase, Speech, SpokenLine, Take, lay_lines, slug
from studio.errors import NotFound, Refused
from studio.execution import Assignment
from studio.pipelines import engine_class
from studio.pipelines.base import Inputs, Plan, Speaker
from studio.store import Queue, SceneRow, Speakers, Store, fingerprint

# stand in a print in another form, or change nothing; a profile may (8 bit), and whoever asks for another one means it
NOT_IN_PRINT = fingerprint.NOT_IN_PICTURE - {"profile"}

Expand = Callable[[str, str], str]
"""(text, seed): the text with its wildcards chosen, the same for the same seed."""
WILD = ("prompt", "negative_prompt")  # fields in which wildcards may stand
Planning = Callable[[Job, Queue, SceneBase, Inputs], Plan]
"""How much memory a job may use now. Raises Refused when it fits in no way."""
Extract = Callable[[Path, str, Path], None]
"""(video, "first" | "last", png to write): takes one frame out of a video."""


class Assigner:
    def __init__(
        self, store: Store, outputs: Path, cache: Path, expand: Expand = lambda text, seed: text,
        name_template: str = naming.DEFAULT_TAKE,
    ) -> None:  # fmt: skip
        """`cache`: where frames taken from videos and posters lie; nothing in it is lost when it is emptied."""
        self._store, self._outputs, self._cache = store, outputs, cache
        self.scratch = cache / "scratch"  # of jobs that have not ended, by id
        self._expand, self.name_template = expand, name_template
        self.plan: Planning = lambda job, queue, scene, inputs: Plan()

    def folder(self, queue: Queue) -> Path:
        """Where the takes and films of a queue go."""
        name = "inbox" if queue.inbox else f"{queue.code}-{slug(queue.name)}".rstrip("-")
        return self._outputs / (naming.safe(slug(queue.project)) or "project") / name

    def posters(self, job_id: str) -> Path:
        """Stem of the small pictures beside a take."""
        return self._cache / "takes" / job_id

    def assignment(self, job: Job, extract: Extract) -> Assignment:
        """Raises NotFound or Refused when an input is gone or of the wrong kind, or when it fits into no memory."""
        row = self._store.queues.scene(job.scene_id)
        queue = self._store.queues.get(row.queue_id)
        scene, inputs = self._voice(row, job, queue) if job.layer == "voice" else self._picture(row, queue, extract)
        wished = row.scene.seed if job.seed is None else job.seed
        seed = wished if wished is not None else self._drawn(job)
        scene, template = self.expanded(scene, int(seed))
        made_of: dict[str, Any] = {"template": template, "sources": self._sources(scene), "scene_seed": row.scene.seed}
        made_of |= {"voice_print": inputs.speaker.print} if inputs.speaker.print else {}
        return Assignment(
            job_id=job.id,
            scene_id=row.id,
            attempt=job.attempt,
            engine=job.engine,
            task=scene.model_dump(mode="json"),
            inputs=inputs,
            plan=self.plan(job, queue, scene, inputs),
            seed=int(seed),
            out=self._out(row, job, queue, int(seed)),
            posters=self.posters(job.id),
            kept=job.kept,
            scratch=self.scratch / job.id / job.engine,  # another engine that takes over begins anew
            comment={
                "lanterna": __version__, "scene_id": row.id, "queue": queue.name, "number": row.position + 1,
                "engine": job.engine, "seed": int(seed), "scene": scene.model_dump(mode="json"),
                "laid": {**laid(inputs), **made_of, "print": self.print_of(row, queue, job.engine, int(seed))},
            },
        )  # fmt: skip

    def _drawn(self, job: Job) -> int:
        """A seed for a job that nobody gave one: what an attempt left for the next was made with it."""
        if "seed" not in job.kept:
            seed = random.getrandbits(31)
            self._store.ends.keep(job, "seed", seed)
            return seed
        return int(job.kept["seed"])

    def _out(self, row: SceneRow, job: Job, queue: Queue, seed: int) -> Path:
        """`03-the-lamp_t2_1004`; voices `03-the-lamp_voice1_t1_1004`. The job's end is added where a name is taken: the
        folder and what follows the name are ours, so a crash finds its files whatever the template says."""
        takes = [t for t in self._store.takes.of_scene(row.id) if (t.layer, t.line_id) == (job.layer, job.line_id)]
        number = max((take.number for take in takes), default=0) + 1
        about = slug(row.scene.label or row.scene.prompt)[:40].strip("-") or row.scene.task_type  # type: ignore[attr-defined]
        line = [i for i, line in enumerate(row.scene.lines, start=1) if line.id == job.line_id]
        voice = f"_voice{line[0]}" if line else ""
        template = self.name_template if "{label}" in self.name_template else f"{self.name_template}{voice}"
        values = {
            "project": slug(queue.project), "queue": slug(queue.name), "code": queue.code, "engine": job.engine,
            "scene": f"{row.position + 1:02}", "label": f"{about}{voice}", "take": number, "seed": seed,
            "date": f"{datetime.now():%Y-%m-%d}",
        }  # fmt: skip
        out = self.folder(queue) / naming.fill(template, values)
        if any(out.parent.glob(f"{glob.escape(out.name)}.*")):
            out = out.with_name(f"{out.name}_{job.id[-6:].lower()}")
        return out

    def expanded(self, scene: SceneBase, seed: int) -> tuple[SceneBase, dict[str, str]]:
        """The scene as an engine sees it, and as it was written where wildcards stood. Raises their errors."""
        written = {name: getattr(scene, name) for name in WILD}
        said = {name: self._expand(text, f"{seed}:{name}") for name, text in written.items()}
        if written["prompt"] and not said["prompt"].strip():
            raise Refused("wildcard.nothing", field="prompt")
        template = {name: text for name, text in written.items() if said[name] != text}
        return (scene.model_copy(update=said) if template else scene), template

    def _sources(self, scene: SceneBase) -> dict[str, str]:
        """By scene that is read: the take that stands for it now."""
        read = {item.ref[6:].partition("#")[0] for item in scene.inputs() if item.ref.startswith("scene:")}
        return {scene_id: take.id for scene_id, take in self._store.takes.selected(read).items()} if read else {}

    def print_of(self, row: SceneRow, queue: Queue, engine: str, seed: int) -> str:
        """One hash of all that a picture depends on: engine, settings, inputs by content, lines as spoken, seed. Two
        pictures with the same one are the same picture."""
        scene, _ = self.expanded(row.scene, seed)
        refs = {item.field: self._content(item.ref) for item in scene.inputs()}
        names = {field.partition(".")[0] for field in refs}
        voices = self._store.takes.selected([row.id], "voice")
        facts = {
            "engine": engine,
            "seed": seed,
            "scene": scene.model_dump(mode="json", exclude=names | NOT_IN_PRINT),
            "options": scene.options.get(engine, {}),
            "refs": refs,
            "lines": [(line.character, line.text, voices[line.id].id) for line in scene.lines if line.id in voices],
            "frame": queue.frame.model_dump() if queue.frame else None,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def _content(self, ref: str) -> str:
        """What a reference shows now: an asset is its hash, a scene the take that it shows."""
        kind, _, rest = ref.partition(":")
        if kind != "scene":
            return ref
        scene_id, _, part = rest.partition("#")
        take = self._store.takes.selected([scene_id]).get(scene_id)
        return f"take:{take.id if take else ''}#{part}"

    # ------------------------------------------------------------------------------------------ the two layers
    def _voice(self, row: SceneRow, job: Job, queue: Queue) -> tuple[SceneBase, Inputs]:
        lines = [line for line in row.scene.lines if line.id == job.line_id]
        if not lines:
            raise NotFound("line.unknown", line=job.line_id or "")
        speakers = self._store.speakers(queue.project_id)
        line = lines[0].model_copy(update={"voice": speakers.name(lines[0])})
        scene = Speech(label=row.scene.label, lines=[line], seed=row.scene.seed, options=row.scene.options)
        return scene, Inputs(number=row.position + 1, speaker=self._speaker(row, lines[0], job.engine, speakers))

    def _speaker(self, row: SceneRow, line: Line, engine: str, speakers: Speakers) -> Speaker:
        """Raises NotFound where the sample of its voice is gone."""
        voice, language = speakers.voice(line), speakers.language(line)
        sound = speakers.print(line, engine)
        letters = fingerprint.of_voice(line, speakers.name(line), row.scene, engine, sound)
        before = [take for take in self._store.takes.of_scene(row.id) if take.line_id == line.id]
        speaker = Speaker(
            voice=speakers.name(line), character=line.character, said=speakers.said(line, language), print=sound,
            sound=speakers.sound(line, engine), language=language,
            reading=sum(take.fingerprint == letters for take in before),
        )  # fmt: skip
        if voice is None:  # the name may be that of a voice which the engine brings along
            speaks = engine_class(engine).speaks
            return replace(speaker, preset=speaker.voice) if speaks and speaker.voice in speaks.presets else speaker
        sample = self._store.takes.asset(voice.sample) if voice.sample else None
        if sample and not sample.path.is_file():
            raise NotFound("voice.sample_gone", name=voice.name)
        return replace(
            speaker, sample=sample.path if sample else None, transcript=voice.transcript, preset=voice.preset,
            profile=voice.profile, settings=voice.settings.get(engine, {}),
        )  # fmt: skip

    def _picture(self, row: SceneRow, queue: Queue, extract: Extract) -> tuple[SceneBase, Inputs]:
        scene = row.scene
        files = {item.field: self.file_of(item, extract) for item in scene.inputs()}
        wished = getattr(scene, "duration", None)
        lines, duration = self._spoken(row, wished) if scene.kind == "video" else ((), None)
        recordings, seconds = self._recordings(scene, files)
        if recordings:
            duration, lines = seconds, ()
        siblings = self._store.queues.scenes(queue.id)
        return scene, Inputs(
            files=files,
            lines=lines,
            soundtrack=recordings[0][0] if len(recordings) == 1 else None,
            recordings=recordings,
            duration=duration or wished,
            frame=queue.frame,
            style=queue.name if not queue.inbox else "",
            number=row.position + 1,
            total=len(siblings),
        )

    def _recordings(self, scene: SceneBase, files: Mapping[str, Path]) -> tuple[tuple[tuple[Path, float], ...], float]:
        """(file, second at which it starts) of each person's own recording, and how long they last in all."""
        laid: list[tuple[Path, float]] = []
        end = 0.0
        for item in scene.inputs():
            if item.field not in RECORDINGS:
                continue
            start = end if getattr(scene, "audio_order", "together") == "in_turn" else 0.0
            laid.append((files[item.field], start))
            end = max(end, start + self._seconds(item.ref))
        return tuple(laid), end

    def _spoken(self, row: SceneRow, wished: float | None) -> tuple[tuple[SpokenLine, ...], float | None]:
        voices = self._store.takes.selected([row.id], "voice")
        spoken = [(line, voices[line.id]) for line in row.scene.lines if line.id in voices]
        starts, duration = lay_lines([take.duration for _, take in spoken], wished)
        laid = tuple(
            SpokenLine(
                line_id=line.id, character=line.character, text=line.text, path=take.path, start=start,
                duration=take.duration, visemes=tuple((at, name) for at, name in take.facts.get("visemes", ())),
            )
            for (line, take), start in zip(spoken, starts, strict=True)
        )  # fmt: skip
        return laid, duration or None

    # ------------------------------------------------------------------------------------------ references
    def file_of(self, item: Input, extract: Extract) -> Path:
        """The file that an input is read from. Raises NotFound or Refused."""
        kind, _, rest = item.ref.partition(":")
        asset = None if kind == "scene" else self._store.takes.asset(rest)
        path = asset.path if asset else self._of_scene(item, rest, extract)
        if not path.is_file():  # an upload lies under its hash: say the name it came with
            raise NotFound("input.gone", field=item.field, name=asset.name if asset else path.name)
        return path

    def _seconds(self, ref: str) -> float:
        kind, _, rest = ref.partition(":")
        if kind == "scene":
            return self._source(rest.partition("#")[0]).duration
        return self._store.takes.asset(rest).duration

    def _source(self, scene_id: str) -> Take:
        take = self._store.takes.selected([scene_id]).get(scene_id)
        if take is None:
            raise NotFound("input.no_take", scene=scene_id)
        return take

    def _of_scene(self, item: Input, target: str, extract: Extract) -> Path:
        scene_id, _, part = target.partition("#")
        take = self._source(scene_id)
        if item.kind == "image" and take.kind == "video":
            which = part or "last"
            frame = self._cache / "frames" / f"{take.id}-{which}.png"
            if not frame.is_file():
                frame.parent.mkdir(parents=True, exist_ok=True)
                extract(take.path, which, frame)
            return frame
        if item.kind != take.kind:
            raise Refused("input.kind", field=item.field, wanted=item.kind, got=take.kind)
        return take.path


def laid(inputs: Inputs) -> Mapping[str, Any]:
    """What the cut must know of a picture's sound: who says what, from when to when, in which file."""
    return {
        "lines": [
            {
                "line_id": line.line_id, "character": line.character, "text": line.text, "start": line.start,
                "duration": line.duration, "file": line.path.name,
            }
            for line in inputs.lines
        ],
        "recording": bool(inputs.recordings),
    }  # fmt: skip

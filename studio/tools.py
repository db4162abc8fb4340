"""Heavy work that is no scene: one function per tool, plain JSON in and out, run in a worker. Knows files, no scenes.

A tool is `def tool(arguments: dict, run: ToolRun) -> JSON`, and one line in TOOLS. Libraries load inside the
functions: the app reads this table without paying for them.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio import logs
from studio.domain import JSON, Frame
from studio.errors import Cancelled, NotFound, StudioError

if TYPE_CHECKING:
    from studio.media.film import Card, Film

Arguments = Mapping[str, Any]


class ToolRun:
    """How far a tool is, and whether somebody stopped it."""

    def __init__(
        self,
        report: Callable[[int, int, str], None] = lambda done, total, note: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._report, self._cancelled = report, cancelled

    def step(self, done: int, total: int, note: str = "") -> None:
        """`note` is one word that faces translate: "conform", "sound", "join". Raises Cancelled."""
        if self._cancelled():
            raise Cancelled
        self._report(done, total, note)


Tool = Callable[[Arguments, ToolRun], JSON]

TOOLS: dict[str, str] = {  # name -> "module:function"
    "probe": "studio.tools:probe",
    "probe_all": "studio.tools:probe_all",
    "cut": "studio.tools:cut",
    "stems": "studio.tools:stems",
    "captions": "studio.tools:captions",
    "clip": "studio.tools:clip",
    "frame": "studio.tools:frame",
    "posters": "studio.tools:posters",
    "contact_sheet": "studio.tools:contact_sheet",
    "pack": "studio.tools:pack",
    "look_into": "studio.tools:look_into",
    "unpack": "studio.tools:unpack",
    "bring": "studio.tools:bring",
    "search": "studio.tools:search",
    "portraits": "studio.tools:portraits",
    "transcribe": "studio.tools:transcribe",
    "portrait": "studio.tools:portrait",
    "crop": "studio.tools:crop",
    "download": "studio.tools:download",
    "verify": "studio.tools:verify",
    "measure_machine": "studio.tools:measure_machine",
    "golden": "studio.tools:golden",
    "voice_sample": "studio.tools:voice_sample",
    "voice_profile": "studio.tools:voice_profile",
    "voice_match": "studio.tools:voice_match",
}


def load(name: str) -> Tool:
    """The function behind a name. Raises NotFound."""
    if name not in TOOLS:
        raise NotFound("tool.unknown", name=name)
    module, _, function = TOOLS[name].partition(":")
    found: Tool = getattr(import_module(module), function)
    return found


def probe(arguments: Arguments, run: ToolRun) -> JSON:
    """{path} -> what is in the file (media.probe.Facts)."""
    from studio.media.probe import probe as facts_of

    return facts_of(Path(arguments["path"])).as_dict()


def probe_all(arguments: Arguments, run: ToolRun) -> JSON:
    """{paths} -> {facts: {path: as `probe` gives them}} of those that can be read; `probe` says what is wrong with the
    others."""
    from studio.media.probe import probe as facts_of

    found: dict[str, Any] = {}
    for number, path in enumerate(arguments["paths"]):
        with suppress(StudioError):
            found[path] = facts_of(Path(path)).as_dict()
        run.step(number + 1, len(arguments["paths"]))
    return {"facts": found}


def frame(arguments: Arguments, run: ToolRun) -> JSON:
    """{path, which: "first" | "last" | seconds, out} -> {path, width, height}: one frame as PNG."""
    from studio.media.frames import save_frame

    width, height = save_frame(Path(arguments["path"]), arguments["which"], Path(arguments["out"]))
    return {"path": arguments["out"], "width": width, "height": height}


def posters(arguments: Arguments, run: ToolRun) -> JSON:
    """{path, out: stem} -> {paths}: poster and hover strip, or the waveform of a sound."""
    from studio.media.frames import make_posters

    return {"paths": [str(path) for path in make_posters(Path(arguments["path"]), Path(arguments["out"]))]}


def contact_sheet(arguments: Arguments, run: ToolRun) -> JSON:
    """{title, facts, cells: [{poster: path | null, number, title, facts, note}], out} -> {path, width, height}: a PNG
    of pictures in rows, each over its words."""
    from studio.media.contact_sheet import draw_sheet

    out = Path(arguments["out"])
    width, height = draw_sheet(arguments["title"], arguments["facts"], arguments["cells"], out, run.step)
    return {"path": str(out), "width": width, "height": height}


def cut(arguments: Arguments, run: ToolRun) -> JSON:
    """The film of a queue.

    {frame: {width, height, fps}, loudness?,
     clips: [{path, seconds?, transition?, trim?: [start, end], title?, own_sound?, focus?: [x, y]}],
     lines: [{path, clip, start, duration, character, text}], effects: [{path, clip, at, duration, level}],
     music: {path, level, start, end} | null, title, credits: {text, seconds, below?} | null,
     reframed?, burnt?, captioned?, out, comment, cache, owner?}
    -> {path, frames, duration, encoded, conformed, lufs, true_peak, vtt?, srt?, chapters: [{start, end, title}]}

    `transition` leads into the next clip; `seconds` is the length of a still (of a video the file itself knows); `clip`
    counts the clips; a line whose path is null is heard in its clip's own sound, and read; `lufs` and `true_peak` are
    null for a silent film."""
    from studio.media.cut import cut as make_film

    return make_film(
        _film(arguments),
        Path(arguments["out"]),
        cache=Path(arguments["cache"]),
        comment=arguments.get("comment", {}),
        step=run.step,
        owner=arguments.get("owner", ""),
    )


def stems(arguments: Arguments, run: ToolRun) -> JSON:
    """The sound of the film that `cut` would make, as a zip of WAV: mix, dialogue, effects, music.

    -> {path, duration, stems, lufs, true_peak}"""
    from studio.media.stems import write_stems

    return write_stems(
        _film(arguments),
        Path(arguments["out"]),
        cache=Path(arguments["cache"]),
        step=run.step,
        owner=arguments.get("owner", ""),
    )


def captions(arguments: Arguments, run: ToolRun) -> JSON:
    """The subtitles of the film that `cut` would make: SRT as `out`, VTT beside it. -> {path, srt, vtt, duration}"""
    from studio.media.cut import write_captions
    from studio.media.film import lay

    laid, out = lay(_film(arguments)), Path(arguments["out"])
    run.step(1, 2, "captions")
    return {"path": str(out), **write_captions(out, laid.cues()), "duration": laid.seconds}


def clip(arguments: Arguments, run: ToolRun) -> JSON:
    """{path, out, owner?, format, animated, short_side, fps, loop, start, end, at} -> {path, width, height, frames,
    duration}: a moving or still picture of a clip."""
    from studio.media.clip import Clip, write_clip

    asked = {name: value for name, value in arguments.items() if name not in ("path", "out", "owner")}
    return write_clip(
        Clip(Path(arguments["path"]), **asked), Path(arguments["out"]), step=run.step, owner=arguments.get("owner", "")
    )


def _film(arguments: Arguments) -> "Film":
    """The film that `cut`, `stems` and `captions` were asked for."""
    from studio.media.film import Bed, Film, FilmEffect, FilmLine, Shot

    music = arguments.get("music")
    switches = ("reframed", "burnt", "captioned", "loudness")
    return Film(
        Frame.model_validate(arguments["frame"]),
        [Shot(**_shot(clip)) for clip in arguments["clips"]],
        [FilmLine(**{**line, "path": line["path"] and Path(line["path"])}) for line in arguments.get("lines", ())],
        [FilmEffect(**{**effect, "path": Path(effect["path"])}) for effect in arguments.get("effects", ())],
        Bed(**{**music, "path": Path(music["path"])}) if music else None,
        title=_card(arguments.get("title")),
        credits=_card(arguments.get("credits")),
        **{name: arguments[name] for name in switches if name in arguments},
    )


def _shot(clip: Mapping[str, Any]) -> dict[str, Any]:
    start, end = clip.get("trim", (0.0, 0.0))
    focus = clip.get("focus")
    plain = {name: value for name, value in clip.items() if name not in ("trim", "focus", "path")}
    return plain | {
        "path": Path(clip["path"]), "trim_start": start, "trim_end": end, "focus": tuple(focus) if focus else None,
    }  # fmt: skip


def _card(card: Mapping[str, Any] | None) -> "Card | None":
    from studio.media.film import Card

    return Card(**card) if card else None


def pack(arguments: Arguments, run: ToolRun) -> JSON:
    """A zip of files and the JSON that speaks of them.

    {out, owner, name: of the JSON's member, content: the JSON, folder: of the members,
     files: [{path, suffix, places: [[list, index], …], sha256?}]} -> {bytes, files}

    Every place in `content` gets the file's `sha256`. A file that no longer has its own is refused."""
    from studio.media.archive import pack_described

    size = pack_described(arguments, lambda done, total: run.step(done, total, "pack"))
    return {"path": arguments["out"], "bytes": size, "files": len(arguments["files"])}


def look_into(arguments: Arguments, run: ToolRun) -> JSON:
    """{path, name, most, shape} -> {content, sizes}: one member of a zip as text, the sizes of all others, whose names
    match `shape`. Whatever is wrong with the archive is raised; nothing is written."""
    from studio.media.archive import look

    content, sizes = look(Path(arguments["path"]), arguments["name"], arguments["most"], re.compile(arguments["shape"]))
    return {"content": content.decode("utf-8", "replace"), "sizes": sizes}


def unpack(arguments: Arguments, run: ToolRun) -> JSON:
    """{path, members: [{name, out, sha256}]} -> {}: those members of a zip as files; all of them or none."""
    from studio.media.archive import Member
    from studio.media.archive import unpack as take_out

    members = [Member(row["name"], Path(row["out"]), row["sha256"]) for row in arguments["members"]]
    take_out(Path(arguments["path"]), members, lambda done, total: run.step(done, total, "unpack"))
    return {}


def bring(arguments: Arguments, run: ToolRun) -> JSON:
    """{files: [{path, out}]} -> [{sha256, bytes}]: each file under a second name; all of them or none."""
    from studio.media.archive import bring as second_names

    pairs = [(Path(row["path"]), Path(row["out"])) for row in arguments["files"]]
    found = second_names(pairs, lambda done, total: run.step(done, total, "bring"))
    return [{"sha256": sha256, "bytes": size} for sha256, size in found]


def search(arguments: Arguments, run: ToolRun) -> JSON:
    """{folder, wanted: [media.search.Wanted]} -> {matches: [media.search.Match], seen, complete}: which files below a
    folder are those that are missed. Says how many it has seen; nobody knows how many there are."""
    from studio.media import search as files_of

    folder = Path(arguments["folder"])

    def hash_of(path: str) -> str:
        run.step(len(files), 0, "search")
        try:
            with (folder / path).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return ""

    files: list[files_of.File] = []
    files, complete = files_of.walk(folder, lambda seen: run.step(seen, 0, "search"))
    matches = files_of.match_all([files_of.Wanted(**one) for one in arguments["wanted"]], files, hash_of)
    return {"matches": [match.as_dict() for match in matches], "seen": len(files), "complete": complete}


def portraits(arguments: Arguments, run: ToolRun) -> JSON:
    """{paths, faces: those of which it matters whether there is one clear face} -> {pictures: {path: {group, face,
    thumb}}}: which pictures are the same picture."""
    from studio.media.portraits import look_at

    return {"pictures": look_at(arguments["paths"], set(arguments["faces"]), run.step)}


def portrait(arguments: Arguments, run: ToolRun) -> JSON:
    """{path, which, aspect: width / height} -> {width, height, faces, advice, crop}: what a portrait is good for, as
    pipelines.draft.portrait_look has it."""
    from studio.pipelines.draft.portrait_look import look_at_portrait

    return look_at_portrait(Path(arguments["path"]), arguments["which"], float(arguments["aspect"]))


def crop(arguments: Arguments, run: ToolRun) -> JSON:
    """{path, which, box: [left, top, right, bottom] in shares | null, out} -> {path, width, height}: a picture, or a
    part of it, as PNG, upright, with its alpha."""
    from studio.media.stills import save_still

    width, height = save_still(Path(arguments["path"]), Path(arguments["out"]), arguments["which"], arguments["box"])
    return {"path": arguments["out"], "width": width, "height": height}


def transcribe(arguments: Arguments, run: ToolRun) -> JSON:
    """{path, model, language?} -> {language, text, words: [[start, end, word]], model}: what is said in a recording or
    a film. Progress in tenths of a second."""
    from studio.pipelines.speech.whisper import transcribe as heard

    def step(done: float, total: float) -> None:
        run.step(round(10 * done), round(10 * total), "listen")

    return heard(Path(arguments["path"]), arguments["model"], arguments.get("language"), step)


def download(arguments: Arguments, run: ToolRun) -> JSON:
    """Parts of models from the hub: arguments and result as media.hub.download has them."""
    from studio.media.hub import download as fetched

    logs.hide(filter(None, [arguments.get("token")]))  # it may be newer than this process
    return fetched(arguments, run.step)


def verify(arguments: Arguments, run: ToolRun) -> JSON:
    """Files against their checksums: arguments and result as media.hub.verify has them."""
    from studio.media.hub import verify as checked

    return checked(arguments, run.step)


def measure_machine(arguments: Arguments, run: ToolRun) -> JSON:
    """{device: "cpu" | "cuda:0", folder: of the models, scale?} -> {copy_gb_s, disk_gb_s, tflops}; 0: not to be had."""
    from studio.pipelines.memory.measure import measure

    found = measure(arguments["device"], Path(arguments["folder"]), run.step, float(arguments.get("scale", 1.0)))
    return {**found}


def golden(arguments: Arguments, run: ToolRun) -> JSON:
    """{path, device: "auto" | "cpu" | "cuda:0", dtype: "auto" | "float32" | "bfloat16"} -> {device, dtype, tolerance,
    rows: [{file, output, difference, passed} or {file, output?, error}]}: golden vectors against our networks, as
    pipelines.skyreels_v3.golden has them."""
    from studio.pipelines.skyreels_v3.golden import examine

    return examine(Path(arguments["path"]), arguments["device"], arguments["dtype"], run.step)


def voice_sample(arguments: Arguments, run: ToolRun) -> JSON:
    """{path, name, start, end: seconds | null, denoise, out} -> {profile, checks: [{level, code, params}]}: a part of a
    recording made ready as a voice's sample, as media.voices.prepare does."""
    from studio.media.voices import prepare

    profile, checks = prepare(
        Path(arguments["path"]), Path(arguments["out"]), arguments["start"], arguments["end"], arguments["denoise"],
        name=arguments["name"],
    )  # fmt: skip
    return {"profile": profile, "checks": checks}


def voice_profile(arguments: Arguments, run: ToolRun) -> JSON:
    """{path} -> {profile}: how a voice sounds, in numbers."""
    from studio.media.voices import profile_of

    return {"profile": profile_of(Path(arguments["path"]))}


def voice_match(arguments: Arguments, run: ToolRun) -> JSON:
    """{profile, language} -> {settings}: those of the draft voice that come near to a profile; {} where it has no
    pitch."""
    from studio.pipelines.draft.match import match

    return {"settings": match(arguments["profile"], arguments["language"])}

"""Heavy work that is no scene: one function per tool, plain JSON in and out, run in a worker. Knows files, no scenes.

A tool is `def tool(arguments: dict, run: ToolRun) -> JSON`, and one line in TOOLS. Libraries load inside the
functions: the app reads this table without paying for them.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from studio.domain import JSON, Frame
from studio.errors import Cancelled, NotFound

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
    "cut": "studio.tools:cut",
    "frame": "studio.tools:frame",
    "posters": "studio.tools:posters",
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


def frame(arguments: Arguments, run: ToolRun) -> JSON:
    """{path, which: "first" | "last" | seconds, out} -> {path, width, height}: one frame as PNG."""
    from studio.media.frames import save_frame

    width, height = save_frame(Path(arguments["path"]), arguments["which"], Path(arguments["out"]))
    return {"path": arguments["out"], "width": width, "height": height}


def posters(arguments: Arguments, run: ToolRun) -> JSON:
    """{path, out: stem} -> {paths}: poster and hover strip, or the waveform of a sound."""
    from studio.media.frames import make_posters

    return {"paths": [str(path) for path in make_posters(Path(arguments["path"]), Path(arguments["out"]))]}


def cut(arguments: Arguments, run: ToolRun) -> JSON:
    """The film of a queue.

    {frame: {width, height, fps}, clips: [{path, num_frames, fps, transition, title, own_sound}],
     lines: [{path, clip, start, duration, character, text}], music: {path, level} | null, out, comment, cache,
     owner?}
    -> {path, frames, duration, encoded, conformed, lufs, true_peak, vtt, chapters: [{start, end, title}]}

    `transition` is "cut" or "dissolve" into the next clip; `num_frames` / `fps` is the length of a still (of a video
    the file itself knows); `lufs` and `true_peak` are null for a silent film."""
    from studio.media.cut import Bed, FilmLine, Shot
    from studio.media.cut import cut as make_film

    shots = [
        Shot(
            Path(clip["path"]),
            title=clip.get("title", ""),
            dissolve=clip.get("transition", "cut") == "dissolve",
            seconds=clip["num_frames"] / clip["fps"] if clip.get("num_frames") and clip.get("fps") else None,
            own_sound=clip.get("own_sound", False),
        )
        for clip in arguments["clips"]
    ]
    lines = [
        FilmLine(
            Path(line["path"]), line["clip"], line["start"], line["duration"],
            line.get("text", ""), line.get("character", ""),
        )
        for line in arguments.get("lines", [])
    ]  # fmt: skip
    music = arguments.get("music")
    return make_film(
        Frame.model_validate(arguments["frame"]),
        shots,
        lines,
        Bed(Path(music["path"]), music.get("level", -24.0)) if music else None,
        Path(arguments["out"]),
        cache=Path(arguments["cache"]),
        comment=arguments.get("comment", {}),
        step=run.step,
        owner=arguments.get("owner", ""),
    )

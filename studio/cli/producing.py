"""The verbs of a production, each on its own: check, import, run, enough, status … Only flags are here."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from studio.cli.flags import Flag, Json, Out, verb

if TYPE_CHECKING:
    from studio.cli.speech import Speaker
    from studio.settings import Settings

Source = Annotated[Path, typer.Argument(help="An episode file (JSON, Markdown), a package (.zip) or a folder.")]
Anything = Annotated[Path, typer.Argument(help="The same, or a queue: its code, name or id.")]
Name = Annotated[str, typer.Argument(help="A queue: its code (EP001), its name or its id.")]
Only = Annotated[str, Flag("--only", help="Scenes by number: 1-5,8.")]
Override = Annotated[bool, Flag("--override", help="Run although preflight found errors; those scenes are left out.")]
NoWait = Annotated[bool, Flag("--no-wait", help="Only in a studio that runs: queue the scenes and come back at once.")]
OnlyValid = Annotated[bool, Flag("--only-valid", help="Leave out scenes that are not valid.")]
Installation = Annotated[bool, Flag("--from-skyreels", help="SOURCE is the folder of a SkyReels installation.")]


def add_to(cli: typer.Typer) -> None:
    for function in (check, run, enough, status, retry, cut, export):
        verb(cli)(function)
    verb(cli, "import")(import_)


def check(settings: "Settings", speaker: "Speaker", source: Anything, json: Json = False) -> int:
    """What an episode holds, what is missing, what would be translated, and how long it will take. Changes nothing."""
    from studio.cli.production import check as checked

    return checked(settings, speaker, source, json)


def import_(
    settings: "Settings",
    speaker: "Speaker",
    source: Source,
    name: Annotated[str, Flag("--name", help="Of the new queue; otherwise the episode's title.")] = "",
    only_valid: OnlyValid = False,
    from_skyreels: Installation = False,
    json: Json = False,
) -> int:
    """An episode, a package or a whole SkyReels installation becomes queues. Nothing is rendered."""
    from studio.cli.production import bring_in

    return bring_in(settings, speaker, source, name, only_valid, from_skyreels, json)


def run(
    settings: "Settings",
    speaker: "Speaker",
    queue: Name,
    only: Only = "",
    override: Override = False,
    no_wait: NoWait = False,
    json: Json = False,
) -> int:
    """Render what is not done, or the scenes named, and stay until it is. Ctrl+C stops what it started."""
    from studio.cli.production import run as ran

    return ran(settings, speaker, queue, only, override, no_wait, json)


def enough(settings: "Settings", speaker: "Speaker", queue: Name) -> int:
    """What a studio that runs renders of a queue right now ends with the steps done so far, and is kept."""
    from studio.cli.production import enough as ended

    return ended(settings, speaker, queue)


def status(
    settings: "Settings",
    speaker: "Speaker",
    queue: Annotated[str, typer.Argument(help="A queue; left out: all of them.")] = "",
    json: Json = False,
) -> int:
    """Where the queues stand, or the scenes of one."""
    from studio.cli.production import status as told

    return told(settings, speaker, queue, json)


def retry(settings: "Settings", speaker: "Speaker", queue: Name, no_wait: NoWait = False, json: Json = False) -> int:
    """Render what failed or was cancelled again."""
    from studio.cli.production import retry as retried

    return retried(settings, speaker, queue, no_wait, json)


def cut(
    settings: "Settings",
    speaker: "Speaker",
    queue: Name,
    missing: Annotated[
        Literal["stop", "leave_out", "draft_card"], Flag("--missing", help="What becomes of scenes without a take.")
    ] = "stop",
    aspect: Annotated[
        Literal["own", "16:9", "9:16", "1:1"], Flag("--aspect", help="own: the frame of the queue.")
    ] = "own",
    subtitles: Annotated[Literal["file", "burnt", "none"], Flag("--subtitles")] = "file",
    out: Out = None,
    json: Json = False,
) -> int:
    """Cut the film of a queue."""
    from studio.cli.production import cut as filmed

    return filmed(settings, speaker, queue, {"missing": missing, "aspect": aspect, "subtitles": subtitles}, out, json)


def export(
    settings: "Settings",
    speaker: "Speaker",
    queue: Name,
    kind: Annotated[
        Literal["package", "episode", "stems", "subtitles"],
        Flag("--kind", help="A package that round-trips, the episode file, the sound in stems, or the subtitles."),
    ] = "package",
    takes: Annotated[Literal["all", "selected", "none"], Flag("--takes", help="In a package.")] = "all",
    out: Out = None,
    json: Json = False,
) -> int:
    """Write a queue to a file: what it takes to go on elsewhere."""
    from studio.cli.production import export as exported

    return exported(settings, speaker, queue, kind, takes, out, json)

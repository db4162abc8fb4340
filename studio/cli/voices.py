"""`voices list | add | rm | export | import`: flags, and what they say. The work is a desk's.

Results go to stdout; advice and warnings go to stderr.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studio.cli.flags import Flag, Json, verb
from studio.errors import NotFound, Refused

if TYPE_CHECKING:
    from studio.cli.desk import Desk
    from studio.cli.speech import Speaker
    from studio.settings import Settings

View = dict[str, Any]
Name = Annotated[str, typer.Argument(help="A voice's name, whatever its case, or its id.")]


def add_to(cli: typer.Typer) -> None:
    group = typer.Typer(help="Voices: what there is, making one from a recording, taking one along.")
    cli.add_typer(group, name="voices")
    verb(group, "list")(list_)
    verb(group, "import")(import_)
    for function in (add, rm, export):
        verb(group)(function)


def list_(settings: "Settings", speaker: "Speaker", json: Json = False) -> int:
    """Every voice: language, engine, what it is made from, who speaks with it."""
    from studio.cli.desk import as_json

    with _at(settings) as desk:
        found = desk.voices()
    if json:
        speaker.out.print(as_json(found))
    elif not found:
        speaker.say("cli.voices_none")
    else:
        speaker.table([_row(speaker, one) for one in found])
    return 0


def _row(speaker: "Speaker", one: View) -> tuple[str, ...]:
    users = ", ".join(user["name"] for user in one["used_by"])
    return one["name"], one["language"] or "-", one["engine"], speaker.text(f"cli.voice.{one['kind']}"), users


def add(
    settings: "Settings",
    speaker: "Speaker",
    recording: Annotated[Path, typer.Argument(help="A recording or a video in which one person speaks.")],
    name: Annotated[str, Flag("--name", help="What the voice is called.")],
    consent: Annotated[str, Flag("--consent", help="Who says that the speaker agreed; it is written down.")] = "",
    language: Annotated[str | None, Flag("--language", help="en, pt or zh; otherwise read from each line.")] = None,
    transcript: Annotated[str, Flag("--transcript", help="What is said in it, word for word.")] = "",
    engine: Annotated[str, Flag("--engine", help="The engine that speaks with it.")] = "auto",
    denoise: Annotated[bool, Flag("--denoise", help="Take noise out of the recording.")] = False,
    json: Json = False,
) -> int:
    """A voice from a recording. Tells what is wrong with the recording, and how to do better."""
    from studio.cli.desk import as_json

    if not recording.is_file():
        raise NotFound("input.missing", name=str(recording))
    if not consent.strip():
        raise Refused("voice.consent", name=name)  # before anything is measured
    with _at(settings) as desk:
        looked = desk.look_at_voice(recording, denoise)
        for check in looked["checks"]:
            told = speaker.words.error({"code": check["code"], "params": check["params"]}, speaker.lang)
            speaker.err.print(f"{told['message']} {told['hint']}", style="yellow" if check["level"] != "info" else "")
        values = {
            "name": name, "language": language, "transcript": transcript, "engine": engine,
            "sample": looked["sample"]["sha256"],
        }  # fmt: skip
        made = desk.make_voice(values, consent)
    if json:
        speaker.out.print(as_json(made))
    else:
        profile = made["profile"]
        speaker.say("cli.voice_made", name=made["name"], pitch=round(profile["pitch_hz"]),
                    seconds=round(profile["seconds"], 1))  # fmt: skip
    return 0


def rm(
    settings: "Settings",
    speaker: "Speaker",
    name: Name,
    force: Annotated[bool, Flag("--force", help="Also while characters speak with it.")] = False,
) -> int:
    """Remove a voice. What it has spoken stays."""
    with _at(settings) as desk:
        desk.remove_voice(_named(desk, name)["id"], force)
    return 0


def export(
    settings: "Settings",
    speaker: "Speaker",
    name: Name,
    out: Annotated[Path | None, Flag("--out", help="Where it goes; otherwise NAME.voice.zip here.")] = None,
) -> int:
    """A voice as one file for another studio, with its sample and who agreed."""
    with _at(settings) as desk:
        voice = _named(desk, name)
        speaker.out.print(desk.pack_voice(voice["id"], out or Path(f"{voice['name'].replace('/', '-')}.voice.zip")))
    return 0


def import_(
    settings: "Settings",
    speaker: "Speaker",
    package: Annotated[Path, typer.Argument(help="A .voice.zip of another studio.")],
    json: Json = False,
) -> int:
    """A voice that another studio gave away."""
    from studio.cli.desk import as_json

    if not package.is_file():
        raise NotFound("input.missing", name=str(package))
    with _at(settings) as desk:
        made = desk.unpack_voice(package)
    speaker.out.print(as_json(made) if json else made["name"])
    return 0


@contextmanager
def _at(settings: "Settings") -> "Iterator[Desk]":
    from studio.cli.desk import open_desk

    desk = open_desk(settings)
    try:
        yield desk
    finally:
        desk.close()


def _named(desk: "Desk", name: str) -> View:
    wanted = " ".join(name.split()).casefold()
    for one in desk.voices():
        if name == one["id"] or wanted == " ".join(one["name"].split()).casefold():
            return one
    raise NotFound("voice.unknown", voice=name[:80])

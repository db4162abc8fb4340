"""`models list | get | rm | verify | import`: flags, and what they say. The work is a desk's.

Results go to stdout; progress and warnings go to stderr.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studio.cli.flags import Flag, Json, verb

if TYPE_CHECKING:
    from studio.cli.desk import Desk
    from studio.cli.speech import Speaker
    from studio.settings import Settings

View = dict[str, Any]
MOVING = ("waiting", "running")

Model = Annotated[str, typer.Argument(help="A model's id, as `models list` shows it.")]
Accept = Annotated[bool, Flag("--accept-licence", help="You have read the licence of its weights and accept it.")]


def add_to(cli: typer.Typer) -> None:
    group = typer.Typer(help="Models: what there is, getting, checking, removing and importing them.")
    cli.add_typer(group, name="models")
    verb(group, "list")(list_)
    verb(group, "import")(import_)
    for function in (get, rm, verify):
        verb(group)(function)


def list_(settings: "Settings", speaker: "Speaker", json: Json = False) -> int:
    """Every model with weights: state, size, how it fits this machine, licence."""
    from studio.cli.desk import as_json, open_desk

    desk = open_desk(settings)
    try:
        found = desk.models()
    finally:
        desk.close()
    if json:
        speaker.out.print(as_json(found))
        return 0
    speaker.table([_row(speaker, one) for one in found["models"]])
    speaker.say("cli.models_room", folder=found["folder"], gigabytes=_gb(found["free_bytes"]))
    return 0


def _row(speaker: "Speaker", one: View) -> tuple[str, ...]:
    fit = one["fit"]
    how = "" if fit is None else fit["profile"] if fit["ok"] else speaker.text("cli.model_unfit")
    return one["id"], speaker.text(f"cli.model.{one['state']}"), f"{_gb(one['bytes'])} GB", how, one["licence"]


def get(
    settings: "Settings",
    speaker: "Speaker",
    model: Annotated[list[str] | None, typer.Argument(help="Models, by their ids.")] = None,
    queue: Annotated[str, Flag("--queue", help="All that a queue needs: its code, name or id.")] = "",
    accept_licence: Accept = False,
    run: Annotated[bool, Flag("--run", help="With --queue: run it when the last of them is here.")] = False,
    json: Json = False,
) -> int:
    """Fetch models, and stay until they are here. Ctrl+C stops; what came is kept, and the next time goes on there."""
    from studio.cli.desk import as_json, open_desk

    if not model and not queue:
        raise typer.BadParameter("a model's id, or --queue")
    desk = open_desk(settings)
    try:
        wanted = list(model or ())
        for one in wanted:
            desk.fetch_model(one, accept_licence)
        queue_id = _queue_id(desk, queue)
        if queue_id:
            needs = desk.needs(queue_id)
            wanted += [one["id"] for one in needs["models"]]
            desk.fetch_needs(queue_id, accept_licence, run)
        ended = [_watched(desk, speaker, one) for one in dict.fromkeys(wanted)]
        if json:
            speaker.out.print(as_json(ended))
        failed = sum(_told(speaker, one, quiet=json) for one in ended)
        if run and queue_id and not failed:
            return _rendered(desk, speaker, queue_id)
        return int(failed > 0)
    finally:
        desk.close()


def _queue_id(desk: "Desk", name: str) -> str:
    from studio.cli.production import queue_named

    return str(queue_named(desk, name)["id"]) if name else ""


def _watched(desk: "Desk", speaker: "Speaker", model: str) -> View:
    """Shows how far it is until it ends."""
    from studio.cli.verbs import LOOK_SECONDS

    try:
        with speaker.err.status(speaker.text("cli.model_waits", model=model)) as status:
            while (found := desk.model(model))["download"] and found["download"]["state"] in MOVING:
                status.update(_how_far(speaker, model, found["download"]))
                time.sleep(LOOK_SECONDS)
            return found
    except KeyboardInterrupt:
        desk.cancel_model(model)
        raise


def _how_far(speaker: "Speaker", model: str, download: View) -> str:
    pace, eta = download["bytes_per_second"], download["eta"]
    said = speaker.text("cli.model_moves", model=model, done=_gb(download["done"]), total=_gb(download["total"]))
    if pace:
        said += f" · {pace / 1e6:.1f} MB/s"
    return said + (f" · {round(eta / 60)} min" if eta and eta > 90 else "")


def _told(speaker: "Speaker", one: View, *, quiet: bool) -> int:
    """1 where it did not come."""
    if all(part["state"] == "here" for part in one["parts"]):
        if not quiet:
            speaker.say("cli.model_here", model=one["id"])
        return 0
    error = (one["download"] or {}).get("error")
    told = speaker.words.error(error, speaker.lang) if error else {"message": "", "hint": ""}
    speaker.warn("cli.model_failed", model=one["id"], why=told["message"])
    if told["hint"]:
        speaker.err.print("  " + told["hint"])
    return 1


def _rendered(desk: "Desk", speaker: "Speaker", queue_id: str) -> int:
    from studio.cli.verbs import tell_failures, watched

    return int(tell_failures(speaker, watched(desk, speaker, queue_id, None, lambda: desk.stop(queue_id))) > 0)


def rm(settings: "Settings", speaker: "Speaker", model: Model, json: Json = False) -> int:
    """Take a model off the disk. What another model reads stays; imported folders are only forgotten."""
    from studio.cli.desk import as_json, open_desk

    desk = open_desk(settings)
    try:
        told = desk.remove_model(model)
    finally:
        desk.close()
    if json:
        speaker.out.print(as_json(told))
        return 0
    speaker.say("cli.model_removed", model=model, gigabytes=_gb(told["bytes"]))
    for row in told["kept"]:
        speaker.say("cli.model_kept", part=row["name"], models=", ".join(row["models"]))
    for folder in told["forgotten"]:
        speaker.say("cli.model_forgotten", folder=folder)
    return 0


def verify(settings: "Settings", speaker: "Speaker", model: Model, json: Json = False) -> int:
    """Read every file of a model again. 1 when one is not as it was published."""
    from studio.cli.desk import as_json, open_desk
    from studio.cli.verbs import LOOK_SECONDS

    desk = open_desk(settings)
    try:
        found = desk.check_model(model)
        with speaker.err.status(speaker.text("cli.model_checking", model=model)):
            while (found := desk.model(model))["check"]["state"] in MOVING:
                time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        desk.cancel_model(model)
        raise
    finally:
        desk.close()
    check = found["check"]
    if json:
        speaker.out.print(as_json(check))
    elif check["state"] == "done":
        speaker.say(
            "cli.model_checked", model=model, files=check["files"], bad=len(check["bad"]), unknown=check["unknown"]
        )
        _tell_bad(speaker, check["bad"])
    else:
        speaker.err.print(speaker.words.error(check["error"], speaker.lang)["message"] if check["error"] else "")
    return int(check["state"] != "done" or bool(check["bad"]))


def _tell_bad(speaker: "Speaker", names: Sequence[str]) -> None:
    for name in names:
        speaker.out.print("  " + name)
    if names:
        speaker.say("cli.model_again")


def import_(
    settings: "Settings",
    speaker: "Speaker",
    folder: Annotated[Path, typer.Argument(help="A model's folder, a hub's cache, or the models of another app.")],
    model: Annotated[str, Flag("--model", help="Whose parts these are, where the folder does not say.")] = "",
    json: Json = False,
) -> int:
    """Use models where they are. Nothing is copied."""
    from studio.cli.desk import as_json, open_desk

    desk = open_desk(settings)
    try:
        told = desk.bring_models(folder.absolute(), model)
    finally:
        desk.close()
    if json:
        speaker.out.print(as_json(told))
    else:
        for one in told["models"]:
            speaker.say("cli.model_found", model=one["id"], state=speaker.text(f"cli.model.{one['state']}"))
        if told["checkpoints"] or told["loras"]:
            speaker.say("cli.loose_found", checkpoints=told["checkpoints"], loras=told["loras"])
        for row in told["refused"]:
            said = speaker.words.error(row["error"], speaker.lang)
            speaker.err.print(f"{row['name']}: {said['message']} {said['hint']}", style="yellow")
    return int(not told["models"] and not told["checkpoints"] and not told["loras"])


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f}"

"""The command line: every verb, its flags and its exit code (0 done, 1 failed, 130 stopped). Knows no queue.

The app is imported inside the functions: a worker that is spawned from here must not pay for it, and `--help` is quick.
`install` and `test` are verbs of launch.py, which runs before there is anything to import.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studio import __version__

if TYPE_CHECKING:
    from studio.cli.speech import Speaker
    from studio.settings import Settings

EPILOG = "Set up with `launch.py install`, test with `launch.py test`. docs/settings.md lists every setting."

cli = typer.Typer(
    help="Lanterna: a film studio on your own machine. Without a verb the studio opens in the browser.",
    epilog=EPILOG, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
bench = typer.Typer(help="Measure how fast something is on this machine.")
cli.add_typer(bench, name="bench")

Flag = typer.Option
OutputDir = Annotated[Path | None, Flag("--output-dir", help="Where takes and films go.")]
DataDir = Annotated[Path | None, Flag("--data-dir", help="Database, logs, cache, models and settings.")]
MediaRoots = Annotated[list[Path] | None, Flag("--media-root", help="A folder scenes may read from; may be repeated.")]
Lang = Annotated[str | None, Flag("--lang", help="en, pt or zh.")]
Engine = Annotated[str, Flag("--engine", help="An engine's id for every scene; auto: as the scenes say.")]
Out = Annotated[Path | None, Flag("--out", help="Where the result goes; otherwise into the output folder.")]


def main(arguments: list[str]) -> int:
    """Run one command. Returns the exit code."""
    try:
        cli(_with_address(arguments), prog_name="launch.py")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _with_address(arguments: list[str]) -> list[str]:
    """`--listen` may stand alone; then it means every address of this computer."""
    found: list[str] = []
    for index, argument in enumerate(arguments):
        found.append(argument)
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        if argument == "--listen" and not (set(following) & set(".:") or following == "localhost"):
            found.append("0.0.0.0")
    return found


def _flags(context: typer.Context, **given: Any) -> dict[str, Any]:
    """What was given before the verb and after it, paths as seen from the terminal's folder."""
    flags = {**(context.obj or {}), **{name: value for name, value in given.items() if value not in (None, [])}}
    for name in ("output_dir", "data_dir"):
        if name in flags:
            flags[name] = Path(flags[name]).absolute()
    if "media_roots" in flags:
        flags["media_roots"] = [Path(path).absolute() for path in flags["media_roots"]]
    return flags


@contextmanager
def _speaking(flags: dict[str, Any]) -> Iterator[tuple["Settings", "Speaker"]]:
    """Settings from the flags, and errors in the user's language with exit code 1; 130 when stopped by Ctrl+C."""
    from studio.cli.speech import Speaker
    from studio.errors import StudioError
    from studio.settings import Settings

    speaker = Speaker(flags.get("lang", "auto"))
    try:
        settings = Settings(**flags)
        speaker = Speaker(settings.lang)
        yield settings, speaker
    except StudioError as error:
        speaker.error(error)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        speaker.warn("cli.stopped")
        raise typer.Exit(130) from None


@cli.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    listen: Annotated[
        str | None, Flag("--listen", help="Address to listen on; alone: all of them. Needs --auth.")
    ] = None,
    port: Annotated[int | None, Flag("--port", min=1, max=65535)] = None,
    share: Annotated[bool | None, Flag("--share", help="A public link through Gradio's tunnel. Needs --auth.")] = None,
    auth: Annotated[str | None, Flag("--auth", help="user:password that opens the studio.")] = None,
    no_browser: Annotated[bool, Flag("--no-browser", help="Do not open the page.")] = False,
    output_dir: OutputDir = None,
    data_dir: DataDir = None,
    media_root: MediaRoots = None,
    lang: Lang = None,
    print_config: Annotated[bool, Flag("--print-config", help="Print every setting and where it came from.")] = False,
    reload: Annotated[bool, Flag("--reload", help="For developers: start again when a source file changes.")] = False,
    version: Annotated[bool, Flag("--version", help="Print the version.")] = False,
) -> None:
    """Lanterna: a film studio on your own machine. Without a verb the studio opens in the browser."""
    if version:
        typer.echo(f"Lanterna {__version__}")
        return
    context.obj = _flags(
        context, host=listen, port=port, share=share, auth=auth, output_dir=output_dir, data_dir=data_dir,
        media_roots=media_root, lang=lang, open_browser=False if no_browser else None,
    )  # fmt: skip
    if context.invoked_subcommand and not print_config:
        return
    if reload:
        from studio.cli.reload import run_again_on_change

        raise typer.Exit(run_again_on_change([argument for argument in sys.argv[1:] if argument != "--reload"]))
    with _speaking(context.obj) as (settings, speaker):
        if print_config:
            speaker.table(settings.described())
            raise typer.Exit
        from studio.app import serve

        serve(settings, lambda url: speaker.say("cli.open", url=url))
        speaker.say("cli.closed")


@cli.command()
def demo(
    context: typer.Context,
    output_dir: OutputDir = None,
    data_dir: DataDir = None,
    media_root: MediaRoots = None,
    lang: Lang = None,
    out: Out = None,
) -> None:
    """Render the bundled sample episode with the draft engine and cut its film."""
    from studio.cli.verbs import render

    flags = _flags(context, output_dir=output_dir, data_dir=data_dir, media_roots=media_root, lang=lang)
    with _speaking(flags) as (settings, speaker):
        code = render(settings, speaker, episode=None, out=out)
        if code == 0:
            speaker.say("cli.demo_next")
    raise typer.Exit(code)


@cli.command()
def render(
    context: typer.Context,
    episode: Annotated[Path, typer.Argument(help="An episode file (JSON).")],
    engine: Engine = "auto",
    out: Out = None,
    missing: Annotated[str, Flag("--missing", help="Scenes without a take: leave_out, draft_card or stop.")] = "stop",
    only_valid: Annotated[bool, Flag("--only-valid", help="Leave out scenes that are not valid.")] = False,
    output_dir: OutputDir = None,
    data_dir: DataDir = None,
    media_root: MediaRoots = None,
    lang: Lang = None,
) -> None:
    """An episode becomes a film: import, run, cut. No server needed; a studio that runs is used."""
    from studio.cli.verbs import render as rendered

    if missing not in ("leave_out", "draft_card", "stop"):
        raise typer.BadParameter("leave_out, draft_card or stop", param_hint="--missing")
    flags = _flags(context, output_dir=output_dir, data_dir=data_dir, media_roots=media_root, lang=lang)
    with _speaking(flags) as (settings, speaker):
        code = rendered(settings, speaker, episode, engine=engine, out=out, missing=missing, only_valid=only_valid)
    raise typer.Exit(code)


@cli.command()
def generate(
    context: typer.Context,
    task_type: Annotated[str, Flag("--task_type", "--task-type", help="What to make, e.g. text_to_video.")],
    prompt: Annotated[str, Flag("--prompt")] = "",
    negative_prompt: Annotated[str | None, Flag("--negative_prompt", "--negative-prompt")] = None,
    ref_imgs: Annotated[str | None, Flag("--ref_imgs", "--ref-imgs", help="1 to 4 pictures: a.png,b.png")] = None,
    input_image: Annotated[str | None, Flag("--input_image", "--input-image")] = None,
    end_image: Annotated[str | None, Flag("--end_image", "--end-image")] = None,
    input_audio: Annotated[str | None, Flag("--input_audio", "--input-audio")] = None,
    input_video: Annotated[str | None, Flag("--input_video", "--input-video")] = None,
    text: Annotated[str | None, Flag("--text", help="A line to speak (speech, talking_avatar).")] = None,
    voice: Annotated[str | None, Flag("--voice", help="The voice of --text.")] = None,
    resolution: Annotated[str | None, Flag("--resolution", help="480P, 540P or 720P.")] = None,
    aspect: Annotated[str | None, Flag("--aspect", help="16:9, 9:16, 1:1, 4:3 or 3:4.")] = None,
    duration: Annotated[float | None, Flag("--duration", help="Seconds.")] = None,
    seed: Annotated[int | None, Flag("--seed")] = None,
    engine: Engine = "auto",
    model_id: Annotated[str | None, Flag("--model_id", "--model-id", help="As SkyReels has it.")] = None,
    offload: Annotated[bool, Flag("--offload", help="As SkyReels has it.")] = False,
    low_vram: Annotated[bool, Flag("--low_vram", "--low-vram", help="As SkyReels has it.")] = False,
    use_usp: Annotated[bool, Flag("--use_usp", "--use-usp", help="As SkyReels has it.")] = False,
    out: Out = None,
    output_dir: OutputDir = None,
    data_dir: DataDir = None,
    media_root: MediaRoots = None,
    lang: Lang = None,
) -> None:
    """Make one shot, picture or line of speech."""
    from studio.cli.verbs import generate as generated

    given = {
        "task_type": task_type, "prompt": prompt, "negative_prompt": negative_prompt, "input_image": input_image,
        "end_image": end_image, "input_audio": input_audio, "input_video": input_video, "resolution": resolution,
        "aspect": aspect, "duration": duration, "seed": seed, "engine": engine,
        "ref_imgs": [name.strip() for name in ref_imgs.split(",") if name.strip()] if ref_imgs else None,
        "lines": [{"text": text, "voice": voice or ""}] if text else None,
    }  # fmt: skip
    scene = {name: value for name, value in given.items() if value is not None}
    asked = {"--model_id": model_id, "--offload": offload, "--low_vram": low_vram, "--use_usp": use_usp}
    flags = _flags(context, output_dir=output_dir, data_dir=data_dir, media_roots=media_root, lang=lang)
    with _speaking(flags) as (settings, speaker):
        code = generated(settings, speaker, scene, [name for name, value in asked.items() if value], out=out)
    raise typer.Exit(code)


@cli.command()
def doctor(
    context: typer.Context,
    output_dir: OutputDir = None,
    data_dir: DataDir = None,
    media_root: MediaRoots = None,
    lang: Lang = None,
) -> None:
    """Look at this computer and say what is missing, with the cure."""
    from studio.cli.doctor import examine

    flags = _flags(context, output_dir=output_dir, data_dir=data_dir, media_roots=media_root, lang=lang)
    with _speaking(flags) as (settings, speaker):
        code = examine(settings, speaker)
    raise typer.Exit(code)


@bench.command("draft")
def bench_draft(
    context: typer.Context,
    output_dir: OutputDir = None,
    data_dir: DataDir = None,
    media_root: MediaRoots = None,
    lang: Lang = None,
) -> None:
    """Frames per second of processor time of the draft engine, for every task at 720P."""
    from studio.cli.verbs import bench_draft as measured

    flags = _flags(context, output_dir=output_dir, data_dir=data_dir, media_roots=media_root, lang=lang)
    with _speaking(flags) as (settings, speaker):
        measured(settings, speaker)

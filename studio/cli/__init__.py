"""The command line: its exit codes (0 done, 1 failed, 130 stopped) and what happens without a verb. Knows no queue.

The app is imported inside the functions: a worker that is spawned from here must not pay for it, and `--help` is quick.
`install` and `test` are verbs of launch.py, which runs before there is anything to import.
"""

import sys
from typing import Annotated

import typer

from studio import __version__
from studio.cli import making, models, producing, voices
from studio.cli.beside import open_studio
from studio.cli.flags import DataDir, Flag, Lang, MediaRoots, OutputDir, flags, speaking

EPILOG = "Set up with `launch.py install`, test with `launch.py test`. docs/settings.md lists every setting."

cli = typer.Typer(
    help="Lanterna: a film studio on your own machine. Without a verb the studio opens in the browser.",
    epilog=EPILOG, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
making.add_to(cli)
producing.add_to(cli)
models.add_to(cli)
voices.add_to(cli)


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


@cli.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    listen: Annotated[
        str | None, Flag("--listen", help="Address to listen on; alone: all of them. Needs --auth.")
    ] = None,
    port: Annotated[int | None, Flag("--port", min=1, max=65535)] = None,
    share: Annotated[bool | None, Flag("--share", help="A public link through Gradio's tunnel. Needs --auth.")] = None,
    auth: Annotated[str | None, Flag("--auth", help="user:password that opens the studio.")] = None,
    allowed_host: Annotated[
        list[str] | None, Flag("--allowed-host", help="A name your own proxy has the studio under; may be repeated.")
    ] = None,
    root_path: Annotated[
        str | None, Flag("--root-path", help="The path below which your own proxy shows the studio.")
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None, Flag("--trusted-proxy", help="The address of your own proxy; may be repeated.")
    ] = None,
    no_browser: Annotated[bool, Flag("--no-browser", help="Do not open the page.")] = False,
    window: Annotated[bool, Flag("--window", help="Show the page in a window of its own.")] = False,
    or_show: Annotated[bool, Flag("--or-show", help="Show the studio that is open already, where one is.")] = False,
    output_dir: OutputDir = None,
    data_dir: DataDir = None,
    media_root: MediaRoots = None,
    lang: Lang = None,
    offline: Annotated[bool, Flag("--offline", help="Fetch no model from the internet.")] = False,
    print_config: Annotated[bool, Flag("--print-config", help="Print every setting and where it came from.")] = False,
    reload: Annotated[bool, Flag("--reload", help="For developers: start again when a source file changes.")] = False,
    version: Annotated[bool, Flag("--version", help="Print the version.")] = False,
) -> None:
    """Lanterna: a film studio on your own machine. Without a verb the studio opens in the browser."""
    if version:
        typer.echo(f"Lanterna {__version__}")
        return
    context.obj = flags(
        context, host=listen, port=port, share=share, auth=auth, allowed_hosts=allowed_host, root_path=root_path,
        trusted_proxies=trusted_proxy, output_dir=output_dir, data_dir=data_dir,
        media_roots=media_root, lang=lang, open_browser=False if no_browser else None, window=True if window else None,
        offline=True if offline else None,
    )  # fmt: skip
    if context.invoked_subcommand and not print_config:
        return
    if reload:
        from studio.cli.reload import run_again_on_change

        raise typer.Exit(run_again_on_change([argument for argument in sys.argv[1:] if argument != "--reload"]))
    with speaking(context.obj) as (settings, speaker):
        if print_config:
            speaker.table(settings.described())
            raise typer.Exit
        from studio.app import serve, show

        if or_show and (url := open_studio(settings)):
            speaker.say("cli.shown", url=url)
            show(settings, url)
            raise typer.Exit
        serve(settings, lambda url: speaker.say("cli.open", url=url))
        speaker.say("cli.closed")

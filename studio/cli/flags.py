"""What all verbs share: the flags for folders and language, how a verb begins and ends, and its exit code."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from studio.cli.speech import Speaker
    from studio.settings import Settings

Flag = typer.Option
OutputDir = Annotated[Path | None, Flag("--output-dir", help="Where takes and films go.")]
DataDir = Annotated[Path | None, Flag("--data-dir", help="Database, logs, cache, models and settings.")]
MediaRoots = Annotated[list[Path] | None, Flag("--media-root", help="A folder scenes may read from; may be repeated.")]
Lang = Annotated[str | None, Flag("--lang", help="en, pt or zh.")]
Engine = Annotated[str, Flag("--engine", help="An engine's id for every scene; auto: as the scenes say.")]
Out = Annotated[Path | None, Flag("--out", help="Where the result goes; otherwise into the output folder.")]
Json = Annotated[bool, Flag("--json", help="The result as one JSON document on stdout.")]

EVERYWHERE = {"output_dir": OutputDir, "data_dir": DataDir, "media_root": MediaRoots, "lang": Lang}


def verb(app: typer.Typer, name: str | None = None) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Registers `def verb(settings, speaker, *its own flags) -> exit code` with the flags that every verb takes."""

    def register(function: Callable[..., int]) -> Callable[..., int]:
        own = list(inspect.signature(function).parameters.values())[2:]
        shared = [
            inspect.Parameter(each, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for each, kind in EVERYWHERE.items()
        ]
        context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)

        @wraps(function)
        def run(context: typer.Context, **given: Any) -> None:
            everywhere = {each: given.pop(each) for each in EVERYWHERE}
            everywhere["media_roots"] = everywhere.pop("media_root")
            with speaking(flags(context, **everywhere)) as (settings, speaker):
                code = function(settings, speaker, **given)
            raise typer.Exit(code)

        by_name = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
        run.__signature__ = inspect.Signature([context, *by_name, *shared])  # type: ignore[attr-defined]
        del run.__annotations__  # typer would read those of `function`
        app.command(name)(run)
        return function

    return register


def flags(context: typer.Context, **given: Any) -> dict[str, Any]:
    """What was given before the verb and after it, paths as seen from the terminal's folder."""
    found = {**(context.obj or {}), **{name: value for name, value in given.items() if value not in (None, [])}}
    for name in ("output_dir", "data_dir"):
        if name in found:
            found[name] = Path(found[name]).absolute()
    if "media_roots" in found:
        found["media_roots"] = [Path(path).absolute() for path in found["media_roots"]]
    return found


@contextmanager
def speaking(found: dict[str, Any]) -> Iterator[tuple["Settings", "Speaker"]]:
    """Settings from the flags, and errors in the user's language with exit code 1; 130 when stopped by Ctrl+C."""
    from studio.cli.speech import Speaker
    from studio.errors import StudioError
    from studio.settings import Settings

    speaker = Speaker(found.get("lang", "auto"))
    try:
        settings = Settings(**found)
        speaker = Speaker(settings.lang)
        yield settings, speaker
    except StudioError as error:
        speaker.error(error)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        speaker.warn("cli.stopped")
        raise typer.Exit(130) from None

"""The verbs that make something at once: demo, render, generate; and doctor and bench. Only their flags are here."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studio.cli.flags import Engine, Flag, Json, Out, verb

if TYPE_CHECKING:
    from studio.cli.speech import Speaker
    from studio.settings import Settings


def add_to(cli: typer.Typer) -> None:
    bench = typer.Typer(help="Measure how fast something is on this machine.")
    cli.add_typer(bench, name="bench")
    for function in (demo, render, generate, doctor):
        verb(cli)(function)
    verb(bench, "draft")(bench_draft)
    verb(bench, "memory")(bench_memory)


def demo(settings: "Settings", speaker: "Speaker", out: Out = None) -> int:
    """Render the bundled sample episode with the draft engine and cut its film."""
    from studio.cli.verbs import render as rendered

    code = rendered(settings, speaker, episode=None, out=out)
    if code == 0:
        speaker.say("cli.demo_next")
    return code


def render(
    settings: "Settings",
    speaker: "Speaker",
    episode: Annotated[Path, typer.Argument(help="An episode file (JSON).")],
    engine: Engine = "auto",
    out: Out = None,
    missing: Annotated[str, Flag("--missing", help="Scenes without a take: leave_out, draft_card or stop.")] = "stop",
    only_valid: Annotated[bool, Flag("--only-valid", help="Leave out scenes that are not valid.")] = False,
) -> int:
    """An episode becomes a film: import, run, cut. No server needed; a studio that runs is used."""
    from studio.cli.verbs import render as rendered

    if missing not in ("leave_out", "draft_card", "stop"):
        raise typer.BadParameter("leave_out, draft_card or stop", param_hint="--missing")
    return rendered(settings, speaker, episode, engine=engine, out=out, missing=missing, only_valid=only_valid)


def generate(
    settings: "Settings",
    speaker: "Speaker",
    task_type: Annotated[str, Flag("--task_type", "--task-type", help="What to make, e.g. text_to_video.")],
    prompt: Annotated[str, Flag("--prompt")] = "",
    negative_prompt: Annotated[str | None, Flag("--negative_prompt", "--negative-prompt")] = None,
    ref_imgs: Annotated[str | None, Flag("--ref_imgs", "--ref-imgs", help="1 to 4 pictures: a.png,b.png")] = None,
    input_image: Annotated[str | None, Flag("--input_image", "--input-image")] = None,
    end_image: Annotated[str | None, Flag("--end_image", "--end-image")] = None,
    input_audio: Annotated[str | None, Flag("--input_audio", "--input-audio")] = None,
    input_audio_2: Annotated[
        str | None, Flag("--input_audio_2", "--input-audio-2", help="What the second person says (talking_avatar).")
    ] = None,
    audio_order: Annotated[str | None, Flag("--audio_order", "--audio-order", help="together or in_turn.")] = None,
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
) -> int:
    """Make one shot, picture or line of speech."""
    from studio.cli.verbs import generate as generated

    given = {
        "task_type": task_type, "prompt": prompt, "negative_prompt": negative_prompt, "input_image": input_image,
        "end_image": end_image, "input_audio": input_audio, "input_video": input_video, "resolution": resolution,
        "aspect": aspect, "duration": duration, "seed": seed, "engine": engine, "input_audio_2": input_audio_2,
        "audio_order": audio_order,
        "ref_imgs": [name.strip() for name in ref_imgs.split(",") if name.strip()] if ref_imgs else None,
        "lines": [{"text": text, "voice": voice or ""}] if text else None,
    }  # fmt: skip
    scene = {name: value for name, value in given.items() if value is not None}
    asked = {"--model_id": model_id, "--offload": offload, "--low_vram": low_vram, "--use_usp": use_usp}
    return generated(settings, speaker, scene, [name for name, value in asked.items() if value], out=out)


def doctor(
    settings: "Settings",
    speaker: "Speaker",
    golden: Annotated[
        Path | None,
        Flag("--golden", help="A file of golden vectors or a folder of them: do our networks give the same here?"),
    ] = None,
    device: Annotated[str, Flag("--device", help="With --golden: auto (the first GPU), cpu or cuda:0 …")] = "auto",
    dtype: Annotated[str, Flag("--dtype", help="With --golden: auto, float32 or bfloat16.")] = "auto",
    json: Json = False,
) -> int:
    """Look at this computer and say what is missing, with the cure. With --golden: compute, and compare."""
    if golden is not None:
        from studio.cli.golden import compare

        if dtype not in ("auto", "float32", "bfloat16"):
            raise typer.BadParameter("auto, float32 or bfloat16", param_hint="--dtype")
        return compare(settings, speaker, golden.absolute(), device, dtype)
    from studio.cli.doctor import examine

    return examine(settings, speaker, json)


def bench_draft(settings: "Settings", speaker: "Speaker") -> int:
    """Frames per second of processor time of the draft engine, for every task at 720P."""
    from studio.cli.verbs import bench_draft as measured

    measured(settings, speaker)
    return 0


def bench_memory(
    settings: "Settings",
    speaker: "Speaker",
    tiny: Annotated[
        bool, Flag("--tiny", help="A network of a few blocks on the CPU, in a minute: does all of it work?")
    ] = False,
    shape: Annotated[
        list[str] | None, Flag("--shape", help="480P/17 …; may be repeated. Otherwise all of 480P.")
    ] = None,
    method: Annotated[
        list[str] | None, Flag("--method", help="resident, group …; may be repeated. Otherwise all.")
    ] = None,
    cap: Annotated[
        float, Flag("--cap", min=0, help="GB of device memory that all but resident may take. 0: all.")
    ] = 0.0,
    rounds: Annotated[int, Flag("--rounds", min=1, max=9, help="How often, each time in the opposite order.")] = 2,
    minutes: Annotated[float, Flag("--minutes", min=0, help="Nothing goes on for longer.")] = 60.0,
    out: Annotated[Path | None, Flag("--out", help="A folder for memory.json and memory.md.")] = None,
) -> int:
    """Ways of getting a 14B model into a card, side by side: diffusers' own, ours, and others that are installed."""
    from studio.bench.memory import wanted
    from studio.cli.verbs import bench_memory as measured

    asked = wanted(
        methods=method or (), shapes=shape or (), tiny=tiny, cap_gb=cap, rounds=rounds, minutes=minutes
    )  # fmt: skip
    measured(settings, speaker, asked, out)
    return 0

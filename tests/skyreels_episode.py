"""A whole SkyReels episode as people really make them: 59 scenes in ten beats, with its media, made in a second.

Each beat opens on a wide shot (reference_to_video), gives every line a close-up (talking_avatar) and closes on a wide
shot: 21 and 38 in all. Names have spaces, commas, accents and Chinese, as real ones do.
"""

import json
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from drawing import draw

RATE = 16_000
PORTRAITS = {  # who -> picture
    "Inês": "uploads/vale/ep01/Inês, retrato.png",
    "Tomás": "uploads/vale/ep01/Tomás (avô).png",
    "Luísa": "uploads/vale/ep01/luísa.png",
    "小林": "uploads/vale/ep01/小林.png",
}
SETS = [f"uploads/vale/ep01/Imagem 25 de fev. de 2026, 00_51_{number:02d}.png" for number in range(49, 59)]
LINES = (4, 4, 4, 4, 4, 3, 4, 4, 3, 4)  # close-ups of each beat
SILENT = 6  # the beat with a third wide shot, in which nobody speaks
GOES_ON = {(3, 4), (7, 4)}  # (beat, line): the same face goes on where the scene before ended
SAYINGS = ("Foi mal.", "Tudo bem… eu que estava parada no meio.", "Olha só — ela voltou!", "Depois você me devolve.")


def scenes() -> list[dict[str, Any]]:
    """The jobs, as their import takes them."""
    return list(_scenes())


def _scenes() -> Iterator[dict[str, Any]]:
    cast = list(PORTRAITS)
    for beat, lines in enumerate(LINES, start=1):
        seed = 1001 + 10 * (beat - 1)
        people = [cast[(beat + offset) % 4] for offset in range(1 + beat % 3)]
        yield _wide(f"C{beat:02d}-A · Sala — abertura", seed, beat, people)
        if beat == SILENT:
            seed += 1
            yield _wide(f"C{beat:02d}-B · {people[0]} — segurando o riso", seed, beat, people[:1])
        for line in range(1, lines + 1):
            yield _close_up(beat, line, seed + line, cast[(beat + line) % 4])
        yield _wide(f"C{beat:02d}-F · Sala — saída, olhar que fica", seed + lines + 1, beat, people)


def _wide(label: str, seed: int, beat: int, people: list[str]) -> dict[str, Any]:
    return {
        "label": label, "task_type": "reference_to_video", "resolution": "540P", "duration": 4 if beat % 2 else 3,
        "prompt": f"A bright classroom in the valley, beat {beat}. Wide establishing shot, warm light.", "seed": seed,
        "offload": True, "low_vram": False, "ref_imgs": [SETS[beat - 1], *(PORTRAITS[name] for name in people)],
    }  # fmt: skip


def _close_up(beat: int, line: int, seed: int, who: str) -> dict[str, Any]:
    return {
        "label": f"C{beat:02d}-{'BCDE'[line - 1]} · {who} — '{SAYINGS[(beat + line) % 4]}'",
        "task_type": "talking_avatar", "prompt": "Close-up, direct gaze, soft classroom background.",
        "resolution": "540P" if beat == 10 else "480P", "seed": seed, "low_vram": True,
        "input_image": "{{prev}}" if (beat, line) in GOES_ON else PORTRAITS[who], "input_audio": recording(beat, line),
    }  # fmt: skip


def recording(beat: int, line: int) -> str:
    who = list(PORTRAITS)[(beat + line) % 4].lower()
    return f"uploads/audio/c{beat:02d}_{who}_{line:02d}.{'wav' if line % 2 else 'mp3'}"


def media() -> list[str]:
    """Every file that the episode names: 4 portraits, 10 sets, 38 recordings."""
    recordings = [recording(beat, line) for beat, lines in enumerate(LINES, 1) for line in range(1, lines + 1)]
    return [*PORTRAITS.values(), *SETS, *recordings]


def write(folder: Path, *, without: tuple[str, ...] = ()) -> Path:
    """The episode and its media below `folder`, but for the files of `without`; the path of its JSON."""
    for number, name in enumerate(media()):
        if name in without:
            continue
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            draw(path, (48 + number, 32))
        else:
            _sound(path, 0.5 + 0.01 * number)
    file = folder / "ep01_primeiro_dia.json"
    file.write_text(json.dumps(scenes(), ensure_ascii=False, indent=2), "utf-8")
    return file


def markdown() -> str:
    """The same as their Markdown."""
    blocks = ["# O primeiro dia", ""]
    for scene in scenes():
        blocks.append(f"## {scene['label']}")
        for name, value in scene.items():
            text = ", ".join(value) if isinstance(value, list) else str(value).lower() if value is True else str(value)
            blocks += [f"- {name}: {text}"] if name != "label" else []
        blocks.append("")
    return "\n".join(blocks)


def _sound(path: Path, seconds: float) -> None:
    """A tone, whose pitch tells the file from all others."""
    t = np.arange(round(seconds * RATE)) / RATE
    samples = (9000 * np.sin(2 * np.pi * (200 + 400 * seconds) * t)).astype(np.int16)
    if path.suffix == ".wav":
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(samples.tobytes())
        return
    import av

    with av.open(str(path), "w", format="mp3") as file:
        stream = file.add_stream("libmp3lame", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = RATE
        for part in (frame, None):
            file.mux(stream.encode(part))

"""Golden vectors: what the published networks of SkyReels-V3 gave, against what ours give here. For workers only.

A file holds a network's configuration, its weights, inputs and outputs, of any size; which kind of network it is, its
inputs tell. Users run it to trust a new GPU or driver (`launch.py doctor --golden`). Knows no engine and no plan.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import WanTransformer3DModel
from safetensors import safe_open

from studio.errors import Refused, StudioError
from studio.pipelines.diffusion.checkpoints import header
from studio.pipelines.skyreels_v3.audio_wan import WanAudioTransformer3DModel
from studio.pipelines.skyreels_v3.frame_wan import FrameWanTransformer3DModel
from studio.pipelines.skyreels_v3.names import check, config_of, converted, kind_of

TOLERANCE = {"float32": 1e-4, "bfloat16": 3e-2}  # largest absolute difference
CONTEXT_INDEX = 1024  # place in time of the first frame that a shot is switched from
SPEAKERS = re.compile(r"(\d+)_speakers?$")  # in an output's name: how many of the file's speakers are heard

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Vectors:
    """One file. All tensors in float32, as they were when the outputs were made."""

    file: str
    config: Mapping[str, Any]
    weights: Tensors
    inputs: Tensors
    outputs: Tensors


def examine(
    path: Path, device: str = "auto", dtype: str = "auto", step: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, Any]:
    """{device, dtype, tolerance, rows: one for each output {file, output, difference, passed}, or for a file that
    cannot be used {file, error}}. `path`: a file or a folder of them.

    Raises Refused: "golden.no_file", "golden.empty", "golden.no_device"."""
    files = _files(path)
    device, dtype = _where(device, dtype)
    rows: list[dict[str, Any]] = []
    for number, file in enumerate(files):
        try:
            rows += _compared(read(file), device, dtype)
        except StudioError as error:
            rows.append({"file": file.name, "error": error.as_dict()})
        step(number + 1, len(files))
    return {"device": device, "dtype": dtype, "tolerance": TOLERANCE[dtype], "rows": rows}


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(path.glob("*.safetensors"))
        if not files:
            raise Refused("golden.empty", folder=str(path))
        return files
    if not path.is_file():
        raise Refused("golden.no_file", path=str(path))
    return [path]


def _where(device: str, dtype: str) -> tuple[str, str]:
    """By themselves: the first GPU in 16 bit, as renders are, or the CPU in 32."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        device = "cuda:0" if count else "cpu"
    if device != "cpu" and device not in [f"cuda:{index}" for index in range(count)]:
        raise Refused("golden.no_device", device=device, count=count)
    return device, dtype if dtype != "auto" else "float32" if device == "cpu" else "bfloat16"


# ------------------------------------------------------------------------------------------------ a file
def read(file: Path) -> Vectors:
    """Raises Refused: "model.not_safetensors", "model.file_cut", "golden.not_vectors"."""
    header(file)
    with safe_open(file, "pt") as opened:
        config, names = (opened.metadata() or {}).get("config", ""), list(opened.keys())
        tensors = {name: opened.get_tensor(name).float() for name in names}
    starts = {"weights": "weights.", "inputs": "inputs.", "outputs": "output"}
    found = {kind: {n: t for n, t in tensors.items() if n.startswith(start)} for kind, start in starts.items()}
    lacking = [start for kind, start in starts.items() if not found[kind]]
    try:
        configuration = json.loads(config)
    except json.JSONDecodeError:
        configuration = None
    if not isinstance(configuration, dict):
        lacking.append("config")
    if lacking:
        raise Refused("golden.not_vectors", file=file.name, names=", ".join(lacking))
    weights, inputs = (
        {name.removeprefix(starts[kind]): tensor for name, tensor in found[kind].items()}
        for kind in ("weights", "inputs")
    )
    return Vectors(file.name, configuration, weights, inputs, found["outputs"])


def _compared(vectors: Vectors, device: str, dtype: str) -> list[dict[str, Any]]:
    kind = next((kind for kind in KINDS if kind.mark in vectors.inputs), KINDS[-1])
    for name in kind.needs:
        if name not in vectors.inputs:
            raise Refused("golden.no_input", file=vectors.file, name=f"inputs.{name}", task=kind.task)
    network = _built(vectors, kind).to(device)
    _cast(network, getattr(torch, dtype))
    inputs = {name: tensor.to(device) for name, tensor in vectors.inputs.items()}
    if kind.network is WanAudioTransformer3DModel:
        inputs["text"] = _padded(inputs["text"], vectors.config.get("text_len", 0))
    rows: list[dict[str, Any]] = []
    for name, expected in vectors.outputs.items():
        row = {"file": vectors.file, "output": name}
        try:
            difference = _difference(kind, network, inputs, name, expected)
            rows.append({**row, "difference": difference, "passed": difference <= TOLERANCE[dtype]})
        except Refused as error:
            rows.append({**row, "error": error.as_dict()})
        except (RuntimeError, IndexError, ValueError) as error:  # what torch says of shapes that do not go together
            reason = str(error).splitlines()[0][:200]
            refused = Refused("golden.unfit", file=vectors.file, name=name, reason=reason)
            rows.append({**row, "error": refused.as_dict()})
    return rows


@torch.inference_mode()
def _difference(kind: "Kind", network: Any, inputs: Tensors, name: str, expected: torch.Tensor) -> float:
    """The largest of all elements; not a number where one is none."""
    sample = kind.run(network, inputs, name, expected.shape[-3]).float().cpu()
    return float((sample - expected.view_as(sample)).abs().max())


def _padded(text: torch.Tensor, length: int) -> torch.Tensor:
    """With zeros to the length that the published network pads a prompt to."""
    return torch.nn.functional.pad(text, (0, 0, 0, max(0, length - text.shape[-2])))


def _built(vectors: Vectors, kind: "Kind") -> torch.nn.Module:
    """The network of this kind with the file's weights. Raises Refused where they are another's."""
    shapes = {name: tuple(tensor.shape) for name, tensor in vectors.weights.items()}
    config = config_of(vectors.config, shapes, vectors.file)
    sound = {name for name in config if "audio" in name or name == "vae_scale"}
    said = {"wanted": kind.task, "file": vectors.file, "found": kind_of(shapes), "name": "audio_proj"}
    if kind.network is not WanAudioTransformer3DModel and sound:
        raise Refused("model.wrong_network_more", **said)
    if kind.network is WanAudioTransformer3DModel and not sound:
        raise Refused("model.wrong_network", **said)
    if kind.network is FrameWanTransformer3DModel:
        config.pop("rope_max_seq_len", None)  # context frames have their places in a table that is long enough
    network = kind.network(**config).eval()
    check({name: tuple(it.shape) for name, it in network.named_parameters()}, shapes, kind.task, vectors.file)
    network.load_state_dict(converted(vectors.weights), strict=False)  # some files hold what nobody needs
    return network


def _cast(network: torch.nn.Module, dtype: torch.dtype) -> None:
    """As diffusers loads a network: what loses too much stays in float32."""
    for name, parameter in network.named_parameters():
        if not any(part in name.split(".") for part in network._keep_in_fp32_modules):  # type: ignore[union-attr]
            parameter.data = parameter.data.to(dtype)


# ------------------------------------------------------------------------------------------------ the kinds
def _reference(network: Any, given: Tensors, output: str, frames: int) -> torch.Tensor:
    dtype = network.dtype
    image = given["clip"].to(dtype) if "clip" in given else None
    sample = network(given["latents"].to(dtype), given["timestep"], given["text"].to(dtype), image).sample
    return sample[:, :, :frames]


def _single_shot(network: Any, given: Tensors, output: str, frames: int) -> torch.Tensor:
    latents = torch.cat([given["prefix_latents"], given["latents"]], dim=2).to(network.dtype)
    times = given["timestep"].reshape(len(latents), -1)
    return network(latents, times, given["text"].to(network.dtype)).sample[:, :, -frames:]


def _shot_switching(network: Any, given: Tensors, output: str, frames: int) -> torch.Tensor:
    new, before = given["latents"], given["context_latents"]
    index = torch.cat([torch.arange(new.shape[2]), CONTEXT_INDEX + torch.arange(before.shape[2])])
    latents = torch.cat([new, before], dim=2).to(network.dtype)
    times = given["timestep"].reshape(len(latents), -1)
    return network(latents, times, given["text"].to(network.dtype), frame_index=index).sample[:, :, :frames]


def _avatar(network: Any, given: Tensors, output: str, frames: int) -> torch.Tensor:
    dtype, config = network.dtype, network.config
    told = SPEAKERS.search(output)
    sound = given["audio_embedding"]
    if told and int(told[1]) > len(sound):
        raise ValueError(f"inputs.audio_embedding: {len(sound)} speakers")
    sound = sound[: int(told[1])] if told else sound
    latents = torch.cat([given["latents"], given["condition"]], dim=-4).to(dtype)  # channels
    latents = latents if latents.ndim == 5 else latents[None]
    heard = config.vae_scale * (latents.shape[2] // config.patch_size[0] - 1) + 1  # frames of sound
    reach = config.audio_window // 2
    around = torch.arange(heard)[:, None] + torch.arange(-reach, config.audio_window - reach)
    windows = sound[:, around.clamp(0, sound.shape[1] - 1).to(sound.device)]
    return network(
        latents, given["timestep"], given["text"].to(dtype), given["clip"].to(dtype), audio_embeds=windows,
        speaker_masks=given.get("speaker_masks"),
    ).sample[:, :, :frames]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    task: str
    mark: str  # an input that only this kind has; the last kind is what remains
    needs: tuple[str, ...]  # inputs
    network: type
    run: Callable[[Any, Tensors, str, int], torch.Tensor]  # network, inputs, output's name and frames -> sample


_ALWAYS = ("latents", "timestep", "text")
KINDS = (
    Kind("talking_avatar", "audio_embedding", (*_ALWAYS, "condition", "clip"), WanAudioTransformer3DModel, _avatar),
    Kind("single_shot_extension", "prefix_latents", _ALWAYS, FrameWanTransformer3DModel, _single_shot),
    Kind("shot_switching_extension", "context_latents", _ALWAYS, FrameWanTransformer3DModel, _shot_switching),
    Kind("reference_to_video", "latents", _ALWAYS, WanTransformer3DModel, _reference),
)

"""What a network that moves mouths hears: mono at 16 kHz, one loudness, wav2vec2's layers at 25 frames a second.

For workers. Knows no speaker and no window.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from studio.errors import MediaError
from studio.media.probe import open_media

if TYPE_CHECKING:
    import torch

RATE = 16_000  # Hz; what wav2vec2 was trained with
LUFS = -23.0
BLOCK = 0.4  # seconds; a loudness meter needs one
PIECE = 500  # frames of 20 ms that wav2vec2's convolutions see at once: 0.3 GB, however long the sound is


def load16(path: Path) -> np.ndarray:
    """(n,) float32 of a file's sound, the mean of left and right. Raises MediaError."""
    pieces = [np.zeros(0, np.float32)]
    with open_media(path) as source:
        if not source.streams.audio:
            raise MediaError("media.no_sound", name=path.name)
        stream = source.streams.audio[0]
        # FFmpeg's own mono would be 3 dB louder where both sides are equal
        resampler = av.AudioResampler("fltp", "mono" if stream.channels == 1 else "stereo", RATE)
        for frame in source.decode(stream):
            frame.pts = None  # gaps in a stranger's timestamps would shift what follows
            pieces += [piece.to_ndarray().mean(0) for piece in resampler.resample(frame)]
        pieces += [piece.to_ndarray().mean(0) for piece in resampler.resample(None)]
    return np.concatenate(pieces)


def levelled(track: np.ndarray) -> np.ndarray:
    """(n,) at -23 LUFS; as it is where no loudness can be measured: silence, or shorter than 0.4 s."""
    import pyloudnorm

    if len(track) < BLOCK * RATE:
        return track
    loudness = pyloudnorm.Meter(RATE).integrated_loudness(track.astype(np.float64))
    return track * np.float32(10 ** ((LUFS - loudness) / 20)) if math.isfinite(loudness) else track


def features(model: Any, processor: Any, track: np.ndarray, frames: int) -> "torch.Tensor":
    """(frames, layers, channels) float32 in RAM: what each layer of a Wav2Vec2Model says of `track` (n,) at 16 kHz.

    200 s take 0.5 GB while they are made, of which 0.2 GB are the result."""
    import torch
    from torch.nn.functional import interpolate

    values = processor(track, sampling_rate=RATE, return_tensors="pt").input_values.to(model.device, model.dtype)
    layers = model.encoder.layers
    found = torch.empty(frames, len(layers), model.config.hidden_size)

    def note(number: int) -> Any:
        def hook(layer: Any, given: Any, made: Any) -> None:
            found[:, number] = (made[0] if isinstance(made, tuple) else made)[0].float().cpu()

        return hook

    # called alone, the encoder of transformers 5 does not give its hidden states
    hooks = [layer.register_forward_hook(note(number)) for number, layer in enumerate(layers)]
    try:
        with torch.no_grad():
            heard = interpolate(_convolved(model, values), size=frames, mode="linear", align_corners=True)
            model.encoder(model.feature_projection(heard.transpose(1, 2))[0])  # (1, frames, channels)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _convolved(model: Any, values: "torch.Tensor") -> "torch.Tensor":
    """model.feature_extractor(values), (1, n) -> (1, channels, T), in pieces.

    The first norm may go over all of the sound: then its numbers are gathered before."""
    import torch

    first, *others = model.feature_extractor.conv_layers
    strides, kernels = model.config.conv_stride, model.config.conv_kernel
    hop = math.prod(strides)
    field = 1 + sum((kernel - 1) * math.prod(strides[:at]) for at, kernel in enumerate(kernels))
    total = (values.shape[1] - field) // hop + 1
    if total <= PIECE:
        return model.feature_extractor(values)
    over_all = isinstance(getattr(first, "layer_norm", None), torch.nn.GroupNorm)
    scale, shift = _normed(first, values) if over_all else (None, None)
    made = []
    for start in range(0, total, PIECE):
        stop = min(start + PIECE, total)
        piece = values[:, None, start * hop : (stop - 1) * hop + field]  # (1, 1, n)
        hidden = first.activation(first.conv(piece) * scale + shift) if over_all else first(piece)
        for layer in others:
            hidden = layer(hidden)
        made.append(hidden)
    return torch.cat(made, 2)


def _normed(first: Any, values: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor]":
    """(1, channels, 1) scale and shift that are the first layer's norm on all of `values`, one group per channel."""
    import torch

    norm, stride, kernel = first.layer_norm, first.conv.stride[0], first.conv.kernel_size[0]
    total = (values.shape[1] - kernel) // stride + 1
    step = PIECE * 64
    sums = torch.zeros(2, norm.num_channels, dtype=torch.float64, device=values.device)
    for start in range(0, total, step):
        stop = min(start + step, total)
        made = first.conv(values[:, None, start * stride : (stop - 1) * stride + kernel])[0].double()
        sums += torch.stack([made.sum(1), made.square().sum(1)])
    mean, square = sums / total
    scale = norm.weight / (square - mean**2 + norm.eps).sqrt()
    shift = norm.bias - mean * scale
    return scale.to(values.dtype)[None, :, None], shift.to(values.dtype)[None, :, None]


def windows_of(features: "torch.Tensor", heard: Sequence[Sequence[int]]) -> "torch.Tensor":
    """(n, 5, layers, channels): of `features` (N, layers, channels), what each of n frames hears. `heard`: (n, 5)."""
    import torch

    return features[torch.tensor(heard)]

"""The constants of SkyReels-V3's footprints against the networks themselves, on the meta device at their real width.

Shapes are others than those the constants were fitted on."""

from typing import Any

import pytest
import torch
from meta_tracker import cast, peak_bytes, weight_bytes

from studio.pipelines.memory import chunked
from studio.pipelines.memory.footprint import Footprint, Shape
from studio.pipelines.memory.profiles import TOKEN_CHUNK
from studio.pipelines.skyreels_v3 import footprints

GB = 1_000_000_000
WORDS, PICTURE = 512, 257  # tokens of a prompt and of a picture
PERCENT = 0.01


def network(kind: str, layers: int = 1) -> torch.nn.Module:
    """As it is published, on the meta device."""
    from diffusers import WanTransformer3DModel

    from studio.pipelines.skyreels_v3.audio_wan import WanAudioTransformer3DModel
    from studio.pipelines.skyreels_v3.frame_wan import FrameWanTransformer3DModel

    classes = {"r2v": WanTransformer3DModel, "v2v": FrameWanTransformer3DModel}
    with torch.device("meta"):
        return cast(classes.get(kind, WanAudioTransformer3DModel)(num_layers=layers))


def given(kind: str, shape: Shape) -> dict[str, Any]:
    """What the network is called with."""
    frames = (shape.num_frames - 1) // 4 + 1 + shape.extra_frames
    rows, columns = shape.height // 8, shape.width // 8

    def empty(*sizes: int, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
        return torch.empty(*sizes, dtype=dtype, device="meta")

    inputs: dict[str, Any] = {
        "hidden_states": empty(1, 36 if "a2v" in kind else 16, frames, rows, columns),
        "timestep": empty(1, frames) if kind == "v2v" else empty(1),
        "encoder_hidden_states": empty(1, WORDS, 4096),
    }
    if kind == "v2v":
        inputs["frame_index"] = torch.zeros(frames, dtype=torch.long, device="meta")
    if "a2v" in kind:
        inputs["encoder_hidden_states_image"] = empty(1, PICTURE, 1280)
        inputs["audio_embeds"] = empty(2 if kind == "a2v of two" else 1, 4 * frames - 3, 5, 12, 768)
        inputs["speaker_masks"] = empty(3, shape.height, shape.width)
    return inputs


def forward_peak(model: torch.nn.Module, kind: str, shape: Shape) -> int:
    inputs = given(kind, shape)
    return peak_bytes(model, lambda: model(**inputs, return_dict=False), inputs.values())


# ------------------------------------------------------------------------------------------------ constants
FOOTPRINTS: dict[str, Footprint] = {
    "r2v": footprints.REFERENCE,
    "v2v": footprints.EXTENSION,
    "a2v": footprints.AVATAR,
    "a2v of two": footprints.AVATAR_OF_TWO,
}
LONG = [Shape(640, 640, 121), Shape(960, 544, 81), Shape(1280, 720, 65)]
WINDOWS = [Shape(640, 640, 81), Shape(448, 896, 81), Shape(960, 960, 81)]  # an avatar's: always 81 frames
SHORT = [Shape(960, 544, 17), Shape(1280, 720, 13)]  # where a chunk weighs more than the clip


def shapes_of(kind: str) -> list[Shape]:
    if kind == "r2v":
        return [Shape(640, 640, 49, extra_frames=4), *LONG]
    if kind == "v2v":
        return [Shape(848, 480, 129, extra_frames=7), *LONG]
    return WINDOWS


EVERY = [(kind, shape) for kind in FOOTPRINTS for shape in shapes_of(kind)]


@pytest.mark.parametrize(("kind", "shape"), EVERY)
def test_activations_agree_with_the_network(kind: str, shape: Shape) -> None:
    predicted = FOOTPRINTS[kind].activation_bytes(shape)
    assert predicted == pytest.approx(forward_peak(network(kind), kind, shape), rel=PERCENT)


@pytest.mark.parametrize(("kind", "shape"), [*EVERY, *[(kind, shape) for kind in FOOTPRINTS for shape in SHORT]])
def test_activations_of_chunked_blocks_agree_with_the_network(kind: str, shape: Shape) -> None:
    model = network(kind)
    chunked.install(model, TOKEN_CHUNK)
    predicted = FOOTPRINTS[kind].activation_bytes(shape, chunked=True)
    assert predicted == pytest.approx(forward_peak(model, kind, shape), rel=PERCENT)


@pytest.mark.parametrize(
    ("kind", "published"), [("r2v", 28.6 * GB), ("v2v", 28.6 * GB), ("a2v", 37.8 * GB), ("a2v of two", 37.8 * GB)]
)
def test_weights_agree_with_the_published_network(kind: str, published: float) -> None:
    model, said = network(kind, layers=40), FOOTPRINTS[kind].network
    blocks = [weight_bytes(block) for block in model.blocks]  # type: ignore[union-attr, arg-type]
    assert blocks == [said.block_bytes] * said.blocks
    assert weight_bytes(model) - sum(blocks) == said.rest_bytes
    assert said.bytes == pytest.approx(published, rel=PERCENT)


@pytest.mark.parametrize("kind", ["v2v", "a2v"])
def test_a_block_in_8_bit(kind: str) -> None:
    """A byte for each weight of a linear layer and two for the scale of each of its rows."""
    block: Any = network(kind).blocks[0]  # type: ignore[index]
    layers = [part for part in block.modules() if isinstance(part, torch.nn.Linear)]
    saved = sum(layer.weight.nbytes - layer.weight.numel() - 2 * len(layer.weight) for layer in layers)
    assert FOOTPRINTS[kind].network.block_bytes_8bit == weight_bytes(block) - saved


def test_frames_cost_what_tokens_cost_and_a_token_has_no_modulation_of_its_own() -> None:
    """720P, 40 latent frames, against diffusers' network with a time for each token."""
    shape = Shape(1280, 720, 129, extra_frames=7)
    assert FOOTPRINTS["v2v"].tokens(shape) == 40 * 3600
    assert FOOTPRINTS["v2v"].activation_bytes(shape) == pytest.approx(
        footprints.R2V.activation * 144_000 * 10_240, rel=0.01
    )
    stock = network("r2v")
    inputs = given("r2v", shape) | {"timestep": torch.empty(1, 144_000, device="meta")}
    peak = peak_bytes(stock, lambda: stock(**inputs, return_dict=False), inputs.values())
    assert peak > FOOTPRINTS["v2v"].activation_bytes(shape) + 27 * GB


def test_two_speakers_cost_more_than_one() -> None:
    shape = Shape(1280, 720, 81)
    one, two = footprints.AVATAR, footprints.AVATAR_OF_TWO
    assert one.activation_bytes(shape) < two.activation_bytes(shape) < 1.01 * one.activation_bytes(shape)
    labels = two.forward_flops(shape) - one.forward_flops(shape)
    tokens = 75_600
    expected = 40 * (2 * tokens * 5120**2 + 4 * tokens * 3600 * 5120)  # queries again, and attention to one frame
    assert labels == pytest.approx(expected, rel=0.02)


def test_sums_of_an_avatar_are_those_of_its_layers() -> None:
    block: Any = network("a2v").blocks[0]  # type: ignore[index]
    of_sound = {"audio_attn2.kv_linear"}  # not for each token
    of_words = {f"attn2.{name}" for name in ("to_k", "to_v", "add_k_proj", "add_v_proj")}
    weights = sum(
        part.weight.numel() for name, part in block.named_modules()
        if isinstance(part, torch.nn.Linear) and name not in of_sound | of_words
    )  # fmt: skip
    assert footprints.A2V.flops_per_token == pytest.approx(2 * 40 * weights, rel=0.001)

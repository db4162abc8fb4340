"""The constants of a footprint against the networks themselves, on the meta device and at their real width.

Shapes are others than those the constants were fitted on."""

from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter
from typing import Any

import published
import published_more
import pytest
import torch
from meta_tracker import cast, peak_bytes, weight_bytes

from studio.pipelines import engine_class
from studio.pipelines.memory.footprint import Footprint, Network, Shape
from studio.pipelines.memory.profiles import TOKEN_CHUNK

LARGE: Footprint = engine_class("wan2.1-t2v-14b").footprint  # type: ignore[assignment]
SMALL: Footprint = engine_class("wan2.1-t2v-1.3b").footprint  # type: ignore[assignment]
FITTED_ELSEWHERE = [Shape(640, 640, 49), Shape(960, 544, 81), Shape(1280, 720, 65)]
PERCENT = 0.01


def network(layers: int = 1, **more: int) -> torch.nn.Module:
    from diffusers import WanTransformer3DModel

    with torch.device("meta"):
        return cast(WanTransformer3DModel(num_layers=layers, **more))


def forward_peak(model: torch.nn.Module, shape: Shape) -> int:
    frames, rows, columns = (shape.num_frames - 1) // 4 + 1, shape.height // 8, shape.width // 8
    latents = torch.empty(1, 16, frames, rows, columns, dtype=torch.bfloat16, device="meta")
    text = torch.empty(1, 512, 4096, dtype=torch.bfloat16, device="meta")
    time = torch.empty(1, device="meta")
    return peak_bytes(
        model,
        lambda: model(latents, timestep=time, encoder_hidden_states=text, return_dict=False),
        [latents, text, time],
    )


@pytest.mark.parametrize("shape", FITTED_ELSEWHERE)
@pytest.mark.parametrize(
    ("footprint", "wide"), [(LARGE, {}), (SMALL, {"num_attention_heads": 12, "ffn_dim": 8960})], ids=["14B", "1.3B"]
)
def test_activations_agree_with_the_network(footprint: Footprint, wide: dict[str, int], shape: Shape) -> None:
    model = network(**wide)
    assert footprint.activation_bytes(shape) == pytest.approx(forward_peak(model, shape), rel=PERCENT)


@pytest.mark.parametrize("shape", [Shape(832, 480, 25), *FITTED_ELSEWHERE])
def test_activations_of_chunked_blocks_agree_with_the_network(shape: Shape) -> None:
    from studio.pipelines.memory import chunked

    model = network()
    chunked.install(model, TOKEN_CHUNK)
    assert LARGE.activation_bytes(shape, chunked=True) == pytest.approx(forward_peak(model, shape), rel=PERCENT)


def test_more_layers_take_no_more_activations() -> None:
    shape = Shape(640, 640, 17)
    assert forward_peak(network(layers=2), shape) == forward_peak(network(), shape)


def test_weights_agree_with_the_network() -> None:
    model = network(layers=2)
    blocks = [weight_bytes(block) for block in model.blocks]
    assert blocks == [LARGE.network.block_bytes] * 2
    assert weight_bytes(model) - sum(blocks) == LARGE.network.rest_bytes


@pytest.mark.parametrize("shape", [Shape(512, 384, 9), Shape(1024, 576, 13)])
def test_decoding_agrees_with_the_vae(shape: Shape) -> None:
    from diffusers import AutoencoderKLWan

    with torch.device("meta"):
        vae = AutoencoderKLWan().eval()
    assert weight_bytes(vae) == LARGE.vae_bytes
    latents = torch.empty(1, 16, (shape.num_frames - 1) // 4 + 1, shape.height // 8, shape.width // 8, device="meta")
    peak = peak_bytes(vae, lambda: vae.decode(latents, return_dict=False), [latents])
    assert LARGE.decode_peak(shape) == pytest.approx(peak, rel=PERCENT)


# ------------------------------------------------------------------------------------------------ sums
TINY = Footprint(Network(2, 100, 50, 10, 8, activation=2.0, activation_chunked=1.0, chunk_few=(0.5, 1000)), tile=32)


def test_tokens_count_latent_frames_and_what_goes_along() -> None:
    assert TINY.tokens(Shape(64, 32, 5)) == 2 * 2 * 4
    assert TINY.tokens(Shape(64, 32, 5, extra_frames=3)) == 5 * 2 * 4
    assert replace(TINY, extra_tokens=7).tokens(Shape(64, 32)) == 1 * 2 * 4 + 7


def test_no_more_than_a_window_goes_through_at_once() -> None:
    long, window = Shape(64, 32, 81), Shape(64, 32, 81, window=17)
    for of in (TINY.tokens, TINY.activation_bytes, TINY.forward_flops):
        assert of(window) == of(Shape(64, 32, 17)) < of(long)
    assert TINY.tokens(replace(window, extra_frames=3)) == 5 * 2 * 4  # those that go along are of the window
    assert TINY.tokens(Shape(64, 32, 5, window=17)) == TINY.tokens(Shape(64, 32, 5))


def test_all_frames_are_decoded_with_those_they_continue_or_window_by_window() -> None:
    vae = replace(TINY, decode_frame_bytes=1.0, tiled_bytes=1.0)
    long = Shape(64, 64, 80, window=17)
    for tile, frame in ((0, 64 * 64), (32, 32 * 32 + 64 * 64)):
        assert vae.decode_peak(long, tile) == frame * 80
        assert vae.decode_peak(replace(long, lead=17), tile) == frame * 97
        assert vae.decode_peak(replace(long, lead=17, decoded=21), tile) == frame * 21
        assert vae.decode_peak(replace(long, num_frames=5, decoded=21), tile) == frame * 5


def test_activations_grow_with_tokens_and_samples_and_shrink_in_chunks() -> None:
    shape = Shape(640, 640, 5)
    whole = TINY.activation_bytes(shape)
    assert whole == 2 * 40 * 40 * 8 * 2 * 2
    assert TINY.activation_bytes(replace(shape, batch=2)) == 2 * whole
    assert TINY.activation_bytes(shape, chunked=True) == whole // 2
    assert TINY.activation_bytes(Shape(32, 32), chunked=True) == 1000 + 4 * 8  # another moment is the peak there


def test_attention_grows_with_the_square_of_the_tokens() -> None:
    linear = replace(TINY, network=replace(TINY.network, flops_per_token=5.0))
    tokens = TINY.tokens(Shape(64, 32, 5))
    assert linear.forward_flops(Shape(64, 32, 5)) == 5.0 * tokens + 4 * tokens**2 * 8 * 2


def test_a_tile_bounds_what_a_decode_takes_and_ram_takes_the_rest() -> None:
    vae = replace(TINY, decode_bytes=10.0, decode_frame_bytes=1.0, tiled_bytes=2.0)
    shape = Shape(64, 64, 3)
    assert vae.decode_peak(shape) == 64 * 64 * 13
    assert vae.decode_peak(shape, 32) == 32 * 32 * 13 + 2 * 64 * 64 * 3
    assert vae.decode_peak(shape, 32, to_ram=True) == 32 * 32 * 13
    assert vae.decode_peak(shape, 64) == vae.decode_peak(shape)  # one tile is the picture


def test_what_is_given_is_encoded_whole() -> None:
    vae = replace(TINY, encode_bytes=3.0)
    assert (vae.encode_peak(Shape(64, 64, 81)), vae.encode_peak(Shape(64, 64, 81, encodes=True))) == (0, 3 * 64 * 64)


def test_a_smaller_network_weighs_and_works_less() -> None:
    shape, small = Shape(832, 480, 81), LARGE.scaled(0.01)
    for of in (
        lambda one: one.weights_bytes, lambda one: one.activation_bytes(shape), lambda one: one.decode_peak(shape),
        lambda one: one.forward_flops(shape),
    ):  # fmt: skip
        assert of(small) == pytest.approx(0.01 * of(LARGE), rel=0.01)


# ------------------------------------------------------------------------------------------------ before the first step
def built(engine_id: str, part: str) -> torch.nn.Module:
    whole = published if engine_id in published.PUBLISHED else published_more
    module = whole.build(engine_id, part)
    if part in engine_class(engine_id).keep_float32:  # type: ignore[attr-defined]
        return module.eval()
    return module.to(torch.bfloat16).eval() if part.startswith("text_encoder") else cast(module)


def streamed(engine_id: str, part: str, module: torch.nn.Module) -> int:
    """Two of its layers, and what of it is no layer and no table of tokens."""
    lists = [one for one in module.modules() if isinstance(one, torch.nn.ModuleList)]
    named = engine_class(engine_id).blocks.get(part, ())  # type: ignore[attr-defined]
    layers = [layer for path in named for layer in attrgetter(path)(module)] or list(max(lists, key=weight_bytes))
    table = {id(module.get_input_embeddings().weight)} if part != "connectors" else set()  # type: ignore[operator]
    within = table | {id(tensor) for layer in layers for tensor in layer.parameters()}
    rest = sum(tensor.nbytes for tensor in module.parameters() if id(tensor) not in within)
    return rest + 2 * max(map(weight_bytes, layers))


def text_moments(engine_id: str, guided: bool) -> Iterator[tuple[int, int]]:
    """(weights, working) of each encoder of words, with its longest prompt."""
    tokens = {"wan2.1-t2v-14b": 512, "sd-turbo": 77, "sdxl": 77}.get(engine_id, 1024)
    ids, mask = (torch.empty(1, tokens, dtype=torch.long, device="meta") for _ in range(2))
    for part in engine_class(engine_id).encoders:  # type: ignore[attr-defined]
        module = built(engine_id, part)
        if part == "connectors":  # each prompt by itself, while the states of all are there
            states = torch.empty(1, tokens, 3840 * 49, dtype=torch.bfloat16, device="meta")
            peak = peak_bytes(module, lambda: module(states, mask, padding_side="left"), [states, mask])  # noqa: B023
            peak += states.nbytes * (2 if guided else 1)
        elif tokens == 1024:  # all its states at once

            def states_of() -> torch.Tensor:
                return torch.stack(module(ids, output_hidden_states=True).hidden_states, dim=-1).flatten(2, 3)  # noqa: B023

            peak = peak_bytes(module, states_of, [ids])
        else:
            peak = peak_bytes(module, lambda: module(ids, output_hidden_states=tokens == 77), [ids])  # noqa: B023
        yield streamed(engine_id, part, module), peak


@pytest.mark.parametrize("engine_id", ["wan2.1-t2v-14b", "sd-turbo", "sdxl", "ltx2", "ltx2.3-distilled"])
def test_words_take_what_the_encoders_of_the_published_configuration_do(engine_id: str) -> None:
    footprint: Any = engine_class(engine_id).footprint
    greatest = max(text_moments(engine_id, engine_id == "ltx2"), key=sum)
    assert (footprint.text_streamed_bytes, footprint.text_working_bytes) == pytest.approx(greatest, rel=PERCENT)


@pytest.mark.parametrize(
    ("engine_id", "shape"),
    [
        ("wan2.1-i2v-14b", Shape(640, 384, 17)),
        ("wan2.2-ti2v-5b", Shape(640, 384, 1)),  # which reads the picture alone
        ("ltx2", Shape(640, 384)),
        ("ltx2.3-distilled", Shape(640, 384)),
        ("svd-xt", Shape(640, 384)),
    ],
)
def test_encoding_what_is_given_takes_what_the_vae_does(engine_id: str, shape: Shape) -> None:
    footprint: Any = engine_class(engine_id).footprint
    vae: Any = built(engine_id, "vae")
    size = (shape.height, shape.width)
    given = torch.empty(1, 3, *([shape.num_frames] if engine_id != "svd-xt" else []), *size, device="meta")
    given = given.to(next(vae.parameters()).dtype)
    peak = peak_bytes(vae, lambda: vae.encode(given).latent_dist.mode(), [given])
    assert footprint.encode_peak(replace(shape, encodes=True)) == pytest.approx(peak, rel=PERCENT)

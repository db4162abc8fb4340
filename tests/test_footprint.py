"""The constants of a footprint against the networks themselves, on the meta device and at their real width.

Shapes are others than those the constants were fitted on."""

from dataclasses import replace

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


def test_text_streams_two_layers_where_it_has_layers() -> None:
    text = replace(TINY, text_bytes=1000, text_layer_bytes=10, text_rest_bytes=500)
    assert (text.text_peak(streamed=True), text.text_peak(streamed=False)) == (20, 1000)
    assert replace(text, text_layer_bytes=0).text_peak(streamed=True) == 1000


def test_a_smaller_network_weighs_and_works_less() -> None:
    shape, small = Shape(832, 480, 81), LARGE.scaled(0.01)
    for of in (
        lambda one: one.weights_bytes, lambda one: one.activation_bytes(shape), lambda one: one.decode_peak(shape),
        lambda one: one.forward_flops(shape),
    ):  # fmt: skip
        assert of(small) == pytest.approx(0.01 * of(LARGE), rel=0.01)

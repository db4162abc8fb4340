"""A noise level for every latent frame: the published network's numbers, and diffusers' where it can do the same."""

import pytest
import torch
from meta_tracker import Tracker
from skyreels_networks import frame_wan, vectors
from tiny_models import wan_transformer
from wan_inputs import wan_inputs

from studio.pipelines.skyreels_v3.frame_wan import FrameWanTransformer3DModel, FrameWanTransformerBlock
from studio.pipelines.skyreels_v3.names import config_of, converted

MB = 1_000_000


def golden(kind):
    """The network with the published weights, and the vectors."""
    found = vectors(kind)
    network = FrameWanTransformer3DModel(**config_of(found.config, found.shapes)).eval()
    network.load_state_dict(converted(found.weights))
    return network, found


@torch.inference_mode()
def test_a_clip_that_goes_on_agrees_with_the_published_network():
    network, found = golden("v2v_single_shot")
    given = found.inputs
    latents = torch.cat([given["prefix_latents"], given["latents"]], dim=2)
    sample = network(latents, given["timestep"], given["text"], return_dict=False)[0]
    torch.testing.assert_close(sample, found.outputs["output"], rtol=0, atol=1e-5)


@torch.inference_mode()
def test_a_shot_that_is_switched_agrees_with_the_published_network():
    network, found = golden("v2v_shot_switch")
    given = found.inputs
    latents = torch.cat([given["latents"], given["context_latents"]], dim=2)
    index = torch.tensor([0, 1, 2, 3, 4, 1024, 1025])
    sample = network(latents, given["timestep"], given["text"], frame_index=index).sample[:, :, :5]
    torch.testing.assert_close(sample, found.outputs["output"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (6, 10)])
@torch.inference_mode()
def test_it_is_diffusers_network_with_a_time_for_each_token(rows, columns):
    torch.manual_seed(0)
    stock = wan_transformer(num_layers=2)
    network = frame_wan()
    network.load_state_dict(stock.state_dict())
    latents = torch.randn(2, 16, 5, rows, columns)
    times = torch.tensor([[0.0, 0, 700, 700, 700], [0, 0, 0, 30, 30]])
    each = times.repeat_interleave(rows * columns // 4, dim=1)
    text = torch.randn(2, 16, 32)
    expected = stock(latents, each, text, return_dict=False)[0]
    torch.testing.assert_close(network(latents, times, text, return_dict=False)[0], expected, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_frames_know_their_place_in_time():
    torch.manual_seed(0)
    network, given = frame_wan(), wan_inputs(timestep=torch.full((1, 3), 500.0))
    plain = network(**given)[0]
    assert torch.equal(network(**given, frame_index=torch.arange(3))[0], plain)
    assert not torch.allclose(network(**given, frame_index=torch.tensor([0, 1, 1024]))[0], plain)


@torch.inference_mode()
def test_the_noise_of_a_frame_does_not_depend_on_the_batch():
    torch.manual_seed(0)
    network, given = frame_wan(), wan_inputs(batch=2, timestep=torch.tensor([[0.0, 700, 700], [0, 0, 20]]))
    both = network(**given)[0]
    alone = {name: value[1:] if isinstance(value, torch.Tensor) else value for name, value in given.items()}
    torch.testing.assert_close(network(**alone)[0], both[1:], rtol=0, atol=1e-6)


def test_a_saved_network_comes_back_as_it_was(tmp_path):
    torch.manual_seed(0)
    network = frame_wan(num_layers=3)
    network.save_pretrained(tmp_path)
    assert type(network).from_config(network.config).config == network.config
    again = FrameWanTransformer3DModel.from_pretrained(tmp_path)
    assert len(again.blocks) == again.config.num_layers == 3 and again.config.rope_max_seq_len == 2048
    assert all(type(block) is FrameWanTransformerBlock for block in again.blocks)
    assert torch.equal(again.blocks[2].ffn.net[2].weight, network.blocks[2].ffn.net[2].weight)


def test_no_modulation_as_long_as_the_picture():
    """720P, 40 latent frames: a row for each frame is 5 MB; one for each token would be 18 GB in float32."""
    frames, frame_tokens, dim = 40, 3600, 5120
    with torch.device("meta"):
        block = FrameWanTransformerBlock(dim, 64, 40, cross_attn_norm=True)
        times = torch.empty(1, frames, 6, dim)
    block.norm1 = Stop()
    with torch.no_grad(), Tracker([*block.parameters(), times]) as tracker, pytest.raises(StopIteration):
        block(torch.empty(1, frames * frame_tokens, dim, dtype=torch.bfloat16, device="meta"), None, times, None)
    hidden = frames * frame_tokens * dim * (2 + 4)  # what went in, and its float32
    assert 4 * MB < tracker.peak - hidden < 6 * MB


class Stop(torch.nn.Module):
    def forward(self, states):
        raise StopIteration


# ------------------------------------------------------------------------------------------------ what diffusers does
@torch.inference_mode()
def test_a_cache_may_skip_its_blocks():
    from diffusers import FirstBlockCacheConfig

    torch.manual_seed(0)
    network, given = frame_wan(num_layers=3), wan_inputs(timestep=torch.tensor([[0.0, 500, 500]]))
    expected, ran = network(**given)[0], []
    network.blocks[2].ffn.register_forward_hook(lambda *_: ran.append(1))
    network.enable_cache(FirstBlockCacheConfig(threshold=0.5))
    with network.cache_context("cond"):
        assert torch.equal(network(**given)[0], expected)
        network(**given)
    assert len(ran) == 1, "the second time nothing had changed"


@torch.inference_mode()
def test_layers_may_be_kept_in_8_bits():
    torch.manual_seed(0)
    network, given = (
        frame_wan().to(torch.bfloat16),
        wan_inputs(torch.bfloat16, timestep=torch.tensor([[0.0, 500, 500]])),
    )
    expected = network(**given)[0]
    network.enable_layerwise_casting(torch.float8_e4m3fn, torch.bfloat16)
    kept = network.blocks[0].ffn.net[2].weight.dtype, network.condition_embedder.time_proj.weight.dtype
    assert kept == (torch.float8_e4m3fn, torch.bfloat16)
    assert (network(**given)[0] - expected).float().norm() < 0.2 * expected.float().norm()

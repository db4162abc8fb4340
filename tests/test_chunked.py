"""Some tokens at a time: the same bits as diffusers' own blocks, whatever the model adds to them."""

import pytest
import torch
from skyreels_networks import audio_inputs, audio_wan, frame_wan
from tiny_models import wan_transformer
from wan_inputs import wan_inputs

from studio.pipelines.memory import chunked

SIZE = 16  # 3 * 8 * 8 = 192 tokens
TOKENS = 80  # two chunks and a rest


def image_to_video():
    network = wan_transformer(image_dim=16, added_kv_proj_dim=24, num_layers=2)
    return network, {
        "encoder_hidden_states": torch.randn(1, 512, 32),  # the text's length is what tells image tokens apart
        "encoder_hidden_states_image": torch.randn(1, 5, 16),
    }


def own_time_for_each_token():
    return wan_transformer(num_layers=2), {"timestep": torch.linspace(0, 999, 192).round()[None]}


def fused():
    network = wan_transformer(image_dim=16, added_kv_proj_dim=24, num_layers=2)
    network.fuse_qkv_projections()
    return network, {
        "encoder_hidden_states": torch.randn(1, 512, 32), "encoder_hidden_states_image": torch.randn(1, 5, 16)
    }  # fmt: skip


def without_cross_norm():
    return wan_transformer(num_layers=2, cross_attn_norm=False), {}


def vace():
    from diffusers import WanVACETransformer3DModel

    network = WanVACETransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16,
        text_dim=32, freq_dim=256, ffn_dim=32, num_layers=3, cross_attn_norm=True, rope_max_seq_len=64,
        vace_layers=[0, 2], vace_in_channels=24,
    ).eval()  # fmt: skip
    return network, {"control_hidden_states": torch.randn(1, 24, 3, SIZE, SIZE)}


def skyreels(**more):
    from diffusers import SkyReelsV2Transformer3DModel

    return SkyReelsV2Transformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16,
        text_dim=32, freq_dim=256, ffn_dim=32, num_layers=2, cross_attn_norm=True, rope_max_seq_len=64, **more,
    ).eval()  # fmt: skip


def diffusion_forcing():
    network = skyreels(inject_sample_info=True, num_frame_per_block=1)
    timestep = torch.tensor([[900, 500, 100]])
    return network, {"timestep": timestep, "enable_diffusion_forcing": True, "fps": torch.tensor([1])}


def causal():
    network = skyreels()
    network._set_ar_attention(1)
    return network, {}


def own_time_for_each_frame():
    return frame_wan(), {"timestep": torch.tensor([[0.0, 700, 700]]), "frame_index": torch.tensor([0, 1, 1024])}


def with_sound(speakers, words=16, samples=1):
    return lambda: (audio_wan(), audio_inputs(speakers, samples=samples, words=words))


KINDS = {
    "text to video": lambda: (wan_transformer(num_layers=2), {}),
    "a batch of two": lambda: (wan_transformer(num_layers=2), wan_inputs(size=SIZE, batch=2)),
    "image to video": image_to_video,
    "own time for each token": own_time_for_each_token,
    "fused projections": fused,
    "no norm before cross-attention": without_cross_norm,
    "vace": vace,
    "skyreels": lambda: (skyreels(), {}),
    "diffusion forcing": diffusion_forcing,
    "causal": causal,
    "own time for each frame": own_time_for_each_frame,
    "sound": with_sound(1),
    "sound of two": with_sound(2, words=512),
    "sound of two, a batch of two": with_sound(2, samples=2),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("kind", KINDS)
def test_chunks_give_the_same_bits(kind, dtype):
    torch.manual_seed(0)
    network, more = KINDS[kind]()
    network = network.to(dtype)
    given = wan_inputs(dtype, SIZE)
    given |= {n: v.to(dtype) if isinstance(v, torch.Tensor) and v.is_floating_point() else v for n, v in more.items()}
    kept = given["hidden_states"].clone()
    calls = []
    with torch.inference_mode():
        expected = network(**given)[0]
        uninstall = chunked.install(network, TOKENS)
        watch = network.blocks[0].ffn.register_forward_pre_hook(lambda part, args: calls.append(args[0].shape[1]))
        assert torch.equal(network(**given)[0], expected)
        watch.remove()
        uninstall()
        assert torch.equal(network(**given)[0], expected)
    assert calls == ([64, 64, 64] if kind == "own time for each frame" else [80, 80, 32])
    assert torch.equal(given["hidden_states"], kept)
    assert all("forward" not in block.__dict__ for block in network.blocks)


def test_a_block_only_reads_what_it_is_given():
    """A cache keeps it and reckons with it afterwards."""
    torch.manual_seed(0)
    network = wan_transformer(num_layers=1)
    block, states = network.blocks[0], torch.randn(1, 192, 24)
    kept, rotary = states.clone(), network.rope(torch.zeros(1, 16, 3, SIZE, SIZE))
    chunked.install(network, TOKENS)
    with torch.inference_mode():
        block(states, torch.randn(1, 16, 24), torch.randn(1, 6, 24), rotary)
    assert torch.equal(states, kept)


def test_the_chosen_attention_and_adapters_are_used(monkeypatch):
    asked, attend = set(), chunked.dispatch_attention_fn
    monkeypatch.setattr(
        chunked, "dispatch_attention_fn", lambda *args, **named: asked.add(named["backend"]) or attend(*args, **named)
    )
    torch.manual_seed(0)
    network, given = wan_transformer(num_layers=2), wan_inputs(size=SIZE)
    network.set_attention_backend("_native_math")
    for name, part in network.named_modules():
        if name.endswith("to_q"):
            part.register_forward_hook(lambda part, args, result: result * 1.5)  # what an adapter does to a layer
    with torch.inference_mode():
        expected = network(**given)[0]
        chunked.install(network, TOKENS)
        assert torch.equal(network(**given)[0], expected)
        network.set_attention_backend("native")
    assert {backend.value for backend in asked} == {"_native_math"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_chunks_within_a_frame_give_the_same_bits(dtype):
    torch.manual_seed(0)
    network = frame_wan().to(dtype)
    given, calls = wan_inputs(dtype, SIZE, timestep=torch.tensor([[0.0, 700, 30]])), []
    with torch.inference_mode():
        expected = network(**given)[0]
        chunked.install(network, 50)
        network.blocks[0].ffn.register_forward_pre_hook(lambda part, args: calls.append(args[0].shape[1]))
        assert torch.equal(network(**given)[0], expected)
    assert calls == [50, 14] * 3


def test_it_says_what_it_cannot_chunk():
    assert chunked.can(wan_transformer(num_layers=1))
    assert not chunked.can(torch.nn.Linear(2, 2))

"""A network that hears: the published network's own numbers, who is where, and what it may take of memory."""

import pytest
import torch
from meta_tracker import Tracker
from skyreels_networks import audio_inputs, audio_wan, vectors

from studio.errors import Refused
from studio.pipelines.skyreels_v3 import audio_wan as module
from studio.pipelines.skyreels_v3.audio_wan import Hearing, WanAudioTransformer3DModel, WanAudioTransformerBlock
from studio.pipelines.skyreels_v3.names import config_of, converted


def by_windows(embedding):
    """(speakers, N, 12, 768) -> (speakers, N, 5, 12, 768): what is around each frame."""
    count = embedding.shape[1]
    return embedding[:, (torch.arange(count)[:, None] + torch.arange(-2, 3)).clamp(0, count - 1)]


@pytest.mark.parametrize("room", [256 << 20, 4 * 2 * 16 * 50], ids=["all at once", "50 tokens at a time"])
@pytest.mark.parametrize(("speakers", "output"), [(1, "output_1_speaker"), (2, "output_2_speakers")])
@torch.inference_mode()
def test_it_agrees_with_the_published_network(speakers, output, room, monkeypatch):
    monkeypatch.setattr(module, "LABEL_BYTES", room)
    found = vectors("a2v")
    network = WanAudioTransformer3DModel(**config_of(found.config, found.shapes)).eval()
    network.load_state_dict(converted(found.weights))
    given = found.inputs
    sample = network(
        torch.cat([given["latents"], given["condition"]])[None], given["timestep"], given["text"], given["clip"],
        audio_embeds=by_windows(given["audio_embedding"][:speakers]), speaker_masks=given["speaker_masks"],
    ).sample[0]  # fmt: skip
    torch.testing.assert_close(sample, found.outputs[output], rtol=0, atol=1e-5)


@torch.inference_mode()
def test_without_a_voice_to_hear_it_is_diffusers_network():
    from diffusers import WanTransformer3DModel

    torch.manual_seed(0)
    network = audio_wan()
    config = {name: value for name, value in network.config.items() if "audio" not in name and name != "vae_scale"}
    stock = WanTransformer3DModel.from_config(config).eval()
    stock.load_state_dict({n: t for n, t in network.state_dict().items() if "audio" not in n and "norm_x" not in n})
    for block in network.blocks:
        block.audio_attn2.proj.weight.zero_()
        block.audio_attn2.proj.bias.zero_()
    given = audio_inputs(words=512)  # of which diffusers' own wants so many
    sample = network(**given)[0]
    assert torch.equal(sample, stock(**{n: v for n, v in given.items() if "audio" not in n and "mask" not in n})[0])


@torch.inference_mode()
def test_each_frame_hears_its_own_moment():
    torch.manual_seed(0)
    heard = audio_wan().audio_proj
    sound = torch.randn(1, 13, 5, 2, 6)
    before = heard(sound)
    sound[:, 5:9] += 1  # of the third latent frame
    changed = (heard(sound) - before).abs().amax(dim=(0, 2, 3)) > 0
    assert changed.tolist() == [False, False, True, False]


@torch.inference_mode()
def test_a_part_of_the_tokens_hears_what_all_of_them_would():
    """Chunks and GPUs begin and end in the middle of a frame."""
    torch.manual_seed(0)
    attention = audio_wan().blocks[0].audio_attn2
    states, frame = torch.randn(2, 3 * 20, 24), 20
    hearing = Hearing(torch.randn(3, 6, 10), 2, None, frame, 0)
    key, value = attention.keys(hearing)
    labels = torch.rand(2, 60) * 24
    whole = attention(states, key, value, frame, 0, labels)
    for first, last in ((0, 20), (7, 13), (15, 44), (39, 60), (59, 60)):
        part = attention(states[:, first:last], key, value, frame, first, labels[:, first:last])
        torch.testing.assert_close(part, whole[:, first:last], rtol=0, atol=1e-6)


# ------------------------------------------------------------------------------------------------ two speakers
@torch.inference_mode()
def test_two_voices_are_not_one():
    torch.manual_seed(0)
    network, given = audio_wan(), audio_inputs(speakers=2)
    sample = network(**given)[0]
    swapped = network(**{**given, "audio_embeds": given["audio_embeds"].flip(0)})[0]
    moved = network(**{**given, "speaker_masks": given["speaker_masks"].flip(2)})[0]
    assert not torch.allclose(sample, swapped) and not torch.allclose(sample, moved)


@torch.inference_mode()
def test_a_token_belongs_to_whom_it_looks_at():
    """Tokens that look like a speaker's in the first frame get his labels; what is nobody's gets the background's."""
    torch.manual_seed(0)
    block = audio_wan().blocks[0]
    keys = torch.eye(6)[None, :, None].repeat(1, 1, 2, 2) * 9  # six tokens in a frame, two heads
    regions = torch.zeros(3, 6)
    regions[0, :2], regions[1, 2:4], regions[2, 4:] = 1, 1, 1
    hearing = Hearing(torch.empty(3, 6, 10), 2, regions, 6, 0)
    labels = block.labels(iter([keys[:, :3], keys[:, 3:]]), keys, hearing)[0]
    assert labels[:2].tolist() == pytest.approx([4.0, 4.0])
    assert labels[2:4].tolist() == pytest.approx([24.0, 24.0])
    assert labels[4:].tolist() == [12.0, 12.0]


@pytest.mark.parametrize("size", [(16, 16), (128, 128), (50, 90), (1280, 720)])
@torch.inference_mode()
def test_masks_may_have_any_size(size):
    torch.manual_seed(0)
    network, given = audio_wan(), audio_inputs(speakers=2, rows=12, columns=20)
    given["speaker_masks"] = torch.zeros(3, *size)
    given["speaker_masks"][0, :, : size[1] // 2] = 1
    given["speaker_masks"][1, :, size[1] // 2 :] = 255
    sample = network(**given)[0]
    swapped = network(**given | {"speaker_masks": given["speaker_masks"][[1, 0, 2]]})[0]
    assert sample.isfinite().all() and not torch.allclose(sample, swapped), "nobody is background: no division by 0"


@pytest.mark.parametrize(
    ("speakers", "masks", "code"),
    [(3, torch.ones(4, 8, 8), "avatar.too_many_speakers"), (2, None, "avatar.no_masks"),
     (2, torch.ones(2, 8, 8), "avatar.no_masks")],
)  # fmt: skip
@torch.inference_mode()
def test_more_than_two_speakers_and_missing_masks_are_refused(speakers, masks, code):
    with pytest.raises(Refused) as caught:
        audio_wan()(**{**audio_inputs(speakers=speakers), "speaker_masks": masks})
    assert caught.value.code == code


def test_labels_take_no_more_memory_than_is_said():
    """720P, 81 frames, the published width: one map of all tokens would be 43 GB."""
    frames, frame_tokens, heads = 21, 3600, 40
    with torch.device("meta"):
        block = WanAudioTransformerBlock(5120, 64, heads, None, True, 1e-6, 5120, 768, True).to(torch.bfloat16)
        normed = torch.empty(1, frames * frame_tokens, 5120, dtype=torch.bfloat16)
        rotary = [torch.empty(1, frames * frame_tokens, 1, 128)] * 2
        hearing = Hearing(torch.empty(0), 2, torch.empty(3, frame_tokens), frame_tokens, 0)
    maps = []
    given = [*block.parameters(), normed, *rotary, hearing.regions]
    with torch.no_grad(), kernels_without(maps), Tracker(given) as tracker:
        labels = block.labels(*block._looks(normed, rotary, hearing), hearing)
    assert labels.shape == (1, frames * frame_tokens)
    assert max(maps) <= module.LABEL_BYTES and sum(maps) == 4 * heads * frames * frame_tokens * frame_tokens
    assert tracker.peak < module.LABEL_BYTES, "beside the map of scores"


def kernels_without(maps):
    """Attention that says how large its map of scores would be."""
    from unittest.mock import patch

    def attend(query, key, value, *args, **more):
        maps.append(4 * query.shape[1] * query.shape[2] * key.shape[2])
        return torch.empty_like(query)

    return patch.object(torch.nn.functional, "scaled_dot_product_attention", attend)


# ------------------------------------------------------------------------------------------------ any size
@pytest.mark.parametrize("speakers", [1, 2])
@torch.inference_mode()
def test_two_samples_are_what_each_of_them_is_alone(speakers):
    torch.manual_seed(0)
    network, given = audio_wan(), audio_inputs(speakers, rows=6, columns=10, samples=2, words=7)
    both = network(**given)[0]
    alone = [
        network(**{
            name: value[i : i + 1]
            if isinstance(value, torch.Tensor) and name not in ("audio_embeds", "speaker_masks") else value
            for name, value in given.items()
        })[0]
        for i in (0, 1)
    ]  # fmt: skip
    torch.testing.assert_close(both, torch.cat(alone), rtol=0, atol=1e-5)


def test_a_saved_network_comes_back_as_it_was(tmp_path):
    torch.manual_seed(0)
    network = audio_wan(num_layers=3)
    network.save_pretrained(tmp_path)
    assert type(network).from_config(network.config).config == network.config
    again = WanAudioTransformer3DModel.from_pretrained(tmp_path)
    assert len(again.blocks) == again.config.num_layers == 3
    assert again.config.audio_tokens == 3
    assert torch.equal(again.audio_proj.proj1.weight, network.audio_proj.proj1.weight)


@torch.inference_mode()
def test_a_cache_may_skip_its_blocks():
    from diffusers import FirstBlockCacheConfig

    torch.manual_seed(0)
    network, given, ran = audio_wan(num_layers=3), audio_inputs(speakers=2), []
    expected = network(**given)[0]
    network.blocks[2].ffn.register_forward_hook(lambda *_: ran.append(1))
    network.enable_cache(FirstBlockCacheConfig(threshold=0.5))
    with network.cache_context("cond"):
        assert torch.equal(network(**given)[0], expected)
        network(**given)
    assert len(ran) == 1, "the second time nothing had changed"


@torch.inference_mode()
def test_projections_may_be_fused():
    torch.manual_seed(0)
    network, given = audio_wan(), audio_inputs(speakers=2)
    expected = network(**given)[0]
    network.fuse_qkv_projections()
    torch.testing.assert_close(network(**given)[0], expected, rtol=0, atol=1e-5)

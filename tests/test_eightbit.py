"""Blocks in 8 bits: half the bytes, nothing but their linear layers, and the same numbers streamed as resident."""

import pytest
import torch
from tiny_models import wan_transformer
from wan_inputs import wan_inputs

from studio.pipelines.memory import eightbit
from studio.pipelines.memory.copier import ClockCopier
from studio.pipelines.memory.parcel import is_wrapper, weight_bytes
from studio.pipelines.memory.streamer import BlockStreamer


@pytest.mark.parametrize("kind", ["int8", "fp8"])
def test_blocks_streamed_in_8_bits_equal_the_same_weights_resident(kind):
    torch.manual_seed(0)
    network, given = wan_transformer().bfloat16(), wan_inputs(torch.bfloat16)
    with torch.inference_mode():
        in_16_bit = network(**given)[0]
        eightbit.store(network, ["blocks"], kind)
        resident = network(**given)[0]
        streamer = BlockStreamer("transformer", list(network.blocks), ClockCopier(), slots=2, resident=1)
        streamer.start()
        streamed = [network(**given)[0] for _ in range(2)]
        streamer.close()
        after = network(**given)[0]
    assert all(torch.equal(one, resident) for one in (*streamed, after))
    assert not torch.equal(resident, in_16_bit)  # it changes pixels, and is never silent


def test_it_halves_linear_layers_of_blocks_and_touches_nothing_else():
    torch.manual_seed(0)
    network = wan_transformer(num_attention_heads=4, attention_head_dim=32, ffn_dim=512).bfloat16()
    before = {name: tensor.clone() for name, tensor in network.named_parameters()}
    bytes_before = weight_bytes(network.blocks)
    eightbit.store(eightbit.store(network, ["blocks"]), ["blocks"])  # twice is once
    changed = {name for name, tensor in network.named_parameters() if is_wrapper(tensor)}
    assert changed == {name for name in before if name.startswith("blocks.") and before[name].dim() == 2}
    for name, tensor in network.named_parameters():
        assert name in changed or torch.equal(tensor, before[name]), name
    assert weight_bytes(network.blocks) < 0.56 * bytes_before

"""Blocks through slots: the same bits as without, each byte accounted for, beside the sums and never ahead of a cache.

The clock of ClockCopier tells schedules exactly; it also makes weights wrong that are used without waiting for them.
"""

from collections import Counter

import pytest
import torch
from tiny_models import wan_transformer
from torch.utils._python_dispatch import TorchDispatchMode
from wan_inputs import wan_inputs

from studio.pipelines.memory.copier import ClockCopier
from studio.pipelines.memory.streamer import BlockStreamer

BLOCKS, FORWARDS = 8, 3


@pytest.fixture
def network():
    torch.manual_seed(0)
    with torch.inference_mode():  # as engines run it
        yield wan_transformer(num_layers=BLOCKS)


class Recording(ClockCopier):
    """Remembers its slots, and fails when told to."""

    def __init__(self, bytes_per_second: float = 1e9) -> None:
        super().__init__(bytes_per_second)
        self.slots: list[torch.Tensor] = []
        self.fail_at: int | None = None
        self.count = 0

    def slot(self, size: int) -> torch.Tensor:
        self.slots.append(super().slot(size))
        return self.slots[-1]

    def copy(self, slot: torch.Tensor, slab: torch.Tensor, name: str, at: int = 0) -> None:
        self.count += 1
        if self.count == self.fail_at:
            raise RuntimeError("the copy failed")
        super().copy(slot, slab, name, at)


def storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


class Backwards(TorchDispatchMode):
    """Counts the bytes that are written to the host's weights, or copied out of a slot."""

    def __init__(self, host: set[int], device: set[int]) -> None:
        super().__init__()
        self.host, self.device, self.bytes = host, device, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in ("copy_", "clone", "_to_copy"):
            source = args[1] if name == "copy_" else args[0]
            if storage(source) in self.device or (name == "copy_" and storage(args[0]) in self.host):
                self.bytes += source.nbytes
        return result


# ------------------------------------------------------------------------------------------------ bits and bytes
@pytest.mark.parametrize("resident, slots", [(0, 1), (0, 2), (0, 3), (3, 2), (7, 2), (8, 2)])
def test_the_same_bits_by_exactly_the_planned_bytes(network, resident, slots):
    given, copier = wan_inputs(), Recording()
    expected = network(**given)[0]
    streamer = BlockStreamer("net", list(network.blocks), copier, slots=slots, resident=resident)
    host = {storage(tensor) for tensor in network.parameters()}
    streamer.start()
    with Backwards(host, {storage(slot) for slot in copier.slots}) as backwards:
        outputs = [network(**given)[0] for _ in range(FORWARDS)]
        streamer.stop()
    assert all(torch.equal(output, expected) for output in outputs)

    size, flowing = streamer.parcels[0].size, BLOCKS - resident
    places = min(slots, flowing)
    # each forward fetches each, and at its end the first of the next one are on their way already
    fetched = FORWARDS * flowing + places - 1 if flowing > places else flowing
    weights = streamer.parcels[0].weight_bytes
    assert sum(copier.ledger.fetched.values()) == fetched + resident
    assert sum(copier.ledger.to_device.values()) == fetched * size + resident * weights
    assert copier.most_device_bytes == (places + resident) * size
    assert backwards.bytes == 0
    assert copier.device_bytes == 0
    streamer.close()
    assert copier.pinned_bytes == 0
    assert torch.equal(network(**given)[0], expected)
    assert all(tensor.device.type == "cpu" and type(tensor) is torch.nn.Parameter for tensor in network.parameters())


def test_resident_blocks_are_evenly_spaced(network):
    streamer = BlockStreamer("net", list(network.blocks), ClockCopier(), resident=4)
    assert streamer.streamed == [0, 2, 4, 6]
    streamer.keep(2)
    assert streamer.streamed == [0, 1, 2, 4, 5, 6]


def test_locked_memory_is_that_of_streamed_blocks_and_hardly_more():
    network = wan_transformer(num_attention_heads=4, attention_head_dim=64, ffn_dim=512, num_layers=4)
    copier = ClockCopier()
    streamer = BlockStreamer("net", list(network.blocks), copier, resident=1)
    streamed = sum(streamer.parcels[index].weight_bytes for index in streamer.streamed)
    assert streamed <= copier.pinned_bytes <= 1.02 * streamed
    streamer.keep(3)
    assert copier.pinned_bytes <= 1.02 * streamer.parcels[0].weight_bytes


class Odd(torch.nn.Module):
    """A block with a buffer, a transposed weight, a weight under two names and one that another block has too."""

    def __init__(self, shared: torch.nn.Parameter, width: int) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(8, width), torch.nn.Linear(8, width)
        self.second.weight = self.first.weight
        self.back = torch.nn.Parameter(torch.randn(8, width).t())
        self.register_buffer("scale", torch.randn(()))
        self.shared = shared

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return torch.tanh((self.first(states) + self.second(states)) @ self.back * self.scale + self.shared)


def test_buffers_strides_shared_weights_and_unequal_blocks():
    torch.manual_seed(0)
    shared = torch.nn.Parameter(torch.randn(8))
    blocks = torch.nn.Sequential(*(Odd(shared, width) for width in (4, 16, 8)))
    states, copier = torch.randn(2, 8), ClockCopier()
    expected = blocks(states)
    streamer = BlockStreamer("net", list(blocks), copier, slots=2, without={id(shared)})
    streamer.start()
    assert copier.device_bytes == 2 * max(parcel.size for parcel in streamer.parcels)
    assert torch.equal(blocks(states), expected) and torch.equal(blocks(states), expected)
    streamer.close()
    assert blocks[0].second.weight is blocks[0].first.weight and blocks[2].shared is shared
    assert torch.equal(blocks(states), expected)


def test_a_unet_flows_by_its_down_middle_and_up_blocks():
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(4, 8), layers_per_block=1, sample_size=32, cross_attention_dim=32, norm_num_groups=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    ).eval()  # fmt: skip
    given = torch.randn(1, 4, 16, 16), torch.tensor([500]), torch.randn(1, 7, 32)
    with torch.inference_mode():
        expected = unet(*given).sample
        copier = ClockCopier()
        streamer = BlockStreamer("unet", [*unet.down_blocks, unet.mid_block, *unet.up_blocks], copier)
        streamer.start()
        assert all(torch.equal(unet(*given).sample, expected) for _ in range(2))
        streamer.close()
    assert set(copier.ledger.to_device) == {f"unet.{index}" for index in range(5)}


# ------------------------------------------------------------------------------------------------ caches
def counted(network) -> Counter:
    """How often each block is computed."""
    counts: Counter = Counter()
    for index, block in enumerate(network.blocks):
        block.ffn.register_forward_hook(lambda *ignored, index=index: counts.update([index]))
    return counts


def cached(network, given, cache, steps: int = 6) -> list[torch.Tensor]:
    from diffusers.hooks import FirstBlockCacheConfig, MagCacheConfig

    configs = {
        "first block": lambda: FirstBlockCacheConfig(threshold=0.5),
        "mag": lambda: MagCacheConfig(
            num_inference_steps=steps, retention_ratio=0.2, threshold=9.0, mag_ratios=[1.0] * steps
        ),
    }
    network.enable_cache(configs[cache]())
    outputs = []
    for step in range(steps):
        with network.cache_context("cond"):
            outputs.append(network(**{**given, "timestep": torch.tensor([900 - 100 * step])})[0].clone())
    return outputs


@pytest.mark.parametrize("cache", ["first block", "mag"])
@pytest.mark.parametrize("order", ["streamed, then cached", "cached, then streamed"])
def test_nothing_is_fetched_for_blocks_that_a_cache_skips(network, cache, order):
    given, counts = wan_inputs(), counted(network)
    expected = cached(network, given, cache)
    plain = Counter(counts)
    assert 0 < plain[5] < plain.total() / BLOCKS + 1 and plain[5] < 6, "the cache must skip"
    if order == "streamed, then cached":
        network.disable_cache()
    else:
        network._reset_stateful_cache()
    counts.clear()
    copier = ClockCopier()
    streamer = BlockStreamer("net", list(network.blocks), copier)
    streamer.start()
    if order == "streamed, then cached":
        outputs = cached(network, given, cache)
    else:
        outputs = []
        for step in range(6):
            with network.cache_context("cond"):
                outputs.append(network(**{**given, "timestep": torch.tensor([900 - 100 * step])})[0].clone())
    assert all(torch.equal(*pair) for pair in zip(outputs, expected, strict=True))
    assert counts == plain
    waiting = 0
    for index in range(BLOCKS):
        too_many = copier.ledger.fetched[f"net.{index}"] - counts[index]
        assert too_many <= 1, f"block {index} was fetched {too_many} times for nothing"
        waiting += max(0, too_many)
    assert waiting <= 2, "only what waits in the slots for its turn"
    streamer.close()
    assert all(torch.equal(*pair) for pair in zip(cached_again(network, given), expected, strict=True))


def cached_again(network, given) -> list[torch.Tensor]:
    """Once the streamer is gone the cache is still enabled, and starts anew."""
    network._reset_stateful_cache()
    outputs = []
    for step in range(6):
        with network.cache_context("cond"):
            outputs.append(network(**{**given, "timestep": torch.tensor([900 - 100 * step])})[0].clone())
    return outputs


# ------------------------------------------------------------------------------------------------ time
def timed(network, copier, resident: int, slots: int, seconds: float, forwards: int) -> float:
    """Until everything is computed, on the clock. Each block takes `seconds`."""
    hooks = [block.ffn.register_forward_hook(lambda *ignored: copier.sum(seconds)) for block in network.blocks]
    streamer = BlockStreamer("net", list(network.blocks), copier, slots=slots, resident=resident)
    streamer.start()
    for _ in range(forwards):
        network(**wan_inputs())
    took = copier.summing
    streamer.close()
    for hook in hooks:
        hook.remove()
    return took


@pytest.mark.parametrize("resident, ratio", [(0, 0.5), (0, 1.0), (0, 2.0), (2, 0.5), (4, 1.0)])
def test_at_least_four_fifths_of_what_could_overlap_does(network, resident, ratio):
    """`ratio`: seconds to compute a block / seconds to copy it."""
    size = BlockStreamer("net", list(network.blocks), ClockCopier()).parcels[0].size
    forwards, flowing = 5, BLOCKS - resident
    copies, sums = forwards * flowing * 1.0 + resident, forwards * BLOCKS * ratio
    took = timed(network, ClockCopier(size), resident, 2, ratio, forwards)
    assert copies + sums - took >= 0.8 * min(copies, sums)


def test_one_slot_overlaps_nothing(network):
    """The clock can tell the difference."""
    size = BlockStreamer("net", list(network.blocks), ClockCopier()).parcels[0].size
    assert timed(network, ClockCopier(size), 0, 1, 1.0, 2) == pytest.approx(2 * BLOCKS * 2.0 + 1.0, abs=1.1)
    assert timed(network, ClockCopier(size), 0, 2, 1.0, 2) == pytest.approx(2 * BLOCKS + 1.0, abs=1.1)


# ------------------------------------------------------------------------------------------------ trouble
@pytest.mark.parametrize("fail_at", [1, 2, 4, 9])
def test_after_a_failed_copy_the_next_forward_works(network, fail_at):
    given, copier = wan_inputs(), Recording()
    expected = network(**given)[0]
    streamer = BlockStreamer("net", list(network.blocks), copier)
    copier.fail_at = fail_at
    with pytest.raises(RuntimeError, match="the copy failed"):
        streamer.start()
        network(**given)
    if fail_at > 2:  # in the middle of a forward: what is running goes on
        assert torch.equal(network(**given)[0], expected)
    streamer.stop()
    streamer.start()
    assert torch.equal(network(**given)[0], expected)
    streamer.close()
    assert (copier.device_bytes, copier.pinned_bytes) == (0, 0)


def test_a_run_that_is_left_in_the_middle_of_a_block_leaves_nothing_bound(network):
    given, copier = wan_inputs(), ClockCopier()
    expected = network(**given)[0]
    streamer = BlockStreamer("net", list(network.blocks), copier)
    streamer.start()
    own = [block.ffn.net[2].weight for block in network.blocks]
    leaving = network.blocks[3].ffn.register_forward_pre_hook(lambda *ignored: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        network(**given)
    assert all(block.ffn.net[2].weight is weight for block, weight in zip(network.blocks, own, strict=True))
    leaving.remove()
    assert torch.equal(network(**given)[0], expected)
    streamer.close()


def test_the_clock_sees_weights_that_are_used_or_overwritten_too_early():
    copier = ClockCopier(1.0)
    slab, slot = copier.pinned(4), copier.slot(4)
    slab.fill_(1)
    copier.copy(slot, slab, "block")
    assert slot.tolist() == [255] * 4  # nobody has waited yet
    copier.sums_wait(copier.copied())
    assert slot.tolist() == [1] * 4
    copier.sum(10.0)
    used = copier.used(slot)
    with pytest.raises(RuntimeError, match="still in use"):
        copier.copy(slot, slab, "next block")
    copier.copies_wait(used)
    copier.copy(slot, slab, "next block")
    assert copier.copying == 4.0 + 10.0 + 4.0

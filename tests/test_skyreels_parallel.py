"""Two processes share a clip on the CPU, by the networks' own plan, as two GPUs would: what one alone makes of it."""

import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from skyreels_networks import audio_inputs, audio_wan, frame_wan

PROCESSES = 2
SECONDS = 120.0

pytestmark = pytest.mark.slow  # two processes that import everything


def frames() -> tuple[Any, dict[str, Any]]:
    """Four latent frames, two for each."""
    torch.manual_seed(0)
    return frame_wan(), {
        "hidden_states": torch.randn(1, 16, 4, 6, 10), "timestep": torch.tensor([[0.0, 0, 700, 30]]),
        "encoder_hidden_states": torch.randn(1, 16, 32), "frame_index": torch.tensor([0, 1, 1024, 1025]),
        "return_dict": False,
    }  # fmt: skip


def sound(speakers: int) -> tuple[Any, dict[str, Any]]:
    """Three latent frames: the second one is cut in the middle."""
    torch.manual_seed(0)
    return audio_wan(), audio_inputs(speakers, rows=12, columns=8)


CASES = {"frames": frames, "one speaker": lambda: sound(1), "two speakers": lambda: sound(2)}


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    out = tmp_path_factory.mktemp("shared") / "samples.pt"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = torch.multiprocessing.spawn(work, (port, out), nprocs=PROCESSES, join=False)
    try:
        for _ in range(PROCESSES):  # each call returns when one of them has ended
            context.join(timeout=SECONDS)
    finally:
        for process in context.processes:
            process.kill()
    found: dict[str, torch.Tensor] = torch.load(out, weights_only=True)
    return found


def work(rank: int, port: int, out: Path) -> None:
    """One of the processes."""
    import torch.distributed as dist
    from diffusers import ContextParallelConfig
    from diffusers.hooks.context_parallel import apply_context_parallel
    from diffusers.models._modeling_parallel import ParallelConfig
    from torch.distributed.device_mesh import init_device_mesh

    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=PROCESSES)
    config = ContextParallelConfig(ulysses_degree=PROCESSES)
    mesh = init_device_mesh("cpu", config.mesh_shape, mesh_dim_names=config.mesh_dim_names)
    config.setup(rank, PROCESSES, torch.device("cpu"), mesh)
    samples = {}
    for name, case in CASES.items():
        network, given = case()
        network._parallel_config = ParallelConfig(context_parallel_config=config)  # `enable_parallelism` wants a GPU
        for part in network.modules():
            if hasattr(getattr(part, "processor", None), "_parallel_config"):
                part.processor._parallel_config = network._parallel_config
        apply_context_parallel(network, config, network._cp_plan)
        with torch.inference_mode():
            samples[name] = network(**given)[0]
    if rank == 0:
        torch.save(samples, out)
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.parametrize("name", CASES)
def test_two_processes_make_what_one_makes(name: str, together: dict[str, torch.Tensor]) -> None:
    network, given = CASES[name]()
    with torch.inference_mode():
        torch.testing.assert_close(together[name], network(**given)[0], rtol=0, atol=1e-6)

"""LoRAs for few steps on the network that hears: the files that people trade, in the words of the original Wan."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_models_skyreels
import torch
from engine_calls import loaded, shelf
from safetensors.torch import save_file
from tiny_models_skyreels import original

from studio.errors import Refused
from studio.pipelines.base import Plan
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.skyreels_v3.infinitetalk import InfiniteTalk, InfiniteTalkFp8

REPOS = (
    "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers", "Wan-AI/Wan2.2-TI2V-5B-Diffusers",
    tiny_models_skyreels.INFINITETALK, tiny_models_skyreels.WAV2VEC,
)  # fmt: skip
RANK, ALPHA, WEIGHT = 4, 2.0, 0.75
PAIRS = (
    "blocks.{}.attn1.to_q", "blocks.{}.attn1.to_out.0", "blocks.{}.attn2.to_k", "blocks.{}.attn2.add_k_proj",
    "blocks.{}.attn2.add_v_proj", "blocks.{}.ffn.net.0.proj", "blocks.{}.ffn.net.2",
)  # fmt: skip
NORM = "blocks.{}.norm2"  # before the words are attended to
HYBRID = Plan(transformer="stream", text_encoder="stream", resident_blocks=1)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder, threads = tmp_path_factory.mktemp("shelf"), torch.get_num_threads()
    torch.set_num_threads(1)
    with shelf(folder, *REPOS), pytest.MonkeyPatch.context() as context:
        context.setenv(CACHE, str(folder / "cache"))
        yield folder
    torch.set_num_threads(threads)


def noise(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 0.3


def traded(network: Any, matrices: tuple[str, str] = ("lora_down", "lora_up"), words_only: bool = False,
           alpha: bool = True) -> dict[str, torch.Tensor]:  # fmt: skip
    """A file as lightx2v and FusionX publish theirs. `words_only`: one that was made for the model without pictures."""
    layers, found = dict(network.named_modules()), {}
    for number in range(network.config.num_layers):
        for at, pattern in enumerate(PAIRS):
            if words_only and "add_" in pattern:
                continue
            layer = layers[pattern.format(number)]
            name = "diffusion_model." + original(pattern.format(number) + ".weight").removesuffix(".weight")
            found[f"{name}.{matrices[0]}.weight"] = noise(RANK, layer.in_features, seed=at + number)
            found[f"{name}.{matrices[1]}.weight"] = noise(layer.out_features, RANK, seed=50 + at + number)
            if alpha:
                found[f"{name}.alpha"] = torch.tensor(ALPHA)
            found[f"{name}.diff_b"] = noise(layer.out_features, seed=100 + at + number)
        norm = "diffusion_model." + original(NORM.format(number) + ".weight").removesuffix(".weight")
        found |= {f"{norm}.diff": torch.zeros(layers[NORM.format(number)].weight.shape)}
    return found


def merged(network: Any, file: dict[str, torch.Tensor], weight: float) -> dict[str, torch.Tensor]:
    """Weights of the network with all that a file says added to them by hand."""
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    by_original = {original(name): name for name in state}
    for key, tensor in file.items():
        name, _, kind = key.removeprefix("diffusion_model.").rpartition(".")
        if key.endswith(("lora_down.weight", "lora_A.weight")):
            name = name.rpartition(".")[0]
            start = f"diffusion_model.{name}."
            up = file.get(f"{start}lora_up.weight", file.get(f"{start}lora_B.weight"))
            scale = float(file.get(f"{start}alpha", torch.tensor(float(RANK)))) / RANK
            state[by_original[f"{name}.weight"]] += weight * scale * (up @ tensor)
        elif kind == "diff_b":
            state[by_original[f"{name}.bias"]] += weight * tensor
        elif kind == "diff":
            state[by_original[f"{name}.weight"]] += weight * tensor
    return state


def drawn(engine: Any) -> torch.Tensor:
    """What the engine's network makes of a small clip."""
    inputs = {
        "hidden_states": noise(1, 36, 2, 4, 4, seed=1), "timestep": torch.tensor([500.0]),
        "encoder_hidden_states": noise(1, 512, 32, seed=2), "encoder_hidden_states_image": noise(1, 5, 4, seed=3),
        "audio_embeds": noise(1, 5, 5, 12, 16, seed=4),
    }  # fmt: skip
    dtype = next(engine.pipe.transformer.parameters()).dtype
    with torch.no_grad(), engine.placement.using("transformer"):
        return engine.pipe.transformer(
            **{name: value if name == "timestep" else value.to(dtype) for name, value in inputs.items()},
            return_dict=False,
        )[0].float()  # fmt: skip


def wish(engine: Any, *loras: tuple[str, float]) -> Any:
    return engine.Options(loras=[{"file": file, "weight": weight} for file, weight in loras])


def save(models: Path, name: str, state: dict[str, torch.Tensor]) -> None:
    (models / "loras").mkdir(exist_ok=True)
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, models / "loras" / name)


@pytest.fixture
def talk(models: Path) -> Iterator[InfiniteTalk]:
    engine = loaded(InfiniteTalk)
    yield engine
    engine.close()


@pytest.mark.parametrize("plan", [Plan(), HYBRID], ids=["resident", "hybrid"])
@pytest.mark.parametrize(
    ("matrices", "alpha"), [(("lora_down", "lora_up"), True), (("lora_A", "lora_B"), False)], ids=["down", "A"]
)
def test_a_file_for_few_steps_is_added_and_goes_without_a_trace(
    plan: Plan, matrices: tuple[str, str], alpha: bool, talk: InfiniteTalk, models: Path
) -> None:
    talk.load(plan)
    before, file = drawn(talk), traded(talk.pipe.transformer, matrices, alpha=alpha)
    save(models, "few.safetensors", file)
    expected = merged(talk.pipe.transformer, file, WEIGHT)
    talk._dress(wish(talk, ("few.safetensors", WEIGHT)))
    with_it = drawn(talk)
    talk._dress(wish(talk))
    assert torch.equal(drawn(talk), before)
    talk.placement.close()
    talk.pipe.transformer.load_state_dict(expected)
    talk._place(plan)
    assert (drawn(talk) - before).abs().max() > 0.1
    assert torch.allclose(with_it, drawn(talk), atol=2e-4)


def test_one_that_was_made_without_pictures_fits_too(talk: InfiniteTalk, models: Path) -> None:
    file = traded(talk.pipe.transformer, words_only=True)
    save(models, "words.safetensors", file)
    expected, before = merged(talk.pipe.transformer, file, 1.0), drawn(talk)
    talk._dress(wish(talk, ("words.safetensors", 1.0)))
    with_it = drawn(talk)
    talk._dress(wish(talk))
    talk.placement.close()
    talk.pipe.transformer.load_state_dict(expected)
    talk._place(Plan())
    assert torch.allclose(with_it, drawn(talk), atol=2e-4) and not torch.allclose(with_it, before, atol=1e-2)


def test_norms_that_a_file_changes_are_changed(talk: InfiniteTalk, models: Path) -> None:
    file = traded(talk.pipe.transformer)
    for number in range(talk.pipe.transformer.config.num_layers):
        file[f"diffusion_model.blocks.{number}.norm3.diff"] = noise(24, seed=number)
        file[f"diffusion_model.blocks.{number}.norm3.diff_b"] = noise(24, seed=10 + number)
    save(models, "norms.safetensors", file)
    expected, before = merged(talk.pipe.transformer, file, WEIGHT), drawn(talk)
    talk._dress(wish(talk, ("norms.safetensors", WEIGHT)))
    with_it = drawn(talk)
    talk._dress(wish(talk))
    assert torch.equal(drawn(talk), before)
    talk.placement.close()
    talk.pipe.transformer.load_state_dict(expected)
    talk._place(Plan())
    assert torch.allclose(with_it, drawn(talk), atol=2e-4)


def test_weights_that_stay_in_8_bit_take_one(models: Path) -> None:
    engine = InfiniteTalkFp8()
    engine.pool = loaded(InfiniteTalk).pool
    engine.load(Plan(weight_bits=8, dtype="float32"))
    plain = engine.pipe.transformer
    save(models, "wide.safetensors", traded(plain))
    engine._dress(wish(engine, ("wide.safetensors", 1.0)))
    assert "blocks.0.attn1.to_q.lora_A.lora0.weight" in dict(engine.pipe.transformer.named_parameters())
    engine.close()


def test_one_of_another_width_is_refused(talk: InfiniteTalk, models: Path) -> None:
    narrow = {"diffusion_model.blocks.0.self_attn.q.lora_down.weight": noise(RANK, 5120, seed=1),
              "diffusion_model.blocks.0.self_attn.q.lora_up.weight": noise(5120, RANK, seed=2)}  # fmt: skip
    save(models, "large.safetensors", narrow)
    with pytest.raises(Refused) as caught:
        talk._dress(wish(talk, ("large.safetensors", 1.0)))
    assert (caught.value.code, caught.value.params["found"]) == ("model.lora_unfit", "Wan 14B")

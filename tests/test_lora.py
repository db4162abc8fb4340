"""LoRAs on Wan and SDXL at tiny size: they change the film, go without a trace, and one of another model is refused."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import engine_calls
import pytest
import torch
from safetensors.torch import save_file
from test_diffusion import loaded, make, options, packets, read, repositories, shelf  # noqa: F401  fixtures

from studio.errors import Refused
from studio.pipelines.base import Plan
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.diffusion.lora import looks_like
from studio.pipelines.stable_diffusion import SDXL, XL
from studio.pipelines.wan import WanT2VSmall


def lora(folder: Path, name: str, seed: int, width: int = 24, key: str = "transformer.blocks.{}.attn1.to_q") -> Path:
    """Two layers' worth of one, in diffusers' own format."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for number in (0, 2):
        tensors[f"{key.format(number)}.lora_A.weight"] = torch.randn(4, width, generator=generator)
        tensors[f"{key.format(number)}.lora_B.weight"] = torch.randn(width, 4, generator=generator)
    (folder / "loras").mkdir(exist_ok=True)
    save_file(tensors, folder / "loras" / name)
    return folder / "loras" / name


def wish(*loras: tuple[str, float], **more: Any) -> Any:
    return options(loras=[{"file": file, "weight": weight} for file, weight in loras], **more)


@pytest.mark.parametrize(
    "plan", [Plan(), Plan(transformer="stream", text_encoder="stream", resident_blocks=1), Plan(weight_bits=8)],
    ids=["resident", "streamed", "8bit"],
)  # fmt: skip
def test_loras_come_and_go_without_a_trace(plan: Plan, shelf: Path, tmp_path: Path) -> None:  # noqa: F811
    lora(shelf, "paint.safetensors", 1)
    lora(shelf, "ink.safetensors", 2)
    engine = loaded()
    engine.load(plan)
    plain = make(engine, tmp_path, name="plain")
    one = make(engine, tmp_path, wish=wish(("paint.safetensors", 1.0)), name="one")
    both = make(engine, tmp_path, wish=wish(("paint.safetensors", 1.0), ("ink.safetensors", 0.5)), name="both")
    half = make(engine, tmp_path, wish=wish(("paint.safetensors", 0.5)), name="half")
    again = make(engine, tmp_path, wish=wish(("paint.safetensors", 1.0)), name="again")
    after = make(engine, tmp_path, name="after")
    made = [packets(take.path) for take in (plain, one, both, half)]
    assert len({tuple(film) for film in made}) == 4
    assert packets(again.path) == packets(one.path) and packets(after.path) == packets(plain.path)
    assert both.facts["loras"] == [
        {"file": "paint.safetensors", "weight": 1.0}, {"file": "ink.safetensors", "weight": 0.5}
    ]  # fmt: skip
    assert "loras" not in after.facts


def test_a_lora_of_another_model_is_refused_by_its_name(shelf: Path, tmp_path: Path) -> None:  # noqa: F811
    lora(shelf, "large.safetensors", 1, width=5120)
    lora(shelf, "pictures.safetensors", 1, 2048, "unet.down_blocks.{}.attentions.0.transformer_blocks.0.attn2.to_k")
    engine = loaded()
    plain = make(engine, tmp_path, name="plain")
    for name, model in (("large.safetensors", "Wan 14B"), ("pictures.safetensors", "SDXL")):
        with pytest.raises(Refused) as caught:
            make(engine, tmp_path, wish=wish((name, 1.0)))
        assert caught.value.code == "model.lora_unfit"
        assert (caught.value.params["file"], caught.value.params["found"]) == (name, model)
    assert packets(make(engine, tmp_path, name="after").path) == packets(plain.path)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("style.ckpt", b"\x80\x02", "model.pickle"),
        ("style.gguf", b"GGUF", "model.file_unknown"),
        ("../outside.safetensors", b"", "model.file_outside"),
        ("absent.safetensors", None, "model.file_missing"),
        ("noise.safetensors", b"\xff" * 64, "model.not_safetensors"),
        ("empty.safetensors", b"", "model.not_safetensors"),
    ],
)
def test_a_file_that_cannot_be_a_lora(
    name: str, content: bytes | None, code: str, shelf: Path, tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    (shelf / "loras").mkdir()
    if content is not None:
        (shelf / "loras" / name).write_bytes(content)
    with pytest.raises(Refused) as caught:
        make(loaded(), tmp_path, wish=wish((name, 1.0)))
    assert caught.value.code == code


def test_half_a_file_is_known_by_its_length(shelf: Path, tmp_path: Path) -> None:  # noqa: F811
    file = lora(shelf, "half.safetensors", 1)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(Refused) as caught:
        make(loaded(), tmp_path, wish=wish(("half.safetensors", 1.0)))
    assert caught.value.code == "model.file_cut" and caught.value.params["whole"] - caught.value.params["size"] == 100


def test_what_a_lora_looks_like(tmp_path: Path) -> None:
    assert (
        looks_like(lora(tmp_path, "a.safetensors", 1, 1536, "diffusion_model.blocks.{}.self_attn.q")) == "Wan 2.1 1.3B"
    )
    assert looks_like(lora(tmp_path, "b.safetensors", 1, 8, "nobody.knows.{}")).startswith("(nobody.knows.0")
    assert WanT2VSmall.Options(loras=[{"file": "a.safetensors"}]).loras[0].weight == 1.0


# ------------------------------------------------------------------------------------------------ SDXL
BLOCK = "transformer_blocks_0_attn2_to_k"
AUTHORS = {  # whose names -> those of a layer of the network and of one of each text encoder, and the two sides
    "diffusers": (
        "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k",
        "text_encoder.text_model.encoder.layers.1.self_attn.out_proj",
        "text_encoder_2.text_model.encoder.layers.1.self_attn.out_proj", "lora_A", "lora_B",
    ),
    "kohya": (
        f"lora_unet_down_blocks_1_attentions_0_{BLOCK}", "lora_te1_text_model_encoder_layers_1_self_attn_out_proj",
        "lora_te2_text_model_encoder_layers_1_self_attn_out_proj", "lora_down", "lora_up",
    ),
    "sgm": (
        f"lora_unet_input_blocks_4_1_{BLOCK}", "lora_te1_text_model_encoder_layers_1_self_attn_out_proj",
        "lora_te2_text_model_encoder_layers_1_self_attn_out_proj", "lora_down", "lora_up",
    ),
}  # fmt: skip
SIZES = ((64, 8), (16, 16), (48, 48))  # inputs and outputs of these layers


def xl_lora(folder: Path, author: str, *layers: int, wide: int = 0) -> str:
    """The same numbers by the names of one author, for some of: the network, the first and the second encoder."""
    generator, tensors = torch.Generator().manual_seed(4), {}
    *names, down, up = AUTHORS[author]
    for number, (name, (inputs, outputs)) in enumerate(zip(names, SIZES, strict=True)):
        pair = (
            torch.randn(2, inputs + wide * bool(number), generator=generator),
            torch.randn(outputs, 2, generator=generator),
        )
        if number in layers:
            tensors |= {f"{name}.{side}.weight": tensor * 3 for side, tensor in zip((down, up), pair, strict=True)}
            tensors |= {f"{name}.alpha": torch.tensor(2.0)} if author != "diffusers" else {}
    file = folder / "loras" / f"{author}{''.join(map(str, layers))}{wide or ''}.safetensors"
    file.parent.mkdir(exist_ok=True)
    save_file(tensors, file)
    return file.name


@pytest.fixture(scope="module")
def xl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("xl")
    with pytest.MonkeyPatch.context() as patch, engine_calls.shelf(folder, XL):
        patch.setenv(CACHE, str(folder / "cache"))
        yield folder


def xl_latents(engine: Any, folder: Path, *files: str) -> torch.Tensor:
    engine.load(engine.plan or engine_calls.PLANS["swap"])
    wish = engine.Options(
        width=64, height=64, num_inference_steps=2, loras=[{"file": file, "weight": 0.7} for file in files]
    )
    return engine_calls.latents_of(engine, engine_calls.scene("text_to_image"), wish, folder)


def test_loras_of_sdxl_by_all_names_change_the_network_and_both_encoders(xl: Path, tmp_path: Path) -> None:
    engine = engine_calls.loaded(SDXL, engine_calls.PLANS["swap"])
    plain = xl_latents(engine, tmp_path)
    made = {author: xl_latents(engine, tmp_path, xl_lora(xl, author, 0, 1, 2)) for author in AUTHORS}
    assert torch.equal(made["kohya"], made["diffusers"]) and torch.equal(made["sgm"], made["diffusers"])
    fewer = [xl_latents(engine, tmp_path, xl_lora(xl, "sgm", *layers)) for layers in ((0,), (0, 1), (0, 2))]
    looks = [plain, made["sgm"], *fewer]
    assert not any(torch.equal(one, other) for one, other in combinations(looks, 2))
    assert torch.equal(xl_latents(engine, tmp_path), plain)
    encoders = [engine.pipe.text_encoder, engine.pipe.text_encoder_2]
    assert not any(
        "lora" in name for one in (engine.pipe.unet, *filter(None, encoders)) for name, _ in one.named_modules()
    )
    engine.close()


def test_a_lora_for_another_text_encoder_is_refused(xl: Path, tmp_path: Path) -> None:
    engine = engine_calls.loaded(SDXL, engine_calls.PLANS["swap"])
    plain = xl_latents(engine, tmp_path)
    with pytest.raises(Refused) as caught:
        xl_latents(engine, tmp_path, xl_lora(xl, "sgm", 0, 1, 2, wide=5))
    assert caught.value.code == "model.lora_unfit" and caught.value.params["found"] == "SDXL"
    assert torch.equal(xl_latents(engine, tmp_path), plain)
    engine.close()

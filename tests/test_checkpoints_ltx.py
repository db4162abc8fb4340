"""All of LTX-2 and LTX-2.3 in one file, as its authors publish it: network and VAE by diffusers' converters."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import engine_calls
import pytest
import single_files
import tiny_models_more
import torch
from safetensors.torch import save_file

from studio.errors import Refused
from studio.pipelines.diffusion.embeddings import CACHE
from studio.pipelines.ltx2 import LTX20, NEWER, OLDER, LTX23Distilled

ENGINES = {LTX20: OLDER, LTX23Distilled: NEWER}


def published_vae(newer: bool) -> Any:
    """As many blocks as the published ones have, which is what the names of their tensors hang on."""
    from diffusers import AutoencoderKLLTX2Video

    up = 4 if newer else 3
    grows = ("spatiotemporal", "spatiotemporal", "temporal", "spatial") if newer else ("spatiotemporal",) * 3
    return AutoencoderKLLTX2Video(
        latent_channels=4, block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8,) * up,
        layers_per_block=(1,) * 5, decoder_layers_per_block=(1,) * (up + 1), patch_size=4,
        patch_size_t=1, down_block_types=("LTX2VideoDownBlock3D",) * 4, spatio_temporal_scaling=(True,) * 4,
        decoder_spatio_temporal_scaling=(True,) * up, decoder_inject_noise=(False,) * (up + 1),
        downsample_type=("spatial", "temporal", "spatiotemporal", "spatiotemporal"),
        upsample_type=grows, spatial_compression_ratio=32, temporal_compression_ratio=8,
        upsample_residual=(False,) * up, upsample_factor=(1,) * up, encoder_causal=True, decoder_causal=False,
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ltx")


@pytest.fixture
def shelf(built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for repo, newer in ((OLDER, False), (NEWER, True)):
        monkeypatch.setitem(tiny_models_more.REPOS, repo, repository(newer))
        monkeypatch.setitem(engine_calls.tiny_models.REPOS, repo, repository(newer))
    monkeypatch.setenv(CACHE, str(built / "cache"))
    (built / "checkpoints").mkdir(exist_ok=True)
    with engine_calls.shelf(built, OLDER, NEWER):
        pass
    monkeypatch.setenv(engine_calls.SHELF, str(built))
    return built


def repository(newer: bool) -> Callable[[], Any]:
    def make() -> Any:
        from diffusers import LTX2Pipeline

        return LTX2Pipeline(**{**tiny_models_more.ltx_parts(newer), "vae": published_vae(newer)})

    return make


def parts(shelf: Path, cls: Any) -> dict[str, Any]:
    """Those on the shelf, a little changed."""
    from diffusers import AutoencoderKLLTX2Video, LTX2VideoTransformer3DModel

    folder = shelf / ENGINES[cls].replace("/", "--")
    classes = {"transformer": LTX2VideoTransformer3DModel, "vae": AutoencoderKLLTX2Video}
    found = {name: kind.from_pretrained(folder / name) for name, kind in classes.items()}
    for module in found.values():
        for tensor in module.parameters():
            tensor.data += 0.01
    return found


def engine_with(cls: Any, folder: Path, checkpoint: str, **more: Any) -> tuple[Any, torch.Tensor]:
    engine = engine_calls.loaded(cls)
    wish = cls.Options(width=64, height=64, num_inference_steps=2, checkpoint=checkpoint, **more)
    what = engine_calls.scene("text_to_video", duration=0.3)
    return engine, engine_calls.latents_of(engine, what, wish, folder, duration=0.3)[0]


@pytest.mark.parametrize("cls", ENGINES, ids=lambda cls: cls.id)
def test_the_authors_file_is_the_model(cls: Any, shelf: Path, tmp_path: Path) -> None:
    mine = parts(shelf, cls)
    save_file(single_files.ltx(mine), shelf / "checkpoints" / f"{cls.id}.safetensors")
    plain, before = engine_with(cls, tmp_path, "")
    held = {name: {k: t.clone() for k, t in getattr(plain.pipe, name).state_dict().items()} for name in mine}
    plain.close()
    engine, after = engine_with(cls, tmp_path, f"{cls.id}.safetensors")
    assert not torch.equal(before, after)
    for name, module in mine.items():
        state = getattr(engine.pipe, name).state_dict()
        assert all(torch.equal(state[key], tensor) for key, tensor in module.state_dict().items()), name
        assert any(not torch.equal(state[key], tensor) for key, tensor in held[name].items()), name
    engine.close()


@pytest.mark.parametrize("cls", ENGINES, ids=lambda cls: cls.id)
def test_a_network_alone_leaves_the_rest_to_the_model(cls: Any, shelf: Path, tmp_path: Path) -> None:
    mine = parts(shelf, cls)
    state = single_files.ltx(mine, "vae")
    save_file(state, shelf / "checkpoints" / "alone.safetensors")
    save_file(mine["transformer"].state_dict(), shelf / "checkpoints" / "diffusers.safetensors")
    made = []
    for name in ("alone.safetensors", "diffusers.safetensors"):
        engine, latents = engine_with(cls, tmp_path, name)
        vae = engine.pipe.vae.state_dict()
        assert not any(torch.equal(vae[key], tensor) for key, tensor in mine["vae"].named_parameters())
        engine.close()
        made.append(latents)
    assert torch.equal(*made)


def test_what_does_not_fit_is_refused(shelf: Path, tmp_path: Path) -> None:
    older, newer = (single_files.ltx(parts(shelf, cls)) for cls in ENGINES)
    wide = {**older, "model.diffusion_model.patchify_proj.weight": torch.zeros(32, 4)}
    half = {key: tensor for key, tensor in older.items() if "transformer_blocks.2." not in key}
    silent = {key: tensor for key, tensor in older.items() if "audio" not in key and "av_ca" not in key}
    cases = {
        "wide": (LTX20, wide, "model.wrong_architecture", "LTX-2"),
        "half": (LTX20, half, "model.checkpoint_lacks", "LTX-2"),
        "silent": (LTX20, silent, "model.wrong_architecture", "LTX-Video"),
        "older": (LTX23Distilled, older, "model.wrong_architecture", "LTX-2"),
        "newer": (LTX20, newer, "model.wrong_architecture", "LTX-2.3"),
        "scaled": (LTX20, {**older, "a.weight_scale": torch.zeros(1)}, "model.wrong_architecture", "LTX-2, scaled fp8"),
    }
    for name, (cls, state, code, found) in cases.items():
        save_file(state, shelf / "checkpoints" / f"{name}.safetensors")
        with pytest.raises(Refused) as caught:
            engine_with(cls, tmp_path, f"{name}.safetensors")
        assert (caught.value.code, caught.value.params["found"]) == (code, found), name


def test_no_ltx_reads_a_packed_file(shelf: Path, tmp_path: Path) -> None:
    from gguf import GGUFWriter

    writer = GGUFWriter(shelf / "checkpoints" / "ltx.gguf", "ltxv")
    writer.add_tensor("patchify_proj.weight", torch.zeros(16, 4).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(Refused) as caught:
        engine_with(LTX20, tmp_path, "ltx.gguf")
    assert caught.value.code == "model.gguf_unfit"

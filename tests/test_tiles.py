"""Tiles of a VAE: the same bits on the device and in RAM, the VAE as it was afterwards."""

import pytest
import torch
from tiny_models import wan_vae

from studio.pipelines.base import Plan
from studio.pipelines.memory import tiles


def patchified():
    from diffusers import AutoencoderKLWan

    return AutoencoderKLWan(
        base_dim=3, z_dim=8, in_channels=12, out_channels=12, is_residual=True, patch_size=2, latents_mean=[0.0] * 8,
        latents_std=[1.0] * 8, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True],
        scale_factor_spatial=16,
    ).eval()  # fmt: skip


def pictures():
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=[4, 8], down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2,
        norm_num_groups=2, sample_size=512,
    ).eval()  # fmt: skip


def temporal():
    from diffusers import AutoencoderKLTemporalDecoder

    return AutoencoderKLTemporalDecoder(block_out_channels=[32, 32], down_block_types=["DownEncoderBlock2D"] * 2).eval()


def ltx2():
    from diffusers import AutoencoderKLLTX2Video

    return AutoencoderKLLTX2Video(
        latent_channels=4, block_out_channels=(8,), decoder_block_out_channels=(8,), layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1), down_block_types=("LTX2VideoDownBlock3D",), spatio_temporal_scaling=(True,),
        decoder_spatio_temporal_scaling=(True,), decoder_inject_noise=(False, False), upsample_residual=(False,),
        downsample_type=("spatiotemporal",), upsample_type=("spatiotemporal",), upsample_factor=(1,), patch_size=1,
        patch_size_t=1, encoder_causal=True, decoder_causal=False,
    ).eval()  # fmt: skip


VAES = {  # the VAE, latents, side of a tile in pixels, what comes out
    "wan": (wan_vae, (1, 16, 2, 6, 8), 32, (1, 3, 5, 48, 64)),
    "wan, patchified": (patchified, (1, 8, 2, 6, 5), 64, (1, 3, 5, 96, 80)),
    "pictures": (pictures, (1, 4, 24, 20), 16, (1, 3, 48, 40)),
    "temporal": (temporal, (5, 4, 8, 8), 12, (5, 3, 16, 16)),
    "ltx2": (ltx2, (1, 4, 2, 6, 5), 8, (1, 3, 3, 12, 10)),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("name", VAES)
def test_finished_tiles_go_to_ram_and_change_no_bit(name, dtype, monkeypatch):
    make, shape, side, size = VAES[name]
    torch.manual_seed(0)
    vae, latents = make().to(dtype), torch.randn(shape)
    sent = []
    monkeypatch.setattr(tiles, "to_ram", lambda pixels: sent.append(pixels.shape) or pixels.clone())
    before = {name: getattr(vae, name) for name in tiles.FIELDS if hasattr(vae, name)}
    with torch.inference_mode():
        whole = tiles.decode(vae, latents, Plan())
        on_device = tiles.decode(vae, latents, Plan(vae_tile=side))
        assert not sent
        in_ram = tiles.decode(vae, latents, Plan(vae_tile=side, vae_tiles_to_ram=True))
    assert torch.equal(on_device, in_ram)
    assert whole.shape == on_device.shape and whole.dtype == on_device.dtype == dtype
    assert tuple(whole.shape) == size
    assert not torch.equal(whole, on_device)  # tiles change pixels: the side belongs to the take
    assert len(sent) > 1 and all(one.numel() < whole.numel() for one in sent)
    assert {name: getattr(vae, name) for name in before} == before
    assert not vae.decoder._forward_hooks


def test_a_tile_as_large_as_the_picture_is_the_picture():
    torch.manual_seed(0)
    vae, latents = wan_vae(), torch.randn(1, 16, 2, 6, 8)
    with torch.inference_mode():
        assert torch.equal(tiles.decode(vae, latents, Plan(vae_tile=64)), tiles.decode(vae, latents, Plan()))


def test_a_failed_decode_leaves_the_vae_as_it_was():
    vae = wan_vae()
    with pytest.raises(RuntimeError):
        tiles.decode(vae, torch.randn(1, 3, 2, 6, 8), Plan(vae_tile=32, vae_tiles_to_ram=True))
    assert not vae.use_tiling and not vae.decoder._forward_hooks

"""Published names and configurations to ours: every weight finds its place, and another network's is told by name."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from studio.errors import Refused
from studio.pipelines.skyreels_v3.names import check, config_of, converted, kind_of, renamed

GOLDEN = Path(__file__).parent / "data" / "golden"


def weights(kind: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    with safe_open(GOLDEN / f"{kind}.safetensors", "pt") as file:
        config = json.loads(file.metadata()["config"])
        return config, {
            key.removeprefix("weights."): file.get_tensor(key) for key in file.keys() if key.startswith("weights.")  # noqa: SIM118
        }  # fmt: skip


def shapes(state: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def network(config: dict[str, Any]) -> torch.nn.Module:
    from diffusers import WanTransformer3DModel

    from studio.pipelines.skyreels_v3.audio_wan import WanAudioTransformer3DModel

    with torch.device("meta"):
        return (WanAudioTransformer3DModel if "audio_dim" in config else WanTransformer3DModel)(**config)


def expected(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return shapes(dict(network(config).named_parameters()))


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model.", "diffusion_model."])
@pytest.mark.parametrize("kind", ["r2v", "v2v_single_shot", "v2v_shot_switch", "a2v"])
def test_every_published_weight_finds_its_place(kind: str, prefix: str) -> None:
    config, state = weights(kind)
    found = {prefix + name: tensor for name, tensor in state.items()}
    made = config_of(config, shapes(found))
    check(expected(made), shapes(found), kind)
    assert network(made).load_state_dict(converted(found), assign=True).missing_keys == []
    assert {state[name.removeprefix(prefix)].data_ptr() for name in renamed(found).values()} == {
        tensor.data_ptr() for tensor in converted(found).values()
    }  # renamed, never copied
    assert set(found) == {prefix + name for name in state}, "what was given is not changed"


def test_names_alone_tell_where_a_weight_is_in_its_files() -> None:
    names = ["blocks.1.norm3.weight", "blocks.1.norm2.weight", "head.modulation", "blocks.0.audio_cross_attn.proj.bias"]
    assert renamed(names) == {
        "blocks.1.norm2.weight": "blocks.1.norm3.weight",
        "blocks.1.norm3.weight": "blocks.1.norm2.weight",
        "scale_shift_table": "head.modulation",
        "blocks.0.audio_attn2.proj.bias": "blocks.0.audio_cross_attn.proj.bias",
    }
    ours = ["blocks.1.norm2.weight", "blocks.0.attn1.to_q.weight", "audio_proj.norm.bias"]
    assert renamed(ours) == {name: name for name in ours}


def test_an_overlay_that_only_hears_is_renamed_too() -> None:
    names = ["audio_proj.proj1.weight", "blocks.39.norm_x.bias", "blocks.39.audio_cross_attn.kv_linear.weight"]
    assert list(renamed(names)) == [names[0], names[1], "blocks.39.audio_attn2.kv_linear.weight"]


def test_what_the_configuration_does_not_say_is_read_off_the_weights() -> None:
    config, state = weights("a2v")
    told = config_of({"num_heads": 2}, shapes(state))
    assert told == config_of(config, shapes(state))
    sound = {name: told[name] for name in told if "audio" in name or name == "vae_scale"}
    assert sound == {
        "vae_scale": 4, "audio_window": 5, "audio_layers": 12, "audio_channels": 768, "audio_inner_dim": 4,
        "audio_dim": 24, "audio_tokens": 32, "norm_audio": True, "norm_audio_query": True,
    }  # fmt: skip
    assert (told["text_dim"], told["image_dim"], told["ffn_dim"], told["added_kv_proj_dim"]) == (32, 1280, 64, 24)
    assert (told["num_layers"], told["in_channels"], told["out_channels"], told["attention_head_dim"]) == (
        2,
        36,
        16,
        12,
    )


def test_the_published_networks_need_no_configuration() -> None:
    """Heads are 128 wide in all of them."""
    from diffusers import WanTransformer3DModel

    with torch.device("meta"):
        made = config_of({}, shapes(dict(WanTransformer3DModel(num_layers=1).named_parameters())))
    assert (made["num_attention_heads"], made["attention_head_dim"], made["freq_dim"]) == (40, 128, 256)


def test_heads_that_nobody_can_count_are_refused() -> None:
    _, state = weights("r2v")
    for config in ({}, {"num_heads": 7}):
        with pytest.raises(Refused) as caught:
            config_of(config, shapes(state), "model.safetensors")
        assert caught.value.code == "model.heads_unknown"


def test_weights_without_sound_are_none_for_the_avatar() -> None:
    config, state = weights("a2v")
    wanted = expected(config_of(config, shapes(state)))
    silent = {name: tensor for name, tensor in state.items() if "audio" not in name and "norm_x" not in name}
    with pytest.raises(Refused) as caught:
        check(wanted, shapes(silent), "SkyReels-V3 A2V", "a.safetensors")
    assert caught.value.code == "model.wrong_network"
    assert (caught.value.params["name"], caught.value.params["found"]) == ("audio_proj", "Wan 2.1 I2V")


def test_weights_with_sound_are_none_for_an_extension() -> None:
    config, state = weights("v2v_single_shot")
    wanted = expected(config_of(config, shapes(state)))
    with pytest.raises(Refused) as caught:
        check(wanted, shapes(weights("a2v")[1]), "SkyReels-V3 V2V", "a.safetensors")
    assert caught.value.code == "model.wrong_network_more"
    assert caught.value.params["name"] == "audio_proj"
    assert caught.value.params["found"] == "SkyReels-V3 A2V, InfiniteTalk"


def test_another_width_is_told_with_both_sizes() -> None:
    config, state = weights("r2v")
    wanted = expected(config_of(config, shapes(state)))
    with pytest.raises(Refused) as caught:
        check(wanted, shapes(state) | {"proj_out.weight": (64, 48)}, "SkyReels-V3 R2V")
    assert caught.value.code == "model.wrong_network_shape"
    assert {"name": "proj_out.weight", "there": "64x48", "needed": "64x24"}.items() <= caught.value.params.items()


def test_what_is_no_wan_at_all() -> None:
    assert kind_of({"some.weight": (2, 2)}) == ""
    with pytest.raises(Refused) as caught:
        config_of({}, {"some.weight": (2, 2)}, "x.safetensors")
    assert caught.value.code == "model.wrong_network" and caught.value.params["name"] == "patch_embedding.weight"


def test_the_kind_is_told_from_the_weights() -> None:
    kinds = {kind: kind_of(shapes(weights(kind)[1])) for kind in ("r2v", "v2v_single_shot", "a2v")}
    assert kinds == {
        "r2v": "SkyReels-V3 R2V, V2V", "v2v_single_shot": "SkyReels-V3 R2V, V2V",
        "a2v": "SkyReels-V3 A2V, InfiniteTalk",
    }  # fmt: skip

"""SkyReels-V3 and InfiniteTalk at tiny size with random weights, laid out file by file as they are published.

`REPOS` is added to the one of tiny_models.py. Names of weights and settings are the original Wan's where the published
files have those; beside them lie the pickles and folders that nobody here may fetch.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

R2V, V2V, A2V = "Skywork/SkyReels-V3-R2V-14B", "Skywork/SkyReels-V3-V2V-14B", "Skywork/SkyReels-V3-A2V-19B"
INFINITETALK = "MeiGen-AI/InfiniteTalk"
WAV2VEC = "TencentGameMate/chinese-wav2vec2-base"
LAYERS, CHANNELS = 12, 16  # of the tiny wav2vec2
PICKLE = b"\x80\x02a pickle, which nobody opens"

ORIGINAL = (  # ours -> the original Wan's, piece by piece of a name; the first that fits
    (r"^condition_embedder\.time_embedder\.linear_1\.", "time_embedding.0."),
    (r"^condition_embedder\.time_embedder\.linear_2\.", "time_embedding.2."),
    (r"^condition_embedder\.text_embedder\.linear_1\.", "text_embedding.0."),
    (r"^condition_embedder\.text_embedder\.linear_2\.", "text_embedding.2."),
    (r"^condition_embedder\.time_proj\.", "time_projection.1."),
    (r"^condition_embedder\.image_embedder\.norm1\.", "img_emb.proj.0."),
    (r"^condition_embedder\.image_embedder\.ff\.net\.0\.proj\.", "img_emb.proj.1."),
    (r"^condition_embedder\.image_embedder\.ff\.net\.2\.", "img_emb.proj.3."),
    (r"^condition_embedder\.image_embedder\.norm2\.", "img_emb.proj.4."),
    (r"^scale_shift_table$", "head.modulation"),
    (r"^proj_out\.", "head.head."),
    (r"\.scale_shift_table$", ".modulation"),
    (r"\.norm2\.", ".norm3."),
    (r"\.norm3\.", ".norm2."),
    (r"\.ffn\.net\.0\.proj\.", ".ffn.0."),
    (r"\.ffn\.net\.2\.", ".ffn.2."),
    (r"\.audio_attn2\.", ".audio_cross_attn."),
    (r"\.attn1\.", ".self_attn."),
    (r"\.attn2\.", ".cross_attn."),
)
PROJECTIONS = {
    ".to_q.": ".q.", ".to_k.": ".k.", ".to_v.": ".v.", ".to_out.0.": ".o.", ".add_k_proj.": ".k_img.",
    ".add_v_proj.": ".v_img.", ".norm_added_k.": ".norm_k_img.",
}  # fmt: skip


def original(name: str) -> str:
    """What the original Wan calls a weight of ours: the inverse of names.renamed."""
    found = next((re.sub(pattern, new, name) for pattern, new in ORIGINAL if re.search(pattern, name)), name)
    for ours, theirs in PROJECTIONS.items():
        found = found.replace(ours, theirs)
    return found


def originally(state: Mapping[str, Any]) -> dict[str, Any]:
    return {original(name): tensor.contiguous() for name, tensor in state.items()}


def original_config(network: Any) -> dict[str, Any]:
    """As the original's classes save themselves."""
    config = network.config
    said = {
        "_class_name": "WanModel", "_diffusers_version": "0.31.0", "model_type": "i2v" if config.image_dim else "t2v",
        "dim": config.num_attention_heads * config.attention_head_dim, "eps": config.eps, "ffn_dim": config.ffn_dim,
        "freq_dim": config.freq_dim, "in_dim": config.in_channels, "num_heads": config.num_attention_heads,
        "num_layers": config.num_layers, "out_dim": config.out_channels, "text_len": 512,
    }  # fmt: skip
    if "audio_window" in config:
        said |= {
            "audio_window": config.audio_window, "intermediate_dim": config.audio_inner_dim,
            "output_dim": config.audio_dim, "context_tokens": config.audio_tokens, "vae_scale": config.vae_scale,
            "norm_output_audio": config.norm_audio, "norm_input_visual": config.norm_audio_query,
        }  # fmt: skip
    return said


class Folder:
    """Something that is saved file by file."""

    def __init__(self, write: Callable[[Path], None]) -> None:
        self._write = write

    def save_pretrained(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._write(folder)


def save_sharded(state: Mapping[str, Any], folder: Path, shards: int) -> None:
    """As diffusers names them: several files and an index that says where each tensor is."""
    from safetensors.torch import save_file

    names, where = sorted(state), {}
    for number in range(shards):
        file = f"diffusion_pytorch_model-{number + 1:05}-of-{shards:05}.safetensors"
        mine = names[number::shards]
        save_file({name: state[name] for name in mine}, folder / file)
        where |= dict.fromkeys(mine, file)
    index = {"metadata": {"total_size": sum(t.nbytes for t in state.values())}, "weight_map": where}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index), "utf-8")


def frame_network() -> Any:
    from tiny_models import WAN_TRANSFORMER

    from studio.pipelines.skyreels_v3.frame_wan import FrameWanTransformer3DModel

    config = {name: value for name, value in WAN_TRANSFORMER.items() if name != "rope_max_seq_len"}
    return FrameWanTransformer3DModel(**config).eval()


def audio_network(**more: Any) -> Any:
    from tiny_models import WAN_TRANSFORMER

    from studio.pipelines.skyreels_v3.audio_wan import WanAudioTransformer3DModel

    return WanAudioTransformer3DModel(**{
        **WAN_TRANSFORMER, "in_channels": 36, "image_dim": 4, "added_kv_proj_dim": 24, "audio_layers": LAYERS,
        "audio_channels": CHANNELS, "audio_inner_dim": 16, "audio_dim": 24, "audio_tokens": 4, **more,
    }).eval()  # fmt: skip


# ------------------------------------------------------------------------------------------------ repositories
def r2v() -> Any:
    """diffusers' folders and names; the transformer's configuration names the authors' own class."""
    from tiny_models import wan_t2v

    def write(folder: Path) -> None:
        wan_t2v().save_pretrained(folder)
        file = folder / "transformer" / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"_class_name": "SkyReelsA2WanI2v3DModel"}))

    return Folder(write)


def v2v() -> Any:
    """Two networks, and the encoders as pickles."""

    def write(folder: Path) -> None:
        for name in ("transformer", "shot_transformer"):
            network = frame_network()
            (folder / name).mkdir()
            (folder / name / "config.json").write_text(json.dumps(original_config(network)), "utf-8")
            save_sharded(originally(network.state_dict()), folder / name, 2)
        for name in ("models_t5_umt5-xxl-enc-bf16.pth", "Wan2.1_VAE.pth"):
            (folder / name).write_bytes(PICKLE)

    return Folder(write)


def a2v() -> Any:
    """The network in the root, and everything else beside it."""

    def write(folder: Path) -> None:
        network = audio_network()
        (folder / "config.json").write_text(json.dumps(original_config(network)), "utf-8")
        save_sharded(originally(network.state_dict()), folder, 3)
        for name in ("models_t5_umt5-xxl-enc-bf16.pth", "Wan2.1_VAE.pth",
                     "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth"):  # fmt: skip
            (folder / name).write_bytes(PICKLE)
        (folder / "configuration.json").write_text("{}")
        (folder / "chinese-wav2vec2-base").mkdir()
        (folder / "chinese-wav2vec2-base" / "config.json").write_text("{}")
        (folder / "chinese-wav2vec2-base" / "pytorch_model.bin").write_bytes(PICKLE)

    return Folder(write)


def heard(state: Mapping[str, Any]) -> dict[str, Any]:
    """Of an audio network only what its base does not have."""
    return {name: tensor for name, tensor in state.items() if "audio" in name or ".norm_x." in name}


def in_8bit(state: Mapping[str, Any], linear: set[str]) -> dict[str, Any]:
    """Weights called so as optimum-quanto freezes them: 8-bit numbers and a scale for each row."""
    import torch

    found: dict[str, Any] = {}
    for name, tensor in state.items():
        if name not in linear:
            found[name] = tensor
            continue
        scale = (tensor.abs().amax(1, keepdim=True) / torch.finfo(torch.float8_e4m3fn).max).clamp(min=1e-12)
        found[name + "._data"] = (tensor / scale).to(torch.float8_e4m3fn)
        found[name + "._scale"] = scale
        bare = name.removesuffix("weight")
        found[bare + "input_scale"] = found[bare + "output_scale"] = torch.ones(())
    return {name: tensor.clone().contiguous() for name, tensor in found.items()}


def linear_weights(network: Any) -> set[str]:
    import torch

    return {f"{name}.weight" for name, part in network.named_modules() if isinstance(part, torch.nn.Linear)}


def quantised_network() -> Any:
    """No configuration lies beside its file: its head is as wide as all published ones."""
    return audio_network(num_attention_heads=1, attention_head_dim=128, added_kv_proj_dim=128)


def infinitetalk() -> Any:
    """What is laid over Wan 2.1 I2V for one speaker and for two, and a whole network in 8 bit."""
    from safetensors.torch import save_file

    def write(folder: Path) -> None:
        for name in ("single", "multi"):
            (folder / name).mkdir()
            save_file(originally(heard(audio_network().state_dict())), folder / name / "infinitetalk.safetensors")
        network, quantised = quantised_network(), folder / "quant_models"
        quantised.mkdir()
        state = in_8bit(originally(network.state_dict()), {original(name) for name in linear_weights(network)})
        save_file(state, quantised / "infinitetalk_single_fp8.safetensors")
        for name in ("infinitetalk_single_fp8.json", "t5_map_fp8.json"):
            (quantised / name).write_text("{}")
        save_file({"shared.weight": next(iter(state.values()))}, quantised / "t5_fp8.safetensors")

    return Folder(write)


def wav2vec2() -> Any:
    """As it was trained, with what the training needed; beside it the same as pickles."""
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForPreTraining

    config = Wav2Vec2Config(
        hidden_size=CHANNELS, num_hidden_layers=LAYERS, num_attention_heads=2, intermediate_size=16, vocab_size=8,
        conv_dim=(8,) * 7, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, codevector_dim=8,
        num_codevectors_per_group=4, proj_codevector_dim=8,
    )  # fmt: skip

    def write(folder: Path) -> None:
        Wav2Vec2ForPreTraining(config).save_pretrained(folder)
        Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(folder)
        for name in ("pytorch_model.bin", "chinese-wav2vec2-base-fairseq-ckpt.pt"):
            (folder / name).write_bytes(PICKLE)

    return Folder(write)


REPOS: dict[str, Callable[[], Any]] = {
    R2V: r2v, V2V: v2v, A2V: a2v, INFINITETALK: infinitetalk, WAV2VEC: wav2vec2,
}  # fmt: skip

"""Models that speak, at tiny size with random weights: the real classes of transformers, one function for each.

REPOS is read by tiny_models. What `save_pretrained` of the object does is what lies in the repository.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789áãâàéêíóõôúç .,!?;:'-"


@dataclass
class Repository:
    """Anything that can be written, folder by folder: "" is the root."""

    folders: dict[str, list[Any]]
    tensors: dict[str, dict[str, Any]]  # by path: a safetensors file

    def save_pretrained(self, folder: Path) -> None:
        from safetensors.torch import save_file

        for name, parts in self.folders.items():
            for part in parts:
                part.save_pretrained(folder / name)
        for name, tensors in self.tensors.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            save_file(tensors, folder / name)


def letters_tokenizer(special: list[str], more: dict[str, Any], named: dict[str, str]) -> Any:
    """One token for each sign."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {sign: number for number, sign in enumerate([*special, *LETTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Split("", "isolated"), decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, padding_side="left", extra_special_tokens=named, **more)


# ------------------------------------------------------------------------------------------------ Pocket TTS, Phonon
def pocket_codec() -> Any:
    from transformers import PocketTTSAudioTokenizerConfig, PocketTTSAudioTokenizerModel

    return PocketTTSAudioTokenizerModel(PocketTTSAudioTokenizerConfig(
        hidden_size=16, num_filters=4, upsample_groups=16, num_hidden_layers=1, intermediate_size=32,
        num_attention_heads=2, num_key_value_heads=2, latent_dim=8, sliding_window=16,
    )).eval()  # fmt: skip


def pocket_tts(phonon: bool = False) -> Repository:
    """Model, words and the voices it brings along; Phonon has other sizes, and no sign before a voice."""
    import torch
    from transformers import (
        GradiumPhononTTSConfig,
        GradiumPhononTTSForConditionalGeneration,
        PocketTTSConfig,
        PocketTTSFeatureExtractor,
        PocketTTSForConditionalGeneration,
        PocketTTSProcessor,
    )

    named = {"audio_prompt_token": "<|audio_prompt|>", "audio_bos_token": "<|audio_bos|>",
             "audio_latent_token": "<|audio_latent|>"}  # fmt: skip
    if not phonon:
        named = {"audio_prompt_bos_token": "<|audio_prompt_bos|>", **named}
    special = ["<unk>", "<s>", "</s>", "<pad>", *named.values()]
    tokenizer = letters_tokenizer(special, {"pad_token": "<pad>", "unk_token": "<unk>"}, named)
    template = (
        "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'audio' %}"
        + named.get("audio_prompt_bos_token", "") + "<|audio_prompt|>{% elif c['type'] == 'text' %}{{ c['text'] }}"
        "{% endif %}{% endfor %}{% endfor %}<|audio_bos|>"
    )  # fmt: skip
    ids = {f"{name}_id": special.index(sign) for name, sign in named.items()}
    config, cls = PocketTTSConfig, PocketTTSForConditionalGeneration
    if phonon:
        config, cls = GradiumPhononTTSConfig, GradiumPhononTTSForConditionalGeneration  # type: ignore[assignment]
        ids["audio_prompt_dim"] = 12
    model = cls(config(
        vocab_size=len(special) + len(LETTERS), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, latent_dim=8, pad_token_id=3, **ids,
        flow_head_config={"hidden_size": 32, "num_hidden_layers": 2, "latent_dim": 8, "condition_dim": 32,
                          "frequency_embedding_size": 16},
    )).eval()  # fmt: skip
    processor = PocketTTSProcessor(PocketTTSFeatureExtractor(), tokenizer, chat_template=template)
    wide = ids.get("audio_prompt_dim", 8)
    voices = {f"voices/{name}.safetensors": {"audio_prompt_latents": torch.randn(5, wide)} for name in ("alba", "jean")}
    return Repository({"": [model, processor]}, voices)


REPOS: dict[str, Callable[[], Any]] = {
    "eustlb/pocket-tts": pocket_tts,
    "eustlb/pocket-tts-audio-tokenizer": pocket_codec,
    "gradium/phonon-31m-en": partial(pocket_tts, phonon=True),
}

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


# ------------------------------------------------------------------------------------------------ VibeVoice
def vibevoice() -> Repository:
    import torch
    from transformers import (
        VibeVoiceAcousticTokenizerFeatureExtractor,
        VibeVoiceConfig,
        VibeVoiceForConditionalGeneration,
        VibeVoiceProcessor,
    )

    # sound is the first of the signs that it may say: with a head of zeros it goes on to the end
    signs = {"audio": "<|vision_pad|>", "audio_bos": "<|vision_start|>", "audio_eos": "<|vision_end|>"}
    special = ["<unk>", "<pad>", *signs.values(), "<eos>"]
    plain = {"pad_token": "<pad>", "unk_token": "<unk>", "eos_token": "<eos>"}
    tokenizer = letters_tokenizer(special, plain, {f"{name}_token": sign for name, sign in signs.items()})
    small = {"num_filters": 2, "downsampling_ratios": (2, 2, 4, 5, 5, 8), "depths": (1,) * 7}
    model = VibeVoiceForConditionalGeneration(VibeVoiceConfig(
        text_config={"model_type": "qwen2", "vocab_size": len(special) + len(LETTERS), "hidden_size": 32,
                     "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                     "num_key_value_heads": 1},
        audio_config={"model_type": "vibevoice_acoustic_tokenizer", "hidden_size": 8, **small},
        semantic_model_config={"model_type": "vibevoice_acoustic_tokenizer_encoder", "hidden_size": 8, **small},
        diffusion_head_config={"num_hidden_layers": 1, "intermediate_size": 32, "frequency_embedding_size": 16},
        pad_token_id=1, eos_token_id=5, tie_word_embeddings=False,
        **{f"{name}_token_id": special.index(sign) for name, sign in signs.items()},
    )).eval()  # fmt: skip
    model.lm_head.weight.data.zero_()
    for weights in model.model.audio_tower.decoder.parameters():
        if weights.dim() == 3:  # to be heard at all
            torch.nn.init.kaiming_normal_(weights)
    turns = (
        "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'KIND' %} Speaker {{ m['role'] }}:SAID\n"
        "{% endif %}{% endfor %}{% endfor %}"
    )
    voices = turns.replace("KIND", "audio").replace("SAID", "<|vision_start|><|vision_pad|><|vision_end|>")
    template = voices + turns.replace("KIND", "text").replace("SAID", " {{ c['text'] }}") + "<|vision_start|>"
    processor = VibeVoiceProcessor(VibeVoiceAcousticTokenizerFeatureExtractor(), tokenizer, chat_template=template)
    return Repository({"": [model, processor]}, {})


# ------------------------------------------------------------------------------------------------ CSM
def csm() -> Repository:
    from transformers import CsmConfig, CsmForConditionalGeneration, CsmProcessor, EncodecFeatureExtractor

    special = ["<unk>", "<pad>", "<bos>", "<eos>", "<|AUDIO|>", "<|audio_eos|>"]
    plain = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<bos>", "eos_token": "<eos>"}
    tokenizer = letters_tokenizer(special, plain, {"audio_token": "<|AUDIO|>", "audio_eos_token": "<|audio_eos|>"})
    size = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
    codec = {
        "model_type": "mimi", "num_filters": 4, "num_hidden_layers": 1, "num_key_value_heads": 2, **size,
        "codebook_size": 128, "codebook_dim": 16, "vector_quantization_hidden_dimension": 16, "num_quantizers": 4,
        "num_semantic_quantizers": 1, "upsample_groups": 32, "sliding_window": 8, "use_causal_conv": True,
    }  # fmt: skip
    depth = {"num_codebooks": 4, "backbone_hidden_size": 32, "vocab_size": 128, "num_hidden_layers": 1,
             "num_key_value_heads": 1, "max_position_embeddings": 5, **size}  # fmt: skip
    model = CsmForConditionalGeneration(CsmConfig(
        num_codebooks=4, vocab_size=128, text_vocab_size=len(special) + len(LETTERS), num_hidden_layers=2,
        num_key_value_heads=1, pad_token_id=1, codebook_pad_token_id=127, codebook_eos_token_id=0, bos_token_id=2,
        eos_token_id=3, audio_token_id=4, audio_eos_token_id=5, depth_decoder_config=depth, codec_config=codec, **size,
    )).eval()  # fmt: skip
    for name, numbers in model.codec_model.named_buffers():
        if name.endswith("embed_sum"):  # else every code is the same silence
            numbers.normal_()
    template = (
        "{% for m in messages %}<bos>[{{ m['role'] }}]{% for c in m['content'] %}{% if c['type'] == 'text' %}"
        "{{ c['text'] }}{% elif c['type'] == 'audio' %}<|AUDIO|><|audio_eos|>{% endif %}{% endfor %}{% endfor %}"
    )
    extractor = EncodecFeatureExtractor(feature_size=1, sampling_rate=24_000)
    return Repository({"": [model, CsmProcessor(extractor, tokenizer, chat_template=template)]}, {})


# ------------------------------------------------------------------------------------------------ Dia
def dia() -> Repository:
    from transformers import DiaConfig, DiaFeatureExtractor, DiaForConditionalGeneration, DiaTokenizer

    size = {
        "num_hidden_layers": 1,
        "hidden_size": 32,
        "num_attention_heads": 2,
        "head_dim": 16,
        "intermediate_size": 32,
    }
    encoder = {"max_position_embeddings": 256, "num_key_value_heads": 2, **size}
    decoder = {"max_position_embeddings": 4096, "num_key_value_heads": 1, "cross_num_attention_heads": 2,
               "cross_head_dim": 16, "cross_num_key_value_heads": 2, "cross_hidden_size": 32, **size}  # fmt: skip
    model = DiaForConditionalGeneration(DiaConfig(encoder_config=encoder, decoder_config=decoder)).eval()
    model.model.decoder.embeddings.embed.weight.data[:, 0] = 10.0  # a sign that is always there, by which it ends soon
    head = model.logits_dense.weight.data.zero_().view(9, -1, 32)
    head[:, 1024, 0] = 0.5
    return Repository({"": [model, DiaFeatureExtractor(sampling_rate=44_100), DiaTokenizer()]}, {})


def dia_codec() -> Any:
    from transformers import DacConfig, DacModel

    return DacModel(DacConfig(
        encoder_hidden_size=4, downsampling_ratios=[2, 4, 8, 8], decoder_hidden_size=32,
        upsampling_ratios=[8, 8, 4, 2], n_codebooks=9, codebook_size=1024, codebook_dim=4, sampling_rate=44_100,
    )).eval()  # fmt: skip


# ------------------------------------------------------------------------------------------------ SpeechT5
def speecht5() -> Repository:
    from transformers import SpeechT5Config, SpeechT5FeatureExtractor, SpeechT5ForTextToSpeech

    small = {"hidden_size": 32, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 32,
             "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 32,
             "speech_decoder_prenet_units": 16, "speech_decoder_postnet_units": 16,
             "speech_decoder_postnet_layers": 2}  # fmt: skip
    model = SpeechT5ForTextToSpeech(SpeechT5Config(vocab_size=len(LETTERS) + 10, **small)).eval()
    model.speech_decoder_postnet.prob_out.bias.data.fill_(-20.0)  # else it ends before it began
    return Repository({"": [model, SpeechT5FeatureExtractor(), _Characters()]}, {})


class _Characters:
    """SpeechT5's words: a sentencepiece of single signs, and how the processor is set up."""

    def save_pretrained(self, folder: Path) -> None:
        import io

        import sentencepiece
        from transformers import SpeechT5Tokenizer

        written = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([LETTERS] * 20), model_writer=written, model_type="char", vocab_size=80,
            character_coverage=1.0, pad_id=1, bos_id=0, eos_id=2, unk_id=3, hard_vocab_limit=False, minloglevel=2,
        )  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "spm_char.model").write_bytes(written.getvalue())
        SpeechT5Tokenizer(str(folder / "spm_char.model")).save_pretrained(folder)


def speecht5_vocoder() -> Any:
    import torch
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    model = SpeechT5HifiGan(SpeechT5HifiGanConfig(upsample_initial_channel=16)).eval()
    for weights in model.parameters():
        if weights.dim() == 3:  # to be heard at all
            torch.nn.init.kaiming_normal_(weights)
    return model


def write_vectors(folder: Path) -> None:
    """Voices of SpeechT5."""
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(("anna", "ben")):
        np.save(folder / f"{name}.npy", np.random.default_rng(number).standard_normal(512).astype(np.float32))


REPOS |= {
    "vibevoice/VibeVoice-1.5B-hf": vibevoice,
    "sesame/csm-1b": csm,
    "nari-labs/Dia-1.6B-0626": dia,
    "descript/dac_44khz": dia_codec,
    "microsoft/speecht5_tts": speecht5,
    "microsoft/speecht5_hifigan": speecht5_vocoder,
}

"""Whisper at tiny size with random weights, in the layout of its repositories: it hears letters, at times."""

import json
from pathlib import Path

REPO = "openai/whisper-base"
LANGUAGES = ("en", "zh", "pt")
MOST_TOKENS = 24


def build(folder: Path) -> Path:
    import torch
    from tokenizers import AddedToken, pre_tokenizers
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizer,
    )

    torch.manual_seed(0)
    end, start, before, plain = "<|endoftext|>", "<|startoftranscript|>", "<|startofprev|>", "<|notimestamps|>"
    tongues = [f"<|{name}|>" for name in LANGUAGES]
    special = [end, start, *tongues, "<|translate|>", "<|transcribe|>", "<|startoflm|>", before, "<|nospeech|>", plain]
    tokenizer = WhisperTokenizer(
        vocab={sign: n for n, sign in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, merges=[]
    )
    tokenizer.add_tokens([AddedToken(one, special=True, normalized=False) for one in special], special_tokens=True)
    tokenizer.add_tokens([AddedToken(f"<|{n * 0.02:.2f}|>", normalized=False) for n in range(1501)])
    ids = {one: tokenizer.convert_tokens_to_ids(one) for one in special}
    ends = {
        "bos_token_id": ids[end], "eos_token_id": ids[end], "pad_token_id": ids[end],
        "decoder_start_token_id": ids[start], "suppress_tokens": [], "begin_suppress_tokens": [ids[end]],
    }  # fmt: skip
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, **ends,
        )
    )  # fmt: skip
    model.generation_config = GenerationConfig(
        is_multilingual=True, lang_to_id={one: ids[one] for one in tongues}, alignment_heads=[[0, 0], [1, 1]],
        task_to_id={"translate": ids["<|translate|>"], "transcribe": ids["<|transcribe|>"]},
        no_timestamps_token_id=ids[plain], prev_sot_token_id=ids[before], max_initial_timestamp_index=50,
        max_length=MOST_TOKENS, **ends,
    )  # fmt: skip
    model.save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder


def put_on_shelf(shelf: Path, folder: Path) -> None:
    """Found as an import from a folder is."""
    shelf.mkdir(parents=True, exist_ok=True)
    (shelf / "folders.json").write_text(json.dumps({REPO: [str(build(folder))]}), "utf-8")

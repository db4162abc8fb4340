"""Pocket TTS (Kyutai): a voice from five seconds of sample, on the CPU, heard from the first third of a second on.

transformers' own classes. `generate` gives all of a sentence at once, so its loop is ours: one latent of 80 ms after
the other, decoded as they come. The codec is causal: what was heard does not change by what follows. Knows no queue.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from studio.domain import Lane
from studio.errors import Cancelled, EngineError, Refused
from studio.pipelines.base import Limits, Run, Speaker, Speaks
from studio.pipelines.parts import Part, Shelf
from studio.pipelines.speech.engine import Sound, Words
from studio.pipelines.speech.weights import SpokenWeights, weighing

MODEL, CODEC = "eustlb/pocket-tts", "eustlb/pocket-tts-audio-tokenizer"
FIRST = 4  # latents until something is heard; then twice as many each time, so all decoding is done but twice
PUBLISHED = {"num_flow_steps": 1, "eos_threshold": -4.0, "min_frames_before_eos": 6}  # where a model does not say
TOKENS_A_SECOND, AIR_SECONDS = 3, 2  # by which the authors end a sentence that does not end by itself


class Voices:
    """`speaks` of an engine that brings voices along: by the files that are here."""

    def __init__(self, speaks: Speaks) -> None:
        self._speaks = speaks

    def __get__(self, engine: Any, cls: "type[PocketTTS]") -> Speaks:
        found = Shelf.here().find(next(part for part in cls.parts if part.name == "voices"))
        return replace(self._speaks, presets=tuple(sorted(path.stem for path in voices_in(found)))) if found else (
            self._speaks
        )  # fmt: skip


def voices_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


class PocketTTS(SpokenWeights):
    id = "pocket-tts"
    lane: ClassVar[Lane] = "cpu"
    limits = Limits(languages=("en", "pt"))
    speaks = Voices(Speaks(accents=("en", "pt", "fr", "de", "it", "es"), clones=True, sample=(3.0, 30.0), streams=True))
    licence = "CC-BY-4.0"
    rate = 24_000
    published = (
        Part("model", MODEL, 356_000_000, folder=""),
        Part("voices", MODEL, 10_000_000, files=("*.safetensors",)),
        Part("codec", CODEC, 80_000_000, folder=""),
    )
    classes: ClassVar[Mapping[str, str]] = {
        "model": "transformers:PocketTTSForConditionalGeneration",
        "codec": "transformers:PocketTTSAudioTokenizerModel",
    }
    footprint = weighing(218_000_000, 400_000_000, cpu=True, spares="always")

    class Options(SpokenWeights.Options):
        temperature: float = Field(0.7, ge=0.0, le=2.0, description="0: always the same; higher: livelier, less sure")

    # ------------------------------------------------------------------------------------------ loading
    @classmethod
    def more_parts(cls, chosen: Mapping[str, str]) -> Iterator[Part]:
        """A model of its own for a language: `pocket-tts.pt=owner/name`."""
        for language in cls.limits.languages:
            if repo := chosen.get(f"{cls.id}.{language}"):
                yield replace(cls.published[0], name=f"model.{language}", repo=repo)

    @classmethod
    def named_by(cls, part: Part, before: Sequence[Part]) -> str:
        """A model says which codec its latents are of."""
        folder = Shelf.here().find(before[0]) if part.name == "codec" else None
        if folder is None:
            return ""
        codec = _said(folder).get("audio_tokenizer")
        named = str(codec.get("audio_tokenizer_name_or_path", "")) if isinstance(codec, dict) else ""
        return named if re.fullmatch(r"[\w.-]+/[\w.-]+", named) else ""

    def built(self) -> None:
        from transformers import AutoTokenizer, PocketTTSFeatureExtractor, PocketTTSProcessor

        self._processors: dict[str, Any] = {}
        self._prompts: dict[str, Any] = {}  # by voice: latents, or what the model keeps in mind of it
        for name in self.modules:
            if name.partition(".")[0] != "model":
                continue
            folder = self.folder(self.part(name))
            said = _said(folder)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            knobs = {key: said[key] for key in PROCESSOR & said.keys()}
            self._processors[name] = PocketTTSProcessor(
                PocketTTSFeatureExtractor.from_pretrained(folder, local_files_only=True), tokenizer,
                audio_tokenizer=self.modules["codec"], chat_template=tokenizer.chat_template, **knobs,
            )  # fmt: skip

    def forgotten(self) -> None:
        self._processors, self._prompts = {}, {}

    # ------------------------------------------------------------------------------------------ speaking
    def say(self, words: Words, options: Any, run: Run) -> Iterator[Sound]:
        import torch

        yield from torch.inference_mode()(self._said_aloud)(words, options, run)  # only while it works, not between

    def _said_aloud(self, words: Words, options: Any, run: Run) -> Iterator[Sound]:
        import torch

        name = f"model.{words.language}"
        name = name if name in self.modules else "model"
        latents: list[Any] = []
        heard, due = 0, FIRST
        for latent in self._latents(self.modules[name], self._asked(name, words), words.seed, options, run):
            latents.append(latent)
            if len(latents) == due:
                yield Sound(self._decoded(torch.cat(latents, dim=1), heard))
                heard, due = len(latents), 2 * due
        if len(latents) > heard:
            yield Sound(self._decoded(torch.cat(latents, dim=1), heard))

    def _latents(self, model: Any, asked: dict[str, Any], seed: int, options: Any, run: Run) -> Iterator[Any]:
        """(1, 1, D) each, 80 ms of sound, until the model says that the sentence is over. Raises Cancelled."""
        import torch

        chance = torch.Generator("cpu").manual_seed(seed)
        config, after = model.config, int(asked.pop("frames_after_eos")[0])
        knobs = {name: getattr(model.generation_config, name, None) for name in PUBLISHED}
        flow_steps, threshold, least = (PUBLISHED[name] if value is None else value for name, value in knobs.items())
        ids = asked["input_ids"]
        special = [getattr(config, name) for name in vars(config) if name.startswith("audio_") and name.endswith("_id")]
        tokens = int((~torch.isin(ids, torch.tensor(special, device=ids.device))).sum())
        most = math.ceil((tokens / TOKENS_A_SECOND + AIR_SECONDS) * config.frame_rate)
        placeholder = torch.full((1, 1), config.audio_latent_token_id, device=ids.device)
        left: int | None = None  # latents after the end of speech
        out = model(**asked, use_cache=True)
        for number in range(most):
            if run.cancelled:
                raise Cancelled
            condition = out.last_hidden_state[:, -1]  # (1, H)
            noise = torch.randn(1, config.latent_dim, generator=chance).to(condition) * math.sqrt(options.temperature)
            latent = model.sample_latent(condition, noise, int(flow_steps))[:, None]  # (1, 1, D)
            yield model.denormalize_latents(latent)
            if left is None and number >= least and float(out.logits[0, -1, 0]) > threshold:
                left = after
            if left == 0:
                return
            left = None if left is None else left - 1
            out = model(
                input_ids=placeholder, audio_latents=latent, past_key_values=out.past_key_values, use_cache=True
            )

    def _decoded(self, latents: Any, heard: int) -> Any:
        """(N,) float32 of all (1, F, D) latents but the first `heard`, which are decoded too: the codec remembers."""
        codec = self.modules["codec"]
        latents = latents.to(codec.device, codec.dtype)
        samples = codec.decode(latents).audio_values[0, 0].float()
        samples = samples[: latents.shape[1] * codec.config.frame_size].cpu().numpy()
        if not heard:
            import numpy as np

            fade = round(0.005 * self.rate)  # a decoder that begins makes a step, heard as a click
            samples[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
        return samples[heard * codec.config.frame_size :]

    # ------------------------------------------------------------------------------------------ voices
    def _asked(self, name: str, words: Words) -> dict[str, Any]:
        """What the model is called with: the text, and the voice before it."""
        processor, model = self._processors[name], self.modules[name]
        voice = self._voice(name, words.speaker)
        text = {"type": "text", "text": words.text}
        if isinstance(voice, dict):  # what the model keeps in mind of the voice: the prompt is the text alone
            prompt = processor.apply_chat_template([{"role": "user", "content": [text]}], tokenize=False)
            asked = dict(processor(text=[prompt], return_tensors="pt"))
            cache = _in_mind(voice, model)
            seen = asked["attention_mask"].new_ones(1, cache.get_seq_length())
            import torch

            asked |= {"past_key_values": cache, "attention_mask": torch.cat([seen, asked["attention_mask"]], dim=-1)}
        else:
            content = [{"type": "audio", "audio": ""}, text]
            prompt = processor.apply_chat_template([{"role": "user", "content": content}], tokenize=False)
            asked = dict(processor(text=[prompt], audio_prompt_latents=[voice], return_tensors="pt"))
        return {key: value.to(model.device) if hasattr(value, "to") else value for key, value in asked.items()}

    def _voice(self, name: str, speaker: Speaker) -> Any:
        """(F, D) latents of the sample or of a voice that the model brings along, or {layer: (keys, values)}."""
        key = f"{name}/{speaker.print}" if speaker.sample else f"{name}/{speaker.preset}"
        if key not in self._prompts:
            self._prompts[key] = self._cloned(name, speaker) if speaker.sample else self._brought(name, speaker.preset)
        return deepcopy(self._prompts[key])

    def _cloned(self, name: str, speaker: Speaker) -> Any:
        codec = self.modules["codec"]
        if codec.config.encoder_config is None:
            raise Refused("speech.no_encoder", engine=self.id, repo=self.part("codec").repo)
        found = self._processors[name].feature_extractor([self.sample(speaker)], sampling_rate=self.rate)
        encoded = codec.encode(
            found["input_values"].to(codec.device, codec.dtype), found["padding_mask"].to(codec.device)
        )
        return encoded.latents[0][encoded.latents_mask[0].bool()].float().cpu()

    def _brought(self, name: str, preset: str) -> Any:
        from safetensors.torch import load_file

        files = {path.stem: path for path in voices_in(self.folder(self.part("voices")))}
        path = files.get(preset) if preset else next(iter(files.values()), None)
        if path is None:
            known = ", ".join(files)
            raise Refused("speech.no_such_voice", engine=self.id, preset=preset or "-", known=known or "-")
        tensors = load_file(path)
        flat = [tensor.flatten(0, -2) for tensor in tensors.values() if tensor.dim() in (2, 3)]
        if len(tensors) == 1 and flat:
            return flat[0].float()
        layers = _layers(tensors)
        if not layers:
            raise EngineError("speech.voice_unreadable", engine=self.id, file=str(path))
        return layers


PROCESSOR = frozenset({"short_text_max_words", "frames_after_eos_short_text", "frames_after_eos", "fade_in_duration"})


def _said(folder: Path) -> dict[str, Any]:
    """How its processor is set up; nothing where that cannot be read."""
    try:
        found: Any = json.loads((folder / "processor_config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _layers(tensors: Mapping[str, Any]) -> dict[int, tuple[Any, Any]]:
    """{layer: (keys, values)} by the names of tensors: the number in them, and whether they say key or value."""
    found: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        number, kind = re.search(r"\d+", name), re.search(r"key|value", name)
        if number and kind and tensor.dim() == 4:
            found.setdefault(int(number[0]), {})[kind[0]] = tensor
    whole = all(kinds.keys() == {"key", "value"} for kinds in found.values())
    return {layer: (kinds["key"], kinds["value"]) for layer, kinds in found.items()} if whole else {}


def _in_mind(layers: Mapping[int, tuple[Any, Any]], model: Any) -> Any:
    """A cache of its own for one sentence: it grows with what is said."""
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    for layer in sorted(layers):
        keys, values = (tensor.to(model.device, model.dtype) for tensor in layers[layer])
        cache.update(keys, values, layer)
    return cache

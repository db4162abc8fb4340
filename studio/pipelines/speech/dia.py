"""Dia 1.6B (Nari Labs): lively English at 44.1 kHz, like a sample whose words it is told; it laughs and sighs.

A sample is what was said before: its codes come first, its words stand before the line's. Without one each seed is
another speaker.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from studio.pipelines.base import Limits, Run, Speaks
from studio.pipelines.parts import Part
from studio.pipelines.speech.engine import Sound, Words
from studio.pipelines.speech.weights import SpokenWeights, longest, weighing

REPO, CODEC = "nari-labs/Dia-1.6B-0626", "descript/dac_44khz"
FRAMES_A_SECOND, LEAST = 86.13, 43  # frames: half a second at least, or it may end before it began
NOISES = (
    "laughs", "clears throat", "sighs", "gasps", "coughs", "singing", "sings", "mumbles", "groans", "sniffs", "screams",
    "inhales", "exhales", "applause", "burps", "humming", "sneezes", "chuckle", "whistles",
)  # fmt: skip


class Dia(SpokenWeights):
    id = "dia-1.6b"
    limits = Limits(languages=("en",))
    speaks = Speaks(accents=("en-US",), clones=True, needs_transcript=True, sample=(3.0, 10.0), emotions=NOISES)
    licence = "Apache-2.0"
    rate = 44_100
    published = (Part("model", REPO, 6_450_000_000, folder=""), Part("codec", CODEC, 307_000_000, folder=""))
    classes: ClassVar[Mapping[str, str]] = {
        "model": "transformers:DiaForConditionalGeneration", "codec": "transformers:DacModel",
    }  # fmt: skip
    keep_float32 = frozenset({"codec"})
    footprint = weighing(3_520_000_000, 1_200_000_000)

    class Options(SpokenWeights.Options):
        guidance_scale: float = Field(3.0, ge=1.0, le=10.0, description="how closely it keeps to the text")
        temperature: float = Field(1.3, gt=0.0, le=2.5, description="higher: livelier, less sure")

    def built(self) -> None:
        from transformers import DiaFeatureExtractor, DiaProcessor, DiaTokenizer

        folder = self.folder(self.part("model"))
        self._processor: Any = DiaProcessor(
            DiaFeatureExtractor.from_pretrained(folder, local_files_only=True),
            DiaTokenizer.from_pretrained(folder, local_files_only=True), self.modules["codec"],
        )  # fmt: skip

    def forgotten(self) -> None:
        self._processor = None

    def say(self, words: Words, options: Any, run: Run) -> Iterator[Sound]:
        model, speaker = self.modules["model"], words.speaker
        before = f"[S1] {speaker.transcript} " if speaker.sample else ""
        sound = {"audio": [self.sample(speaker)], "sampling_rate": self.rate} if speaker.sample else {}
        text = f"{before}[S1] {words.text}{_noise(words.direction)}"
        with self.drawing(words.seed):
            asked = self.here(self._processor(text=[text], padding=True, return_tensors="pt", **sound), model)
            known = self._processor.get_audio_prompt_len(asked["decoder_attention_mask"]) if sound else None
            made = model.generate(
                **asked, min_new_tokens=LEAST, max_new_tokens=round(longest(words.text) * FRAMES_A_SECOND),
                do_sample=True, top_k=45,
                guidance_scale=options.guidance_scale, temperature=options.temperature,
                stopping_criteria=self.until_cancelled(run),
            )  # fmt: skip
            (samples,) = self._processor.batch_decode(made, audio_prompt_len=known)
        yield Sound(samples.flatten().float().cpu().numpy())


def _noise(direction: str) -> str:
    """What the direction asks for beside the words, as its tag: "(laughs)"."""
    low = direction.lower()
    return "".join(f" ({noise})" for noise in NOISES if noise.rstrip("s") in low)

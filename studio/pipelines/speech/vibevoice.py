"""VibeVoice 1.5B (Microsoft): English and Chinese, like a sample, without its transcript. transformers' own classes.

It thinks in 7.5 tokens a second, each of which a small diffusion turns into sound; guidance runs the network twice.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from studio.errors import EngineError
from studio.pipelines.base import Limits, Run, Speaks
from studio.pipelines.parts import Part
from studio.pipelines.speech.engine import Sound, Words
from studio.pipelines.speech.weights import SpokenWeights, longest, weighing

REPO = "vibevoice/VibeVoice-1.5B-hf"
TOKENS_A_SECOND = 7.5


class VibeVoice(SpokenWeights):
    id = "vibevoice-1.5b"
    limits = Limits(languages=("en", "zh"))
    speaks = Speaks(accents=("en", "zh-CN"), clones=True, needs_sample=True, sample=(3.0, 30.0))
    licence = "MIT"
    rate = 24_000
    published = (Part("model", REPO, 5_410_000_000, folder=""),)
    classes: ClassVar[Mapping[str, str]] = {"model": "transformers:VibeVoiceForConditionalGeneration"}
    footprint = weighing(5_400_000_000, 1_500_000_000)

    class Options(SpokenWeights.Options):
        guidance_scale: float = Field(1.3, ge=1.0, le=5.0, description="how closely it keeps to voice and text")
        num_diffusion_steps: int = Field(10, ge=1, le=50, description="of each token; fewer are faster and rougher")

    def built(self) -> None:
        from transformers import VibeVoiceProcessor

        self._processor: Any = VibeVoiceProcessor.from_pretrained(
            self.folder(self.part("model")), local_files_only=True
        )

    def forgotten(self) -> None:
        self._processor = None

    def say(self, words: Words, options: Any, run: Run) -> Iterator[Sound]:
        model = self.modules["model"]
        content = [{"type": "audio", "audio": self.sample(words.speaker)}, {"type": "text", "text": words.text}]
        asked = self._processor.apply_chat_template(
            [{"role": "0", "content": content}], tokenize=True, return_dict=True,
            processor_kwargs={"return_tensors": "pt", "sampling_rate": self.rate},
        )  # fmt: skip
        with self.drawing(words.seed):
            made = model.generate(
                **self.here(asked, model), do_sample=False, guidance_scale=options.guidance_scale,
                num_diffusion_steps=options.num_diffusion_steps,
                max_new_tokens=round(longest(words.text) * TOKENS_A_SECOND),
                stopping_criteria=self.until_cancelled(run), return_dict_in_generate=True,
            )  # fmt: skip
        if made.audio[0] is None:  # it ended before it began
            raise EngineError("speech.silent", engine=self.id, text=words.text[:80])
        yield Sound(made.audio[0].flatten().float().cpu().numpy())

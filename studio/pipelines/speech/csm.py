"""CSM 1B (Sesame): English like a sample, whose words it is told as if they had been said just before."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from studio.errors import Cancelled
from studio.pipelines.base import Limits, Run, Speaks
from studio.pipelines.parts import Part
from studio.pipelines.speech.engine import Sound, Words
from studio.pipelines.speech.weights import SpokenWeights, longest, weighing

REPO = "sesame/csm-1b"
FRAMES_A_SECOND = 12.5


class CSM(SpokenWeights):
    id = "csm-1b"
    limits = Limits(languages=("en",))
    speaks = Speaks(accents=("en-US",), clones=True, needs_transcript=True, sample=(3.0, 20.0))
    licence = "Apache-2.0"
    rate = 24_000
    published = (Part("model", REPO, 6_570_000_000, folder=""),)
    classes: ClassVar[Mapping[str, str]] = {"model": "transformers:CsmForConditionalGeneration"}
    footprint = weighing(3_260_000_000, 800_000_000)

    class Options(SpokenWeights.Options):
        temperature: float = Field(0.9, gt=0.0, le=2.0, description="higher: livelier, less sure")

    def built(self) -> None:
        from transformers import CsmProcessor

        self._processor: Any = CsmProcessor.from_pretrained(self.folder(self.part("model")), local_files_only=True)

    def forgotten(self) -> None:
        self._processor = None

    def say(self, words: Words, options: Any, run: Run) -> Iterator[Sound]:
        model, turns = self.modules["model"], list[dict[str, Any]]()
        if words.speaker.sample:
            said = {"type": "text", "text": words.speaker.transcript}
            turns = [{"role": "0", "content": [said, {"type": "audio", "audio": self.sample(words.speaker)}]}]
        turns.append({"role": "0", "content": [{"type": "text", "text": words.text}]})
        asked = self._processor.apply_chat_template(turns, tokenize=True, return_dict=True)
        with self.drawing(words.seed):
            made = model.generate(
                **self.here(asked, model), output_audio=True, do_sample=True, depth_decoder_do_sample=True,
                temperature=options.temperature, depth_decoder_temperature=options.temperature,
                max_new_tokens=round(longest(words.text) * FRAMES_A_SECOND),
                logits_processor=_until_cancelled(run),
            )  # fmt: skip
        yield Sound(made[0].flatten().float().cpu().numpy())


def _until_cancelled(run: Run) -> Any:
    """A list of logits processors that change nothing, but raise Cancelled: CSM's `generate` leaves out stopping
    criteria that it does not know."""
    from transformers import LogitsProcessor, LogitsProcessorList

    class Asked(LogitsProcessor):
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            if run.cancelled:
                raise Cancelled
            return scores

    return LogitsProcessorList([Asked()])

"""Speech models that transformers knows: read from the shelf, moved to where the plan wants them, parked, let go.

A family names its parts (`published`) and the class of each (`classes`), and speaks with `self.modules`. Small models,
whole on the device or off it: nothing is streamed. Knows no model.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from studio.domain import JSON
from studio.errors import Cancelled, Refused
from studio.pipelines.base import Inputs, Plan, Room, Run, Speaker
from studio.pipelines.memory.footprint import Footprint, Network, Shape
from studio.pipelines.parts import Part, Shelf
from studio.pipelines.speech.engine import SpeechEngine
from studio.pipelines.speech.language import is_han

if TYPE_CHECKING:
    import numpy as np

REPOS = "LANTERNA_MODEL_REPOS"  # environment: "pocket-tts=owner/name,…", the setting `model_repos`


def weighing(weights: int, working: int, *, cpu: bool = False, spares: Literal["need", "always"] = "need") -> Footprint:
    """Of a model that is on the device as a whole: bytes of its weights in 16 bit, and of what is alive beside them at
    the peak of a sentence. `cpu`: a CPU is a fair place for it. `spares`: it works on the CPU where it does not fit
    the device, or leaves the device to others always."""
    network = Network(0, 0, 0, rest_bytes=weights, hidden=1, activation=0, activation_chunked=0,
                      activation_rest=working)  # fmt: skip
    return Footprint(network, tiles=False, steps=1, cpu=cpu, spares=spares)


def chosen_repos() -> dict[str, str]:
    """Repositories that the user wants in place of the published ones: by engine's id, or `id.part`."""
    pairs = [one.partition("=") for one in os.environ.get(REPOS, "").split(",")]
    return {name.strip(): repo.strip() for name, _, repo in pairs if name.strip() and repo.strip()}


class Chosen:
    """`parts` of an engine: those it is `published` with, from the repositories that the user chose."""

    def __get__(self, engine: Any, cls: "type[SpokenWeights]") -> tuple[Part, ...]:
        chosen = chosen_repos()
        first = cls.published[0].repo if cls.published else ""
        parts: list[Part] = []
        for part in cls.published:
            whole = chosen.get(cls.id, part.repo) if part.repo == first else part.repo
            named = chosen.get(f"{cls.id}.{part.name}") or cls.named_by(part, parts) or whole
            parts.append(replace(part, repo=named))
        return (*parts, *cls.more_parts(chosen))


class SpokenWeights(SpeechEngine):
    """Subclass it: `published`, `classes`, `footprint`, `licence`, `speaks`, `rate`; write `say`, and `built` where
    more than modules is needed."""

    published: ClassVar[tuple[Part, ...]] = ()
    parts = Chosen()
    classes: ClassVar[Mapping[str, str]] = {}  # part -> "transformers:CsmForConditionalGeneration"
    keep_float32: ClassVar[frozenset[str]] = frozenset()  # parts that lose too much in 16 bit

    def __init__(self) -> None:
        self.plan: Plan | None = None  # where things are; None: nowhere
        self.modules: dict[str, Any] = {}  # by part; tokenizers and the like among them
        self._marks: dict[str, str] = {}  # of what was read, by part

    @classmethod
    def more_parts(cls, chosen: Mapping[str, str]) -> Iterable[Part]:
        """Parts that are there only because the user names a repository for them."""
        return ()

    @classmethod
    def named_by(cls, part: Part, before: Sequence[Part]) -> str:
        """The repository of a part, where one of those before it is here and names it."""
        return ""

    def built(self) -> None:
        """The modules are read: make of them what `say` needs, processors for instance."""

    def forgotten(self) -> None:
        """The modules go: drop what `built` made."""

    # ------------------------------------------------------------------------------------------ where the parts are
    def shape(self, scene: Any, options: Any, inputs: Inputs) -> Shape:
        return Shape(1, 1)  # a sentence at a time: no scene is larger than another

    def load(self, plan: Plan) -> None:
        marks = self._found_marks()
        if self.plan is None or (self.plan.dtype, self._marks) != (plan.dtype, marks):
            self.close()
            self._read(plan, marks)
        for module in self._networks():
            module.to(plan.device)
        self.plan = plan

    def park(self) -> None:
        for module in self._networks():
            module.to("cpu")
        _give_back(self.plan)

    def close(self) -> None:
        plan, self.plan = self.plan, None
        self.forgotten()
        self.modules.clear()
        self._marks = {}
        _give_back(plan)

    def held(self) -> Mapping[Any, Room]:
        device = ram = 0
        for tensor in {id(one): one for module in self._networks() for one in _tensors(module)}.values():
            device += tensor.nbytes if tensor.device.type != "cpu" else 0
            ram += tensor.nbytes if tensor.device.type == "cpu" else 0
        return {(self.id, "speech"): Room(device, ram)} if device or ram else {}

    def revision(self) -> str:
        """Of all parts that were read: the sentences of others are not heard again."""
        marks = "|".join(f"{name}={mark}" for name, mark in sorted(self._marks.items()))
        return sha256(marks.encode()).hexdigest()[:16] if marks else ""

    def made_by(self) -> dict[str, JSON]:
        assert self.plan is not None
        return {"revision": self.revision(), "dtype": self.plan.dtype, "profile": self.plan.profile}

    def folder(self, part: Part) -> Path:
        """Where a part lies. Raises Refused naming it."""
        shelf = Shelf.here()
        if (found := shelf.find(part)) is not None:
            return found
        code = "model.part_half" if shelf.state(part)[0] == "partial" else "model.part_missing"
        raise Refused(code, engine=self.id, part=part.name, repo=part.repo)

    def part(self, name: str) -> Part:
        return next(part for part in type(self).parts if part.name == name)

    def _found_marks(self) -> dict[str, str]:
        from studio.pipelines.diffusion.checkpoints import mark

        return {part.name: f"{part.repo}@{mark(self.folder(part))}" for part in type(self).parts}

    def _read(self, plan: Plan, marks: dict[str, str]) -> None:
        import torch

        from studio.pipelines.diffusion.checkpoints import read_part
        from studio.pipelines.memory.parcel import let_go_of_file

        self.plan = plan  # what `built` may look at
        for part in type(self).parts:
            if where := self.classes.get(part.name.partition(".")[0]):
                dtype = torch.float32 if part.name in self.keep_float32 else getattr(torch, plan.dtype)
                module = read_part(where, self.folder(part), dtype, part.variant)
                if isinstance(module, torch.nn.Module):
                    let_go_of_file(module)
                self.modules[part.name] = module
        self._marks = marks
        self.built()

    def _networks(self) -> list[Any]:
        """The modules that can be moved."""
        return [module for module in self.modules.values() if hasattr(module, "parameters")]

    # ------------------------------------------------------------------------------------------ for `say`
    @property
    def device(self) -> str:
        assert self.plan is not None
        return self.plan.device

    @contextmanager
    def drawing(self, seed: int) -> Iterator[None]:
        """Inside, no gradients are kept and chance begins at the seed; outside it goes on as it was."""
        import torch

        assert self.plan is not None
        devices = [] if self.plan.device == "cpu" else [torch.device(self.plan.device)]
        with torch.random.fork_rng(devices), torch.inference_mode():
            torch.manual_seed(seed)
            yield

    def here(self, asked: Any, module: Any) -> dict[str, Any]:
        """What a processor made, where the module is; numbers that are no ids in its precision."""
        return {
            name: value.to(module.device, module.dtype if value.is_floating_point() else None)
            for name, value in asked.items()
            if hasattr(value, "to")
        }

    def until_cancelled(self, run: Run) -> Any:
        """A list of stopping criteria for `generate`: it never stops, but raises Cancelled at the next token."""
        from transformers import StoppingCriteria, StoppingCriteriaList

        class Asked(StoppingCriteria):
            def __call__(self, input_ids: Any, scores: Any, **named: Any) -> Any:
                import torch

                if run.cancelled:
                    raise Cancelled
                return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)

        return StoppingCriteriaList([Asked()])

    def sample(self, speaker: Speaker) -> "np.ndarray":
        """(N,) float32 mono of a voice's sample at the engine's rate, no longer than it uses."""
        return sample_of(speaker, self.rate, self.speaks.sample[1])


def longest(text: str) -> float:
    """Seconds after which a sentence that does not end by itself is ended: twice as many as a slow speaker needs."""
    chinese = sum(map(is_han, text))
    return 2 * (1.0 + 0.4 * chinese + 0.1 * (len(text) - chinese))


def sample_of(speaker: Speaker, rate: int, most: float) -> "np.ndarray":
    """(N,) float32 mono of a voice's sample at `rate` Hz, its first `most` seconds. Raises MediaError."""
    import librosa
    import numpy as np

    from studio.media import sound

    assert speaker.sample is not None
    stereo = sound.load48(speaker.sample, most)  # (N, 2)
    return np.asarray(librosa.resample(stereo.mean(axis=1), orig_sr=sound.RATE, target_sr=rate), np.float32)


def _tensors(module: Any) -> Iterator[Any]:
    yield from module.parameters()
    yield from module.buffers()


def _give_back(plan: Plan | None) -> None:
    """What was freed on the device is everybody's again."""
    if plan is not None and plan.device != "cpu":
        import torch

        torch.cuda.empty_cache()

"""The parts of a diffusers pipeline: read, shared, placed by a plan, dressed with what a run wants. Runs nothing.

A family says which parts there are (docs/engines.md). What every run needs is read at once; encoders only when one is
asked. Those and the VAE are everybody's, through the pool; a network that may be streamed, cast or dressed is ours.
"""

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, Field

from studio.errors import Refused
from studio.pipelines.base import Engine, Plan, Room
from studio.pipelines.diffusion.checkpoints import find_file, mark
from studio.pipelines.diffusion.lora import Stack, put_on, take_off, touched
from studio.pipelines.diffusion.signs import GGUF
from studio.pipelines.parts import Part, Shelf

if TYPE_CHECKING:
    from studio.pipelines.memory.places import Places
    from studio.pipelines.memory.shards import Located

LOOKS = frozenset({"image_encoder", "image_processor", "feature_extractor"})  # parts that encode pictures, not words
SHARED = frozenset({"vae", "tokenizer", "tokenizer_2", *LOOKS})  # beside the encoders: no run leaves anything in them


class FileOptions(BaseModel):
    """A knob of families whose models people trade as single files, to be mixed into their Options."""

    checkpoint: str = Field("", max_length=400, description="a file below data/models/checkpoints instead of the model")


class Loading(Engine):
    """An engine as far as its parts go; DiffusersEngine is what runs on them."""

    pipeline: ClassVar[str]  # name of its class in diffusers, or "module:Class" of one of ours
    placed: ClassVar[Mapping[str, Sequence[str]]] = {}  # methods of the pipeline that need more modules while it runs
    classes: ClassVar[Mapping[str, str]]  # part -> "diffusers:WanTransformer3DModel"
    built_with: ClassVar[Mapping[str, Any]] = {}  # more arguments of the pipeline: expand_timesteps, boundary_ratio
    blocks: ClassVar[Mapping[str, Sequence[str]]] = {"transformer": ("blocks",)}  # what may be streamed, in order
    encoders: ClassVar[tuple[str, ...]] = ("text_encoder",)  # modules that the first phase needs
    denoisers: ClassVar[tuple[str, ...]] = ("transformer",)  # modules that the second phase needs
    keep_float32: ClassVar[frozenset[str]] = frozenset()  # parts that lose too much in 16 bit
    readers: ClassVar[Mapping[str, str]] = {}  # part -> module that knows how its weights are published

    def __init__(self) -> None:
        self.plan: Any = None  # where things are; None: nowhere
        self.placement: Places
        self.pipe: Any
        self._keys: dict[str, Hashable] = {}  # in the pool, by part
        self._marks: dict[str, str] = {}  # of what was read, by part
        self._file: tuple[Path, str] | None = None  # a checkpoint that stands for the model, and its mark
        self._stack = Stack()  # LoRAs that are on
        self._worn: set[str] = set()  # encoders that some of them change
        self._opened: dict[str, Any] = {}  # modules of the checkpoint, by part

    def load(self, plan: Plan) -> None:
        marks = {part.name: mark(self._folder(part)) for part in self.parts}  # they may have been fetched anew
        if self.plan == plan and self._marks == marks:
            return
        from_disk = self._file is not None and plan.weights == "disk"  # which are those of the shelf
        kept = self.plan is not None and self._marks == marks and not from_disk
        if kept and (self.plan.dtype, self.plan.weight_bits) == (plan.dtype, plan.weight_bits):
            self.placement.close()
        else:
            self.close()
            self._read(plan)
        self._place(plan)

    def park(self) -> None:
        if self.plan is not None:
            self.placement.park()

    def close(self) -> None:
        if self.plan is not None:
            self.placement.close()
            self.plan = None
        for name in ("pipe", "placement"):
            vars(self).pop(name, None)
        for key in self._keys.values():
            self.pool.give_back(key)
        self._keys.clear()
        self._file, self._stack, self._worn = None, Stack(), set()
        self._opened.clear()

    def held(self) -> Mapping[Hashable, Room]:
        return {} if self.plan is None else self.placement.held()

    def _read(self, plan: Plan) -> None:
        """The pipeline on the parts that every run needs; encoders come when one is asked."""
        self._precision = plan.dtype, plan.weight_bits
        self._marks = {part.name: mark(self._folder(part)) for part in self.parts}
        if self._file is not None:
            self._open(self._file[0])
        eager = {part.name: self._borrow(part.name) for part in self.parts if part.name not in self.encoders and not part.over}
        if plan.weight_bits == 8:
            from studio.pipelines.memory import eightbit

            for name in self._networks():
                eightbit.store(eager[name], self.blocks[name])
        self.pipe = pipeline_on(plan.device, self.pipeline)(**eager, **dict.fromkeys(self.encoders), **self.built_with)
        self.pipe.set_progress_bar_config(disable=True)
        self._built()

    def _built(self) -> None:
        """The pipeline is there: change what it calls itself."""
        for name, modules in self.placed.items():
            setattr(self.pipe, name, partial(self._with, modules, getattr(self.pipe, name)))

    def _open(self, file: Path) -> None:
        """Take from a checkpoint what it holds; `_borrow` finds it there instead of on the shelf."""
        from studio.pipelines.diffusion.checkpoints import Described, read_single

        names = {*self._networks(), *self.encoders, "vae"}
        wanted = {
            part.name: Described(self.classes[part.name], self._folder(part), self._dtype(part.name))
            for part in self.parts if part.name in names
        }  # fmt: skip
        self._opened = read_single(file, wanted, self._networks(), self.blocks)

    def _dress(self, options: Any) -> None:
        """The checkpoint and the LoRAs that this run wants, and no others."""
        stack = Stack.of(options.loras)
        name = options.checkpoint if isinstance(options, FileOptions) else ""
        path, plan = find_file(name, "checkpoints") if name else None, self.plan
        file = (path, mark(path)) if path else None
        if file and plan.weights == "disk":
            raise Refused("model.checkpoint_streams", file=name)
        if path and path.suffix.lower() == GGUF and plan.weight_bits == 8:
            raise Refused("model.gguf_eight_bit", file=name)
        if (file, stack) == (self._file, self._stack):
            return
        if file != self._file:
            self.close()
            self._file = file
            try:
                self._read(plan)
            except BaseException:
                self.close()
                raise
        else:
            self.placement.close()
            self._undress()
        try:
            self._put_on(stack)
        except BaseException:
            self._undress()
            raise
        finally:
            self._place(plan)

    def _put_on(self, stack: Stack) -> None:
        """An encoder that a LoRA changes is ours alone as long as it wears it."""
        self._worn = touched(stack) & {*self.encoders}
        for name in self._worn:
            if name in self._keys:
                self.pool.give_back(self._keys.pop(name))
            self._bring(name)
        put_on(self.pipe, stack, {name: getattr(self.pipe, name) for name in self._networks()})
        self._stack = stack

    def _undress(self) -> None:
        if self._stack.loras:
            take_off(self.pipe)
        self._stack = Stack()
        for name in self._worn & {*self._keys}:
            self.pool.give_back(self._keys.pop(name))
            self.pipe.register_modules(**{name: None})
        self._worn = set()

    def _place(self, plan: Plan) -> None:
        import torch

        from studio.pipelines.memory.places import Places

        shared = {*self.encoders, *SHARED}
        modules = {name: getattr(self.pipe, name) for name in self._keys}
        own = {n: m for n, m in modules.items() if isinstance(m, torch.nn.Module) and n not in shared}
        keys = {part.name: self._key(part) for part in self.parts if part.name in {*self.encoders, "vae"}}
        type(self.pipe).works_on = plan.device
        folders = {name: self._where(name, plan) for name in own}
        self.placement = Places(plan, own, keys, self.blocks, self.pool, self._bring, folders)
        self.plan = plan

    def _with(self, modules: Sequence[str], method: Any, *args: Any, **named: Any) -> Any:
        with self.placement.using(*modules):
            return method(*args, **named)

    def _bring(self, name: str) -> None:
        if name not in self._keys:
            self.pipe.register_modules(**{name: self._borrow(name)})

    def _borrow(self, name: str) -> Any:
        from studio.pipelines.diffusion.checkpoints import read_part

        part = self._part(name)
        key = self._key(part)

        def read() -> Any:
            if name in self._opened:
                return self._opened[name]
            if name in self.readers:
                published = import_module(self.readers[name])
                return published.read(self.classes[name], self._layers(part), self._dtype(name), self._precision[1] == 8)
            return read_part(self.classes[name], self._folder(part), self._dtype(name), part.variant)

        module = self.pool.borrow(key, read)
        self._keys[name] = key
        return module

    def _layers(self, part: Part) -> list[tuple[Path, Part]]:
        """Where a part's weights are, and then what lies over them."""
        return [(self._folder(one), one) for one in (part, *(one for one in self.parts if one.over == part.name))]

    def _where(self, name: str, plan: Plan) -> "Path | Located":
        """From where blocks of a module can be streamed."""
        part = self._part(name)
        if name not in self.readers or plan.weights != "disk":
            return self._folder(part)
        found: Located = import_module(self.readers[name]).located(self._layers(part))
        return found

    def _key(self, part: Part) -> tuple[Hashable, ...]:
        """Encoders, tokenizers and VAE are everybody's; what may be streamed, cast or dressed is ours."""
        name = part.name
        precision = self._precision_of(name)
        shared = name in {*self.encoders, *SHARED} and name not in self._worn
        mine = () if shared else (self.id, self._precision[1])
        if self._file is not None and name in self._opened:
            return (*map(str, self._file), name, self.id, precision, *mine)
        over = [(one.repo, one.where, self._marks[one.name]) for one in self.parts if one.over == name]
        return (part.repo, part.where, part.variant, self._marks[name], self.classes[name], precision, *mine, *over)

    def _dtype(self, name: str) -> Any:
        import torch

        return getattr(torch, self._precision_of(name))

    def _precision_of(self, name: str) -> str:
        return "float32" if name in self.keep_float32 else self._precision[0]

    def _networks(self) -> list[str]:
        """The denoising networks themselves, of what the second phase needs."""
        return [name for name in self.denoisers if name not in SHARED and name in self.blocks]

    def _part(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)

    def _folder(self, part: Part) -> Path:
        folder = Shelf.here().find(part)
        if folder is None:
            raise Refused("model.part_missing", engine=self.id, part=part.name, repo=part.repo)
        return folder


def pipeline_on(device: str, name: str) -> type:
    """The pipeline's class, told where it works: it would guess that from where its first module lies."""
    import torch

    module, _, name = name.rpartition(":")
    cls = getattr(import_module(module or "diffusers"), name)
    where = property(lambda self: torch.device(type(self).works_on))
    members = {"_execution_device": where, "device": where, "works_on": device, "__module__": cls.__module__}
    return type(name, (cls,), members)

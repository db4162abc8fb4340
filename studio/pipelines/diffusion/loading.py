"""The parts of a diffusers pipeline: read, shared, placed by a plan, dressed with what a run wants. Runs nothing.

A family says which parts there are (docs/engines.md). What every run needs is read at once; encoders only when one is
asked. Those and the VAE are everybody's, through the pool; a network that may be streamed, cast or dressed is ours.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, Field

from studio.errors import Refused
from studio.pipelines.base import Engine, Plan, Room
from studio.pipelines.diffusion import lora, signs
from studio.pipelines.diffusion.checkpoints import find_file, mark
from studio.pipelines.diffusion.lora import Stack, put_on, take_off, touched
from studio.pipelines.diffusion.signs import GGUF, packed_bytes
from studio.pipelines.parts import Part, Shelf

if TYPE_CHECKING:
    from studio.pipelines.memory.footprint import Footprint
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
        self._expected: tuple[Path, str] | None = None  # the checkpoint of the next run
        self._stack = Stack()  # LoRAs that are on
        self._worn: set[str] = set()  # encoders that some of them change
        self._opened: dict[str, Any] = {}  # modules of the checkpoint, by part

    # ------------------------------------------------------------------------------------------ files of the user
    @classmethod
    def file_problems(cls, options: Any, plan: Plan | None = None) -> Iterator[Refused]:
        if plan is not None:
            file = _checkpoint(options)
            yield from filter(None, [unheld(file[0], plan)] if file else ())
            return
        folders = cls._published()
        for number, one in enumerate(options.loras):
            if one.weight and (refused := _refusal(_look_at_lora, one.file, folders)):
                yield _at(refused, f"options.{cls.id}.loras.{number}.file")
        name = options.checkpoint if isinstance(options, FileOptions) else ""
        if name and (refused := _refusal(_look_at_checkpoint, name, folders)):
            yield _at(refused, f"options.{cls.id}.checkpoint")

    @classmethod
    def weighs(cls, options: Any) -> "Footprint | None":
        """A packed checkpoint is lighter, and takes some room when a layer is unpacked."""
        file = _checkpoint(options)
        if cls.footprint is None or file is None or file[0].suffix.lower() != GGUF:
            return cls.footprint
        whole, rest, block, layer = packed_bytes(file[0], cls.blocks[cls._networks()[0]])
        network = replace(
            cls.footprint.network, block_bytes=block, blocks_bytes=whole, rest_bytes=rest, block_bytes_8bit=0,
            activation_rest=cls.footprint.network.activation_rest + layer,
            chunk_rest=cls.footprint.network.chunk_rest + layer,
        )  # fmt: skip
        return replace(cls.footprint, network=network)

    @classmethod
    def _published(cls) -> dict[str, Path]:
        """Folders of diffusers' own networks that this engine runs, by their classes, as far as they are here."""
        found = {}
        for name in cls._networks():
            library, _, kind = cls.classes[name].partition(":")
            folder = Shelf.here().find(cls._part(name)) if library == "diffusers" else None
            if folder is not None:
                found[kind] = folder
        return found

    # ------------------------------------------------------------------------------------------ where the parts are
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
            if self._expected and unheld(self._expected[0], plan) is None:
                self._file = self._expected
            self._read(plan)
        self._place(plan)

    def expect(self, options: Any) -> None:
        self._expected = _checkpoint(options)

    def park(self) -> None:
        if self.plan is not None:
            self.placement.park()

    def close(self) -> None:
        if self.plan is not None:
            self.placement.close(keep=False)
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
        self._from_disk = plan.weights == "disk" and plan.transformer == "stream"
        self._marks = {part.name: mark(self._folder(part)) for part in self.parts}
        if self._file is not None:
            self._open(self._file[0])
        components = [part.name for part in self.parts if not part.over]
        eager = {name: self._borrow(name) for name in components if name not in self.encoders}
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
        stack, file, plan = Stack.of(options.loras), _checkpoint(options), self.plan
        if file and (refused := unheld(file[0], plan)):
            raise refused
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
        import torch

        from studio.pipelines.diffusion.checkpoints import read_part
        from studio.pipelines.memory.parcel import let_go_of_file

        part = self._part(name)
        key = self._key(part)

        def read() -> Any:
            if name in self._opened:
                return self._opened[name]
            if name in self.readers:
                published, keep_8bit = import_module(self.readers[name]), self._precision[1] == 8
                without = self.blocks.get(name, ()) if self._from_disk else ()
                return published.read(self.classes[name], self._layers(part), self._dtype(name), keep_8bit, without)
            return read_part(self.classes[name], self._folder(part), self._dtype(name), part.variant)

        def own() -> Any:
            module = read()
            if isinstance(module, torch.nn.Module):
                let_go_of_file(module)
            return module

        module = self.pool.borrow(key, own)
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
        mine = () if shared else (self.id, self._precision[1], self._from_disk)
        if self._file is not None and name in self._opened:
            return (*map(str, self._file), name, self.id, precision, *mine)
        over = [(one.repo, one.where, self._marks[one.name]) for one in self.parts if one.over == name]
        return (part.repo, part.where, part.variant, self._marks[name], self.classes[name], precision, *mine, *over)

    def _dtype(self, name: str) -> Any:
        import torch

        return getattr(torch, self._precision_of(name))

    def _precision_of(self, name: str) -> str:
        return "float32" if name in self.keep_float32 else self._precision[0]

    @classmethod
    def _networks(cls) -> list[str]:
        """The denoising networks themselves, of what the second phase needs."""
        return [name for name in cls.denoisers if name not in SHARED and name in cls.blocks]

    @classmethod
    def _part(cls, name: str) -> Part:
        return next(part for part in cls.parts if part.name == name)

    def _folder(self, part: Part) -> Path:
        folder = Shelf.here().find(part)
        if folder is None:
            half = Shelf.here().state(part)[0] == "partial"
            code = "model.part_half" if half else "model.part_missing"
            raise Refused(code, engine=self.id, part=part.name, repo=part.repo)
        return folder


def unheld(file: Path, plan: Plan) -> Refused | None:
    """Why a checkpoint cannot be where this plan wants the weights."""
    if plan.weights == "disk":
        return Refused("model.checkpoint_streams", file=file.name, field="profile")
    if file.suffix.lower() == GGUF and plan.weight_bits == 8:
        return Refused("model.gguf_eight_bit", file=file.name, field="profile")
    return None


def _checkpoint(options: Any) -> tuple[Path, str] | None:
    """The file that a run wants instead of the model, and its mark. Raises Refused."""
    name = options.checkpoint if isinstance(options, FileOptions) else ""
    path = find_file(name, "checkpoints") if name else None
    return (path, mark(path)) if path else None


def _look_at_checkpoint(name: str, networks: Mapping[str, Path]) -> None:
    file = find_file(name, "checkpoints")
    for kind, folder in networks.items():
        signs.check(file, kind, folder)


def _look_at_lora(name: str, networks: Mapping[str, Path]) -> None:
    file = find_file(name, "loras")
    if networks:
        lora.check(file, networks)


def _refusal(
    look: Callable[[str, Mapping[str, Path]], None], name: str, networks: Mapping[str, Path]
) -> Refused | None:
    try:
        look(name, networks)
    except Refused as refused:
        return refused
    return None


def _at(refused: Refused, field: str) -> Refused:
    return Refused(refused.code, **{**refused.params, "field": field})


def pipeline_on(device: str, name: str) -> type:
    """The pipeline's class, told where it works: it would guess that from where its first module lies."""
    import torch

    module, _, name = name.rpartition(":")
    cls = getattr(import_module(module or "diffusers"), name)
    where = property(lambda self: torch.device(type(self).works_on))
    members = {"_execution_device": where, "device": where, "works_on": device, "__module__": cls.__module__}
    return type(name, (cls,), members)

"""Puts the modules of a pipeline where a plan wants them, and only while they are needed. Knows torch, no model.

`using("transformer")` promises that the module can be called inside the block. It comes to the device when it is
called, and what is there only for a while makes room then: a VAE that encodes a picture before the first step leaves
before the transformer comes, and of two transformers only the one at work is there. Leaving copies nothing: a module
sees its tensors in RAM again, which nobody has written.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils._pytree import tree_map_only

from studio.errors import Refused
from studio.pipelines.base import Plan, Room
from studio.pipelines.memory import chunked
from studio.pipelines.memory.copier import Copier, Ledger, copier_for
from studio.pipelines.memory.parcel import Parcel, give_back, lie_evenly, sites, weight_bytes
from studio.pipelines.memory.shards import FromFiles, Located, Shards, Staging
from studio.pipelines.memory.streamer import AsRead, BlockStreamer, Slab, Slot, Source

Mode = Literal["stay", "visit", "stream", "ram"]  # stay: once it came; visit, stream: while it is in use
MODES: Mapping[str, Mode] = {"resident": "stay", "device": "stay", "swap": "visit", "stream": "stream", "ram": "ram"}
FIELDS = {  # the plan's field for a module, by how its name begins
    "transformer": "transformer", "unet": "transformer", "controlnet": "transformer",
    "text_encoder": "text_encoder", "connectors": "text_encoder", "image_encoder": "image_encoder",
    "vae": "vae", "audio_vae": "vae", "vocoder": "vae", "latent_upsampler": "vae",
}  # fmt: skip


class Stage:
    """A device: what moves weights to it, and who is on it for a while."""

    def __init__(self, copier: Copier) -> None:
        self.copier = copier
        self.visitors: list[Kept] = []

    def clear(self, for_whom: "Kept") -> None:
        """Send every other visitor away."""
        for kept in list(self.visitors):
            if kept is not for_whom:
                kept.leave()


@cache
def stage_of(device: str) -> Stage:
    return Stage(copier_for(device))


class Placement:
    """The modules of one pipeline under one plan."""

    def __init__(
        self,
        plan: Plan,
        modules: Mapping[str, Any],
        blocks: Mapping[str, Sequence[str]],
        *,
        folders: Mapping[str, Path | Located] | None = None,
        stage: Stage | None = None,
    ) -> None:
        """`modules`: by their name in the pipeline. `blocks`: by module, the attributes that hold what may be streamed,
        in the order in which they are run, dots allowed; a text encoder that is not named has its layers found.
        `folders`: by module, where its weights are, for a plan that streams from disk. Caches may be enabled before
        or after, adapters added and removed while the module is not in use.

        Raises Refused: "memory.pin_failed", "memory.not_in_files"."""
        self._plan, self.stage = plan, stage or stage_of(plan.device)
        self._kept = {
            name: Kept(name, module, plan, blocks.get(name, ()), self.stage, (folders or {}).get(name))
            for name, module in modules.items()
        }
        give_back()

    @property
    def ledger(self) -> Ledger:
        """Of all that was moved to this device since the process began."""
        return self.stage.copier.ledger

    @contextmanager
    def using(self, *names: str) -> Iterator[None]:
        """These can be called inside the block."""
        kept = [self._kept[name] for name in names if name in self._kept]
        for one in kept:
            one.users += 1
        try:
            yield
        finally:
            for one in kept:
                one.users -= 1
                if not one.users and one.mode != "stay":
                    one.leave()

    def lower(self) -> bool:
        """Keep fewer blocks of the transformers on the device from now on, a quarter of all at a time. False: there is
        none left to give up. Not while one is in use."""
        return any([kept.give_up() for kept in self._kept.values() if kept.field == "transformer"])

    def park(self) -> None:
        """Leave the device, stay in RAM."""
        for kept in self._kept.values():
            kept.leave()

    def close(self, *, keep: bool = True) -> None:
        """Let everything go: the modules lie in RAM as they were read, for whoever takes them next. Where nobody does
        (`keep` is false), what streams from the disk stays empty."""
        for kept in self._kept.values():
            kept.close(keep)
        self._kept.clear()

    def held(self) -> Room:
        """Bytes that the modules take now."""
        return sum((kept.held() for kept in self._kept.values()), Room())


class Kept:
    """One module and where it is."""

    def __init__(
        self, name: str, module: Any, plan: Plan, blocks: Sequence[str], stage: Stage, folder: Path | Located | None
    ) -> None:
        self.name, self.module, self.stage, self._device = name, module, stage, plan.device
        self.field = FIELDS[max((known for known in FIELDS if name.startswith(known)), key=len)]
        self.mode = MODES[getattr(plan, self.field)]
        module.requires_grad_(False)  # products with a weight that could learn are added up in another order
        if self.field == "image_encoder" and self.mode == "stay" and plan.transformer != "resident":
            self.mode = "visit"
        self.users = 0
        self._up = False
        self._rest: tuple[Parcel, Slot] | None = None
        self._in_ram: set[int] = set()  # ids of tensors that are used where they are
        self._depth = 0  # of calls into what works in RAM
        self._undo: list[Callable[[], None]] = []
        self._staging: Staging | None = None
        self.streamer: BlockStreamer | None = None
        if self.field == "transformer" and plan.token_chunk and chunked.can(module):
            self._undo.append(chunked.install(module, plan.token_chunk))
        if self.mode == "ram" or (self.mode == "stay" and plan.device == "cpu"):
            lie_evenly(module)
            if plan.device != "cpu":
                self._work_in_ram(module.modules())
            return
        found = [block for path in blocks for block in _listed(attrgetter(path)(module))]
        if self.mode == "stream" and not found:
            found = _layers(module)
        if self.mode == "stream" and self.field == "text_encoder" and hasattr(module, "get_input_embeddings"):
            self._keep_embedding()
        if found:
            self._stream(name, found, plan, folder)
        self._watch(found)

    def _stream(self, name: str, blocks: Sequence[Any], plan: Plan, folder: Path | Located | None) -> None:
        resident = len(blocks)
        if self.mode == "stream":
            resident = plan.resident_blocks if self.field == "transformer" else 0
        self.streamer = BlockStreamer(
            name, blocks, self.stage.copier, slots=plan.slots, resident=resident, without=_shared(self.module, blocks),
            source=self._sources(blocks, plan, folder),
        )  # fmt: skip

    def _sources(
        self, blocks: Sequence[Any], plan: Plan, folder: Path | Located | None
    ) -> Callable[[Parcel, bool], Source]:
        """Where blocks come from. Those of a transformer that flow are locked; others where the plan has room left."""
        copier = self.stage.copier
        if self.field == "transformer" and self.mode == "stream" and plan.weights == "disk":
            if folder is None:
                raise Refused("memory.not_in_files", tensor=type(self.module).__name__, folder="")
            shards, names = Shards(folder), {id(tensor): name for name, tensor in self._named()}
            largest = max(Parcel("", [block]).size for block in blocks)
            staging = self._staging = Staging(copier, plan.slots, largest)
            return lambda parcel, flows: FromFiles(parcel, names, shards, staging)

        def source(parcel: Parcel, flows: bool) -> Source:
            room = plan.pinned_bytes - copier.pinned_bytes
            locked = flows if self.field == "transformer" and flows else parcel.size <= room
            return Slab(parcel, copier) if locked else AsRead(parcel)

        return source

    def _named(self) -> Iterator[tuple[str, Any]]:
        yield from self.module.named_parameters()
        yield from self.module.named_buffers()

    # ------------------------------------------------------------------------------------------ on the device or not
    def called(self, *ignored: Any) -> None:
        """Before the module, or a part of it, is called."""
        if self._up or not self.users:
            return
        self.stage.clear(self)
        self._up = True
        if self.mode != "stay":
            self.stage.visitors.append(self)
        try:
            self._come()
        except BaseException:
            self.leave()
            raise

    def _come(self) -> None:
        streamer, copier = self.streamer, self.stage.copier
        elsewhere = self._in_ram | (streamer.tensor_ids() if streamer else set())
        parcel = Parcel(f"{self.name}.rest", [self.module], elsewhere)
        slot = Slot(copier.slot(parcel.size))
        self._rest = parcel, slot
        AsRead(parcel).send(copier, slot.memory)
        copier.sums_wait(copier.copied())
        parcel.bind(parcel.views(slot.memory))
        if streamer is not None:
            streamer.start()

    def leave(self) -> None:
        """Leave the device, without a copy."""
        if not self._up:
            return
        self._up = False
        if self in self.stage.visitors:
            self.stage.visitors.remove(self)
        if self.streamer is not None:
            self.streamer.stop()
        if self._rest is not None:
            parcel, slot = self._rest
            parcel.unbind()
            self.stage.copier.release(slot.memory)
            self._rest = None

    def give_up(self) -> bool:
        if self.streamer is None or not self.streamer.resident:
            return False
        self.leave()
        quarter = -(-len(self.streamer.parcels) // 4)
        self.streamer.keep(max(0, self.streamer.resident - quarter))
        self.mode = "stream"
        return True

    def close(self, keep: bool) -> None:
        self.leave()
        if self._staging is not None:
            self._staging.keep = keep
        if self.streamer is not None:
            self.streamer.close()
            self.streamer = None  # it knows us: as a circle, both would keep the slabs until Python looks for circles
        while self._undo:
            self._undo.pop()()

    def held(self) -> Room:
        device = self._rest[1].memory.nbytes if self._rest else 0
        if self.streamer is None:
            return Room(device, weight_bytes(self.module), 0)
        staged = self._staging.bytes if self._staging else 0
        blocks = sum(parcel.weight_bytes for parcel in self.streamer.parcels)
        ram = weight_bytes(self.module) - blocks + self.streamer.ram_bytes + staged
        return Room(device + self.streamer.device_bytes, ram, self.streamer.pinned_bytes + staged)

    # ------------------------------------------------------------------------------------------ calls
    def _watch(self, blocks: Sequence[Any]) -> None:
        """Be told before any part is called: pipelines call a VAE's decoder or an encoder's layers by themselves."""
        within = {id(part) for block in blocks for part in block.modules()}
        parts = [self.module, *self.module.children()] if self.field == "transformer" else self.module.modules()
        for part in parts:
            if id(part) not in within:
                self._undo.append(part.register_forward_pre_hook(self.called, prepend=True).remove)

    def _keep_embedding(self) -> None:
        """The table of tokens stays in RAM: a prompt looks up a few hundred of its rows."""
        table = self.module.get_input_embeddings().weight
        users = [part for part in self.module.modules() if getattr(part, "weight", None) is table]
        self._in_ram = {id(tensor) for part in users for tensor, _ in sites(part)}
        self._work_in_ram(users)

    def _work_in_ram(self, parts: Iterable[Any]) -> None:
        """What goes in comes to RAM, what comes out goes to the device; inside, nothing moves."""

        def before(part: Any, args: Any, named: Any) -> Any:
            self._depth += 1
            return _moved((args, named), "cpu") if self._depth == 1 else (args, named)

        def after(part: Any, args: Any, result: Any) -> Any:
            self._depth -= 1
            return _moved(result, self._device) if not self._depth else result

        for part in parts:
            self._undo.append(part.register_forward_pre_hook(before, with_kwargs=True).remove)
            self._undo.append(part.register_forward_hook(after, always_call=True).remove)


def _moved(values: Any, device: str) -> Any:
    return tree_map_only(torch.Tensor, lambda tensor: tensor.to(device), values)


def _listed(found: Any) -> list[Any]:
    return list(found) if isinstance(found, torch.nn.ModuleList) else [found]


def _layers(module: Any) -> list[Any]:
    """The heaviest list of layers."""
    lists = [part for part in module.modules() if isinstance(part, torch.nn.ModuleList) and len(part) > 1]
    return list(max(lists, key=weight_bytes, default=()))


def _shared(module: Any, blocks: Sequence[Any]) -> set[int]:
    """Ids of tensors that two blocks share, or a block and the rest: they do not flow."""
    owners = Counter(found for block in blocks for found in {id(tensor) for tensor, _ in sites(block)})
    within = {id(part) for block in blocks for part in block.modules()}
    outside = [part for part in module.modules() if id(part) not in within]
    owners.update({id(t) for part in outside for t in (*part._parameters.values(), *part._buffers.values())})
    return {found for found, count in owners.items() if count > 1}

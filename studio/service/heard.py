"""A take under the voices that count now, where they are others than it was made with: what the player plays.

The picture's packets are copied, only its sound is mixed again, as the film will have it. The take never changes;
what is made here lies in the cache and may be thrown away.
"""

from dataclasses import replace
from pathlib import Path
from threading import Lock

from pydantic import ValidationError

from studio.domain import CutSettings, Frame, Take
from studio.errors import NotFound
from studio.runner import Runner
from studio.service.cut_list import CutLists
from studio.store import SceneRow, Store

PLAIN = {"trim_start": 0.0, "trim_end": 0.0, "effects": [], "transition": "cut"}  # the whole take, and only it


class Heard:
    def __init__(self, store: Store, runner: Runner, lists: CutLists, cache: Path) -> None:
        self._store, self._runner, self._lists, self._cache = store, runner, lists, cache
        self._making = Lock()  # one at a time; nothing else is taken inside it

    def file(self, take_id: str) -> Path:
        """The take's own file where its voices are still the ones that count. Raises NotFound."""
        take = self._store.takes.get(take_id)
        if not take.path.is_file():
            raise NotFound("take.file_gone", name=take.path.name)
        row = self._store.queues.scene(take.scene_id)
        voices = self._lists.spoken_anew(row, take)
        if not voices:
            return take.path
        made = self._cache / "heard" / f"{take.id}-{'-'.join(voice.take.id[-8:] for voice in voices)}{take.path.suffix}"
        with self._making:  # a player asks for several ranges at once
            if not made.is_file():
                self._make(take, row, made)
        return made

    def _make(self, take: Take, row: SceneRow, made: Path) -> None:
        made.parent.mkdir(parents=True, exist_ok=True)
        plain = replace(row, scene=row.scene.model_copy(update=PLAIN))
        queue = self._store.queues.get(row.queue_id)
        queue = replace(queue, music=None, cut=CutSettings(), frame=_frame_of(take) or queue.frame)
        arguments = self._lists.of(queue, [plain], {row.id: take}).arguments()
        where = {"out": str(made), "cache": str(self._cache / "conform")}
        self._runner.ask(self._runner.lanes.tools[0], "cut", arguments | where)


def _frame_of(take: Take) -> Frame | None:
    """Its own, so that its packets can be copied; None where no film may be like that."""
    try:
        return Frame(width=take.width, height=take.height, fps=round(take.fps))
    except ValidationError:
        return None

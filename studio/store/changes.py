"""What changed since a page last looked, in memory: one counter, the last change of each scene and queue.

The database is the truth; this only says which rows to read again. It starts empty with a new boot id at every start,
so a page that remembers an older boot is sent everything. Every method is called under the store's lock.
"""

from dataclasses import dataclass, field
from secrets import token_hex


@dataclass
class Changes:
    boot: str = field(default_factory=lambda: token_hex(4))
    count: int = 0
    library: int = 0  # grows when a take appears or changes
    queues: int = 0  # grows when the list of queues changes
    notices: int = 0  # grows when there is something to be told
    _scenes: dict[str, dict[str, int]] = field(default_factory=dict)  # queue -> scene -> count
    _removed: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def version(self) -> str:
        return f"{self.boot}-{self.count}"

    def scene(self, queue_id: str, scene_id: str) -> None:
        self.count += 1
        self._scenes.setdefault(queue_id, {})[scene_id] = self.count

    def removed(self, queue_id: str, scene_id: str) -> None:
        self.count += 1
        self._scenes.get(queue_id, {}).pop(scene_id, None)
        self._removed.setdefault(queue_id, {})[scene_id] = self.count

    def forget(self, queue_id: str) -> None:
        """A queue was deleted: nobody asks for its scenes any more."""
        self._scenes.pop(queue_id, None)
        self._removed.pop(queue_id, None)

    def queue(self) -> None:
        self.count += 1
        self.queues = self.count

    def notice(self) -> None:
        self.count += 1
        self.notices = self.count

    def take(self) -> None:
        self.count += 1
        self.library = self.count

    def since(self, queue_id: str, version: str | None) -> tuple[set[str], set[str]] | None:
        """(changed, removed) scene ids since a version; None when that version is of another boot."""
        boot, _, count = (version or "").rpartition("-")
        if boot != self.boot or not (count.isascii() and count.isdigit()):
            return None
        changed = {scene for scene, at in self._scenes.get(queue_id, {}).items() if at > int(count)}
        removed = {scene for scene, at in self._removed.get(queue_id, {}).items() if at > int(count)}
        return changed, removed

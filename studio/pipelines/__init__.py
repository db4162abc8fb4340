"""ENGINES: one line per engine, imported when first used. Knows nothing of queues."""

from collections.abc import Iterator
from functools import cache
from importlib import import_module

from studio.errors import NotFound
from studio.pipelines.base import Engine

ENGINES: dict[str, str] = {
    "wan2.1-t2v-1.3b": "studio.pipelines.wan:WanT2V13",
    "draft": "studio.pipelines.draft.engine:Draft",
}


@cache
def engine_class(engine_id: str) -> type[Engine]:
    """The class behind an id. Raises NotFound."""
    if engine_id not in ENGINES:
        raise NotFound("engine.unknown", engine=engine_id, known=", ".join(ENGINES))
    module, _, name = ENGINES[engine_id].partition(":")
    found: type[Engine] = getattr(import_module(module), name)
    return found


def engines_for(task: str) -> Iterator[type[Engine]]:
    """Every engine that can do a task, in the order of ENGINES: real ones first, the draft engine last."""
    return (cls for cls in map(engine_class, ENGINES) if task in cls.tasks)

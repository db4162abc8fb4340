"""Between a scene's fields and a form's controls: what a schema says, and what somebody typed. Knows no component."""

from collections.abc import Iterable, Mapping
from typing import Any

from studio.domain import CUT_PREFIXES, SIZES

Scene = Mapping[str, Any]
Schema = Mapping[str, Any]


def same(value: Any) -> Any:
    return value


def value_of(path: str, scene: Scene, defaults: Mapping[str, Any]) -> Any:
    """A field's value in a scene; an option that is not said has the engine's default."""
    if path == "seed.new":
        return scene.get("seed") is None
    if path.startswith("options."):
        _, engine, name = path.split(".", 2)
        said = (scene.get("options") or {}).get(engine, {})
        return said.get(name, defaults.get(path))
    return scene.get(path)


def typed(spec: Schema) -> Schema:
    """A field's schema without its "or null" branch, marked `nullable` where there was one."""
    branches: Iterable[Schema] = spec.get("anyOf", ())
    real = [branch for branch in branches if branch.get("type") != "null"]
    if not real:
        return spec
    return {**real[0], **spec, "nullable": len(real) < len(list(branches))}


def split_cut(prompt: str) -> tuple[str | None, str]:
    """The prefix of a new shot and the rest of its prompt."""
    prefix = next((prefix for prefix in CUT_PREFIXES if prompt.startswith(prefix)), None)
    return prefix, prompt.removeprefix(prefix or "").strip()


def as_whole(text: Any) -> Any:
    """A seed as typed; what is no number goes to the service as it is, which says so."""
    said = str(text or "").strip()
    return None if not said else int(said) if said.isascii() and said.isdigit() else said


def rows(items: Any) -> str:
    """A list as lines; an item with several values has them between colons: a LoRA is file:weight."""
    return "\n".join(item if isinstance(item, str) else ":".join(map(str, item.values())) for item in items or [])


def as_number(text: Any) -> Any:
    """A number as typed, or nothing; what is no number goes to the service as it is, which says so."""
    said = str(text or "").strip().replace(",", ".")
    try:
        return float(said) if said else None
    except ValueError:
        return said


def shapes(resolution: str) -> list[tuple[str, str]]:
    return [(f"{shape} · {width}×{height}", shape) for shape, (width, height) in SIZES[resolution].items()]

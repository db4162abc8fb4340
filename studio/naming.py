"""File names from a template: `{scene}-{label}_t{take}_{seed}`. Knows what no disk takes; no scene and no folder."""

import re
from collections.abc import Mapping

TAKE_FIELDS: Mapping[str, int] = {  # what a take's name may say, and how many bytes each may need at most
    "project": 60, "queue": 60, "code": 12, "scene": 5, "label": 60, "take": 4, "seed": 19, "engine": 40, "date": 10,
}  # fmt: skip
DEFAULT_TAKE = "{scene}-{label}_t{take}_{seed}"
MOST_BYTES = 200  # of 255: a job's id, a suffix and `.part` come behind it
ILLEGAL = re.compile(r'[\x00-\x1f<>:"/\\|?*]')
# what Windows keeps for devices, whatever follows a dot
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?")
_FIELD = re.compile(r"\{(\w*)\}")


def check_take_name(template: str) -> None:
    """Raises ValueError saying what is wrong with a template for the names of takes."""
    _check_words(template, TAKE_FIELDS)
    found = set(_FIELD.findall(template))
    if not found & {"take", "seed"}:
        raise ValueError("without {take} or {seed} two takes of a scene would have one name")
    if not found & {"scene", "label"}:
        raise ValueError("without {scene} or {label} two scenes would have one name")
    longest = sum(map(TAKE_FIELDS.__getitem__, _FIELD.findall(template))) + len(_FIELD.sub("", template).encode())
    if longest > MOST_BYTES:
        raise ValueError(f"names may become {longest} bytes long; a disk takes {MOST_BYTES}")


def _check_words(template: str, fields: Mapping[str, int]) -> None:
    for name in _FIELD.findall(template):
        if name not in fields:
            raise ValueError(f"{{{name}}} is no field; known: {', '.join(fields)}")
    plain = _FIELD.sub("", template)
    if "/" in template or "\\" in template:
        raise ValueError("it names a file, not a folder: leave out / and \\")
    if ".." in template or template.startswith("."):
        raise ValueError("it may not begin with a dot nor hold two in a row")
    if bad := ILLEGAL.search(plain):
        raise ValueError(f"{bad[0]!r} cannot stand in a file name")
    if "{" in plain or "}" in plain:
        raise ValueError("a brace is left open")


def fill(template: str, values: Mapping[str, object]) -> str:
    """The name, in one pass: what a value says is never taken for a field. Safe on every disk."""
    name = _FIELD.sub(lambda found: str(values[found[1]]), template)
    return safe(name) or "take"


def safe(name: str, most: int = MOST_BYTES) -> str:
    """A name that every disk takes, of at most so many bytes: no folder, no device of Windows. "": none is left."""
    name = ILLEGAL.sub("-", name).encode("utf-8", "replace")[:most].decode("utf-8", "ignore").strip(" .")
    return f"_{name}" if RESERVED.fullmatch(name) else name

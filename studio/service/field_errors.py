"""What is wrong with a field, as an error of ours: pydantic's complaints, and JSON that no class describes.

Knows no store.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from studio.errors import Refused
from studio.story.episode import plain, problems_of


def field_error(error: ValidationError, scene: str) -> Refused:
    """The first complaint about a scene or a queue, naming it and the field."""
    first = problems_of(error)[0]
    return Refused("scene.field", scene=scene, field=first.field, why={"code": first.code, "params": first.params})


def free(values: Mapping[str, Any], field: str) -> dict[str, Any]:
    """JSON of a stranger's making as the house can store and send it. Raises Refused when it is nested too deeply."""
    try:
        return dict(plain(dict(values)))
    except RecursionError as error:
        raise Refused("request.invalid", field=field, reason="too deep") from error

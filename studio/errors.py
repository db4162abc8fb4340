"""Every error a face may show. An error is a code with named parameters; its words live in assets/locales.

* StudioError                500
  x NotFound                 404  no such queue, scene, take, engine or file
  x Refused                  422  the request cannot be carried out as asked; nothing was changed
    + Forbidden              403  a path, host or address that this door never opens
    + TooLarge               413  an upload, a picture or a clip over its limit
  x Conflict                 409  somebody else changed it first, or it is in the wrong state
  x Cancelled                409  the user stopped it
  x TooOften                 429  asked for more often than anybody needs it
  x Unavailable              503  a worker, port or lock is not to be had now
  x EngineError              502  one engine failed; another may take over
    + OutOfMemory
    + MediaError                  a file that cannot be decoded or encoded
  x DiskFull                 507

Raise with a code and its parameters: `Refused("scene.field", scene="3 · Lamp", field="ref_imgs", reason=...)`.
`assets/locales/<lang>.json` holds `error.<code>` (the message) and `error.<code>.hint` (the cure) for every code;
tests/test_locales.py finds each code in the source and looks it up. Knows nothing of languages.
"""

from typing import Any, ClassVar


class StudioError(Exception):
    """`code` names the words, `params` fills them; `status` is the HTTP answer."""

    status: ClassVar[int] = 500

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.params = params

    def __str__(self) -> str:
        """For logs: the code and its parameters, in no language."""
        return " ".join([self.code, *(f"{name}={value!r}" for name, value in self.params.items())])

    def __reduce__(self) -> tuple[Any, ...]:  # crosses the pipe from a worker
        return _rebuild, (type(self), self.code, self.params)

    def as_dict(self) -> dict[str, Any]:
        return {"code": self.code, "params": self.params}


def _rebuild(cls: type[StudioError], code: str, params: dict[str, Any]) -> StudioError:
    return cls(code, **params)


class NotFound(StudioError):
    status = 404


class Refused(StudioError):
    status = 422


class Forbidden(Refused):
    status = 403


class TooLarge(Refused):
    status = 413


class Conflict(StudioError):
    status = 409


class Cancelled(StudioError):
    status = 409

    def __init__(self, code: str = "cancelled", **params: Any) -> None:
        super().__init__(code, **params)


class TooOften(StudioError):
    status = 429


class NotYet(StudioError):
    """A part of the studio that is not built yet."""

    status = 501


class Unavailable(StudioError):
    status = 503


class EngineError(StudioError):
    status = 502


class OutOfMemory(EngineError):
    pass


class MediaError(EngineError):
    pass


class DiskFull(StudioError):
    status = 507

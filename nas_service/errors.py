"""The kinds of error, without HTTP.

NasError
├── NotFound        no such thing
├── Unauthorized    who asks has not said who it is
├── Forbidden       who asks may not do it
├── Conflict        the state of something forbids it
├── InvalidSpec     the request says something that cannot be
├── Infeasible      nothing meets the constraints
├── Unsupported     this installation cannot do it
├── Unavailable     not now; try again
├── TooMany         not before others have ended
├── Unreachable     a device on which nothing can be measured now
└── Cancelled       somebody asked for the end
"""

from __future__ import annotations

import errno
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE})
"""What a disk says that may have room, or answer, the next time."""


LONGEST = 4000
"""Characters of a message; names and libraries may have millions to say."""
_KEPT = LONGEST - 100
"""Of a longer one, so that what is said of it is none."""


def readable(text: str) -> str:
    """A text that can be printed anywhere: no longer than is read, control characters spelled out.

    Lines stay lines, and spaces of whatever width spaces.
    """
    n = len(text)
    if n <= LONGEST and text.isprintable():
        return text
    spelled = "".join(one if _is_plain(one) else _spelled(one) for one in text[:LONGEST])
    if n <= LONGEST and len(spelled) <= LONGEST:
        return spelled
    return f"{spelled[:_KEPT]} ... ({n:,} characters)"


def _is_plain(one: str) -> bool:
    return one.isprintable() or one == "\n" or unicodedata.category(one) == "Zs"


def _spelled(one: str) -> str:
    return one.encode("unicode_escape").decode()


class NasError(Exception):
    """Base of all errors that callers may meet; `fields` are plain JSON values that help to act."""

    def __init__(self, detail: str, **fields: Any) -> None:
        detail = readable(detail)
        super().__init__(detail)
        self.detail = detail
        self.fields = fields

    @property
    def kind(self) -> str:
        """The name by which the error is stored and sent."""
        return type(self).__name__

    def as_dict(self) -> dict[str, Any]:
        """The error as plain JSON values; `from_dict` is the way back."""
        return {"kind": self.kind, "detail": self.detail, **self.fields}


class NotFound(NasError):
    """No such thing."""


class Unauthorized(NasError):
    """Who asks has not said who it is."""


class Forbidden(NasError):
    """Who asks may not do it."""


class Conflict(NasError):
    """The state of something forbids it."""


class InvalidSpec(NasError):
    """The request says something that cannot be."""


class UnknownPlugin(InvalidSpec):
    """No plug-in of that name."""


class MissingBlocks(InvalidSpec):
    """A lookup table lacks blocks of the space."""


class InvalidData(InvalidSpec):
    """A data set that cannot be used."""


class Infeasible(NasError):
    """Nothing meets the constraints."""


class Unsupported(NasError):
    """This installation cannot do it."""


class Unavailable(NasError):
    """Not now; try again."""


class TooMany(NasError):
    """Not before others have ended."""


class Unreachable(NasError):
    """A device on which nothing can be measured now."""


class Cancelled(NasError):
    """Somebody asked for the end."""


class TakenOver(NasError):
    """Another worker has this one's work: it stood still for longer than its lease."""


class StepFailed(NasError):
    """A step ended in a way that no other kind describes."""


_KINDS: dict[str, type[NasError]] = {
    kind.__name__: kind
    for kind in (
        NotFound,
        Unauthorized,
        Forbidden,
        Conflict,
        InvalidSpec,
        UnknownPlugin,
        MissingBlocks,
        InvalidData,
        Infeasible,
        Unsupported,
        Unavailable,
        TooMany,
        Unreachable,
        Cancelled,
        StepFailed,
    )
}


def from_dict(values: dict[str, Any]) -> NasError:
    """The error that `as_dict` was called on; an unknown kind becomes a `StepFailed`."""
    fields = {k: v for k, v in values.items() if k not in {"kind", "detail"}}
    kind = _KINDS.get(str(values.get("kind")), StepFailed)
    return kind(str(values.get("detail", "unknown error")), **fields)


def lacking(error: BaseException) -> Unavailable | None:
    """What was lacking on this machine for a while, where that is the reason of an error.

    The error that a library or this project made of it says something of the work instead: that a
    file is damaged, or that a network cannot be quantised.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _PASSING:
            return Unavailable(f"{seen.strerror}: {seen.filename or 'a file'}")
        seen = seen.__cause__ or seen.__context__
    return None


@contextmanager
def as_unsupported(what: str) -> Iterator[None]:
    """What a library raises whose errors share no base, as `Unsupported`: `what`, and its words.

    Raises:
        NasError: as it was raised.
        Unavailable: of a disk that has no room now, or does not answer.
        Unsupported: of anything else.
    """
    try:
        yield
    except NasError:
        raise
    except Exception as error:
        if away := lacking(error):
            raise away from error
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Unsupported(f"{what}: {first}") from error

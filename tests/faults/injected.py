"""The n-th call of a database or a disk fails, once."""

from __future__ import annotations

import builtins
import errno
import io
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

_WRITING = frozenset("wxa+")


class Calls:
    """Counts calls; the one numbered `fails_at`, from 0, does not get through."""

    def __init__(self, fails_at: int = -1) -> None:
        self.n = 0
        self.fails_at = fails_at

    def comes(self) -> bool:
        """Whether this call is the one."""
        self.n += 1
        return self.n - 1 == self.fails_at


@contextmanager
def database_calls(calls: Calls) -> Iterator[None]:
    """Statements and commits of every database in this process."""

    def fail(what: str) -> None:
        if calls.comes():
            raise OperationalError(what, {}, sqlite3.OperationalError("disk I/O error"))

    def on_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        fail(statement)

    def on_commit(_connection: Any) -> None:
        fail("COMMIT")

    event.listen(Engine, "before_cursor_execute", on_statement)
    event.listen(Engine, "commit", on_commit)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", on_statement)
        event.remove(Engine, "commit", on_commit)


@contextmanager
def file_calls(calls: Calls, below: Path) -> Iterator[None]:
    """What makes, fills or moves files and folders below a folder."""
    real: dict[tuple[Any, str], Any] = {
        (module, name): getattr(module, name)
        for module, name in (
            (builtins, "open"),
            (io, "open"),
            (os, "open"),
            (os, "mkdir"),
            (os, "replace"),
            (os, "fsync"),
        )
    }

    def counted(call: Callable[..., Any], writes: Callable[..., bool]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            if _is_below(given[0], below) and writes(*given, **named) and calls.comes():
                raise OSError(errno.ENOSPC, "No space left on device", str(given[0]))
            return call(*given, **named)

        return run

    for (module, name), call in real.items():
        setattr(module, name, counted(call, _WRITES[name, module is os]))
    try:
        yield
    finally:
        for (module, name), call in real.items():
            setattr(module, name, call)


def _is_below(file: Any, folder: Path) -> bool:
    if isinstance(file, int):  # a descriptor, which fsync is called with
        return True
    try:
        return Path(os.fsdecode(file)).is_relative_to(folder)
    except TypeError:
        return False


def _by_mode(_file: Any, mode: str = "r", *_: Any, **__: Any) -> bool:
    return bool(_WRITING & set(mode))


def _by_flags(_file: Any, flags: int, *_: Any, **__: Any) -> bool:
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _always(*_: Any, **__: Any) -> bool:
    return True


_WRITES: dict[tuple[str, bool], Callable[..., bool]] = {
    ("open", False): _by_mode,
    ("open", True): _by_flags,
    ("mkdir", True): _always,
    ("replace", True): _always,
    ("fsync", True): _always,
}

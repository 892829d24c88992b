"""Who copies or removes stored files has them alone: a backup, or whoever collects garbage."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from nas_service.errors import Conflict
from nas_service.settings import Settings

_LOCK = "files.lock"


@contextmanager
def files_held(settings: Settings, what: str) -> Iterator[None]:
    """Hold the files of a data folder, among the processes of this machine.

    Raises:
        Conflict: another one holds them, and for what.
    """
    folder = settings.var_dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):  # a network folder without locks
                yield
                return
            handle.seek(0)
            other = handle.read().strip() or "another process"
            raise Conflict(f"{other} has the files of {folder}: try again later") from None
        handle.truncate(0)
        handle.write(f"{what}\n")
        handle.flush()
        yield

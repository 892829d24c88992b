"""The worker that served a data folder before: it is dead, and its work is taken up at once.

Leases tell of workers that died wherever they were, some seconds later. `nas serve` knows more: it
has its folder to itself, so that the worker of whoever had it before ended with that one.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from nas_service.processes import ALONE

_PLACE = "executor"


def predecessor(var_dir: Path, executor: str) -> str | None:
    """The name of the one before, None where nobody is known; `executor` is noted in its place.

    None as well where others may have the folder, too, and in the copy of a folder: the original
    may be served.
    """
    if os.environ.pop(ALONE, None) is None:
        return None
    place = var_dir / _PLACE
    here = f"{socket.gethostname()}:{var_dir.resolve()}"
    before, _, where = place.read_text().partition("\n") if place.exists() else ("", "", "")
    partial = place.with_name(f"{_PLACE}.partial")
    partial.write_text(f"{executor}\n{here}")
    partial.replace(place)
    return before if before and where == here else None

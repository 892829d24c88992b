"""What the children of `test_child.py` do."""

from __future__ import annotations

import gc
import os
import signal
import struct
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from nas_service.engine import child
from nas_service.engine.child import Progress
from nas_service.errors import InvalidSpec


def half(params: dict[str, Any], report: Progress) -> dict[str, Any]:
    """Half of a number, by way of some progress."""
    print("not an answer")  # noqa: T201  # libraries do that
    report(0.5, "halving")
    return {"half": params["number"] / 2, "torch": "torch" in sys.modules, "process": os.getpid()}


def refuse(_: dict[str, Any], __: Progress) -> dict[str, Any]:
    """An error of ours."""
    raise InvalidSpec("7 is too many", field="number")


def fail(_: dict[str, Any], __: Progress) -> dict[str, Any]:
    """An error of nobody's."""
    raise ZeroDivisionError("by hand")


def crash(_: dict[str, Any], __: Progress) -> dict[str, Any]:
    """End without an answer."""
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def break_off(_: dict[str, Any], __: Progress) -> dict[str, Any]:
    """End in the middle of a message: its length is told, and a part of it follows."""
    for one in gc.get_objects():
        if isinstance(one, Connection) and one.writable and not one.closed:
            os.write(one.fileno(), struct.pack("!i", 100) + b"half")
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def shrug(_: dict[str, Any], __: Progress) -> dict[str, Any]:
    """Be asked to end, as a whole group of processes is, and go on."""
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    return {"here": True}


def sleep(params: dict[str, Any], report: Progress) -> dict[str, Any]:
    """Note which process this is and stay."""
    Path(params["file"]).write_text(str(os.getpid()))
    report(0.1, "asleep")
    time.sleep(600)
    return {}


if __name__ == "__main__":  # a worker with a step that does not end
    from tests.nas_service.engine import steps  # by the name that the process finds it under

    child.run(
        steps.sleep,
        {"file": sys.argv[1]},
        on_progress=lambda *_: None,
        cancelled=lambda: False,
    )

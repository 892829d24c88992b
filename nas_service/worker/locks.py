"""What a step has to itself while it runs, so that nothing spoils what is measured.

A machine's processor is held by one step at a time, whether it measures there or computes on it;
a GPU by one that trains on it. A step that mostly waits holds nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path

from nas_service.engine.child import is_wanted, machine_to_itself
from nas_service.queues import by_agent
from nas_service.settings import Settings

PROCESSOR = "machine"
_GPU_DRIVER = Path("/dev/nvidiactl")


class Uses(Enum):
    """What a step works with."""

    NOTHING = "waits, or reads and writes a little"
    PROCESSOR = "computes"
    TRAINING = "computes on what networks are trained on"
    DEVICE = "measures on its device"


def all_of(uses: Sequence[Uses], settings: Settings) -> tuple[str, ...]:
    """What several kinds of work here hold, each once, in the order in which it is taken."""
    return tuple(dict.fromkeys(one for use in uses for one in locks_of(use, settings, "")))


def locks_of(uses: Uses, settings: Settings, device_queue: str) -> tuple[str, ...]:
    """Names of what a step holds, in the order in which it is taken.

    A GPU that is named is all that training on it holds. With `auto` it may have to go back to
    the processor, so that it holds both where there is a GPU.
    """
    if uses is Uses.NOTHING or (uses is Uses.DEVICE and by_agent(device_queue)):
        return ()
    if uses is not Uses.TRAINING or settings.training_device == "cpu":
        return (PROCESSOR,)
    if settings.training_device == "auto":
        return (PROCESSOR, "cuda-0") if _GPU_DRIVER.exists() else (PROCESSOR,)
    kind, _, number = settings.training_device.partition(":")
    return (f"{kind}-{number or 0}",)


@contextmanager
def held(
    locks: Sequence[str],
    settings: Settings,
    cancelled: Callable[[], bool] = lambda: False,
    on_wait: Callable[[], None] | None = None,
) -> Iterator[None]:
    """Wait until nobody else on this machine holds any of the locks, and hold them.

    Raises:
        Cancelled: `cancelled()` said so while it waited.
    """
    with ExitStack() as stack:
        for one in locks:
            path = _place(one, settings)
            stack.enter_context(machine_to_itself(path, cancelled, on_wait=on_wait))
        yield


def wanted(locks: Sequence[str], settings: Settings) -> bool:
    """Whether somebody on this machine waits for one of the locks."""
    return any(is_wanted(_place(one, settings)) for one in locks)


def _place(lock: str, settings: Settings) -> Path:
    # machines may share the folder, and containers of one machine do
    return settings.var_dir / f"{lock}-{_this_boot()}.lock"


def _this_boot() -> str:
    """A name that all containers of this machine share with it and with no other machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux
        return socket.gethostname()

"""The queues, and which kind of job goes where; known to whoever enqueues and whoever works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CONTROL = "control"
"""Jobs that wait for others: searches, compressions, winners measured again."""
CPU = "cpu"
"""Jobs that import or convert."""
GPU = "gpu"
"""Jobs that train: for workers with a GPU where there are some. Some worker has to take it."""
DEVICE = "device"
"""Jobs that measure on the machine of their worker: a queue a machine."""
AGENT = "agent"
"""Jobs that wait for a device's agent: one at a time for a device, many devices at once."""

CONCURRENCY = {CONTROL: 16, CPU: 2, GPU: 1, DEVICE: 1, AGENT: 32}
"""What a worker takes, each under a name that it is given by; and how many at once."""
OLD = frozenset({DEVICE, AGENT})
"""Names that are queues of an earlier version, too."""
THIS_MACHINE = "local"
"""The name of the machine where there is but one."""

_AGENTS = "agents"
_OF_AGENT = f"{_AGENTS}/"

QUEUE_OF = {
    "dataset": CPU,
    "space": CPU,
    "profile": DEVICE,
    "supernet": GPU,
    "compress": GPU,
    "certify": DEVICE,
    "measure": DEVICE,
    "drift": DEVICE,
    "make_kit": CPU,
    "import_kit": CPU,
    "compress_model": GPU,
    "measure_model": DEVICE,
    "compression": CONTROL,
    "remeasure": CONTROL,
    "search": CONTROL,
}

_MEASURING = {kind for kind, queue in QUEUE_OF.items() if queue == DEVICE}


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of the engine; one that is shared by devices works off each on its own (`device`)."""

    name: str
    device: str | None = None

    @property
    def of_machine(self) -> bool:
        """Whether it is worked off by workers on one machine alone."""
        return self.name.startswith(f"{DEVICE}-")

    @property
    def key(self) -> str:
        """What those have in common that are worked off one after the other."""
        return self.name if self.device is None else f"{self.name}/{self.device}"

    @property
    def label(self) -> str:
        """The name that workers are given for it."""
        if self.name == _AGENTS:
            return AGENT
        return DEVICE if self.of_machine else self.name


@dataclass(frozen=True, slots=True)
class Served:
    """How many jobs of a queue a worker runs at once; `by_device`, one for each device.

    `old`: only an earlier version put jobs on it.
    """

    concurrency: int
    by_device: bool = False
    old: bool = False


def machine_queue(machine: str) -> str:
    """The queue of what is measured by workers on a machine."""
    return f"{DEVICE}-{machine}"


def agent_queue(device_id: str) -> str:
    """The queue of what is measured by a device's agent."""
    return f"{_OF_AGENT}{device_id}"


def by_agent(device_queue: str) -> bool:
    """Whether what waits on a device's queue is measured by an agent, and not by the worker."""
    return device_queue.startswith(_OF_AGENT)


def queue_of(kind: str, params: Mapping[str, Any]) -> Queue:
    """Where a job goes: one that measures, to the `device_queue` of its device."""
    if kind not in _MEASURING:
        return Queue(QUEUE_OF[kind])
    own = str(params.get("device_queue") or "")
    if by_agent(own):
        return Queue(_AGENTS, own.removeprefix(_OF_AGENT))
    if own:
        return Queue(own)
    # a job that an earlier version stored knows whether an agent measures, no more
    return Queue(AGENT if params.get("remote") else DEVICE)


def served(names: list[str], machine: str) -> dict[str, Served]:
    """The engine's queues that a worker on `machine` takes, asked for by the names of workers.

    Those of earlier versions, which had one for all devices, are worked off as well.
    """
    found = {name: Served(CONCURRENCY[name], old=name in OLD) for name in names}
    if DEVICE in found:
        found[machine_queue(machine)] = Served(CONCURRENCY[DEVICE])
    if AGENT in found:
        found[_AGENTS] = Served(CONCURRENCY[AGENT], by_device=True)
    return found

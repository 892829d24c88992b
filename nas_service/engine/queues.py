"""The queues, and which kind of job goes where; known to whoever enqueues and whoever works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONTROL = "control"
"""Jobs that wait for others: searches, compressions, winners measured again."""
CPU = "cpu"
"""Jobs that import or convert."""
GPU = "gpu"
"""Jobs that train: for workers with a GPU where there are some. Some worker has to take it."""
DEVICE = "device"
"""Jobs that measure on the machine of their worker."""
AGENT = "agent"
"""Jobs that wait for a device's agent; a slow device must not hold up another one."""

CONCURRENCY = {CONTROL: 16, CPU: 2, GPU: 1, DEVICE: 1, AGENT: 32}

QUEUE_OF = {
    "dataset": CPU,
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


def queue_of(kind: str, params: Mapping[str, Any]) -> str:
    """Where a job goes; those for the device of an agent wait on a queue of their own."""
    return AGENT if kind in _MEASURING and params.get("remote") else QUEUE_OF[kind]

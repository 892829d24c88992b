"""The queues, and which kind of job goes where; known to whoever enqueues and whoever works."""

from __future__ import annotations

CONTROL = "control"
"""Jobs that wait for others: searches."""
CPU = "cpu"
"""Jobs that train or convert."""
DEVICE = "device"
"""Jobs that measure on the machine of their worker."""

CONCURRENCY = {CONTROL: 8, CPU: 1, DEVICE: 1}

QUEUE_OF = {
    "dataset": CPU,
    "profile": DEVICE,
    "supernet": CPU,
    "compress": CPU,
    "measure": DEVICE,
    "search": CONTROL,
}

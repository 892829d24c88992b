"""Time executables, interleaved, by the protocol that tables are measured with."""

from __future__ import annotations

from collections.abc import Mapping

from lookup_tables.measure import Protocol, Timing, measure
from nas_service.compilation.base import Executable, FloatArray32

PROTOCOL = Protocol(rounds=20, warmups=3, repeats=10)


def benchmark(
    executables: Mapping[str, tuple[Executable, FloatArray32]],
    *,
    protocol: Protocol = PROTOCOL,
    seed: int = 0,
) -> dict[str, Timing]:
    """One `Timing` a name; each executable runs on its own prepared image."""
    runners = {
        name: (lambda e=executable, x=image: e.run(x))  # type: ignore[misc]  # bound now, not later
        for name, (executable, image) in executables.items()
    }
    return measure(runners, protocol, seed=seed)

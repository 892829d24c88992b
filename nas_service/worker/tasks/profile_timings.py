"""Files of blocks and networks are timed, side by side where one runtime runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lookup_tables.measuring.protocol import OnProgress
from lookup_tables.measuring.timing import Protocol, Timing
from lookup_tables.profile import Profiler
from lookup_tables.ratio import MIN_NETWORKS
from lookup_tables.runtimes.registry import measured_together
from lookup_tables.target import Target
from nas_service.worker.tasks.profile_files import file_key

BLOCK_PROTOCOL = Protocol(turns=4, most_turns=12, settled_error=0.01, max_error=0.05)
NETWORK_PROTOCOL = Protocol(turns=8, most_turns=32)
BLOCKS, FIT, CHECK = "blocks", "fit", "check"
"""What files are for: the first part of their names."""
_ENOUGH = 0.75

Files = Mapping[str, Mapping[int, Mapping[str, Path]]]
"""Of blocks, networks to fit with and to check on: number, form, path."""


def measure_files(
    profiler: Profiler,
    files: Files,
    targets: Sequence[Target],
    budget_s: float | None,
    seed: int,
    *,
    on_progress: OnProgress | None = None,
) -> dict[str, Timing]:
    """Timings of `group/deployment/number`: files `{group: {number: {form: path}}}` everywhere.

    What one runtime runs by the same settings is measured side by side.
    """
    groups: dict[tuple[str, str], list[Target]] = {}
    for target in targets:
        groups.setdefault(measured_together(target), []).append(target)
    found: dict[str, Timing] = {}
    for members in groups.values():
        models = {
            f"{group}/{t.deployment.name}/{i}": paths[file_key(t)]
            for group, numbered in files.items()
            for i, paths in numbered.items()
            for t in members
        }
        blocks = [name for name in models if name.startswith(f"{BLOCKS}/")]
        share = None if budget_s is None else budget_s * len(members) / len(targets)
        found |= profiler.measure(
            models,
            members[0],
            protocol=NETWORK_PROTOCOL,
            protocols=dict.fromkeys(blocks, BLOCK_PROTOCOL),
            budget_s=share,
            seed=seed,
            on_progress=on_progress,
        )
    return found


def steady(timings: Mapping[int, Timing]) -> dict[int, Timing]:
    """The networks that were measured stably; all where those are too few.

    Three in four: a fit of four numbers on the few that a noisy machine leaves is worse than one
    on all.
    """
    stable = {i: timing for i, timing in timings.items() if timing.stable}
    few = len(stable) < max(MIN_NETWORKS, _ENOUGH * len(timings))
    return dict(timings) if few else stable

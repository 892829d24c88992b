"""What is measured for a space's tables: some of all blocks, and networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lookup_tables.blocks import Block
from lookup_tables.errors import ProfilingFailed
from lookup_tables.fill import design
from lookup_tables.ratio import MIN_NETWORKS
from nas_service.search.cost import all_blocks
from nas_service.space.base import IntArray, SearchSpace
from nas_service.space.narrowed import NarrowedSpace
from nas_service.space.sampling import distinct

MAX_BLOCKS = 240
"""Fewer whole networks on the devices of agents, where each one takes longer."""


@dataclass(frozen=True)
class ProfilePlan:
    """What is measured: some of all blocks, networks to calibrate with and to check on."""

    everything: list[Block]
    blocks: list[Block]
    for_fit: IntArray
    for_check: IntArray


def plan_of(
    space: SearchSpace,
    seed: int,
    networks: tuple[int, int],
    max_blocks: int = MAX_BLOCKS,
    widths: Sequence[float] = (),
) -> ProfilePlan:
    """The same plan for the same space, seed and sizes; blocks as each of `widths` leaves them."""
    n_fit, n_check = networks
    spaces = [space, *(NarrowedSpace(space, width) for width in widths if width < 1.0)]
    everything = sorted({block for one in spaces for block in all_blocks(one)})
    samples = distinct(space, n_fit + n_check, np.random.default_rng([seed, 11]))
    if len(samples) < n_fit + n_check:  # a small space: some of it is left to check on
        n_fit = round(len(samples) * n_fit / (n_fit + n_check))
        if n_fit < MIN_NETWORKS:
            raise ProfilingFailed(
                f"space {space.name} has {len(samples)} networks: too few to fit and check a table "
                f"on (at least {2 * MIN_NETWORKS})"
            )
    return ProfilePlan(
        everything,
        design(everything, max_blocks, seed=seed),
        np.concatenate([space.smallest()[None, :], samples[: n_fit - 1]]),
        samples[n_fit - 1 : n_fit - 1 + n_check],
    )

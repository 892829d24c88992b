"""The protocol of anything that prices blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lookup_tables.blocks import Block
from lookup_tables.target import Target

FloatArray = npt.NDArray[np.float64]


class CostSource(Protocol):
    """Prices blocks on one target.

    Calls do not change the source and may come from several threads. The arrays belong to the
    caller. A block without a known cost raises `MissingBlocks`, which names it.
    """

    @property
    def target(self) -> Target: ...

    def latency_ms(self, blocks: Sequence[Block]) -> FloatArray:
        """Latency of each block: `(len(blocks),)`, positive."""
        ...

    def energy_mj(self, blocks: Sequence[Block]) -> FloatArray:
        """Energy of each block: `(len(blocks),)`, NaN where unknown."""
        ...

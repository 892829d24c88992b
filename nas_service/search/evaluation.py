"""What a search was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nas_service.space.genotypes import Genotype


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One query: a genotype, and its architecture's accuracy.

    `attributes` are what the sampler noted on the trial (NSGA-II its generation): plain values.
    """

    number: int
    batch: int
    genotype: Genotype
    accuracy: float
    attributes: Mapping[str, Any] = field(default_factory=dict)

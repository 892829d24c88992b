"""What the whole networks of a profile say of estimates beside latency."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lookup_tables.measuring.timing import Timing
from lookup_tables.ratio import MIN_NETWORKS, Ratio, fit_ratio
from lookup_tables.runtimes.registry import runtime
from lookup_tables.target import Target
from nas_service.search.quantities.base import MeasuredFile, Priced
from nas_service.search.quantities.registry import quantities
from nas_service.space.base import IntArray


def ratios_of(
    priced: Priced,
    target: Target,
    networks: IntArray,
    timings: Mapping[int, Timing],
    files: Mapping[int, Path],
    *,
    here: bool,
) -> dict[str, Ratio]:
    """By quantity, from measured networks: rows of `networks` `(n, d)` by their numbers.

    Quantities that too few of the networks tell of are left out; latency has a calibration of its
    own, and what is counted needs none.
    """
    one = runtime(target.runtime)
    measured_files = [
        MeasuredFile(
            path=files[number],
            target=target,
            timing=timing,
            latency_ms=timing.p50_ms,
            here=here,
            as_shipped=one.ships_graphs or not one.reads_graphs,
        )
        for number, timing in timings.items()
    ]
    rows = networks[list(timings)]
    ratios = {}
    for name, quantity in quantities().items():
        if quantity.counted or name == "latency_ms" or not quantity.known(priced):
            continue
        values = quantity.measure(measured_files)
        known = np.array([value is not None and value > 0 for value in values], dtype=np.bool_)
        if known.sum() >= MIN_NETWORKS:
            measured = np.array([value for value in values if value is not None and value > 0])
            ratios[name] = fit_ratio(quantity.estimate(priced, rows[known]), measured)
    return ratios

"""Sessions of a winner's files until every verdict is settled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lookup_tables.measuring.timing import Timing
from nas_service.compilation.benchmark import ON_OBSERVED, PROTOCOL, limited
from nas_service.search import certificates
from nas_service.search.certification import Certifier
from nas_service.storage.searches import StoredSearch, StoredWinner
from nas_service.worker.bench import Bench


def certify(
    bench: Bench,
    winner: StoredWinner,
    search: StoredSearch,
    spreads: dict[str, float | None],
    on_session: Callable[[int], None],
) -> Certifier:
    """Measure sessions until every verdict is settled; row i is the i-th deployment."""
    spec = search.value
    names = [one.name for one in spec.deployments]
    known = [one for one in spreads.values() if one is not None]
    certifier = Certifier(
        limit=search.facts.settled_limit_ms,
        accuracy=np.ones(len(names)),
        estimate=np.array([winner.estimates[p]["predicted_latency_ms"] for p in names]),
        spread=max(known, default=0.1),
        risk=certificates.risk_of(spec.limit_probability),
    )
    rows = list(range(len(names)))
    for number in range(certificates.MAX_SESSIONS):
        on_session(number)
        found = bench.session(spec.seed)
        for row, precision in enumerate(names):
            # how noisy sessions are is learned from them; one outside the state says nothing
            if found[precision].n_turns >= PROTOCOL.least_turns:
                certifier.add(row, limited(found[precision], spec.limit_on))
        bounds = {row: bounds_of(bench, p, spec.limit_on) for row, p in enumerate(names)}
        # what was never stable is waited for as long as sessions last: states come back
        if certificates.settled(certifier, rows, bounds):
            break
    return certifier


def bounds_of(bench: Bench, precision: str, limit_on: str) -> list[float | None]:
    """Bounds on what is held against the limit, a session each; none where that is observed."""
    if limit_on == ON_OBSERVED:
        return []
    return [session[precision].at_most_ms for session in bench.sessions]


def typical(bench: Bench, precision: str) -> Timing:
    """The middle one of the stable sessions' timings, of all where none was stable."""
    every = [one[precision] for one in bench.sessions]
    stable = sorted((one for one in every if one.stable), key=lambda one: one.p50_ms)
    chosen = stable or sorted(every, key=lambda one: one.p50_ms)
    return chosen[(len(chosen) - 1) // 2]

"""Sessions of a winner's files until every verdict is settled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lookup_tables.measuring.timing import Timing
from nas_service.compilation.benchmark import ON_OBSERVED, PROTOCOL, limited
from nas_service.search import certificate
from nas_service.search.certificate import LATENCY
from nas_service.search.certifier import Certifier
from nas_service.search.quantities.base import MeasuredFile
from nas_service.search.quantities.registry import quantities
from nas_service.worker.delivery.bench import Bench

_UNTOLD_SPREAD = 0.1
"""Of estimates whose errors nobody has measured."""


@dataclass(frozen=True)
class NoisyLimit:
    """A limit on what differs from session to session, with estimates `(files,)` of it."""

    quantity: str
    limit: float
    estimates: Sequence[float]
    spread: float | None

    def certifier(self, probability: float) -> Certifier:
        """Beliefs about the files before any was measured."""
        return Certifier(
            limit=self.limit,
            accuracy=np.ones(len(self.estimates)),
            estimate=np.array(self.estimates, dtype=np.float64),
            spread=_UNTOLD_SPREAD if self.spread is None else self.spread,
            risk=certificate.risk_of(probability),
        )


def certify(
    bench: Bench,
    names: Sequence[str],
    limits: Sequence[NoisyLimit],
    *,
    probability: float,
    limit_on: str,
    seed: int,
    on_session: Callable[[int], None],
) -> dict[str, Certifier]:
    """Measure sessions until every verdict is settled: a certifier a quantity, a row a name.

    The bench's files are measured together; `names` are those that limits are for.
    """
    certifiers = {one.quantity: one.certifier(probability) for one in limits}
    rows = list(range(len(names)))
    for number in range(certificate.MAX_SESSIONS):
        on_session(number)
        session = bench.session(seed)
        for row, name in enumerate(names):
            # how noisy sessions are is learned from them; one outside the state says nothing
            if session[name].n_turns >= PROTOCOL.least_turns:
                file = measured_file(bench, name, session[name], limit_on)
                for quantity, certifier in certifiers.items():
                    (value,) = quantities()[quantity].measure([file])
                    if value is not None:
                        certifier.add(row, value)
        bounds = {row: bounds_of(bench, name, limit_on) for row, name in enumerate(names)}
        # what was never stable is waited for as long as sessions last: states come back
        if all(
            certificate.settled(one, rows, bounds if quantity == LATENCY else {})
            for quantity, one in certifiers.items()
            if quantity == LATENCY or len(one.measured)  # without a meter nothing ever comes
        ):
            break
    return certifiers


def measured_file(bench: Bench, name: str, timing: Timing, limit_on: str) -> MeasuredFile:
    """A file of the bench as quantities read it."""
    path, target = bench.files[name]
    return MeasuredFile(
        path=path,
        target=target,
        timing=timing,
        latency_ms=limited(timing, limit_on),
        here=bench.here,
    )


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


def noisy(limits: Mapping[str, float]) -> dict[str, float]:
    """Those of a search's limits beside latency that sessions settle, on its own device."""
    known = quantities()
    return {name: bound for name, bound in limits.items() if name in known and known[name].noisy}

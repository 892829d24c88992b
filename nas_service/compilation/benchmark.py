"""How compiled files are measured: sessions of the protocol that tables are made with."""

from __future__ import annotations

from dataclasses import replace

from lookup_tables.measuring.timing import Protocol, Timing

PROTOCOL = Protocol(turns=6, most_turns=24, warmups=3, patience_s=15.0)
OBSERVED_S = 12.0
"""How long a session lasts at least whose whole distribution counts: states last for seconds."""

ON_REFERENCE, ON_OBSERVED, ON_SUSTAINED = "reference", "observed", "sustained"
LIMITS_ON = (ON_REFERENCE, ON_OBSERVED, ON_SUSTAINED)
"""What a latency limit is held against: the p50 in the reference state, the p90 of everything that
was observed, or the p50 after minutes of load."""
STATISTICS = {ON_REFERENCE: "p50", ON_OBSERVED: "observed p90", ON_SUSTAINED: "sustained p50"}


def protocol_for(limit_on: str, sustained_s: float) -> Protocol:
    """The protocol of a session for limits of this kind; load of `sustained_s` comes first."""
    if limit_on == ON_OBSERVED:
        return replace(PROTOCOL, least_s=OBSERVED_S)
    if limit_on == ON_SUSTAINED:
        return replace(PROTOCOL, sustained_s=sustained_s)
    return PROTOCOL


def limited(timing: Timing, limit_on: str) -> float:
    """What of a timing is held against the limit, in ms."""
    if limit_on == ON_OBSERVED and timing.observed_p90_ms is not None:
        return timing.observed_p90_ms
    return timing.p50_ms

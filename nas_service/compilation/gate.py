"""What is published: the same network, within its stated loss, and better as measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nas_service.compilation.parity import Parity

UNSTEADY = "not measured stably, so there is no comparison"
_SURELY = 1.96
"""Standard errors that a difference of two latencies has to have."""


@dataclass(frozen=True, slots=True)
class Found:
    """One file as it was found on its target; `latency_ms` is None where it was not measured.

    `latency_error` is the relative standard error of the latency, `sha256` names the bytes.
    """

    accuracy: float
    latency_ms: float | None
    stable: bool
    size_bytes: int
    latency_error: float = 0.0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked of a file against the original in fp32.

    `max_loss` is the accuracy that may be lost, a fraction; `least_speedup` what MACs that were
    pruned away promise.
    """

    max_loss: float
    least_speedup: float = 1.0


def decide(made: Found, original: Found, same: Parity, terms: Terms) -> tuple[bool, str]:
    """Whether a file is published, and if not, why.

    Args:
        made: the compressed file on its target.
        original: the original in fp32 on the same target.
        same: the compressed file beside the compressed network.
        terms: what is asked for.
    """
    if not same.ok:
        return False, f"not the same network: {same.why}"
    if made.sha256 and made.sha256 == original.sha256:
        return False, "the same file as the original's in fp32, byte for byte"
    loss = original.accuracy - made.accuracy
    if loss > terms.max_loss + 1e-9:
        return False, (
            f"loses {100 * loss:.1f} points of accuracy, more than {100 * terms.max_loss:.1f}"
        )
    if made.latency_ms is None or original.latency_ms is None:
        return False, "not measured"
    if not (made.stable and original.stable):
        return False, UNSTEADY
    difference = _difference(made, original)
    if difference > 0:
        return False, (
            f"slower than fp32 as measured: {made.latency_ms:.4g} ms against "
            f"{original.latency_ms:.4g} ms"
        )
    speedup = original.latency_ms / made.latency_ms
    if terms.least_speedup > 1.0 and speedup < terms.least_speedup:
        return False, (
            f"{speedup:.2f} times as fast as measured, less than the {terms.least_speedup:.2f} "
            "times asked for by the MACs that were pruned away"
        )
    if difference == 0 and made.size_bytes >= original.size_bytes:
        return False, (
            "not smaller than fp32, and as fast within what was measured: "
            f"{made.latency_ms:.4g} ms against {original.latency_ms:.4g} ms"
        )
    return True, ""


def _difference(made: Found, original: Found) -> int:
    """Whether a file is slower (1) or faster (-1) beyond the measuring interval, or neither (0)."""
    assert made.latency_ms is not None
    assert original.latency_ms is not None
    apart = math.log(made.latency_ms / original.latency_ms)
    reach = _SURELY * math.hypot(made.latency_error, original.latency_error)
    return 0 if abs(apart) <= reach else (1 if apart > 0 else -1)

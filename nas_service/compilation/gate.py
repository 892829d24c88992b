"""What is published: the same network, within its stated loss, and better as measured."""

from __future__ import annotations

from dataclasses import dataclass

from nas_service.compilation.parity import Parity


@dataclass(frozen=True, slots=True)
class Found:
    """One file as it was found on its target; `latency_ms` is None where it was not measured."""

    accuracy: float
    latency_ms: float | None
    stable: bool
    size_bytes: int


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
        return False, (
            f"not the same network: outputs differ by {same.max_abs:.3g} ({same.sqnr_db:.0f} dB), "
            f"predictions agree on {same.agreement:.1%}"
        )
    loss = original.accuracy - made.accuracy
    if loss > terms.max_loss + 1e-9:
        return False, (
            f"loses {100 * loss:.1f} points of accuracy, more than {100 * terms.max_loss:.1f}"
        )
    if made.latency_ms is None or original.latency_ms is None:
        return False, "not measured"
    if not (made.stable and original.stable):
        return False, "not measured stably, so there is no comparison"
    if made.latency_ms > original.latency_ms:
        return False, (
            f"slower than fp32 as measured: {made.latency_ms:.4g} ms against "
            f"{original.latency_ms:.4g} ms"
        )
    speedup = original.latency_ms / made.latency_ms
    if speedup < terms.least_speedup:
        return False, (
            f"{speedup:.2f} times as fast as measured, less than the {terms.least_speedup:.2f} "
            "times asked for by the MACs that were pruned away"
        )
    if made.latency_ms == original.latency_ms and made.size_bytes >= original.size_bytes:
        return False, "neither smaller nor faster than fp32"
    return True, ""

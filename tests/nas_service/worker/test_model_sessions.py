"""Which files of a compression take part in every session, and which have been seen enough."""

from __future__ import annotations

from dataclasses import replace

from lookup_tables.measuring.timing import Timing
from nas_service.worker.delivery.sessions import base_of, far_behind

ONE = Timing(1.0, 1.0, 1.0, 1.0, 0.0, 9, True, "2026-01-01T00:00:00")
PAIRS = {"made": "original"}


def _timed(made_ms: float, *, stable: bool = True) -> dict[str, list[Timing]]:
    return {"original": [ONE], "made": [replace(ONE, p50_ms=made_ms, stable=stable)]}


def test_a_file_far_slower_than_its_original_is_measured_once() -> None:
    assert far_behind("made", PAIRS, _timed(1.6))
    assert not far_behind("made", PAIRS, _timed(1.4))
    assert not far_behind("original", PAIRS, _timed(1.6))


def test_only_steady_sessions_say_so() -> None:
    assert not far_behind("made", PAIRS, _timed(1.6, stable=False))
    assert not far_behind("made", PAIRS, {"original": [], "made": [replace(ONE, p50_ms=9.0)]})


def test_the_original_in_the_same_runtime_comes_first() -> None:
    tvm, plain = ("original", "tvm", "fp32"), ("original", "onnxruntime", "fp32")
    assert base_of(("compressed", "tvm", "fp32"), {tvm: None, plain: None}) == tvm  # type: ignore[dict-item]
    assert base_of(("compressed", "tvm", "fp32"), {plain: None}) == plain  # type: ignore[dict-item]
    assert base_of(("compressed", "tvm", "fp32"), {}) is None

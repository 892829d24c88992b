"""Anchors: small fixed pieces of work whose speed tells what state the machine is in.

A machine changes speed in ways that no spread of a network's own runs shows: turbo, heat, a
neighbour on the same core or on the same memory. Each anchor is slowed by one of these more than
by the others, and networks by some mixture of them, so a turn counts only where all anchors are
as fast as in the reference state.

Arrays start on a page of their own. Where the allocator happens to put them changes the speed of
a loop over them by a quarter, from process to process, and levels are compared between processes.
Nothing here calls BLAS, which may start threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from lookup_tables.measuring.anchor import Anchor

_PAGE = 4096
_IN_CACHE = 4096
"""Floats of an array that stays in the innermost cache: 16 KiB."""
_BEYOND_CACHE = 2**18
"""Floats of an array that does not: 1 MiB."""


PROCESSOR, GPU = "processor", "gpu"
"""States of a machine that timings hold in: reference states are kept by these names."""


def processor_anchors() -> list[Anchor]:
    """The anchors for files that run on the processor.

    Three of numpy alone, which every device has, and the graph of a convolution block where ONNX
    Runtime is installed.
    """
    anchors = [_compute(), _memory(), dispatch_anchor()]
    if find_spec("onnxruntime") is not None:
        anchors.append(_graph())
    return anchors


def anchor_graph() -> bytes:
    """The ONNX file of the convolution block that is the anchor `graph`."""
    return files("lookup_tables.measuring").joinpath("anchor.onnx").read_bytes()


def _compute() -> Anchor:
    """Bound by the processor's arithmetic: products of arrays in the innermost cache."""
    left, right, out = (_aligned(_IN_CACHE) for _ in range(3))

    def run() -> None:
        for _ in range(15):
            np.multiply(left, right, out=out)

    return Anchor("compute", run)


def _memory() -> Anchor:
    """Bound by memory beyond the inner caches: the sum of 1 MiB."""
    values = _aligned(_BEYOND_CACHE)
    return Anchor("memory", values.sum)


def dispatch_anchor() -> Anchor:
    """Bound by calls: thirty sums of four numbers, as small operators are."""
    values, out = _aligned(4), _aligned(4)

    def run() -> None:
        for _ in range(30):
            np.add(values, values, out=out)

    return Anchor("dispatch", run)


def _graph() -> Anchor:
    """A convolution block on ONNX Runtime: what networks are made of."""
    import onnxruntime

    from lookup_tables.measuring.onnx_session import session_options

    session = onnxruntime.InferenceSession(
        anchor_graph(), session_options(1), providers=["CPUExecutionProvider"]
    )
    (given,) = session.get_inputs()
    feeds: Mapping[str, npt.NDArray[np.float32]] = {
        given.name: np.random.default_rng(0).standard_normal(given.shape, dtype=np.float32)
    }
    return Anchor("graph", lambda: session.run(None, feeds))


def _aligned(n: int) -> npt.NDArray[np.float32]:
    """`n` floats between 1 and 2 that start on a page of their own."""
    raw = np.empty(4 * n + 2 * _PAGE, dtype=np.uint8)
    start = -raw.ctypes.data % _PAGE
    values = raw[start : start + 4 * n].view(np.float32)
    values[:] = 1.0 + np.random.default_rng(n).random(n, dtype=np.float32)
    return values

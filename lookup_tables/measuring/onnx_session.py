"""Sessions of ONNX Runtime with the settings of this project, for its files and for an anchor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lookup_tables.errors import LookupTableError
from lookup_tables.model import OPEN, Input

if TYPE_CHECKING:
    import onnxruntime

_KINDS = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int16)": np.int16,
    "tensor(uint16)": np.uint16,
    "tensor(uint32)": np.uint32,
    "tensor(uint64)": np.uint64,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """The session settings that tables and measurements of this project are made with."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def inputs_of_session(session: onnxruntime.InferenceSession) -> dict[str, Input]:
    """What an ONNX Runtime session reads.

    Raises:
        LookupTableError: an input is no tensor of numbers.
    """
    found = {}
    for one in session.get_inputs():
        if one.type not in _KINDS:
            raise LookupTableError(f"input {one.name} is {one.type}, not a tensor of numbers")
        shape = tuple(size if isinstance(size, int) else OPEN for size in one.shape)
        found[one.name] = Input(shape, np.dtype(_KINDS[one.type]))
    return found

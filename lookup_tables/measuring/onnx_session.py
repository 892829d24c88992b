"""Sessions of ONNX Runtime with the settings of this project, for its files and for an anchor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lookup_tables.model import Input

if TYPE_CHECKING:
    import onnxruntime


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """The session settings that tables and measurements of this project are made with."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def inputs_of_session(session: onnxruntime.InferenceSession) -> dict[str, Input]:
    """What an ONNX Runtime session reads."""
    kinds = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}
    return {
        one.name: Input(tuple(one.shape), np.dtype(kinds[one.type])) for one in session.get_inputs()
    }

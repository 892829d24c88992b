"""Profilers time model files on a target; the one here runs ONNX Runtime on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort

from lookup_tables.measure import Protocol as MeasuringProtocol
from lookup_tables.measure import Timing, measure
from lookup_tables.target import Target

_TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}


class Profiler(Protocol):
    """Times files on a target and builds none.

    `measure` may be called again with other files; files are read only. A file that does not
    load raises the runtime's own error.
    """

    def measure(
        self,
        models: Mapping[str, Path],
        target: Target,
        *,
        protocol: MeasuringProtocol,
        budget_s: float | None = None,
        seed: int = 0,
        on_round: Callable[[int, int], None] | None = None,
    ) -> dict[str, Timing]:
        """Time each named file, interleaved: one `Timing` a name."""
        ...


def session_options(threads: int) -> ort.SessionOptions:
    """The session settings that tables and measurements of this project are made with."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def random_inputs(session: ort.InferenceSession, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Inputs of the session's own shapes and types, drawn from a seed."""
    generator = np.random.default_rng(seed)
    inputs: dict[str, np.ndarray[Any, Any]] = {}
    for argument in session.get_inputs():
        kind = _TYPES[argument.type]
        if kind is np.float32:
            values = generator.standard_normal(argument.shape)
        else:
            values = generator.integers(0, 127, argument.shape)
        inputs[argument.name] = values.astype(kind)
    return inputs


class OrtProfiler:
    """ONNX Runtime's CPU provider on the machine this runs on."""

    def measure(
        self,
        models: Mapping[str, Path],
        target: Target,
        *,
        protocol: MeasuringProtocol,
        budget_s: float | None = None,
        seed: int = 0,
        on_round: Callable[[int, int], None] | None = None,
    ) -> dict[str, Timing]:
        """Time each file with `target.threads` threads; see the protocol class."""
        runners = {name: runner(path, target) for name, path in models.items()}
        return measure(runners, protocol, seed=seed, budget_s=budget_s, on_round=on_round)


def runner(path: Path, target: Target) -> Callable[[], object]:
    """Loads a file with the target's settings; each call runs it once on inputs from a seed."""
    session = ort.InferenceSession(
        str(path), session_options(target.threads), providers=["CPUExecutionProvider"]
    )
    inputs = random_inputs(session)
    return lambda: session.run(None, inputs)


def onnxruntime_version() -> str:
    """The installed version, which is part of a target."""
    return str(ort.__version__)

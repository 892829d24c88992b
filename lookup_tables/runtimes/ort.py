"""ONNX Runtime's CPU provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lookup_tables.measuring.onnx_session import inputs_of_session, session_options
from lookup_tables.model import Array, Model
from lookup_tables.runtimes.base import Runtime
from lookup_tables.runtimes.ort_memory import peak_memory_bytes
from lookup_tables.target import Target


class OnnxRuntime(Runtime):
    """Reads ONNX graphs."""

    name = "onnxruntime"
    package = "onnxruntime"
    searched = ("fp32", "int8")
    reads_graphs = True
    ships_graphs = True

    def load(self, path: Path, target: Target) -> Model:
        """See `Runtime.load`."""
        return OrtModel(path, target)

    def peak_memory_bytes(self, paths: Sequence[Path]) -> list[int | None]:
        """See `Runtime.peak_memory_bytes`."""
        return peak_memory_bytes(paths)


class OrtModel:
    """A session with the target's number of threads."""

    def __init__(self, path: Path, target: Target) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(
            str(path), session_options(target.threads), providers=["CPUExecutionProvider"]
        )
        self.inputs = inputs_of_session(self._session)

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """See `Model.run`."""
        found: list[Array] = self._session.run(None, dict(feeds))
        return found

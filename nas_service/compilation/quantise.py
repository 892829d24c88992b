"""int8 graphs for compilers that take them as graphs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from lookup_tables.quantized import quantize
from nas_service.compilation.base import Source
from nas_service.compilation.samples import read_samples
from nas_service.errors import Unsupported, as_unsupported
from nas_service.recorded.feeds import Array, is_recorded, read_recorded


def quantise(source: Source, out: Path, runtime: str, *, signed: bool = False) -> None:
    """Write the int8 form of a source's graph; see `lookup_tables.quantized.quantize`.

    Raises:
        Unsupported: there are no calibration samples, or the quantiser does not take the graph.
    """
    if source.calibration is None:
        raise Unsupported(f"{runtime} needs calibration samples for int8")
    assert source.graph is not None
    with named("quantise", source.graph):
        quantize(
            source.graph,
            out,
            _batches(source.graph, source.calibration),
            signed=signed,
            excluded=source.keep_float,
        )


def _batches(graph: Path, calibration: Path) -> list[dict[str, Array]]:
    if is_recorded(calibration):
        return read_recorded(calibration)
    inputs = read_samples(calibration)
    name = onnx.load(graph, load_external_data=False).graph.input[0].name
    return [{name: inputs[i : i + 1]} for i in range(len(inputs))]


@contextmanager
def named(what: str, graph: Path) -> Iterator[None]:
    """Whatever ONNX Runtime and its quantiser raise, which share no base, as `Unsupported`."""
    with as_unsupported(f"ONNX Runtime cannot {what} {graph.name}"):
        yield

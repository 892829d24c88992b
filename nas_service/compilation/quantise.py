"""int8 graphs for compilers that take them as graphs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from lookup_tables.quantized import quantize
from nas_service.compilation.base import Source
from nas_service.compilation.samples import read_samples
from nas_service.errors import NasError, Unsupported


def quantise(source: Source, out: Path, runtime: str, *, signed: bool = False) -> None:
    """Write the int8 form of a source's graph; see `lookup_tables.quantized.quantize`.

    Raises:
        Unsupported: there are no calibration samples, or the quantiser does not take the graph.
    """
    if source.calibration is None:
        raise Unsupported(f"{runtime} needs calibration samples for int8")
    assert source.graph is not None
    inputs = read_samples(source.calibration)
    name = onnx.load(source.graph, load_external_data=False).graph.input[0].name
    with named("quantise", source.graph):
        batches = [{name: inputs[i : i + 1]} for i in range(len(inputs))]
        quantize(source.graph, out, batches, signed=signed)


@contextmanager
def named(what: str, graph: Path) -> Iterator[None]:
    """Whatever ONNX Runtime and its quantiser raise, which share no base, as `Unsupported`."""
    try:
        yield
    except NasError:
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Unsupported(f"ONNX Runtime cannot {what} {graph.name}: {first}") from error

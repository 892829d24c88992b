"""The forms of a model of the user's own that its files are made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from lookup_tables.quantized import is_half, is_quantized
from nas_service.compilation.base import Source
from nas_service.errors import Unsupported

Key = tuple[str, str, str]
"""A file: `original` or `compressed`, runtime, precision."""

NOT_IN_INT8 = "not-in-int8.json"
"""Why no file of a model may be in int8, where a pass has found that out."""

_FORMS: dict[str, Callable[[Path], bool]] = {
    "int8": is_quantized,
    "fp16": lambda graph: is_half(graph) and not is_quantized(graph),
}
"""Precisions that a pass on the graph may have given it."""


def source_of(which: str, precision: str, folder: Path) -> Source:
    """The forms of a model below `folder` that its file of a precision is made of.

    Raises:
        Unsupported: there is none.
    """
    refused = folder / NOT_IN_INT8
    if which == "compressed" and precision == "int8" and refused.is_file():
        raise Unsupported(str(json.loads(refused.read_text())))

    def there(name: str) -> Path | None:
        path = folder / name
        return path if path.is_file() else None

    graph, made = there(f"{which}.onnx"), there("graph.onnx")
    if which == "compressed" and made and precision in _FORMS and _FORMS[precision](made):
        graph = made
    return Source(graph, there(f"{which}.pt2"), folder / "calibration.npz")

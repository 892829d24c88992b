"""Which operators a graph has, and which of them a toolchain lacks: known before anything runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

import onnx

from nas_service.errors import Unsupported

_STANDARD = ("", "ai.onnx")


def operators_of(graph: Path) -> Counter[str]:
    """Operators of an ONNX file by name, `domain::Name` for those outside the standard."""
    model = onnx.load(graph, load_external_data=False)
    return Counter(
        node.op_type if node.domain in _STANDARD else f"{node.domain}::{node.op_type}"
        for node in model.graph.node
    )


def require_operators(graph: Path, known: Collection[str], toolchain: str) -> None:
    """Raise `Unsupported`, which lists them, where a graph has operators that are not `known`."""
    lacking = sorted(set(operators_of(graph)) - set(known))
    if lacking:
        raise Unsupported(f"{toolchain} does not run {', '.join(lacking)}")

"""What a compiled file counts of itself: layers and weights in the precision that it claims."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nas_service.compilation.shares.base import Shares
from nas_service.compilation.shares.onnx_graph import grown, of_onnx
from nas_service.compilation.shares.openvino_ir import of_openvino
from nas_service.compilation.shares.tflite import of_tflite
from nas_service.compilation.shares.xnnpack import of_executorch

__all__ = ["Shares", "grown", "shares_of"]

_READERS: dict[str, Callable[[Path, str], Shares | None]] = {
    ".onnx": of_onnx,
    ".tflite": of_tflite,
    ".openvino.zip": of_openvino,
    ".pte": of_executorch,
}


def shares_of(path: Path, precision: str) -> Shares | None:
    """What a compiled file says of itself; None where nothing here reads its format."""
    count = next((one for end, one in _READERS.items() if path.name.lower().endswith(end)), None)
    try:
        return None if count is None else count(path, precision)
    except ImportError:  # its runtime is not installed: unknown, which is no refusal
        return None

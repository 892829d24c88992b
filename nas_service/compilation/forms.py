"""The two forms that models come in, and which one a compiler reads."""

from __future__ import annotations

from typing import Any

ONNX, PROGRAM = "onnx", "program"
ENDINGS = {".onnx": ONNX, ".pt2": PROGRAM}
SAID = {ONNX: "an ONNX graph", PROGRAM: "an exported torch program (.pt2)"}


def why_not_read(compiler: Any, form: str) -> str:
    """Why a compiler (its class or one of it) does not read a model of this form; or nothing."""
    reads = PROGRAM if getattr(compiler, "from_program", False) else ONNX
    return "" if reads == form else f"reads {SAID[reads]}, not {SAID[form]}"

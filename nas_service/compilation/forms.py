"""The two forms that models come in, and which one a converter reads."""

from __future__ import annotations

ONNX, PROGRAM = "onnx", "program"
ENDINGS = {".onnx": ONNX, ".pt2": PROGRAM}
SAID = {ONNX: "an ONNX graph", PROGRAM: "an exported torch program (.pt2)"}


def why_not_read(reads: str, form: str) -> str:
    """Why a converter that `reads` one form does not take a model of another; empty if it does."""
    return "" if reads == form else f"reads {SAID[reads]}, not {SAID[form]}"

"""What an uploaded model is, found out in a process of its own with little memory and time.

python -m nas_service.compilation.uploads.inspect < {"path": ..., "normalised": ...}
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nas_service.compilation.process import Limits, run_limited
from nas_service.compilation.uploads.refusal import MAX_BYTES, bad
from nas_service.errors import NasError, StepFailed, from_dict

LIMITS = Limits(time_s=120.0, memory_bytes=6 * 1024**3)


def inspect(
    path: Path,
    normalised: Path,
    limits: Limits = LIMITS,
    *,
    shape: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Check a model file and write it to `normalised`, taking a batch of one image.

    `shape` is `(channels, height, width)` for graphs that leave sizes open. Gives `form` (`onnx` or
    `program`), `channels`, `size`, `classes`, `operators`.

    Raises:
        InvalidData: what is wrong with it.
    """
    request = {"path": str(path), "normalised": str(normalised), "shape": shape}
    return _asked(request, limits)


def _asked(request: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """What the process of its own answers."""
    size = Path(request["path"]).stat().st_size
    if size > MAX_BYTES:
        raise bad(f"it has {size:,} bytes, more than {MAX_BYTES:,}")
    command = [sys.executable, "-m", "nas_service.compilation.uploads.inspect"]
    try:
        told = run_limited(command, "reading it", limits, given=json.dumps(request))
    except StepFailed as error:
        raise bad(str(error)) from error
    found: dict[str, Any] = json.loads(told.splitlines()[-1])
    if "error" in found:
        raise from_dict(found["error"])
    return found


def inspect_signature(path: Path, normalised: Path, limits: Limits = LIMITS) -> dict[str, Any]:
    """Check a model of any inputs and outputs and write it to `normalised` as ONNX.

    Gives `form`, `signature`, `operators`, `layers` that can be in integers, `notes` and whether it
    is `quantised`.

    Raises:
        InvalidData: what is wrong with it.
    """
    return _asked({"path": str(path), "normalised": str(normalised), "signature": True}, limits)


def inspect_trainable(path: Path, normalised: Path, limits: Limits = LIMITS) -> dict[str, Any]:
    """Check an exported program that is to be trained on and write it anew; of any one input.

    Raises:
        InvalidData: what is wrong with it.
    """
    return _asked({"path": str(path), "normalised": str(normalised), "trained": True}, limits)


Look = Callable[[Path, Path, Sequence[int] | None], dict[str, Any]]


def _look(zipped: bool) -> Look:
    """What reads exported programs, which are archives, or graphs."""
    if zipped:
        from nas_service.compilation.uploads.programs import inspect_program

        return inspect_program
    from nas_service.compilation.uploads.onnx_files import inspect_onnx

    return inspect_onnx


def _trainable(path: Path, normalised: Path, *, zipped: bool) -> dict[str, Any]:
    if not zipped:
        raise bad(
            "its layers are no torch modules, so that nothing of it can be trained: give an "
            "exported torch program (torch.export.save)"
        )
    from nas_service.compilation.uploads.programs import inspect_trainable_program

    return inspect_trainable_program(path, normalised)


def _signature(path: Path, normalised: Path, *, zipped: bool) -> dict[str, Any]:
    if zipped:
        from nas_service.compilation.uploads.program_graphs import inspect_program_graph

        return inspect_program_graph(path, normalised)
    from nas_service.compilation.uploads.any_graph import inspect_graph

    return inspect_graph(path, normalised)


def main() -> None:
    """Read a request, answer it."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    path, normalised = Path(request["path"]), Path(request["normalised"])
    with path.open("rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"
    try:
        if request.get("signature"):
            told = _signature(path, normalised, zipped=zipped)
        elif request.get("trained"):
            told = _trainable(path, normalised, zipped=zipped)
        else:
            told = _look(zipped)(path, normalised, request["shape"])
    except NasError as error:
        told = {"error": error.as_dict()}
    answers.write(json.dumps(told) + "\n")
    answers.close()


if __name__ == "__main__":
    main()

"""Exported torch programs that users bring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from nas_service.compilation.uploads.archives import rewrite
from nas_service.compilation.uploads.refusal import answer, bad
from nas_service.errors import NasError


def inspect_program(path: Path, normalised: Path) -> dict[str, Any]:
    """Check an exported program and write it anew; see `inspect`."""
    try:
        operators = rewrite(path, normalised)
        program = torch.export.load(normalised)
        image = _example(program)
        with torch.no_grad():
            logits = program.module()(image)
    except NasError:
        raise
    except Exception as error:  # whatever torch raises on a broken archive
        told = str(error).strip().splitlines() or [type(error).__name__]
        raise bad(f"it is cut off, or torch does not run it: {told[0]}") from error
    return answer("program", tuple(image.shape), tuple(logits.shape), operators)


def _example(program: Any) -> torch.Tensor:
    """The one image that the program was exported with."""
    arguments, keywords = program.example_inputs
    if len(arguments) != 1 or keywords or not isinstance(arguments[0], torch.Tensor):
        raise bad("it takes something else than one image")
    image = arguments[0]
    if image.ndim != 4 or image.shape[0] != 1:
        raise bad(f"its example is {tuple(image.shape)}, not (1, channels, height, width)")
    return image

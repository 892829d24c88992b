"""Exported torch programs that users bring.

`torch.export.load` unpickles what an archive says is pickled and runs compiled code that it holds.
Such archives are refused before torch reads them.
"""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch

from nas_service.compilation.uploads.refusal import MAX_BYTES, answer, bad
from nas_service.errors import NasError

_PLAIN_NAMESPACES = ("aten", "_operator", "builtins")
_FOREIGN = (".so", ".pkl", ".py")


def inspect_program(path: Path, normalised: Path) -> dict[str, Any]:
    """Check an exported program and copy it; see `inspect`."""
    try:
        _require_no_pickles(path)
        program = torch.export.load(path)
        image = _example(program)
        with torch.no_grad():
            logits = program.module()(image)
        targets = {str(n.target) for n in program.graph.nodes if n.op == "call_function"}
    except NasError:
        raise
    except Exception as error:  # whatever torch raises on a broken archive
        told = str(error).strip().splitlines() or [type(error).__name__]
        raise bad(f"it is cut off, or torch does not run it: {told[0]}") from error
    foreign = [t for t in sorted(targets) if t.partition(".")[0] not in _PLAIN_NAMESPACES]
    if foreign:
        raise bad(f"operator {foreign[0]} is not one of torch's own")
    shutil.copyfile(path, normalised)
    return answer("program", tuple(image.shape), tuple(logits.shape), sorted(targets))


def _example(program: Any) -> torch.Tensor:
    """The one image that the program was exported with."""
    arguments, keywords = program.example_inputs
    if len(arguments) != 1 or keywords or not isinstance(arguments[0], torch.Tensor):
        raise bad("it takes something else than one image")
    image = arguments[0]
    if image.ndim != 4 or image.shape[0] != 1:
        raise bad(f"its example is {tuple(image.shape)}, not (1, channels, height, width)")
    return image


def _require_no_pickles(path: Path) -> None:
    """Refuse an archive of which torch would unpickle anything, or run compiled code."""
    with zipfile.ZipFile(path) as archive:
        if sum(one.file_size for one in archive.infolist()) > 2 * MAX_BYTES:
            raise bad("unpacked it is too large")
        for name in archive.namelist():
            inner = name.partition("/")[2]
            if inner.startswith("data/aotinductor") or inner.endswith(_FOREIGN):
                raise bad(f"it holds compiled or foreign code ({inner})")
            if inner.endswith("_config.json"):
                _require_plain(json.loads(archive.read(name)))
            if inner.startswith("data/sample_inputs/"):
                # refuses all but tensors; torch itself would go on and unpickle
                torch.load(io.BytesIO(archive.read(name)), weights_only=True)


def _require_plain(config: dict[str, Any]) -> None:
    for told in config["config"].values():
        if told["use_pickle"] or told["tensor_meta"] is None:
            raise bad(f"{told['path_name']} is pickled, and nothing uploaded is unpickled")

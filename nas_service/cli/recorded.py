"""Models of any inputs and outputs, and samples of theirs: read here before they are sent."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas_service.cli.runtimes import runtimes_for
from nas_service.client import Client
from nas_service.errors import InvalidData


def signature_of(model: Path) -> dict[str, Any]:
    """What a model reads and gives, its layers, and which runtimes take it.

    Raises:
        InvalidData: there is no such file, or it is refused; the message says what to do.
    """
    from nas_service.compilation.uploads.inspect import inspect_signature

    if not model.is_file():
        raise InvalidData(f"there is no file {model}", field="model")
    with tempfile.TemporaryDirectory() as folder:
        looked = inspect_signature(model, Path(folder) / "ready.onnx")
    rows = runtimes_for(looked["form"], set(looked["operators"]), any_signature=True)
    return {**looked, "size_bytes": model.stat().st_size, "runtimes": rows}


def require_samples(looked: dict[str, Any], files: Sequence[Path], field: str) -> None:
    """Refuse samples that are not of the model's inputs.

    Raises:
        InvalidData: names the file, the array and what is wrong with it.
    """
    from nas_service.recorded.given import read_given
    from nas_service.recorded.signature import Signature

    for one in files:
        if not one.is_file():
            raise InvalidData(f"--{field}: there is no file {one}", field=field)
    read_given(files, Signature.from_dict(looked["signature"]), field)


def require_metric_of(looked: dict[str, Any], metric: str) -> None:
    """Refuse a metric that there is not, or an output that the model has not.

    Raises:
        NasError: lists those that there are.
    """
    from nas_service.output_metrics.by_name import output_metric, require_metric
    from nas_service.recorded.signature import Signature

    require_metric(metric)
    signature = Signature.from_dict(looked["signature"])
    output_metric(metric).require_output([one.name for one in signature.outputs])


def sent_samples(nas: Client, files: Sequence[Path]) -> list[str]:
    """Ids of uploaded samples."""
    return [str(nas.upload_samples(one)["id"]) for one in files]

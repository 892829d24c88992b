"""The archive that a search or a compression gives: files, report, and what checks them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PARITY = "parity.npz"
"""Samples and what the network itself answers to them; `qat.parity.npz` is of a recipe."""


@dataclass(frozen=True, slots=True)
class BundledFile:
    """A file in the bundle, as `verify.py` reads it of the report's `files`.

    `parity` are samples with the outputs that it has to give, beside it in `folder`. Only those
    that are published are checked.
    """

    folder: str
    file: str
    parity: str
    runtime: str
    precision: str
    measured_latency_ms: float | None
    published: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def write_bundle(
    path: Path,
    document: Mapping[str, Any],
    files: Sequence[BundledFile],
    contents: Mapping[str, Path],
    task_files: Mapping[str, str],
) -> None:
    """Write the archive: the report with its `files`, what the task adds, and `contents`.

    `contents` are files by their names in the archive, `task_files` texts by theirs.
    """
    report = {**document, "files": [one.as_dict() for one in files]}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("report.json", json.dumps(report, indent=1, sort_keys=True))
        for name, text in task_files.items():
            archive.writestr(name, text)
        for name, file in contents.items():
            archive.write(file, name)

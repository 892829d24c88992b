"""The archive that a search or a compression gives: files, report, and what checks them."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from nas_service.delivery.sbom import Part, bill_of
from nas_service.delivery.signing import Signer
from nas_service.lineage import versions
from nas_service.templates.signed import SIGNATURE, SUMS

PARITY = "parity.npz"
"""Samples and what the network itself answers to them; `qat.parity.npz` is of a recipe."""
SBOM = "sbom.cdx.json"


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
    signer: Signer,
) -> None:
    """Write the archive: the report with its `files`, what the task adds, and `contents`.

    Beside them a bill of materials, the digest of every file, and that list's signature.

    Args:
        path: where it is written.
        document: what the report says; its `dataset`, where it has one, is in the bill.
        files: what `verify.py` checks.
        contents: files by their names in the archive.
        task_files: texts by theirs.
        signer: whose key signs.
    """
    report = {**document, "files": [one.as_dict() for one in files]}
    texts = {
        "report.json": json.dumps(report, indent=1, sort_keys=True),
        **task_files,
        "signed.py": package_files("nas_service").joinpath("templates/signed.py").read_text(),
    }
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    for name, file in contents.items():
        with file.open("rb") as stream:
            digests[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    texts[SBOM] = bill_of(_parts(digests, files), versions(), document.get("dataset"))
    digests[SBOM] = hashlib.sha256(texts[SBOM].encode()).hexdigest()
    sums = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
        for name, file in contents.items():
            archive.write(file, name)
        archive.writestr(SUMS, sums)
        archive.writestr(SIGNATURE, signer.sign(sums.encode()))


def _parts(digests: Mapping[str, str], files: Sequence[BundledFile]) -> list[Part]:
    models = {f"{one.folder}/{one.file}": one for one in files}
    return [
        Part(name, digest)
        if name not in models
        else Part(name, digest, models[name].runtime, models[name].precision)
        for name, digest in sorted(digests.items())
    ]

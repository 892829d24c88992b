"""Models that ship inside packages, compressed with samples of their own kind, and measured.

`--packages` is a folder that these were unpacked into:
`pip install --no-deps --target packages magika silero-vad rapidocr-onnxruntime nudenet
scikit-image`, and the source archive of webrtcvad-wheels for its recording. Nothing of them is
changed or kept. Each model is put through a service of its own as `nas compress --samples` does.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import packaged_samples as made_of
from benchmarks.packaged_samples import Maker, Missing, Packages
from benchmarks.rows import Row, keep, parser, report
from benchmarks.service import service
from nas_service.client import Client
from nas_service.compilation.kept import UNSTEADY

TARGETS = ("onnxruntime:int8", "onnxruntime:fp16", "openvino:int8")
_TRIES = 2
"""Times that what was not measured steadily is measured again."""


@dataclass(frozen=True, slots=True)
class Case:
    """A model of a package, its samples, and what may be lost by which metric."""

    package: str
    file: str
    samples: Maker
    metric: str
    max_loss: float


CASES = {
    "magika": Case("magika", "standard_v3_3/model.onnx", made_of.file_bytes, "same_decision", 0.03),
    "silero-vad": Case(
        "silero_vad",
        "silero_vad_openvino_16k.onnx",
        made_of.speech,
        "same_decision:output",
        0.02,
    ),
    "text-recogniser": Case(
        "rapidocr_onnxruntime",
        "ch_PP-OCRv4_rec_infer.onnx",
        made_of.text_lines,
        "same_decision",
        0.02,
    ),
    "text-direction": Case(
        "rapidocr_onnxruntime",
        "ch_ppocr_mobile_v2.0_cls_infer.onnx",
        made_of.turned_lines,
        "same_decision",
        0.02,
    ),
    "text-detector": Case(
        "rapidocr_onnxruntime",
        "ch_PP-OCRv4_det_infer.onnx",
        made_of.scenes_with_text,
        "miou",
        0.03,
    ),
    "nudenet": Case("nudenet", "320n.onnx", made_of.photographs, "fidelity", 0.02),
}


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("packaged", __doc__ or "")
    options.add_argument("--packages", type=Path, required=True, help="folder of packages")
    options.add_argument("--models", nargs="*", choices=sorted(CASES), help="all unless given")
    options.add_argument("--targets", nargs="*", default=list(TARGETS), help="RUNTIME:PRECISION")
    given = options.parse_args(arguments)
    packages = Packages(given.packages)
    rows: list[Row] = []
    told: list[tuple[str, dict[str, Any]]] = []
    with tempfile.TemporaryDirectory() as folder, service(Path(folder) / "var") as nas:
        nas.add_device("this-machine", this_machine=True)
        for name in given.models or CASES:
            try:
                found = _compressed(nas, CASES[name], packages, given, Path(folder))
            except Missing as why:
                print(f"left out: {name}: {why}", file=sys.stderr)
                continue
            for one in found:
                told.append((name, one))
                rows += _rows(name, one)
            keep(rows, given.out)
    _show(told)
    report(rows, given.out)
    return 0


def _compressed(
    nas: Client, case: Case, packages: Packages, given: Any, folder: Path
) -> Sequence[dict[str, Any]]:
    model = packages.file(Path(case.file).name)
    parts = case.samples(packages, np.random.default_rng(given.seed))
    files = [folder / "ranges.npz", folder / "test.npz"]
    for path, arrays in zip(files, parts, strict=True):
        np.savez(path, allow_pickle=False, **arrays)
    samples, test = (nas.upload_samples(path)["id"] for path in files)
    targets = [
        dict(zip(("runtime", "precision"), t.split(":"), strict=True)) for t in given.targets
    ]
    made = nas.compress(
        model=nas.upload_model(model)["id"],
        samples=[samples],
        test=[test],
        metric=case.metric,
        max_loss=case.max_loss,
        targets=targets,
        seed=given.seed,
    )
    print(f"{model.name}: {made['id']}", file=sys.stderr)
    nas.wait(made["job"]["id"])
    for _ in range(_TRIES):
        told = nas.compression(made["id"])
        if not any(row.get("kept") == UNSTEADY for row in told["rows"]):
            break
        nas.wait(nas.post(f"/v1/compressions/{made['id']}:measure")["job"]["id"])
    rows: list[dict[str, Any]] = nas.compression(made["id"])["rows"]
    return rows


def _rows(name: str, told: dict[str, Any]) -> list[Row]:
    case = f"{name} {told['runtime']} {told['precision']}"
    before, after = told["original"], told["compressed"]
    if not before or not after or not before["latency_ms"] or not after["latency_ms"]:
        return []
    figures = {
        "fp32_ms": before["latency_ms"],
        "latency_ms": after["latency_ms"],
        "speedup": before["latency_ms"] / after["latency_ms"],
        "fp32_bytes": before["size_bytes"],
        "size_bytes": after["size_bytes"],
        "score": after["accuracy"],
        "published": float(told["published"]),
    }
    return [Row("packaged", case, "ours", metric, 1, value) for metric, value in figures.items()]


def _show(told: Sequence[tuple[str, dict[str, Any]]]) -> None:
    table = Table()
    for column in (
        "model",
        "target",
        "fp32 ms",
        "ms",
        "times",
        "MB",
        "of MB",
        "score",
        "published",
    ):
        table.add_column(column)
    for name, row in told:
        before, after = row["original"] or {}, row["compressed"] or {}
        fast = before.get("latency_ms") and after.get("latency_ms")
        table.add_row(
            name,
            f"{row['runtime']} {row['precision']}",
            f"{before['latency_ms']:.4g}" if fast else "",
            f"{after['latency_ms']:.4g}" if fast else "",
            f"{before['latency_ms'] / after['latency_ms']:.2f}" if fast else "",
            f"{after['size_bytes'] / 1e6:.2f}" if after else "",
            f"{before['size_bytes'] / 1e6:.2f}" if before else "",
            f"{after['accuracy']:.4f}" if after else "",
            "yes" if row["published"] else row["reason"],
        )
    Console(width=160).print(table)

"""Check the models of this bundle on the machine at hand: same outputs, and how fast.

Needs Python, numpy and onnxruntime:  python verify.py
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

# least signal over noise in decibels of the worst output
LEAST_DB = {"fp32": 60.0, "fp16": 40.0, "int8": 6.0}


def main() -> int:
    """Check every model; the exit status is 1 where one does not give what it gave at home."""
    here = Path(__file__).parent
    report = json.loads((here / "report.json").read_text())
    failed = 0
    print(f"{'model':<44}{'parity':<8}{'worst dB':>10}{'here ms':>10}{'reported ms':>13}")
    for row in report["files"]:
        if not row["published"]:
            continue
        folder = here / row["folder"]
        path = folder / row["file"]
        if path.suffix != ".onnx":
            print(f"{folder.name}/{path.name} is for another runtime than ONNX Runtime")
            continue
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        samples = list(recorded(folder / row["parity"]))
        level = worst_db(session, samples)
        good = level >= LEAST_DB[row["precision"]]
        failed += not good
        times = []
        for number in range(120):
            start = time.perf_counter()
            session.run(None, samples[0][0])
            if number >= 20:
                times.append((time.perf_counter() - start) * 1e3)
        print(
            f"{f'{folder.name}/{path.name}':<44}{'ok' if good else 'FAILED':<8}{level:>10.1f}"
            f"{np.median(times):>10.3f}{row['measured_latency_ms']:>13.3f}"
        )
    return 1 if failed else 0


def recorded(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Inputs and outputs of each sample: arrays GROUP/in/NAME and GROUP/out/NAME, (n, ...)."""
    groups: dict[str, dict[str, dict[str, Any]]] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            group, way, name = key.split("/", 2)
            groups.setdefault(group, {"in": {}, "out": {}})[way][name] = arrays[key]
    for group in groups.values():
        for at in range(len(next(iter(group["in"].values())))):
            given, told = (
                {name: rows[at] for name, rows in group[way].items()} for way in ("in", "out")
            )
            yield given, told


def worst_db(session: Any, samples: list[tuple[dict[str, Any], dict[str, Any]]]) -> float:
    """Signal over noise of the output that is worst, over all samples."""
    noise, signal = [], []
    for given, told in samples:
        found = session.run(None, given)
        pairs = zip(found, told.values(), strict=True)
        noise.append([float(((a.astype(np.float64) - b) ** 2).sum()) for a, b in pairs])
        signal.append([float((b.astype(np.float64) ** 2).sum()) for b in told.values()])
    over = np.sum(signal, axis=0) / np.maximum(np.sum(noise, axis=0), 1e-30)
    return float(np.min(np.clip(10 * np.log10(np.maximum(over, 1e-20)), -200.0, 200.0)))


if __name__ == "__main__":
    sys.exit(main())

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

# least signal over noise in decibels of the worst output, and least share of equal whole numbers
LEAST_DB = {"fp32": 60.0, "fp16": 40.0, "int8": 6.0}
LEAST_EQUAL = {"fp32": 0.999, "fp16": 0.99, "int8": 0.9}


def main() -> int:
    """Check every model; the exit status is 1 where one does not give what it gave at home."""
    from signed import check, key_of  # type: ignore[import-not-found]  # beside this file

    here = Path(__file__).parent
    failed = int(not check(here, key_of(sys.argv)))
    report = json.loads((here / "report.json").read_text())
    print(
        f"{'model':<44}{'parity':<8}{'worst dB':>10}{'equal':>8}{'here ms':>10}{'reported ms':>13}"
    )
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
        level, equal = beside(session, samples)
        good = level >= LEAST_DB[row["precision"]] and equal >= LEAST_EQUAL[row["precision"]]
        failed += not good
        times = []
        for number in range(120):
            start = time.perf_counter()
            session.run(None, samples[0][0])
            if number >= 20:
                times.append((time.perf_counter() - start) * 1e3)
        print(
            f"{f'{folder.name}/{path.name}':<44}{'ok' if good else 'FAILED':<8}{level:>10.1f}"
            f"{equal:>8.1%}"
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
                {name: np.asarray(rows[at]) for name, rows in group[way].items()}
                for way in ("in", "out")
            )
            yield given, told


def beside(
    session: Any, samples: list[tuple[dict[str, Any], dict[str, Any]]]
) -> tuple[float, float]:
    """Of the output that is worst over all samples: signal over noise, share of equal numbers.

    The first is of outputs of floats, the second of whole numbers.
    """
    answers = [session.run(None, given) for given, _ in samples]
    levels, shares = [200.0], [1.0]
    for place, name in enumerate(samples[0][1]):
        ours = np.concatenate([np.ravel(one[place]) for one in answers])
        theirs = np.concatenate([np.ravel(told[name]) for _, told in samples])
        if ours.shape != theirs.shape:
            return -200.0, 0.0
        if theirs.dtype.kind in "iub":
            shares.append(float((ours == theirs).mean()) if theirs.size else 1.0)
            continue
        noise = float(((ours.astype(np.float64) - theirs) ** 2).sum())
        signal = float((theirs.astype(np.float64) ** 2).sum())
        if noise > 0 or not np.isfinite(noise):
            over = 10 * np.log10(max(signal / noise, 1e-20)) if np.isfinite(noise) else -200.0
            levels.append(float(np.clip(over, -200.0, 200.0)))
    return min(levels), min(shares)


if __name__ == "__main__":
    sys.exit(main())

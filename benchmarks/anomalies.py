"""A whole search for anomalies in real signals, beside detectors that are no networks.

The search runs in a service of its own on this machine, with defaults but for the profile's budget.
Beside it stand, on the same windows, each channel standardised by the normal ones for training: the
distance to the nearest of these, and what is left by their principal components, as many as
validation prefers. All are judged by the area under the ROC curve on the stored test part.

Signals ship inside a wheel of aeon: heartbeats with labels a row (`ecg-diff-count-3`), and sets of
windows of which one class is normal and every other one an anomaly:
pip download --no-deps aeon==1.6.0; nas bench anomalies --aeon aeon-1.6.0-py3-none-any.whl
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from benchmarks.rows import Row, keep, parser, report
from benchmarks.service import service
from benchmarks.signals import save, whole_search
from nas_service.client import Client
from nas_service.learning.registry import learning_task

TASK = "signal_anomalies"
BEATS = "ecg-diff-count-3"
NORMAL = {"BasicMotions": "Walking", "JapaneseVowels": "1", "ItalyPowerDemand": "1", BEATS: "0"}
_PARTS = {"train": "TRAIN_NA", "validation": "TRAIN_A", "test": "TEST"}
_WINDOW, _HOP = 64, 16
_COMPONENTS = (1, 2, 4, 8, 16, 32)

Array = npt.NDArray[np.float64]


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("anomalies", __doc__ or "")
    options.add_argument("--aeon", type=Path, required=True, help="a wheel of aeon")
    options.add_argument("--sets", nargs="*", default=list(NORMAL), choices=list(NORMAL))
    given = options.parse_args(arguments)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch, service(Path(scratch) / "var") as nas:
        nas.add_device("this-machine", this_machine=True)
        for name in given.sets:
            rows += _compared(nas, given.aeon, name, Path(scratch), given.seed)
            keep(rows, given.out)
    report(rows, given.out)
    return 0


def _compared(nas: Client, wheel: Path, name: str, folder: Path, seed: int) -> list[Row]:
    answers: dict[str, Any] = {"normal": NORMAL[name]}
    if name == BEATS:
        source = save_beats(wheel, folder / name)
        answers |= {"window": _WINDOW, "hop": _HOP}
        file = Path(shutil.make_archive(str(source), "zip", source))
    else:
        source = file = save(wheel, name, folder / f"{name}.npz")
    nas.wait(nas.upload_dataset(name, file, task=TASK, **answers)["job"]["id"], timeout_s=300)
    took_s, published, best = whole_search(nas, name, seed)
    # the same source gives the same parts
    found = learning_task(TASK).ingest(
        source, answers, tell=lambda *_: None, within=[folder], threads=1
    )
    found.save(folder / "stored.npz")
    with np.load(folder / "stored.npz") as stored:
        parts, flags = stored["part"], stored["targets"]
        windows = _standardised(stored["inputs"].astype(np.float64), parts == 0)
    scores = {"nearest normal window": nearest(windows, parts)}
    scores["principal components"] = residuals(windows, parts, flags)
    test = parts == 2
    n = int(test.sum())
    case = f"{name} ({int((parts == 0).sum())} to train, {n} to test, {int(flags[test].sum())} odd)"
    return [
        Row("anomalies", case, "search", "whole search, s", 1, took_s),
        Row("anomalies", case, "search", "published files", len(published), len(published)),
        Row("anomalies", case, "search", "AUC, best file", n, best["measured_accuracy"]),
        Row("anomalies", case, "search", "MACs of it", 1, best["macs"]),
        Row("anomalies", case, "search", "latency of it, ms", 1, best["measured_latency_ms"]),
        *(
            Row("anomalies", case, name, "AUC", n, float(roc_auc_score(flags[test], one[test])))
            for name, one in scores.items()
        ),
    ]


def _standardised(inputs: Array, fitted: npt.NDArray[np.bool_]) -> Array:
    """Windows `(n, channels, steps)` as rows, channels standardised by those that are fitted."""
    mean = inputs[fitted].mean(axis=(0, 2), keepdims=True)
    std = inputs[fitted].std(axis=(0, 2), keepdims=True) + 1e-8
    return np.asarray(((inputs - mean) / std).reshape(len(inputs), -1))


def nearest(windows: Array, parts: npt.NDArray[np.int64]) -> Array:
    """How far the nearest window for training is: `(n,)`."""
    found = NearestNeighbors(n_neighbors=1).fit(windows[parts == 0]).kneighbors(windows)[0]
    return np.asarray(found[:, 0])


def residuals(windows: Array, parts: npt.NDArray[np.int64], flags: npt.NDArray[np.int64]) -> Array:
    """What principal components leave of a window, as many as validation prefers: `(n,)`."""
    train, validation = windows[parts == 0], parts == 1
    fitting = [one for one in _COMPONENTS if one < min(train.shape)]
    best: tuple[float, Array] | None = None
    for n in fitting:
        model = PCA(n, random_state=0).fit(train)
        left = np.square(windows - model.inverse_transform(model.transform(windows))).mean(axis=1)
        auc = float(roc_auc_score(flags[validation], left[validation]))
        if best is None or auc > best[0]:
            best = auc, left
    assert best is not None
    return best[1]


def save_beats(wheel: Path, folder: Path) -> Path:
    """Three recordings as a folder of parts: normal beats alone to train on."""
    with zipfile.ZipFile(wheel) as archive:
        for part, name in _PARTS.items():
            (folder / part).mkdir(parents=True)
            content = archive.read(f"aeon/datasets/data/UnitTest/{BEATS}_{name}.csv")
            (folder / part / "beats.csv").write_bytes(content)
    return folder

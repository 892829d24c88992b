"""A whole search for boxes, on scenes composed of real pictures.

The search runs in a service of its own on this machine, with defaults but for the profile's budget;
the scenes are read from COCO's files. Beside it stands the largest network of the space, trained
alone for as many pictures as the supernet and a winner together.

Pictures ship inside a wheel of scikit-image:
pip download --no-deps scikit-image; nas bench detection --scikit-image scikit_image-*.whl
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.composed_scenes import save_scenes
from benchmarks.rows import Row, keep, parser, report
from benchmarks.service import service
from nas_service.client import Client
from nas_service.learning.registry import learning_task
from nas_service.networks.build import build, count_macs
from nas_service.space.mbconv import MbconvSpace
from nas_service.training.loop import TrainRecipe, judged, train

TASK = "detection"
PROFILE_S = 60.0
SIDE = 64


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("detection", __doc__ or "")
    options.add_argument("--scikit-image", type=Path, help="its wheel, which ships pictures")
    options.add_argument("--scenes", type=int, default=2000, help="three fifths are trained on")
    options.add_argument("--epochs", type=int, default=None, help="of the supernet")
    given = options.parse_args(arguments)
    if given.scikit_image is None:
        print("nas: give --scikit-image WHEEL", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with zipfile.ZipFile(given.scikit_image) as wheel:
            names = [one for one in wheel.namelist() if one.startswith("skimage/data/")]
            wheel.extractall(folder, names)
        scenes = save_scenes(
            folder / "skimage" / "data",
            folder / "scenes",
            n=given.scenes,
            side=SIDE,
            seed=given.seed,
        )
        rows = _alone(scenes, folder, given.seed)
        keep(rows, given.out)
        with service(folder / "var") as nas:
            rows += _searched(nas, scenes, given.epochs, given.seed)
    report(rows, given.out)
    return 0


def _row(method: str, metric: str, n: int, value: float) -> Row:
    return Row("detection", "composed scenes", method, metric, n, value)


def _alone(scenes: Path, folder: Path, seed: int) -> list[Row]:
    task = learning_task(TASK)
    found = task.ingest(scenes, {}, tell=lambda *_: None, within=[scenes], threads=1)
    found.save(folder / "stored.npz")
    data = task.load(folder / "stored.npz", max_train=None, device=torch.device("cpu"))
    space = MbconvSpace(task.sample(found.facts()))  # type: ignore[arg-type]  # as plug-ins are called
    network = build(space, space.largest(), seed=seed)
    seen = task.training.samples
    epochs = max(1, round(seen / len(data.train)))
    began = time.monotonic()
    train(network, data, SIDE, TrainRecipe(epochs=epochs), seed=seed)
    took_s = time.monotonic() - began
    value: Any = judged(network, data, data.test, SIDE)
    n = len(data.test)
    macs = count_macs(network, torch.zeros(data.example(SIDE)))
    return [
        _row("largest, alone", "test mAP50", n, value.map50),
        _row("largest, alone", "test mAP", n, value.map),
        _row("largest, alone", "MACs", 1, macs),
        _row("largest, alone", "training, s", 1, took_s),
    ]


def _searched(nas: Client, scenes: Path, epochs: int | None, seed: int) -> list[Row]:
    packed = Path(shutil.make_archive(str(scenes), "zip", scenes))
    nas.wait(nas.upload_dataset("scenes", packed, task=TASK)["job"]["id"], timeout_s=300)
    nas.add_device("this-machine", this_machine=True)
    asked: dict[str, Any] = {} if epochs is None else {"training": {"epochs": epochs}}
    began = time.monotonic()
    search = nas.submit_search(
        dataset="scenes",
        device="this-machine",
        profile_budget_s=PROFILE_S,
        precisions=["fp32", "int8"],
        seed=seed,
        **asked,
    )["id"]
    nas.wait(search, timeout_s=5400)
    took_s = time.monotonic() - began
    winners = [
        {row["precision"]: row for row in winner["results"]} for winner in nas.winners(search)
    ]
    both = [one for one in winners if {"fp32", "int8"} <= set(one)]
    files = [row for one in winners for row in one.values() if row["published"]]
    best = max(files, key=lambda row: row["measured_accuracy"])
    n = int(nas.get("/v1/datasets/scenes")["facts"]["n_test"])
    lost = [one["fp32"]["measured_accuracy"] - one["int8"]["measured_accuracy"] for one in both]
    rows = [
        _row("search", "whole search, s", 1, took_s),
        _row("search", "published files", len(files), len(files)),
        _row("search", "test mAP50, best file", n, best["measured_accuracy"]),
        _row("search", "test mAP of it", n, best["detection"]["map"]),
        _row("search", "MACs of it", 1, best["macs"]),
        _row("search", "latency of it, ms", 1, best["measured_latency_ms"]),
        _row("search", "most mAP50 lost by int8", len(both), max(lost)),
    ]
    for at, one in enumerate(winners):
        for precision, row in sorted(one.items()):
            name = f"winner {at}, {precision}"
            rows.append(_row(name, "test mAP50", n, row["measured_accuracy"]))
            rows.append(_row(name, "latency, ms", 1, row["measured_latency_ms"]))
    return rows

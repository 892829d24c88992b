"""A search that maximises balanced accuracy where one class has a twentieth of the pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.prepared import copied
from tests.service import Service
from tests.toy_search import toy_search


def _save_unequal(path: Path) -> None:
    """The bright half tells the classes apart, in 400 pictures against 20."""
    generator = np.random.default_rng(0)
    labels = (np.arange(420) % 21 == 0).astype(np.int64)
    images = generator.integers(0, 150, (420, 8, 8, 1))
    for image, label in zip(images, labels, strict=True):
        image[:, 4 * label : 4 * label + 4] += 60
    np.savez(path, x=images.astype(np.uint8), y=labels)


@pytest.mark.slow
def test_the_metric_of_a_search_is_what_is_predicted_measured_and_shown(
    prepared: Path, tmp_path: Path
) -> None:
    service = Service(copied(prepared, tmp_path / "var"))
    service.start()
    nas = service.client
    try:
        _save_unequal(tmp_path / "unequal.npz")
        nas.wait(nas.upload_dataset("unequal", tmp_path / "unequal.npz")["job"]["id"])
        for_accuracy = nas.submit_search(**toy_search(dataset="unequal"))["id"]
        (note,) = nas.search(for_accuracy)["facts"]["notes"]
        assert "classes are unequal" in note
        assert "balanced_accuracy or macro_f1" in note
        nas.cancel_search(for_accuracy)
        asked = toy_search(dataset="unequal", metric="balanced_accuracy", measuring_budget=0)
        search = nas.submit_search(**asked)["id"]
        nas.wait(search, timeout_s=400)
        found = nas.search(search)
        assert found["spec"]["metric"] == "balanced_accuracy"
        assert found["facts"]["notes"] == []
        assert "values of balanced accuracy" in found["facts"]["test_part"]["text"]
        front = nas.front(search)
        assert front["metric"] == "balanced_accuracy"
        predictor = nas.get(f"/v1/predictors/{found['facts']['predictor_id']}")
        assert predictor["quality"]["metric"] == "balanced_accuracy"
        rows = [row for winner in nas.winners(search) for row in winner["results"]]
        assert {row["precision"] for row in rows} == {"fp32", "int8"}
        for row in rows:
            told = row["classification"]
            recall = list(told["recall"].values())
            assert row["metric"] == "balanced_accuracy"
            assert row["measured_accuracy"] == pytest.approx(sum(recall) / 2, abs=1e-6)
            assert told["accuracy"] != row["measured_accuracy"]
        # a network that names the common class alone has .95 in accuracy and .5 here
        told_of = nas.get(f"/v1/searches/{search}/evaluations")["items"]
        assert all(one["accuracy"] <= 1.0 for one in told_of)
        assert min(one["accuracy"] for one in told_of) < 0.9
    finally:
        service.stop()

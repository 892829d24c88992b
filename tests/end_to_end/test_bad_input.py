"""Bad input through the whole service: a clear reason, and nothing half-written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_service.client import ApiError
from tests.service import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("service") / "var")
    made.start()
    yield made
    made.stop()


def test_a_data_set_with_one_class_is_refused_and_forgotten(
    service: Service, tmp_path: Path
) -> None:
    path = tmp_path / "one.npz"
    np.savez(path, x=np.zeros((20, 8, 8, 1), np.uint8), y=np.zeros(20, int))
    job = service.client.upload_dataset("one", path)["job"]
    with pytest.raises(ApiError, match="has one class") as caught:
        service.client.wait(job["id"], timeout_s=240)
    assert caught.value.problem["type"] == "/problems/invalid-data"
    assert caught.value.problem["status"] == 422
    assert "one" not in {d["name"] for d in service.client.every("/v1/datasets")}


def test_a_limit_that_nothing_meets_names_the_fastest_and_trains_nothing(
    service: Service, toy_arrays: Path
) -> None:
    nas = service.client
    nas.add_device("here", this_machine=True)
    nas.wait(nas.upload_dataset("toy", toy_arrays)["job"]["id"], timeout_s=240)
    spec: dict[str, Any] = {"dataset": "toy", "space": "mbconv", "device": "here"}
    search = nas.submit_search(**spec, max_latency_ms=0.0001, profile_budget_s=5)["id"]
    with pytest.raises(ApiError, match="infeasible: the fastest candidate takes"):
        nas.wait(search, timeout_s=400)
    found = nas.search(search)
    assert found["state"] == "failed"
    assert found["problem"]["field"] == "max_latency_ms"
    assert list(nas.every("/v1/supernets")) == []


def test_a_cancelled_search_ends_with_all_below_it(service: Service, toy_arrays: Path) -> None:
    nas = service.client
    if "toy" not in {d["name"] for d in nas.every("/v1/datasets")}:
        nas.add_device("here", this_machine=True)
        nas.wait(nas.upload_dataset("toy", toy_arrays)["job"]["id"], timeout_s=240)
    spec: dict[str, Any] = {"dataset": "toy", "space": "mbconv", "device": "here"}
    long = {"epochs": 500, "batch": 8}
    search = nas.submit_search(**spec, max_latency_ms=5, profile_budget_s=5, training=long)["id"]

    def training() -> bool:
        jobs = nas.get(f"/v1/searches/{search}/progress")["jobs"]
        return any(job["kind"] == "supernet" and job["progress"] > 0 for job in jobs)

    service.wait_until(training, 120)
    nas.cancel_search(search)
    service.wait_until(lambda: nas.search(search)["state"] == "cancelled", 30)
    jobs = nas.get(f"/v1/searches/{search}/progress")["jobs"]
    assert {job["state"] for job in jobs} <= {"succeeded", "cancelled"}

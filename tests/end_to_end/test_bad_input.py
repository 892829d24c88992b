"""Bad input through the whole service: a clear reason, and nothing half-written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_service.client import ApiError
from tests.prepared import copied
from tests.service import Service

SPEC: dict[str, Any] = {"dataset": "toy", "space": "mbconv", "device": "here"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Iterator[Service]:
    made = Service(copied(prepared, tmp_path_factory.mktemp("service") / "var"))
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
    service: Service,
) -> None:
    nas = service.client
    before = list(nas.every("/v1/supernets"))
    assert len(before) == 1
    search = nas.submit_search(**SPEC, max_latency_ms=0.0001, training={"epochs": 2})["id"]
    with pytest.raises(ApiError, match="infeasible: the fastest candidate takes"):
        nas.wait(search, timeout_s=400)
    found = nas.search(search)
    assert found["state"] == "failed"
    assert found["problem"]["field"] == "max_latency_ms"
    assert list(nas.every("/v1/supernets")) == before


def test_a_cancelled_search_ends_with_all_below_it(service: Service) -> None:
    nas = service.client
    long = {"epochs": 500, "batch": 8}
    search = nas.submit_search(**SPEC, max_latency_ms=5, training=long)["id"]

    def training() -> bool:
        jobs = nas.get(f"/v1/searches/{search}/progress")["jobs"]
        return any(job["kind"] == "supernet" and job["progress"] > 0 for job in jobs)

    service.wait_until(training, 120)
    nas.cancel_search(search)
    service.wait_until(lambda: nas.search(search)["state"] == "cancelled", 30)
    jobs = nas.get(f"/v1/searches/{search}/progress")["jobs"]
    assert {job["state"] for job in jobs} <= {"succeeded", "cancelled"}

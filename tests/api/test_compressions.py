"""Requests for compressions: what is refused before any work; no worker runs."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from nas_service.settings import Settings
from nas_service.storage import datasets
from nas_service.storage.session import Database
from tests.api.test_api import api, ready, settings

__all__ = ["api", "ready", "settings"]

GOOD: dict[str, Any] = {"dataset": "toy", "device": "here", "reference": {"name": "resnet8"}}


def test_a_compression_is_taken_on_and_told(ready: TestClient) -> None:
    body = {**GOOD, "recipe": [{"magnitude": {"sparsity": 0.7}}, "finetune"]}
    answer = ready.post("/v1/compressions", json=body)
    assert answer.status_code == 202, answer.text
    found = ready.get(answer.json()["href"]).json()
    assert found["job"]["state"] == "queued"
    assert found["request"]["recipe"][0] == {"magnitude": {"sparsity": 0.7}}
    assert found["request"]["recipe"][1]["finetune"]["epochs"] == 3
    assert found["rows"] == []
    (listed,) = ready.get("/v1/compressions").json()["items"]
    assert listed["subject"] == found["id"]


def test_the_same_key_makes_one_compression(ready: TestClient) -> None:
    headers = {"Idempotency-Key": "once"}
    ids = {
        ready.post("/v1/compressions", json=GOOD, headers=headers).json()["id"] for _ in range(2)
    }
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"reference": None}, "one of model, winner and reference"),
        ({"winner": "x"}, "one of model, winner and reference"),
        ({"reference": {"name": "alexnet"}}, "no reference network 'alexnet'"),
        ({"recipe": ["shrink"]}, "recipe step 1: no pass 'shrink'; known: "),
        ({"recipe": ["cluster", "finetune"]}, "step 2: finetune cannot follow cluster"),
        ({"recipe": [{"finetune": {"epochs": 0}}]}, "epochs has to be 1 to 1000, not 0"),
        (
            {"targets": [{"runtime": "abacus", "precision": "int8"}]},
            "no converter 'abacus'; known:",
        ),
        (
            {"targets": [{"runtime": "tvm", "precision": "int8"}]},
            "targets[0]: tvm makes fp32, not 'int8'",
        ),
        ({"targets": 2 * [{"runtime": "tvm", "precision": "fp32"}]}, "there twice"),
        ({"dataset": "nothing"}, "no data set 'nothing'"),
        ({"device": "elsewhere"}, "no device 'elsewhere'"),
        ({"mean": [0.5]}, "both or neither of mean and std"),
        ({"mean": [0.5], "std": [0.0]}, "std has to be positive"),
        ({"max_loss": 2}, "max_loss"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_stored(
    change: dict[str, Any], named: str, ready: TestClient
) -> None:
    answer = ready.post("/v1/compressions", json={**GOOD, **change})
    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    assert named in answer.text.replace('\\"', '"')
    assert ready.get("/v1/compressions").json()["items"] == []


def test_only_pictures_of_one_label_are_changed_further(
    ready: TestClient, settings: Settings
) -> None:
    database = Database(settings.url)
    with database.session() as session:
        stored = datasets.add_dataset(session, "moves", {"builtin": "digits"})
        facts = {"task": "signal_classification", "steps": 64, "channels": 3, "n_train": 10}
        facts["classes"] = list("abcd")
        datasets.set_imported(session, stored.id, digest="e" * 64, sha256="b" * 64, facts=facts)
    database.close()
    recipe = [{"finetune": {"augment": "trivial_augment"}}]
    body = {**GOOD, "dataset": "moves", "recipe": recipe}
    answer = ready.post("/v1/compressions", json=body)
    assert answer.status_code == 422, answer.text
    told = answer.json()
    assert "augment: it is for pictures of one label each, not for signal" in told["detail"]
    search = {"dataset": "moves", "device": "here", "training": {"augment": "rand_augment"}}
    answer = ready.post("/v1/searches", json=search)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"].startswith("training.augment: it is for pictures of one label")
    assert ready.get("/v1/compressions").json()["items"] == []
    taken = ready.post("/v1/compressions", json={**GOOD, "recipe": recipe})
    assert taken.status_code == 202, taken.text


def test_a_device_elsewhere_is_refused(ready: TestClient) -> None:
    ready.post("/v1/devices", json={"name": "board", "kind": "board"})
    answer = ready.post("/v1/compressions", json={**GOOD, "device": "board"})
    assert (
        "device 'board' has no agent to measure on it: `nas devices token board`"
        in answer.json()["detail"]
    )


def test_models_are_uploaded_by_their_ending_and_size(ready: TestClient) -> None:
    made = ready.post("/v1/models:upload?filename=m.onnx", content=b"0123")
    assert made.status_code == 201
    assert made.json()["kind"] == "model"
    assert made.json()["size_bytes"] == 4
    for query, content, named in (
        ("filename=m.pkl", b"x", "ending '.pkl' is none of .onnx, .pt2"),
        ("filename=m.onnx", b"", "the upload is empty"),
        ("filename=m.onnx", bytes(20_000), "larger than 10,000 bytes"),
    ):
        answer = ready.post(f"/v1/models:upload?{query}", content=content)
        assert answer.status_code == 422
        assert named in answer.json()["detail"]
    other = ready.post("/v1/compressions", json={**GOOD, "reference": None, "model": "art_none"})
    assert other.status_code == 404


def test_a_compression_that_is_not_there(ready: TestClient) -> None:
    assert ready.get("/v1/compressions/cmp_none").status_code == 404

"""An import does not wait for the search that is running."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prepared import copied
from tests.service import Service
from tests.toy_search import save_toy_arrays, toy_search


@pytest.mark.slow
def test_an_import_begins_and_ends_while_a_search_trains(prepared: Path, tmp_path: Path) -> None:
    service = Service(copied(prepared, tmp_path / "var"))
    service.start()
    nas = service.client
    try:
        training = {"epochs": 400, "finetune_epochs": 1, "batch": 16}
        search = nas.submit_search(**toy_search(training=training))["id"]
        service.wait_until(lambda: nas.search(search)["state"] == "training", 60)
        service.wait_until(lambda: "step" in nas.job(search)["message"], 60)
        save_toy_arrays(tmp_path / "more.npz")
        job = nas.upload_dataset("more", tmp_path / "more.npz")["job"]["id"]
        nas.wait(job, timeout_s=120)
        assert nas.search(search)["state"] == "training"
        nas.cancel_search(search)
    finally:
        service.stop()

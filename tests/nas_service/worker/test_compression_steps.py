"""The steps of a compression, in process: a winner through a recipe and two targets."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nas_service.jobs.params import CompressionJob, DatasetJob
from nas_service.storage import artifacts, datasets, devices, jobs, searches
from tests.inline import Inline, inline
from tests.prepared import copied
from tests.toy_search import save_toy_arrays


@pytest.fixture
def worker(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inline]:
    with inline(copied(prepared, tmp_path / "var"), monkeypatch) as made:
        yield made


def _compression(worker: Inline, **own: Any) -> CompressionJob:
    with worker.context.database.session() as session:
        search = searches.list_searches(session, cursor=None, limit=1).items[0]
        (winner,) = searches.winners_of(session, search.id)
        dataset = datasets.get_dataset(session, "toy")
        device = devices.get_device(session, "here")
    given: dict[str, Any] = {
        "winner": winner.id,
        "recipe": [],
        "targets": [{"runtime": "onnxruntime", "precision": one} for one in ("int8", "fp32")],
    }
    return CompressionJob(
        compression_id="cmp_inline",
        dataset=dataset.name,
        dataset_id=dataset.id,
        device=device.name,
        device_id=device.id,
        **{**given, **own},
    )


def _run(worker: Inline, job: CompressionJob) -> tuple[dict[str, Any], dict[str, Any]]:
    """The outcome, and the report where there is one."""
    with worker.context.database.session() as session:
        stored = jobs.add_job(
            session,
            "job_inline",
            "compression",
            subject=job.compression_id,
            params=job.as_dict(),
        )
    outcome = worker.run(stored)
    with worker.context.database.session() as session:
        files = {one.name: one for one in artifacts.artifacts_of(session, job.compression_id)}
    if "report.json" not in files:
        return outcome, {}
    with worker.context.blobs.open(files["report.json"].sha256) as stream:
        report = json.load(stream)
    assert isinstance(report, dict)
    return outcome, report


def test_a_winner_goes_from_weights_to_rows_and_a_bundle(worker: Inline, tmp_path: Path) -> None:
    outcome, report = _run(worker, _compression(worker))
    assert outcome == {"state": "succeeded", "problem": None}
    assert worker.steps == ["compress_model", "measure_model"]
    integer, plain = report["rows"]
    assert (integer["precision"], plain["precision"]) == ("int8", "fp32")
    assert integer["shares"]["n_layers_in_precision"] > 0
    assert integer["parity"]["agreement"] > 0.9
    assert integer["compressed"]["size_bytes"] < plain["compressed"]["size_bytes"]
    # nothing was done to it, so it is the original's own file
    assert not plain["published"]
    assert plain["reason"] == "the same file as the original's in fp32, byte for byte"
    assert report["passes"][0]["name"] == "original"
    with worker.context.database.session() as session:
        (subject,) = {
            one.subject
            for one in jobs.list_jobs(session, kind="compression", cursor=None, limit=9).items
        }
        files = {one.name: one for one in artifacts.artifacts_of(session, subject)}
    unpacked = tmp_path / "bundle"
    with (
        worker.context.blobs.local(files["bundle.zip"].sha256) as path,
        zipfile.ZipFile(path) as bundle,
    ):
        bundle.extractall(unpacked)
    told = json.loads((unpacked / "report.json").read_text())
    published = [row["file"] for row in report["rows"] if row["published"]]
    assert [one["file"] for one in told["files"] if one["published"]] == published
    checked = subprocess.run(
        [sys.executable, unpacked / "verify.py"], capture_output=True, text=True, check=True
    )
    assert checked.stdout.count(" ok ") == len(published)


def test_what_cannot_be_judged_ends_before_anything_is_compiled(worker: Inline) -> None:
    outcome, report = _run(worker, _compression(worker, winner=None, artifact="art_gone"))
    assert outcome["state"] == "failed"
    assert "no artifact 'art_gone'" in outcome["problem"]["detail"]
    assert worker.steps == ["compress_model"]
    assert report == {}
    assert list((worker.context.settings.scratch_dir).rglob("*.onnx")) == []


def test_an_import_is_one_light_step(worker: Inline, tmp_path: Path) -> None:
    save_toy_arrays(tmp_path / "again.npz")
    sha256 = worker.context.blobs.put(tmp_path / "again.npz")
    with worker.context.database.session() as session:
        source = {"sha256": sha256, "filename": "again.npz"}
        stored = datasets.add_dataset(session, "again", source)
        job = jobs.add_job(
            session,
            "job_import",
            "dataset",
            subject=stored.id,
            params=DatasetJob(dataset_id=stored.id).as_dict(),
        )
    outcome = worker.run(job)
    assert outcome == {"state": "succeeded", "problem": None}
    assert worker.steps == ["import_dataset"]
    with worker.context.database.session() as session:
        again, first = (datasets.get_dataset(session, one) for one in ("again", "toy"))
    assert again.digest == first.digest  # the same pictures, parts and classes

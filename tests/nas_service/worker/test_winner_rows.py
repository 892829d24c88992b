"""A winner's row: estimates and measurements side by side, and what is not known stays unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_service.delivery.measured import Measured
from nas_service.recorded.parity import Parity
from nas_service.search.certificate import (
    CERTIFIED,
    Certificate,
    certificate_of,
    measured_exactly,
    predicted_only,
)
from nas_service.search.certifier import Certifier
from nas_service.space.genotypes import Genotype
from nas_service.storage import jobs
from nas_service.storage.models.jobs import JobEventRow
from nas_service.storage.revisions import migrate
from nas_service.storage.searches import StoredWinner
from nas_service.storage.session import Database
from nas_service.worker.delivery.winner_rows import row_of
from nas_service.worker.timeline import parts, timeline

ESTIMATE = {
    "architecture": {"decisions": {}},
    "target": "board/onnxruntime-1/fp32",
    "precision": "fp32",
    "predicted_accuracy": 0.9,
    "predicted_latency_ms": 1.1,
    "latency_upper_ms": 1.2,
    "size_bytes": 1000,
    "peak_memory_bytes": 5000,
    "macs": 10,
    "parameters": 20,
}
WINNER = StoredWinner(
    id="sea_1-w0",
    search_id="sea_1",
    rank=0,
    genotype=Genotype((0, 1), 0),
    estimates={"fp32": ESTIMATE},
    compressed=None,
    results=None,
    state="compressed",
    problem=None,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)
MEASURED = Measured(
    precision="fp32",
    accuracy=0.88,
    n_test=100,
    accuracy_standard_error=0.0325,
    measurements={"latency_ms": 1.0, "size_bytes": 900.0, "energy_mj": 3.0},
    stable=True,
    same=Parity(max_abs=1e-6, sqnr_db=200.0, agreement=1.0, ok=True),
)
OTHER = replace(MEASURED.same, ok=False, why="column 3 died")


def _certificate(limit_ms: float) -> Certificate:
    certifier = Certifier(limit_ms, np.ones(1), np.array([1.1]), 0.03)
    for _ in range(4):
        certifier.add(0, 1.0)
    return certificate_of(certifier, 0, 0.95, 1.1, 0.03)


def test_what_was_predicted_and_measured_have_names_of_their_own() -> None:
    row = row_of(WINNER, MEASURED, MEASURED, _certificate(2.0), {})
    assert (row["predicted_accuracy"], row["measured_accuracy"]) == (0.9, 0.88)
    assert row["measured_accuracy_standard_error"] == 0.0325
    assert (row["predicted_size_bytes"], row["measured_size_bytes"]) == (1000, 900)
    assert row["verdict"] == CERTIFIED
    assert (row["predicted_energy_mj"], row["measured_energy_mj"]) == (None, 3.0)
    energy, size = (
        next(q for q in row["quantities"] if q["name"] == name)
        for name in ("energy_mj", "size_bytes")
    )
    assert (energy["predicted"], energy["measured"]) == (None, "3 mJ")
    assert (size["predicted"], size["measured"]) == ("1.0 kB", "0.9 kB")
    assert row["limit_holds"]
    assert row["published"]
    assert row["reason"] == ""


def test_nothing_measured_is_unknown_and_not_published() -> None:
    certificate = predicted_only(2.0, 0.95, 1.1, 0.03)
    further = {"size_bytes": measured_exactly("size_bytes", 500.0, 0.95, 1000.0, None)}
    row = row_of(WINNER, None, None, certificate, further, "fp32")
    unknown = [key for key in row if key.startswith("measured_")]
    assert unknown
    assert all(row[key] is None for key in unknown)
    assert row["limits"]["size_bytes"] == {"limit": 500.0, "measured": None, "holds": None}
    assert not row["published"]
    assert row["reason"] == "predicted only: the device could not be reached"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"same": replace(MEASURED.same, ok=False, why="column 3 died")},
            "not the same network: column 3",
        ),
        ({"not_in_precision": "0 of 3 layers"}, "nothing of it is in fp32: 0 of 3 layers"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(changes: dict[str, Any], reason: str) -> None:
    row = row_of(WINNER, replace(MEASURED, **changes), MEASURED, _certificate(2.0), {})
    assert not row["published"]
    assert reason in row["reason"]


def test_a_further_limit_that_is_broken_as_measured_is_told() -> None:
    further = {"size_bytes": measured_exactly("size_bytes", 800.0, 0.95, 1000.0, 900.0)}
    row = row_of(WINNER, MEASURED, MEASURED, _certificate(2.0), further)
    assert row["limits"]["size_bytes"]["holds"] is False
    assert row["reason"] == "measured size_bytes 900 is over its limit of 800"
    assert row["limit_holds"] is False


def test_a_search_s_time_is_told_by_job_and_step(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.sqlite'}"
    migrate(url)
    database = Database(url)
    with database.session() as session:
        search = jobs.add_job(session, "sea_1", "search", subject="sea_1", params={})
        jobs.add_job(
            session, "sea_1-w0-measure", "measure", subject="sea_1", params={}, parent="sea_1"
        )
        for job, step, event, at_s in (
            ("sea_1", "search", "started", 1.0),
            ("sea_1", "search", "finished", 4.0),
            ("sea_1-w0-measure", "measure", "started", 5.0),
            ("sea_1-w0-measure", "measure", "started", 7.0),  # cut off, and run again
            ("sea_1-w0-measure", "measure", "finished", 9.0),
            ("sea_1", "report", "started", 9.5),
        ):
            at = search.created_at + timedelta(seconds=at_s)
            session.add(JobEventRow(job_id=job, step=step, event=event, executor="x", at=at))
        session.flush()
        rows = timeline(session, "sea_1")
    database.close()
    assert [(row["step"], row["took_s"]) for row in rows] == [
        ("search", 3.0),
        ("measure", 4.0),
        ("report", None),
    ]
    assert parts(rows) == {"search": 3.0, "measure": 4.0, "search/report": 0.0}

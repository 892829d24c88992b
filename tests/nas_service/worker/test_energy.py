"""A limit on energy on a machine with a meter: from the table to the certificate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lookup_tables.conditions import meter_of_this_machine
from nas_service.cli.output import winner_columns, winner_rows
from nas_service.space.base import ImageShape
from nas_service.storage import devices, jobs, searches
from nas_service.storage.reopening import newest_tables
from tests.inline import Inline, inline
from tests.meters import MJ_A_RUN
from tests.prepared import copied
from tests.toy_search import toy_search

ENERGY = "energy_mj"


@pytest.fixture
def worker(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inline]:
    monkeypatch.setenv("NAS_METER", "tests.meters:steady")
    meter_of_this_machine.cache_clear()
    with inline(copied(prepared, tmp_path / "var"), monkeypatch) as made:
        yield made
    meter_of_this_machine.cache_clear()


@pytest.mark.slow
def test_a_limit_on_energy_goes_from_the_meter_to_a_certificate(worker: Inline) -> None:
    database = worker.context.database
    with database.session() as session:
        device = devices.get_device(session, "here")
        params = {
            "device_id": device.id,
            "space": "mbconv",
            "image": ImageShape(8, 1, 2).as_dict(),
            "precisions": ["fp32"],
            "budget_s": 12.0,
            "seed": 1,
        }
        job = jobs.add_job(session, "job_profile", "profile", subject=device.id, params=params)
    assert worker.run(job)["state"] == "succeeded"
    with database.session() as session:
        newest = newest_tables(session, device.id)
        stored = next(one for one in newest if ENERGY in (one.ratios or {}))
        table = devices.load_table(worker.context.blobs, stored)
    # every block has an energy, and whole networks say how far sums of them are off
    assert all(one.energy_mj is not None for one in table.entries)
    assert {ENERGY, "peak_memory_bytes", "size_bytes"} <= set(table.ratios)
    assert stored.ratios is not None
    assert stored.ratios[ENERGY]["ratio"] == pytest.approx(table.ratios[ENERGY].ratio)

    limits = {ENERGY: 1000.0, "peak_memory_bytes": 10_000_000}
    spec = toy_search(precisions=("fp32",), limits=limits, measuring_budget=0, max_latency_ms=500.0)
    search_id, outcome = worker.search(spec)
    assert outcome["state"] == "succeeded", outcome
    with database.session() as session:
        (winner,) = searches.winners_of(session, search_id)
    (row,) = winner.results or []
    assert row["measured_energy_mj"] == pytest.approx(MJ_A_RUN, rel=1e-3)
    # each block takes as much as a whole network: a sum of n of them is n times too much, which the
    # networks that were measured as a whole have taken out of it for their own number of blocks
    n_blocks = row["predicted_energy_mj"] / (MJ_A_RUN * table.ratios[ENERGY].ratio)
    assert n_blocks == pytest.approx(round(n_blocks), rel=1e-3)
    assert 3 <= round(n_blocks) <= 30
    assert table.ratios[ENERGY].ratio == pytest.approx(1 / n_blocks, rel=0.5)
    assert row["estimates"][ENERGY]["upper"] > row["predicted_energy_mj"]
    energy, memory = (row["certificates"][name] for name in limits)
    assert (energy["quantity"], energy["verdict"]) == (ENERGY, "certified")
    assert energy["n_sessions"] >= 3
    assert energy["measured_interval"][0] <= energy["measured"] <= energy["measured_interval"][1]
    assert memory["verdict"] == "certified"
    assert memory["measured"] == row["measured_peak_memory_bytes"]
    assert row["limits"][ENERGY]["holds"]
    assert row["published"], row["reason"]
    (shown,) = winner_rows([row])
    columns = dict(winner_columns("accuracy", [row]))
    assert shown[columns[ENERGY]].endswith("mJ, certified")


@pytest.mark.slow
def test_what_nothing_measures_is_predicted_only_and_no_reason_to_refuse(worker: Inline) -> None:
    """The prepared folder's tables know no energies: the search says so before it trains."""
    spec = toy_search(precisions=("fp32",), limits={ENERGY: 1000.0}, measuring_budget=0)
    search_id, outcome = worker.search(spec)
    assert outcome["state"] == "failed"
    assert "does not know the energy of" in outcome["problem"]["detail"]
    with worker.context.database.session() as session:
        assert searches.winners_of(session, search_id) == []

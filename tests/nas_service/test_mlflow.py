"""A search in MLflow: one run, one below it for each file, and nothing that is not known."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nas_service import cli
from nas_service.cli.mlflow_runs import PARENT_TAG, client_of
from tests.prepared import copied
from tests.service import Service

# MLflow's own models, with the newest SQLAlchemy
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


@pytest.fixture(scope="module")
def service(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(copied(prepared, tmp_path_factory.mktemp("mlflow") / "var"))
    made.start()
    yield made
    made.stop()


def _run(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["nas", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_a_search_is_a_run_with_its_files_below_it(
    service: Service,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)  # where a database's artifacts go
    search = next(service.client.every("/v1/searches"))
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    words = ["mlflow", search["id"], "--tracking-uri", uri, "--server", service.url, "--json"]
    code, out, err = _run(words, monkeypatch, capsys)
    assert code == 0, err
    made = json.loads(out)
    client = client_of(uri)
    run = client.get_run(made["run_id"])
    assert (run.info.status, run.info.run_name) == ("FINISHED", search["id"])
    assert run.data.params["training.epochs"] == str(search["spec"]["training"]["epochs"])
    assert run.data.metrics["n_published"] == search["facts"]["n_published"]
    steps = [one.value for one in client.get_metric_history(run.info.run_id, "hypervolume")]
    history = service.client.get(f"/v1/searches/{search['id']}/history")
    assert steps == [one["hypervolume"] for one in history if one["hypervolume"] is not None]
    below = client.search_runs(
        [made["experiment_id"]], f"tags.`{PARENT_TAG}` = '{run.info.run_id}'"
    )
    rows: dict[str, Any] = {
        f"winner {winner['rank']} {row['precision']}": row
        for winner in service.client.winners(search["id"])
        for row in winner["results"]
    }
    assert {one.info.run_name for one in below} == set(rows)
    for one in below:
        row = rows[str(one.info.run_name)]
        assert one.data.metrics["measured_latency_ms"] == row["measured_latency_ms"]
        known = {k for k, v in row.items() if k.startswith("measured_") and v is None}
        assert not known & set(one.data.metrics)  # what is unknown is not written as 0
    code, out, _ = _run(words, monkeypatch, capsys)
    assert (code, json.loads(out)["runs"]) == (0, [])
    assert json.loads(out)["run_id"] == made["run_id"]


@pytest.mark.parametrize("uri", ["zzz://x", "sqlite:////dev/null/x.db"])
def test_a_store_that_is_none_is_one_line(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    uri: str,
) -> None:
    search = next(service.client.every("/v1/searches", state="succeeded"))["id"]
    words = ["mlflow", search, "--tracking-uri", uri, "--server", service.url]
    code, _, err = _run(words, monkeypatch, capsys)
    assert code == 1
    assert "--tracking-uri" in err
    assert "Traceback" not in err


def test_a_search_that_goes_on_is_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = next(service.client.every("/v1/searches", state="succeeded"))
    more = service.client.post(f"/v1/searches/{first['id']}:clone")["id"]
    words = ["mlflow", more, "--tracking-uri", "sqlite:///x.db", "--server", service.url]
    code, _, err = _run(words, monkeypatch, capsys)
    service.client.cancel_search(more)
    assert code == 1
    assert "when it has ended" in err

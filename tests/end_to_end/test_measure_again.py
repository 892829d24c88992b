"""`nas measure`: what was left without a verdict is measured again, and the rest stays as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nas_service.client import ApiError
from nas_service.compilation.kept import UNSTEADY
from nas_service.search.certificate import UNDECIDED
from nas_service.settings import Settings
from nas_service.storage import artifacts, searches
from nas_service.storage.blobs import FileBlobs
from nas_service.storage.session import Database
from tests.prepared import copied
from tests.service import Service

pytestmark = pytest.mark.slow


def _measure(service: Service, name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nas_service.cli", "measure", name, "--server", service.url]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def _leave_undecided(var: Path, search: str) -> None:
    """As if the machine had never been steady while the search's winners were measured."""
    database = Database(Settings(var_dir=var).url)
    with database.session() as session:
        for winner in searches.winners_of(session, search):
            rows = [{**row, "verdict": UNDECIDED, "published": False} for row in winner.results]
            searches.update_winner(session, winner.id, results=rows)
    database.close()


def _leave_unsteady(var: Path, compression: str, told: dict[str, Any]) -> None:
    """As if the first file of a compression alone had not been measured steadily."""
    settings = Settings(var_dir=var)
    database, blobs = Database(settings.url), FileBlobs(var / "blobs")
    rows = [dict(row) for row in told["rows"]]
    rows[0] |= {"published": False, "kept": "not measured steadily", "reason": "unsteady"}
    # whatever this machine left of the other one: it is decided, and known again by its reason
    rows[1] |= {"published": True, "kept": "published", "reason": "as it was"}
    report = var / "changed.json"
    report.write_text(json.dumps({"made_ready": [], "passes": told["passes"], "rows": rows}))
    with database.session() as session:
        artifacts.add_artifact(
            session,
            blobs,
            report,
            owner=compression,
            name="report.json",
            kind="report",
            lineage={},
        )
    database.close()


def test_what_has_no_verdict_is_measured_again(prepared: Path, tmp_path: Path) -> None:
    var = copied(prepared, tmp_path / "var")
    service = Service(var)
    service.start()
    nas = service.client
    try:
        search = next(nas.every("/v1/searches"))["id"]
        before = len(nas.get(f"/v1/searches/{search}/certificates")["items"])
        _leave_undecided(var, search)
        done = _measure(service, search)
        assert done.returncode == 0, done.stderr
        rows = [row for winner in nas.winners(search) for row in winner["results"]]
        assert {row["precision"] for row in rows} == {"fp32", "int8"}
        assert all(row["verdict"] != UNDECIDED for row in rows)
        measured = nas.front(search)["measured"]
        assert [one["verdict"] for one in measured] == [row["verdict"] for row in rows]
        assert len(nas.get(f"/v1/searches/{search}/certificates")["items"]) == 2 * before
        assert nas.search(search)["state"] == "succeeded"
        with pytest.raises(ApiError, match=r"every file of search .* has its verdict"):
            nas.post(f"/v1/searches/{search}:measure")

        winner = nas.winners(search)[0]["id"]
        targets = [{"runtime": "onnxruntime", "precision": one} for one in ("int8", "fp16")]
        made = nas.compress(dataset="toy", device="here", winner=winner, targets=targets)
        nas.wait(made["job"]["id"], timeout_s=300)
        told = nas.compression(made["id"])
        _leave_unsteady(var, made["id"], told)
        done = _measure(service, made["id"])
        assert done.returncode == 0, done.stderr
        again = nas.compression(made["id"])
        assert again["job"]["kind"] == "compression"
        assert [row["precision"] for row in again["rows"]] == ["int8", "fp16"]
        assert again["rows"][0]["reason"] != "unsteady"
        assert again["rows"][0]["compressed"]["latency"] != told["rows"][0]["compressed"]["latency"]
        decided = {"published": True, "kept": "published", "reason": "as it was"}
        assert again["rows"][1] == told["rows"][1] | decided
        if again["rows"][0].get("kept") == UNSTEADY:  # then it may be tried once more
            assert nas.post(f"/v1/compressions/{made['id']}:measure")["id"] == made["id"]
        else:
            with pytest.raises(ApiError, match=r"no file of compression .* waits to be measured"):
                nas.post(f"/v1/compressions/{made['id']}:measure")
        assert "is no id of a search" in _measure(service, "digits").stderr
    finally:
        service.stop()

"""`nas doctor` on installations that are well, and on broken ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from nas_service.api.app import create_app
from nas_service.cli import doctor_checks
from nas_service.cli.databases import prepare
from nas_service.settings import Settings
from nas_service.storage import artifacts, jobs, leases
from nas_service.storage.models.jobs import JobRow
from nas_service.storage.remote_blobs import blobs_of
from nas_service.storage.revisions import migrate
from nas_service.storage.session import Database, now, shown_url
from tests.service import Service

Found = dict[str, list[dict[str, Any]]]


def _doctor(var_dir: Path, **env: str) -> tuple[int, Found]:
    """Its exit status, and its findings by what was looked at."""
    own = {"NAS_VAR_DIR": str(var_dir), "NAS_PORT": "1", **env}
    done = subprocess.run(
        [sys.executable, "-m", "nas_service.cli", "doctor", "--json"],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    found: Found = {}
    for one in json.loads(done.stdout):
        found.setdefault(one["check"], []).append(one)
    return done.returncode, found


def _faults(found: Found) -> list[dict[str, Any]]:
    return [one for some in found.values() for one in some if one["state"] == "fault"]


@pytest.fixture
def prepared_dir(tmp_path: Path) -> Path:
    prepare(Settings(var_dir=tmp_path / "var"))
    return tmp_path / "var"


def test_a_service_that_runs_is_well(tmp_path: Path) -> None:
    service = Service(tmp_path / "var")
    service.start()
    try:
        code, found = _doctor(tmp_path / "var", NAS_PORT=str(service.port))
    finally:
        service.stop()
    assert (code, _faults(found)) == (0, [])
    for check in ("data folder", "database", "engine", "files", "workers", "api", "runtimes"):
        assert [one["state"] for one in found[check]] == ["ok"], check
    assert "onnxruntime" in found["runtimes"][0]["found"]


def test_before_the_first_start_nothing_is_wrong_and_nothing_is_made(tmp_path: Path) -> None:
    code, found = _doctor(tmp_path / "var")
    assert (code, _faults(found)) == (0, [])
    assert not (tmp_path / "var").exists()
    (api,) = found["api"]
    assert api["state"] == "warning"
    assert "nas serve" in api["advice"]


def test_files_that_are_gone_or_cut_short_are_named(prepared_dir: Path) -> None:
    settings = Settings(var_dir=prepared_dir)
    database, blobs = Database(settings.url), blobs_of(settings)
    with database.session() as session:
        for name in ("whole.onnx", "gone.onnx", "short.onnx"):
            file = prepared_dir / name
            file.write_bytes(name.encode() * 10)
            artifacts.add_artifact(
                session, blobs, file, owner="o", name=name, kind="model", lineage={}
            )
            with blobs.local(blobs.put(file)) as place:
                if name == "gone.onnx":
                    place.unlink()
                elif name == "short.onnx":
                    place.chmod(0o644)
                    place.write_bytes(b"x")
    database.close()
    code, found = _doctor(prepared_dir)
    (fault,) = _faults(found)
    assert (code, fault["check"]) == (1, "files")
    assert "2 of the newest 3" in fault["found"]
    assert "gone.onnx is missing" in fault["found"]
    assert "short.onnx has another size" in fault["found"]
    assert "backup" in fault["advice"]


def test_tables_of_an_earlier_version_are_told_with_what_helps(tmp_path: Path) -> None:
    migrate(Settings(var_dir=tmp_path).url, to="0011")
    code, found = _doctor(tmp_path)
    (fault,) = _faults(found)
    assert (code, fault["check"]) == (1, "database")
    assert "nas.sqlite is at 0011, not 00" in fault["found"]
    assert "nas migrate" in fault["advice"]


def test_work_that_nobody_takes_is_a_fault(prepared_dir: Path) -> None:
    database = Database(Settings(var_dir=prepared_dir).url)
    with database.session() as session:
        leases.renew_lease(session, "one", ["cpu"], 600)
        for name, kind in (("a", "search"), ("b", "dataset")):
            jobs.add_job(session, name, kind, subject=name, params={})
        session.execute(update(JobRow).values(created_at=now() - timedelta(minutes=42)))
    database.close()
    code, found = _doctor(prepared_dir)
    (fault,) = _faults(found)
    assert code == 1
    assert fault["found"] == "a search job has waited 42 minutes for a worker on queue control"
    warned = {one["found"] for one in found["workers"] if one["state"] == "warning"}
    assert "nobody takes what is for gpu" in warned


@pytest.mark.parametrize(
    ("broken", "check", "said"),
    [
        ("room", "data folder", "GB free"),
        ("folder", "data folder", "Not a directory"),
        ("engine", "engine", "engine.sqlite is missing"),
    ],
)
def test_what_is_broken_is_named(prepared_dir: Path, broken: str, check: str, said: str) -> None:
    env = {}
    if broken == "room":
        env["NAS_MIN_FREE_BYTES"] = str(10**18)
    elif broken == "folder":
        env["NAS_VAR_DIR"] = str(prepared_dir / "nas.sqlite")
    else:
        (prepared_dir / "engine.sqlite").unlink()
    code, found = _doctor(prepared_dir, **env)
    (fault,) = _faults(found)
    assert (code, fault["check"]) == (1, check)
    assert said in fault["found"]
    assert fault["advice"]


def test_a_service_is_asked_by_a_name_that_it_answers_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(var_dir=tmp_path / "var", allowed_hosts="nas.example,other.example")
    prepare(settings)
    with TestClient(create_app(settings)) as client:

        def get(url: str, headers: dict[str, str], **_: Any) -> Any:
            return client.get(url, headers=headers)

        monkeypatch.setattr("nas_service.cli.doctor_checks.httpx.get", get)
        (found,) = doctor_checks.api(settings)
    assert (found.state, found.found) == ("ok", "http://127.0.0.1:8000 answers")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("::1", "http://[::1]:1"),
        ("::", "http://[::1]:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),  # noqa: S104  # nothing listens
    ],
)
def test_what_listens_everywhere_is_asked_here(host: str, url: str, tmp_path: Path) -> None:
    (found,) = doctor_checks.api(Settings(var_dir=tmp_path, host=host, port=1))
    assert found.state == "warning"
    assert url in found.found


def test_sqlite_by_its_url_is_looked_at_and_not_made(tmp_path: Path) -> None:
    file = tmp_path / "own" / "nas.sqlite"
    url = {"NAS_DATABASE_URL": f"sqlite:///{file}"}
    code, found = _doctor(tmp_path / "var", **url)
    assert (code, _faults(found)) == (0, [])
    assert not file.parent.exists()
    migrate(url["NAS_DATABASE_URL"])
    code, found = _doctor(tmp_path / "var", **url)
    assert [one["state"] for one in found["database"]] == ["ok"]


def test_no_password_is_printed() -> None:
    for url in (
        "postgresql://me:secret@db.example/nas",
        "postgresql+psycopg://db.example:5432/nas?user=me&password=secret",
    ):
        assert shown_url(url) == "db.example:5432/nas"
    assert shown_url("sqlite:////data/nas.sqlite") == "/data/nas.sqlite"

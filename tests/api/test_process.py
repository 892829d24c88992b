import subprocess
import sys
from pathlib import Path

from tests.service import Service


def test_the_running_api_process_has_not_imported_torch(tmp_path: Path) -> None:
    service = Service(tmp_path / "var")
    service.start()
    try:
        assert service.client.get("/healthz")["torch_imported"] is False
        service.client.add_device("here", this_machine=True)
        service.client.get("/v1/search-spaces/mbconv")
        assert service.client.get("/healthz")["torch_imported"] is False
    finally:
        service.stop()


def test_commands_without_a_service_say_how_to_start_one() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "nas_service.cli", "searches", "--server", "http://127.0.0.1:9"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1
    assert found.stdout == ""
    assert len(found.stderr.splitlines()) == 1
    assert "nas serve" in found.stderr


def test_a_bad_table_file_fails_with_its_rows(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text("{}\n")
    found = subprocess.run(
        [sys.executable, "-m", "nas_service.cli", "tables", "validate", str(tmp_path / "t.jsonl")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1
    assert "row 1: format" in found.stdout


def test_a_data_set_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "nas_service.cli", "datasets", "add", "d", str(tmp_path / "no")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1
    assert found.stderr.strip() == f"nas: there is no file or folder {tmp_path / 'no'}"

"""The wheel works outside the checkout: its templates, migrations and files are inside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.service import Service

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel unpacked as an installer would, built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("lookup_tables", "predictors", "nas_service"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(source)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"the wheel does not build: {done.stderr[-2000:]}")
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_what_runs_need(installed: Path) -> None:
    for name in (
        "nas_service/dashboard/templates/search.html",
        "nas_service/dashboard/static/search.js",
        "nas_service/storage/migrations/versions/0001_first_tables.py",
        "nas_service/templates/verify.py",
        "nas_service/py.typed",
        "predictors/py.typed",
        "lookup_tables/py.typed",
        "lookup_tables/measuring/anchor.onnx",
    ):
        assert (installed / name).exists(), name
    assert list((installed / "lookup_tables" / "data").glob("*/*.jsonl"))
    assert not list(installed.glob("tests*"))
    assert not list(installed.glob("benchmarks*"))
    done = subprocess.run(
        [sys.executable, "-m", "nas_service.cli", "bench", "search"],
        capture_output=True,
        text=True,
        check=False,
        cwd=installed,
    )
    assert done.returncode == 1
    assert "run this in a checkout" in done.stderr


def test_the_wheel_serves_a_page_outside_the_checkout(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(installed))
    where = subprocess.run(
        [sys.executable, "-c", "import nas_service; print(nas_service.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    ).stdout
    assert where.startswith(str(installed))
    service = Service(tmp_path / "var")
    service.start()
    try:
        page = httpx.get(f"{service.url}/searches", trust_env=False)
        assert page.status_code == 200
        script = httpx.get(f"{service.url}/static/search.js", trust_env=False)
        assert script.status_code == 200
    finally:
        service.stop()

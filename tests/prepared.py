"""A folder of a service in which a toy search has run, made once for all tests that go on from it.

It has the device `here` with tables of fp32 and int8, the data set `toy`, and for searches of
`tests.toy_search` a trained supernet and a fitted predictor. A test gets a copy of its own. The
tables lie beside it as `.jsonl`, for tests that upload them to a service with nothing else.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from tests.service import Service
from tests.toy_search import save_toy_arrays, toy_search


def prepared_folder(factory: pytest.TempPathFactory) -> Path:
    """The folder, made by whichever process of the tests asks first."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # what the workers share
    made, done = base / "prepared", base / "prepared.done"
    with (base / "prepared.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(made, ignore_errors=True)  # of an attempt that failed
            prepare(made)
            done.touch()
    return made


def prepare(var_dir: Path, database_url: str | None = None) -> None:
    """Make such a folder; with a URL, its rows are in that database."""
    service = Service(var_dir, database_url=database_url)
    service.start()
    nas = service.client
    try:
        save_toy_arrays(var_dir / "toy.npz")
        nas.add_device("here", this_machine=True)
        nas.wait(nas.upload_dataset("toy", var_dir / "toy.npz")["job"]["id"], timeout_s=240)
        search = nas.submit_search(**toy_search(n_queries=2))["id"]
        nas.wait(search, timeout_s=560)
        for version in nas.search(search)["facts"]["tables"]:
            content = nas.fetch(f"/v1/lookup-tables/{version}/content")
            (var_dir / f"{version}.jsonl").write_bytes(content)
    finally:
        service.stop()


def copied(made: Path, folder: Path) -> Path:
    """A copy to start a service on."""
    shutil.copytree(made, folder)
    return folder

"""The OpenAPI document is the one that is kept, and clients are generated from it."""

from __future__ import annotations

import importlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from nas_service.api.app import create_app
from nas_service.settings import Settings
from tests.service import Service
from tests.toy_search import save_toy_arrays

KEPT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
PACKAGE = "generated_nas_client"


def test_the_document_is_the_one_that_is_kept(tmp_path: Path) -> None:
    """What changes for those who call the API is seen in its diff: `nas openapi --out`."""
    now = create_app(Settings(var_dir=tmp_path)).openapi()
    assert now == json.loads(KEPT.read_text())


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("generated")
    config = folder / "config.yaml"
    config.write_text("post_hooks: []\n")
    command = [
        *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"),
        *("--path", str(KEPT), "--output-path", str(folder / PACKAGE), "--config", str(config)),
        "--fail-on-warning",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield importlib.import_module(PACKAGE)
    sys.path.remove(str(folder))


def test_a_generated_client_uploads_and_reads(generated: ModuleType, tmp_path: Path) -> None:
    """No call is left out; an upload of bytes becomes a data set that is read as a value."""
    api = importlib.import_module(f"{PACKAGE}.api.data_sets.datasets_upload")
    get = importlib.import_module(f"{PACKAGE}.api.data_sets.datasets_get_dataset")
    types = importlib.import_module(f"{PACKAGE}.types")
    save_toy_arrays(tmp_path / "toy.npz")
    service = Service(tmp_path / "var")
    service.start()
    try:
        with generated.Client(base_url=service.url, timeout=60) as client:
            content = types.File(payload=io.BytesIO((tmp_path / "toy.npz").read_bytes()))
            accepted = api.sync(client=client, body=content, filename="toy.npz", name="toy")
            service.client.wait(accepted.job.id, timeout_s=240)
            found = get.sync("toy", client=client)
            assert found.name == "toy"
            assert found.facts.n_train > 0
            assert found.digest
    finally:
        service.stop()

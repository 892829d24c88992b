"""What a search's deployments need, and a winner's files after a crash."""

from __future__ import annotations

from contextlib import nullcontext
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lookup_tables.target import Deployment
from nas_service.errors import Unsupported
from nas_service.settings import Settings
from nas_service.worker.delivery.winner_files import files_of
from nas_service.worker.tasks import tables
from nas_service.worker.tasks.tables import require_tools


def _deployments(*names: str) -> list[Deployment]:
    return list(map(Deployment.parse, names))


def test_what_a_deployment_lacks_is_said_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TOOLCHAINS", str(tmp_path))
    settings = Settings()
    require_tools(_deployments("fp32", "int8+qat", "openvino:bf16"), settings)
    with pytest.raises(Unsupported, match="nas toolchains install litert"):
        require_tools(_deployments("fp32", "litert:int8"), settings)

    def nothing(name: str) -> ModuleSpec | None:
        del name

    monkeypatch.setattr(tables, "find_spec", nothing)
    with pytest.raises(Unsupported, match=r"torch-pruning: pip install 'nas-service\[compression"):
        require_tools(_deployments("fp32+width=0.75"), settings)


def test_what_a_crash_left_half_copied_is_copied_anew(tmp_path: Path) -> None:
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    (blobs / "a").write_bytes(b"a whole graph")
    np.savez(blobs / "b.npz", images=np.zeros((1, 1, 2, 2)), logits=np.ones((1, 2)))
    stored: Any = {
        "fp32.onnx": SimpleNamespace(sha256="a"),
        "parity.npz": SimpleNamespace(sha256="b.npz"),
    }
    context: Any = SimpleNamespace(
        blobs=SimpleNamespace(local=lambda sha256: nullcontext(blobs / sha256))
    )
    folder = tmp_path / "scratch"
    folder.mkdir()
    (folder / "fp32.onnx").write_bytes(b"a wh")
    (folder / "parity.npz").write_bytes(b"PK")
    found = files_of(context, stored, ["fp32"], folder)
    assert found.graphs["fp32"].read_bytes() == b"a whole graph"
    assert found.outputs["fp32"].tolist() == [[1.0, 1.0]]

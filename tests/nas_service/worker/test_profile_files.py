"""Whole networks for runtimes that read no graphs: converted, several at once, and measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookup_tables.profile import LocalProfiler
from lookup_tables.runtimes.registry import runtime_versions
from lookup_tables.target import Target
from nas_service.compilation import toolchains
from nas_service.plugins import SPACES, load
from nas_service.settings import Settings
from nas_service.space.base import ImageShape, SearchSpace
from nas_service.space.sampling import distinct
from nas_service.worker.tasks.profile_files import network_files
from nas_service.worker.tasks.profile_timings import measure_files
from tests.tools import lacks


@pytest.mark.slow
@pytest.mark.parametrize(
    ("runtime", "precision"),
    [
        ("tvm", "fp32"),
        pytest.param("executorch", "int8", marks=pytest.mark.matrix),
        pytest.param("aot-inductor", "fp32", marks=pytest.mark.matrix),
    ],
)
def test_networks_are_converted_and_measured(runtime: str, precision: str, tmp_path: Path) -> None:
    told = toolchains.status(toolchains.toolchain(runtime), Settings())
    if not told.ready:
        lacks(f"no {', '.join(told.missing)}: {told.how}")
    space: SearchSpace = load(SPACES, "mbconv")(ImageShape(8, 1, 2))
    there = runtime_versions()
    targets = [
        Target("here", "onnxruntime", there["onnxruntime"], "fp32"),
        Target("here", runtime, there[runtime], precision),
    ]
    rows = distinct(space, 2, np.random.default_rng(0))
    said: list[str] = []
    files = network_files(
        space, rows, targets, tmp_path, lambda _, what: said.append(what), (0, 1), None, 2
    )
    name = f"{runtime}:{precision}"
    assert [set(paths) for paths in files.values()] == [{"fp32", name}] * 2
    assert len({paths[name] for paths in files.values()}) == 2
    assert any(name in what for what in said)
    profiler = LocalProfiler()
    found = measure_files(profiler, {"fit": files}, targets, 30.0, 0)
    assert set(found) == {"fit/fp32/0", "fit/fp32/1", f"fit/{name}/0", f"fit/{name}/1"}
    assert set(profiler.references) == {"processor"}  # one for all of its runtimes
    assert all(timing.p50_ms > 0 for timing in found.values())

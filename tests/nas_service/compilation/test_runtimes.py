"""Every runtime keeps the contract with a file of its converter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookup_tables.errors import LookupTableError
from lookup_tables.runtimes.nvidia import nvidia_gpu
from lookup_tables.runtimes.registry import load, runtime, runtime_points
from lookup_tables.target import Target
from lookup_tables.testing import RuntimeContract
from nas_service.compilation import toolchains
from nas_service.compilation.base import Source
from nas_service.plugins import CONVERTERS
from nas_service.plugins import load as load_plugin
from nas_service.settings import Settings
from tests.tools import lacks

ON_GPUS = ("aot-inductor-cuda", "tensorrt")
NAMES = [
    "onnxruntime",
    "openvino",
    "tvm",
    pytest.param("litert", marks=pytest.mark.matrix),
    pytest.param("executorch", marks=pytest.mark.matrix),
    pytest.param("aot-inductor", marks=pytest.mark.matrix),
    *(ON_GPUS if nvidia_gpu() else ()),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
class TestRuntimes(RuntimeContract):
    @pytest.fixture
    def target(self, name: str) -> Target:
        return Target("here", name, runtime(name).version() or "", "fp32")

    @pytest.fixture
    def model_file(
        self,
        name: str,
        target: Target,
        compiled_network: tuple[Source, np.ndarray, np.ndarray],
        tmp_path: Path,
    ) -> Path:
        status = toolchains.status(toolchains.toolchain(name), Settings())
        if not status.ready:
            lacks(f"no {', '.join(status.missing)}: {status.how}")
        converter = load_plugin(CONVERTERS, name)()
        path: Path = converter.compile(compiled_network[0], target, tmp_path).path
        return path


def test_every_runtime_of_ours_has_its_contract() -> None:
    tested = {one if isinstance(one, str) else one.values[0] for one in (*NAMES, *ON_GPUS)}
    assert tested | {"tvm-tuned"} == set(runtime_points())  # the same files, tuned for minutes


def test_a_runtime_that_is_not_known_is_named_with_those_that_are() -> None:
    with pytest.raises(LookupTableError, match=r"no runtime 'tvn'; known: .*onnxruntime.*tvm"):
        load(Path("m"), Target("here", "tvn", "", "fp32"))


def test_what_a_search_chooses_among_is_what_its_converter_makes() -> None:
    for name in runtime_points():
        made = load_plugin(CONVERTERS, name).precisions
        assert set(runtime(name).searched) <= set(made)

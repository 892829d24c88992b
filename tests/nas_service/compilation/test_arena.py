"""What LiteRT lays out for activations, on networks whose tensors can be counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import nn

from lookup_tables.runtimes.registry import runtime
from lookup_tables.target import Deployment, Target
from nas_service.compilation import toolchains
from nas_service.compilation.base import Source
from nas_service.learning.signals.window import Window
from nas_service.plugins import CONVERTERS, load
from nas_service.search.cost import CostModel
from nas_service.search.memory import ArenaModel
from nas_service.search.quantities.base import Priced
from nas_service.search.quantities.peak_memory import PeakMemory
from nas_service.settings import Settings
from nas_service.space.sampling import uniform
from nas_service.space.temporal import TemporalSpace
from nas_service.worker.tasks.profile_files import network_files, source_of
from tests.tools import lacks


@pytest.mark.slow
def test_arenas_are_those_of_tensors_counted_by_hand(tmp_path: Path) -> None:
    status = toolchains.status(toolchains.toolchain("litert"), Settings())
    if not status.ready:
        lacks(f"no {', '.join(status.missing)}: {status.how}")
    dense = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 16))
    networks = [
        # in floats of 4 bytes: the input stays; its 64 numbers, 128 inside, 16 at the end
        (dense, (1, 64), 4 * (64 + 128 + 16)),
        # the input stays (4 x 8 x 8); the map of 8 channels, and that map with channels first again
        (nn.Conv2d(4, 8, 1), (1, 4, 8, 8), 4 * 64 * (4 + 8 + 8)),
    ]
    sources: list[Source] = []
    for number, (network, shape, _) in enumerate(networks):
        torch.manual_seed(0)
        graph = tmp_path / f"network{number}.onnx"
        samples = np.zeros((4, *shape[1:]), np.float32)
        sources.append(source_of(network.eval(), graph, samples))
    target = Target("here", "litert", runtime("litert").version() or "", "fp32")
    made = load(CONVERTERS, "litert")().compile_all(sources, target, tmp_path / "litert")
    paths = [one.path for one in made]
    told = runtime("litert").peak_memory_bytes(paths)
    assert told == [wanted for _, _, wanted in networks]
    assert runtime("litert").peak_memory_bytes(paths) == told


@pytest.mark.slow
def test_plans_are_what_litert_lays_out_but_for_gaps(tmp_path: Path) -> None:
    status = toolchains.status(toolchains.toolchain("litert"), Settings())
    if not status.ready:
        lacks(f"no {', '.join(status.missing)}: {status.how}")
    space = TemporalSpace(Window(128, 6, 4))
    rows = uniform(space, 4, np.random.default_rng(0))
    target = Target("here", "litert", runtime("litert").version() or "", "int8")
    files = network_files(space, rows, [target], tmp_path, lambda *_: None, (0.0, 1.0), None, 4)
    paths = [files[number]["litert:int8"] for number in range(4)]
    arenas = np.array(runtime("litert").peak_memory_bytes(paths), dtype=np.float64)
    planned = ArenaModel(space).peak_numbers(rows)
    assert (planned <= arenas).all()  # no layout holds less than what is there at once
    assert np.median(planned / arenas) > 0.98
    priced = Priced(Deployment.parse("litert:int8"), space, cast(CostModel, None))
    assert np.array_equal(PeakMemory().estimate(priced, rows), planned)
    wide = Priced(Deployment.parse("litert:fp32"), space, cast(CostModel, None))
    assert np.array_equal(PeakMemory().estimate(wide, rows), 4 * planned)

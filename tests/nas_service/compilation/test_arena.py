"""What LiteRT lays out for activations, on networks whose tensors can be counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lookup_tables.runtimes.registry import runtime
from lookup_tables.target import Target
from nas_service.compilation import toolchains
from nas_service.compilation.base import Source
from nas_service.plugins import CONVERTERS, load
from nas_service.settings import Settings
from nas_service.worker.tasks.profile_files import source_of
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

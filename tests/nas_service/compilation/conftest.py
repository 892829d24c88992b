from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_service.compilation.base import FloatArray32, Source
from nas_service.networks.build import build
from nas_service.networks.export import export, export_program
from nas_service.space.base import input_size
from nas_service.space.mbconv import MbconvSpace


@pytest.fixture(scope="session")
def compiled_network(
    mbconv: MbconvSpace, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Source, FloatArray32, FloatArray32]:
    """A small network whose logits depend on its input, in every form, with its own answers."""
    folder = tmp_path_factory.mktemp("network")
    genotype = mbconv.smallest()
    size = input_size(mbconv, genotype)
    torch.manual_seed(0)
    network = build(mbconv, genotype, seed=0)
    labels = torch.arange(320) % 10
    colours = 1.5 * torch.randn(10, 3, 1, 1)
    images = colours[labels] + 0.3 * torch.randn(320, 3, size, size)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    network.train()
    for step in range(60):  # so that classes lie apart, as those of a network that ships do
        rows = torch.arange(32) + 32 * (step % 8)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images[rows]), labels[rows]).backward()
        optimizer.step()
    images = images[256:]
    with torch.no_grad():
        logits = network.eval()(images[:32]).numpy()
    export(network, folder / "m.onnx", (1, 3, size, size))
    export_program(network, folder / "m.pt2", (1, 3, size, size))
    np.savez(folder / "calibration.npz", images=images[32:].numpy())
    source = Source(folder / "m.onnx", folder / "m.pt2", folder / "calibration.npz")
    return source, images[:32].numpy(), logits

"""Do sampled architectures build, run, export, and agree with what their blocks say of them?"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch

from benchmarks.rows import Row, parser, report
from lookup_tables.measuring.onnx_session import session_options
from nas_service.networks.build import build, count_macs, count_parameters
from nas_service.networks.export import export
from nas_service.plugins import SPACES, load
from nas_service.search.cost import StructureModel
from nas_service.space.base import ImageShape, SearchSpace, input_size
from nas_service.space.sampling import distinct


def main(arguments: list[str]) -> int:
    """Run and report; the exit status is 1 where anything disagrees."""
    options = parser("spaces", __doc__ or "")
    options.add_argument("--samples", type=int, default=1000)
    options.add_argument("--space", action="append", help="default: mbconv and nasbench201")
    options.add_argument("--size", type=int, default=32)
    given = options.parse_args(arguments)
    rows = []
    for name in given.space or ["mbconv", "nasbench201"]:
        rows += check(load(SPACES, name)(ImageShape(given.size, 3, 10)), given.samples, given.seed)
    report(rows, given.out)
    exact = {"macs_differ", "parameters_differ", "over_1e-4"}
    return int(any(row.value for row in rows if row.metric in exact))


def _set_statistics(
    network: torch.nn.Module, image: torch.Tensor, generator: torch.Generator
) -> None:
    """Normalise as after training: without it outputs are so small that anything agrees."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(torch.randn((16, *image.shape[1:]), generator=generator))
    network.eval()


def check(space: SearchSpace, n: int, seed: int) -> list[Row]:
    """Figures of one space."""
    genotypes = distinct(space, n, np.random.default_rng(seed))
    structure = StructureModel(space)(genotypes)
    generator = torch.Generator().manual_seed(seed)
    differences = np.empty(len(genotypes))
    macs_differ = parameters_differ = 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        for i, genotype in enumerate(genotypes):
            size = input_size(space, genotype)
            network = build(space, genotype, seed=i)
            image = torch.randn(space.sample.input_shape(size), generator=generator)
            _set_statistics(network, image, generator)
            with torch.no_grad():
                expected = network(image).numpy()
            macs_differ += count_macs(network, image) != structure.macs[i]
            parameters_differ += count_parameters(network) != structure.parameters[i]
            export(network, path, space.sample.input_shape(size))
            session = ort.InferenceSession(
                str(path), session_options(1), providers=["CPUExecutionProvider"]
            )
            found = session.run(None, {"input": image.numpy()})[0]
            differences[i] = np.abs(found - expected).max()
            if i % 50 == 49:
                done = (time.monotonic() - started) / (i + 1)
                left = done * (len(genotypes) - i - 1)
                print(
                    f"{space.name}: {i + 1} of {len(genotypes)}, {left:.0f} s left", file=sys.stderr
                )
    case = f"{space.name} at {space.sample.size}"
    return [
        Row("spaces", case, "onnxruntime", "max_abs_difference", n, float(differences.max())),
        Row("spaces", case, "onnxruntime", "over_1e-4", n, float((differences > 1e-4).sum())),
        Row("spaces", case, "block sums", "macs_differ", n, float(macs_differ)),
        Row("spaces", case, "block sums", "parameters_differ", n, float(parameters_differ)),
        Row("spaces", case, "build, run, export", "s_each", n, (time.monotonic() - started) / n),
    ]

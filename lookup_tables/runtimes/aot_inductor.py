"""Packages of AOTInductor on the processor and on an NVIDIA GPU.

On a GPU the time of a run is that from an input in memory to outputs in memory: both copies count.
CUDA is not run on hardware.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar
from zipfile import ZipFile

import numpy as np

from lookup_tables.measuring.anchor import Anchor
from lookup_tables.measuring.anchors import GPU
from lookup_tables.model import Array, Input, Model
from lookup_tables.runtimes.base import Runtime
from lookup_tables.runtimes.cuda_anchors import gpu_anchors
from lookup_tables.runtimes.nvidia import nvidia_gpu, require_cuda
from lookup_tables.target import Target


class AotInductor(Runtime):
    """Reads a zip of the package and the shapes of its inputs."""

    name = "aot-inductor"
    package = "torch"
    searched: ClassVar[tuple[str, ...]] = ("fp32",)

    def load(self, path: Path, target: Target) -> Model:
        """See `Runtime.load`."""
        return AotInductorModel(path, target)


class CudaInductor(AotInductor):
    """The same on the first GPU, in plain fp32: TF32 would keep ten bits of a factor."""

    name = "aot-inductor-cuda"
    searched = ()
    state = GPU

    def version(self) -> str | None:
        """See `Runtime.version`."""
        return super().version() if nvidia_gpu() else None

    def anchors(self) -> Sequence[Anchor]:
        """See `Runtime.anchors`."""
        return gpu_anchors()

    def load(self, path: Path, target: Target) -> Model:
        """See `Runtime.load`."""
        require_cuda(self.name)
        return AotInductorModel(path, target, device="cuda")


class AotInductorModel:
    """A package on one of torch's devices; its threads are those of the process."""

    def __init__(self, path: Path, target: Target, *, device: str = "cpu") -> None:
        import torch

        torch.set_num_threads(target.threads)
        self._torch, self._device = torch, device
        with ZipFile(path) as packed, tempfile.TemporaryDirectory() as folder:
            package = packed.extract("model.pt2", folder)
            shapes: dict[str, list[int]] = json.loads(packed.read("inputs.json"))
            self._model = torch._inductor.aoti_load_package(package)
        self.inputs = {
            name: Input(tuple(shape), np.dtype(np.float32)) for name, shape in shapes.items()
        }

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """See `Model.run`."""
        with self._torch.inference_mode():
            tensors = (self._torch.from_numpy(feeds[n]).to(self._device) for n in self.inputs)
            found = self._model(*tensors)
            every = found if isinstance(found, (list, tuple)) else [found]
            return [one.cpu().numpy() for one in every]

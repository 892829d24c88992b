"""ExecuTorch's portable runtime with XNNPACK."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lookup_tables.model import Array, Input, Model
from lookup_tables.runtimes.base import Runtime
from lookup_tables.target import Target


class ExecuTorch(Runtime):
    """Reads .pte."""

    name = "executorch"
    package = "executorch"
    searched = ("fp32", "int8")

    def load(self, path: Path, target: Target) -> Model:
        """See `Runtime.load`."""
        return ExecuTorchModel(path, target)


class ExecuTorchModel:
    """A program; it takes torch tensors, and all programs share one pool of threads."""

    def __init__(self, path: Path, target: Target) -> None:
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of its own imports
            from executorch.extension.pybindings import portable_lib

        portable_lib._unsafe_reset_threadpool(target.threads)
        self._torch = torch
        self._module = portable_lib._load_for_executorch(str(path))
        meta = self._module.method_meta("forward")
        self.inputs = {
            f"input{i}": Input(tuple(meta.input_tensor_meta(i).sizes()), np.dtype(np.float32))
            for i in range(meta.num_inputs())
        }

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """See `Model.run`."""
        tensors = [self._torch.from_numpy(feeds[name]) for name in self.inputs]
        return [np.asarray(one) for one in self._module.forward(tensors)]

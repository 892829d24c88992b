"""TVM's virtual machine on the CPU, for files that were tuned and for those that were not."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar
from zipfile import ZipFile

import numpy as np

from lookup_tables.model import Array, Input, Model
from lookup_tables.runtimes.base import Runtime
from lookup_tables.target import Target


class Tvm(Runtime):
    """Reads a zip of the library and the shapes of its inputs."""

    name = "tvm"
    package = "apache-tvm"
    searched: ClassVar[tuple[str, ...]] = ("fp32",)

    def load(self, path: Path, target: Target) -> Model:
        """See `Runtime.load`."""
        return TvmModel(path, target)


class TunedTvm(Tvm):
    """The same files; not searched, as tuning takes a quarter of an hour a network."""

    name = "tvm-tuned"
    searched = ()


class TvmModel:
    """A library on the virtual machine."""

    def __init__(self, path: Path, target: Target) -> None:
        os.environ["TVM_NUM_THREADS"] = str(target.threads)  # read when its threads start
        import tvm
        from tvm import relax

        self._tvm = tvm
        with ZipFile(path) as packed, tempfile.TemporaryDirectory() as folder:
            library = tvm.runtime.load_module(packed.extract("model.so", folder))
            shapes: dict[str, list[int]] = json.loads(packed.read("inputs.json"))
        self._machine = relax.VirtualMachine(library, tvm.cpu())
        self.inputs = {
            name: Input(tuple(shape), np.dtype(np.float32)) for name, shape in shapes.items()
        }

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """See `Model.run`."""
        found = self._machine["main"](*(self._tvm.runtime.tensor(feeds[n]) for n in self.inputs))
        return [one.numpy() for one in ([found] if hasattr(found, "numpy") else found)]

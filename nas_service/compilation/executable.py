"""A converted file on its runtime, as parity checks and accuracy run it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lookup_tables.errors import LookupTableError
from lookup_tables.model import joined
from lookup_tables.runtimes.registry import load, runtime_points
from lookup_tables.target import Target
from nas_service import plugins
from nas_service.compilation.base import FloatArray32
from nas_service.errors import Unsupported
from nas_service.recorded.feeds import Array, Named
from nas_service.recorded.parity import Agreement, Parity, parity_of


class Executable:
    """A loaded file; used from one thread at a time.

    Raises:
        Unsupported: this machine cannot run such files.
    """

    def __init__(self, path: Path, target: Target) -> None:
        if target.runtime not in runtime_points():
            hardware = plugins.load(plugins.CONVERTERS, target.runtime).toolchain.hardware
            raise Unsupported(f"{path.name} runs on {hardware} ({target.device}), not here")
        try:
            self._model = load(path, target)
        except LookupTableError as error:
            raise Unsupported(str(error)) from error

    def answer(self, sample: Named) -> list[Array]:
        """All outputs of one sample, given by names of inputs; in the file's order."""
        given = {name: sample[name] for name in self._model.inputs}
        return [np.array(one) for one in self._model.run(given)]

    def run(self, sample: FloatArray32) -> FloatArray32:
        """Outputs `(1, ...)` of one prepared sample `(1, ...)`, of a file of one input."""
        (name,) = self._model.inputs
        return np.asarray(joined(self._model.run({name: sample})), dtype=np.float32)


def compare(
    executable: Executable,
    inputs: FloatArray32,
    reference: FloatArray32,
    precision: str,
    agree: Agreement,
) -> Parity:
    """Run every sample `(n, ...)` and compare with the module's outputs `(n, ...)`."""
    found = np.concatenate([executable.run(inputs[i : i + 1]) for i in range(len(inputs))])
    return parity_of(found, reference, precision, agree)

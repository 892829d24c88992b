"""A converted file on its runtime, as parity checks and accuracy run it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lookup_tables.errors import LookupTableError
from lookup_tables.runtimes.registry import load, runtime_points
from lookup_tables.target import Target
from nas_service import plugins
from nas_service.compilation.base import FloatArray32
from nas_service.errors import Unsupported


class Executable:
    """A loaded file with one input and one output; used from one thread at a time.

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
        (self._input,) = self._model.inputs

    def run(self, sample: FloatArray32) -> FloatArray32:
        """The first output `(1, ...)` of one prepared sample `(1, ...)`."""
        return np.array(self._model.run({self._input: sample})[0], dtype=np.float32)

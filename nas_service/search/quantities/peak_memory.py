"""Bytes that activations take at the worst moment of a run."""

from __future__ import annotations

from collections.abc import Sequence

from lookup_tables.runtimes.registry import runtime, runtime_points
from nas_service.search.memory import ArenaModel, MemoryModel
from nas_service.search.quantities.base import MeasuredFile, Priced, Quantity
from nas_service.search.quantities.size import bytes_text
from nas_service.space.base import FloatArray, IntArray


class PeakMemory(Quantity):
    """Planned from the sizes of tensors; measured where a runtime says what it allocates."""

    name = "peak_memory_bytes"
    label = "peak memory"

    def estimate(self, priced: Priced, architectures: IntArray) -> FloatArray:
        """See `Quantity.estimate`."""
        asked = priced.deployment
        known = asked.runtime in runtime_points()
        width = runtime(asked.runtime).arena_number_bytes.get(asked.precision) if known else None
        if width is not None:
            return priced.model(ArenaModel).peak_numbers(architectures) * float(width)
        return priced.model(MemoryModel).peak_bytes(architectures)

    def measure(self, files: Sequence[MeasuredFile]) -> list[float | None]:
        """See `Quantity.measure`; files of one runtime are asked of together."""
        values: list[float | None] = [None] * len(files)
        asked: dict[str, list[int]] = {}
        for number, one in enumerate(files):
            if one.here and one.target.runtime in runtime_points():
                asked.setdefault(one.target.runtime, []).append(number)
        for name, numbers in asked.items():
            told = runtime(name).peak_memory_bytes([files[number].path for number in numbers])
            for number, allocated in zip(numbers, told, strict=True):
                values[number] = allocated
        return values

    def text(self, value: float) -> str:
        """See `Quantity.text`."""
        return bytes_text(value)

"""What a model reads and what it gives: tensors by name, with types and sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

OPEN = None
"""A size that each run may choose."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output; `dtype` is numpy's name, an open size is None."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    @property
    def shown(self) -> str:
        """As people read it: `state float32 (2, ?, 128)`."""
        sizes = ", ".join("?" if size is OPEN else str(size) for size in self.shape)
        return f"{self.name} {self.dtype} ({sizes})"


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs and outputs, in the model's order."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Signature:
        """The inverse of `as_dict`, also after JSON."""
        return cls(_tensors(values["inputs"]), _tensors(values["outputs"]))

    @property
    def has_open_sizes(self) -> bool:
        """Whether a size of an input is chosen by each run."""
        return any(OPEN in one.shape for one in self.inputs)


def _tensors(values: Sequence[Mapping[str, Any]]) -> tuple[Tensor, ...]:
    return tuple(Tensor(one["name"], one["dtype"], tuple(one["shape"])) for one in values)

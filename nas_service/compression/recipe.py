"""A recipe: which passes run, in which order, with which options. A value, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nas_service.errors import InvalidSpec
from nas_service.plugins import ONNX_PASSES, TORCH_PASSES, names


@dataclass(frozen=True, slots=True)
class Step:
    """One pass by name, with its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Torch passes first, ONNX passes after the export between them."""

    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        torch_passes, onnx_passes = names(TORCH_PASSES), names(ONNX_PASSES)
        exported = False
        for place, step in enumerate(self.steps):
            if step.name in onnx_passes:
                exported = True
            elif step.name not in torch_passes:
                known = sorted([*torch_passes, *onnx_passes])
                raise InvalidSpec(
                    f"recipe step {place + 1}: no pass {step.name!r}; known: {', '.join(known)}",
                    known_names=known,
                )
            elif exported:
                raise InvalidSpec(
                    f"recipe step {place + 1}: {step.name!r} works on torch modules and "
                    "cannot follow a pass on ONNX graphs"
                )

    @property
    def torch_steps(self) -> tuple[Step, ...]:
        """The steps before the export."""
        return tuple(step for step in self.steps if step.name in names(TORCH_PASSES))

    @property
    def onnx_steps(self) -> tuple[Step, ...]:
        """The steps after the export."""
        return tuple(step for step in self.steps if step.name in names(ONNX_PASSES))

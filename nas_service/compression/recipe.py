"""A recipe: which passes run, in which order, with which options. A value, free of torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nas_service.compression.catalogue import check_order, checked_options
from nas_service.errors import InvalidSpec
from nas_service.learning.augmentations import NONE
from nas_service.plugins import ONNX_PASSES, TORCH_PASSES, names


@dataclass(frozen=True, slots=True)
class Step:
    """One pass by name, with its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Torch passes first, ONNX passes after the export between them.

    Raises:
        InvalidSpec: an unknown pass, an option or value that it does not take, or an order in which
            one pass would undo another; the step is named.
    """

    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        torch_passes, onnx_passes = names(TORCH_PASSES), names(ONNX_PASSES)
        exported = False
        checked = []
        for place, step in enumerate(self.steps, start=1):
            if step.name in onnx_passes:
                exported = True
            elif step.name not in torch_passes:
                known = sorted([*torch_passes, *onnx_passes])
                raise InvalidSpec(
                    f"recipe step {place}: no pass {step.name!r}; known: {', '.join(known)}",
                    known_names=known,
                )
            elif exported:
                raise InvalidSpec(
                    f"recipe step {place}: {step.name!r} works on torch modules and "
                    "cannot follow a pass on ONNX graphs"
                )
            checked.append(Step(step.name, checked_options(place, step.name, step.options)))
        check_order([step.name for step in self.steps])
        object.__setattr__(self, "steps", tuple(checked))

    @classmethod
    def of(cls, steps: Iterable[str | Mapping[str, Any]]) -> Recipe:
        """From names, and mappings of one name to its options, as in JSON."""
        found = []
        for place, step in enumerate(steps, start=1):
            if isinstance(step, str):
                found.append(Step(step))
                continue
            if len(step) != 1:
                raise InvalidSpec(
                    f"recipe step {place}: a name, or one name with its options", field="recipe"
                )
            ((name, options),) = step.items()
            if not isinstance(options, Mapping):
                raise InvalidSpec(
                    f"recipe step {place}: options of {name} are names with values", field="recipe"
                )
            found.append(Step(name, options))
        return cls(tuple(found))

    def as_list(self) -> list[dict[str, Any]]:
        """As JSON, defaults filled in; `of` reads it."""
        return [{step.name: dict(step.options)} for step in self.steps]

    @property
    def augments(self) -> bool:
        """Whether a pass changes training samples further."""
        return any(step.options.get("augment", NONE) != NONE for step in self.steps)

    @property
    def torch_steps(self) -> tuple[Step, ...]:
        """The steps before the export."""
        return tuple(step for step in self.steps if step.name in names(TORCH_PASSES))

    @property
    def onnx_steps(self) -> tuple[Step, ...]:
        """The steps after the export."""
        return tuple(step for step in self.steps if step.name in names(ONNX_PASSES))

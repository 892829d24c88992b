"""What a metric of a model's outputs is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from nas_service.errors import InvalidSpec
from nas_service.recorded.outputs import JudgedOutputs, OutputPair


class OutputMetric(ABC):
    """A number for how good outputs are, 1 at best; a value, made of what may follow its name.

    The entry-point group is `nas_service.output_metrics`, an entry the class itself: a file is not
    published where it loses more of it than `max_loss`.

    Args:
        output: the name of the output that it looks at, as in `accuracy:logits`; empty for its own
            choice: all outputs, or the first one.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    """As people read it."""
    needs_targets: ClassVar[bool] = False
    """Whether samples have to say what would be right; others look at the original's answers."""

    def __init__(self, output: str = "") -> None:
        self.output = output

    def require_output(self, names: Sequence[str]) -> None:
        """Refuse a name that no output has.

        Raises:
            InvalidSpec: lists those that there are.
        """
        if self.output and self.output not in names:
            raise InvalidSpec(
                f"metric {self.name}: no output {self.output!r}; there are {', '.join(names)}",
                field="metric",
            )

    @abstractmethod
    def value(self, judged: JudgedOutputs) -> float:
        """How good the outputs are.

        Raises:
            InvalidSpec: outputs or targets are not what it takes.
        """

    def chosen(self, judged: JudgedOutputs) -> OutputPair:
        """The output that was named, or the first one.

        Raises:
            InvalidSpec: there is none of that name.
        """
        self.require_output(judged.names)
        return judged.pair(self.output or judged.names[0])

    def every(self, judged: JudgedOutputs) -> list[OutputPair]:
        """The output that was named, or all of them."""
        if self.output:
            return [self.chosen(judged)]
        return [judged.pair(name) for name in judged.names]

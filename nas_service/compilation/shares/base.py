"""How much of a file is in the precision that it is said to have, counted from the file itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

MOST_NAMED = 20


class Layer(NamedTuple):
    """A layer with weights: its name, how many they are, and whether it computes in the precision.

    `weights_in_precision` is told apart, as weights may be small and the layer compute in float.
    """

    name: str
    n_weights: int
    in_precision: bool
    weights_in_precision: bool


@dataclass(frozen=True, slots=True)
class Shares:
    """Layers with weights in the stated precision, of all; weights in it, of all, by number.

    `in_float` names up to twenty of the others.
    """

    n_layers: int
    n_layers_in_precision: int
    n_weights: int
    n_weights_in_precision: int
    in_float: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "in_float": list(self.in_float)}

    @property
    def nothing(self) -> bool:
        """Whether no layer at all is in the stated precision, of a file that has layers."""
        return self.n_layers > 0 and self.n_layers_in_precision == 0

    def sentence(self, precision: str) -> str:
        """`3 of 4 layers and 98 % of the weights are in int8; fc in float`."""
        weights = self.n_weights_in_precision / self.n_weights if self.n_weights else 0.0
        text = (
            f"{self.n_layers_in_precision} of {self.n_layers} layers and {weights:.0%} of the "
            f"weights are in {precision}"
        )
        return text + (f"; in float: {', '.join(self.in_float)}" if self.in_float else "")


def counted(layers: Iterable[Layer]) -> Shares:
    """The shares of layers, each with weights of its own."""
    every = list(layers)
    return Shares(
        n_layers=len(every),
        n_layers_in_precision=sum(one.in_precision for one in every),
        n_weights=sum(one.n_weights for one in every),
        n_weights_in_precision=sum(one.n_weights for one in every if one.weights_in_precision),
        in_float=tuple(one.name for one in every if not one.in_precision)[:MOST_NAMED],
    )

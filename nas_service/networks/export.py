"""A torch module as an ONNX graph, or as an exported program."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from lookup_tables.graphs import OPSET
from nas_service.networks.blocks.base import BlockModule


def export_program(network: nn.Module, path: Path, shape: tuple[int, ...]) -> None:
    """Write `network` in inference mode as an exported torch program (.pt2) for the same input."""
    partial = path.with_name(path.name + ".partial.pt2")
    with _apart(network):
        program = torch.export.export(network.eval(), (torch.zeros(shape),))
    torch.export.save(program, partial)
    partial.replace(path)


def export(network: nn.Module, path: Path, shape: tuple[int, ...]) -> None:
    """Write `network` in inference mode for one input of a shape, batch first, of 1.

    The input is named `input`, outputs as `BlockModule.output_names` of the last block says, the
    only one `logits`. Normalisation is folded into convolutions.
    """
    partial = path.with_name(path.name + ".partial")
    plain = network.eval()
    plain.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch stubs
    with warnings.catch_warnings(), _apart(plain) as names:
        # the tracing exporter warns that it is the older one; it takes a tenth of the time of
        # its successor and gives the same graph for these networks
        warnings.simplefilter("ignore")
        torch.onnx.export(
            plain,
            (torch.zeros(shape),),
            str(partial),
            dynamo=False,
            opset_version=OPSET,
            input_names=["input"],
            output_names=names,
        )
    partial.replace(path)


@contextmanager
def _apart(network: nn.Module) -> Iterator[list[str]]:
    """While several outputs are given one by one: their names."""
    blocks = [one for one in network.modules() if isinstance(one, BlockModule)]
    several = [one for one in blocks if len(one.output_names) > 1]
    for one in several:
        one.apart = True
    try:
        yield list(several[-1].output_names) if several else ["logits"]
    finally:
        for one in several:
            one.apart = False

"""A table from few networks: devices whose law is known."""

from __future__ import annotations

import numpy as np
import pytest

from lookup_tables.blocks.convolution import ConvReluBlock
from lookup_tables.errors import LookupTableError
from lookup_tables.roofline import Peaks, Roofline
from lookup_tables.table import LookupTable
from lookup_tables.target import Target
from lookup_tables.transfer_table import TransferredTable, transfer_table

N = 300
BLOCKS = [
    ConvReluBlock(wide, 2 * wide, size, size, kernel=kernel)
    for wide in (8, 16, 32)
    for size in (8, 16)
    for kernel in (1, 3, 5)
]


def _device(name: str, macs: float, moved: float, layer: float) -> LookupTable:
    return Roofline(Target(name, "any", "1", "fp32"), Peaks(macs, moved, layer)).table(BLOCKS)


def _counts(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 3, (N, len(BLOCKS))).astype(float)


def _transferred(k: int, *, known: bool) -> tuple[TransferredTable, np.ndarray, np.ndarray]:
    references = [_device("a", 1e9, 1e10, 0.01), _device("b", 4e9, 2e9, 0.05)] if known else []
    new = _device("new", 3e9, 8e9, 0.02)
    counts = _counts(1)
    there = np.array([counts @ one.latency_ms(BLOCKS) for one in references])
    truth = counts @ new.latency_ms(BLOCKS)
    found = transfer_table(
        Target("new", "any", "1", "fp32"),
        BLOCKS,
        counts,
        np.arange(k),
        truth[:k],
        references=references,
        reference_ms=there.reshape(len(references), N).T,
    )
    return found, counts, truth


@pytest.mark.parametrize(("known", "bound"), [(True, 0.03), (False, 0.05)])
def test_networks_that_nobody_measured_are_priced_within_a_few_percent(
    known: bool, bound: float
) -> None:
    found, counts, truth = _transferred(10, known=known)
    sums = counts @ found.table.latency_ms(BLOCKS)
    error = np.abs(sums[10:] / truth[10:] - 1.0)
    assert error.mean() < bound


def test_every_entry_says_that_it_was_transferred() -> None:
    found, _, _ = _transferred(8, known=True)
    assert {entry.source for entry in found.table.entries} == {"transferred"}
    assert all(entry.p10_ms > 0 for entry in found.table.entries)
    assert found.table.n_measured == 0
    told = found.table.provenance["transfer"]
    assert told["n_networks"] == 8
    assert len(told["references"]) == 2
    assert found.table.calibration is not None
    assert found.table.calibration.n_networks == 8


def test_four_networks_are_too_few_and_shapes_have_to_fit() -> None:
    with pytest.raises(LookupTableError, match="at least 5"):
        _transferred(4, known=True)
    with pytest.raises(LookupTableError, match="networks, blocks"):
        transfer_table(
            Target("new", "any", "1", "fp32"),
            BLOCKS,
            np.ones((N, 3)),
            np.arange(5),
            np.ones(5),
            references=[],
            reference_ms=np.empty((N, 0)),
        )

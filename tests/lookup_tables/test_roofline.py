import numpy as np
import pytest

from lookup_tables import files
from lookup_tables.blocks import Block
from lookup_tables.blocks.add import AddBlock
from lookup_tables.blocks.convolution import ConvReluBlock
from lookup_tables.errors import LookupTableError
from lookup_tables.roofline import Peaks, Roofline
from lookup_tables.target import Target
from lookup_tables.testing import CostSourceContract

# 3x3 convolution, 16 to 32 channels on 8x8: 8*8*16*32*9 = 294,912 MACs
CONV = ConvReluBlock(16, 32, 8, 8, kernel=3)
# numbers: 16*64 in, 32*64 out, 16*32*9 + 32 weights = 7,712
SLOW, FAST = 1e6, 1e12


def test_arithmetic_or_traffic_whichever_is_longer_and_a_dispatch() -> None:
    target = Target("d", "any", "", "fp32")
    busy = Roofline(target, Peaks(SLOW, FAST, 0.5))
    assert busy.latency_ms([CONV])[0] == pytest.approx(294.912 + 0.5)
    starved = Roofline(target, Peaks(FAST, SLOW, 0.0))
    assert starved.latency_ms([CONV])[0] == pytest.approx(7712 * 4 / 1e3)


def test_int8_moves_a_quarter_and_computes_four_times() -> None:
    for peaks in (Peaks(SLOW, FAST, 0.0), Peaks(FAST, SLOW, 0.0)):
        wide, narrow = (
            Roofline(Target("d", "any", "", p), peaks).latency_ms([CONV])[0]
            for p in ("fp32", "int8")
        )
        assert wide == pytest.approx(4 * narrow)


def test_a_table_of_it_says_so_and_reads_back() -> None:
    made = Roofline(Target("d", "any", "", "fp32"), Peaks(1e9, 1e9)).table([CONV])
    assert [entry.source for entry in made.entries] == ["roofline"]
    assert made.n_measured == 0
    assert files.parse(files.dump(made)) == made


@pytest.mark.parametrize("peaks", [(0, 1, 0), (1, -1, 0), (np.nan, 1, 0), (1, 1, -1)])
def test_peaks_that_cannot_be_are_refused(peaks: tuple[float, float, float]) -> None:
    with pytest.raises(LookupTableError):
        Peaks(*peaks)


class TestContract(CostSourceContract):
    @pytest.fixture
    def source(self) -> Roofline:
        return Roofline(Target("d", "any", "", "fp32"), Peaks(1e9, 1e9))

    @pytest.fixture
    def blocks(self) -> list[Block]:
        return [CONV, AddBlock(8, 8, 4, 4, terms=2)]

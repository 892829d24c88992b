"""Planned peaks: by hand, by brute force, and against what the runtime allocates."""

from pathlib import Path

import numpy as np

from lookup_tables.blocks.add import AddBlock
from lookup_tables.blocks.convolution import ConvReluBlock
from lookup_tables.blocks.mbconv import MbConvBlock
from lookup_tables.memory import peak_numbers
from lookup_tables.runtimes.ort_memory import peak_memory_bytes
from nas_service.networks.build import build
from nas_service.networks.export import export
from nas_service.search.memory import MemoryModel
from nas_service.space.base import SearchSpace, input_size
from nas_service.space.sampling import distinct

CONV = ConvReluBlock(16, 32, 8, 8, kernel=3)
ADD = AddBlock(32, 32, 8, 8, terms=2)


def test_a_convolution_holds_what_it_reads_and_what_it_writes() -> None:
    assert CONV.live_numbers() == (16 + 32) * 64
    assert CONV.live_numbers(reads_sample=True) == 32 * 64
    # 24 channels lie in 32
    assert ConvReluBlock(24, 16, 8, 8).live_numbers() == (32 + 16) * 64


def test_an_inverted_bottleneck_is_widest_inside() -> None:
    block = MbConvBlock(16, 16, 8, 8, 3, 1, mid_channels=64, residual=1)
    # its input waits for the sum while 64 channels are read and 64 are written
    assert block.live_numbers() == (16 + 64 + 64) * 64


def test_an_output_is_held_until_its_last_reader() -> None:
    network = [(CONV, (-1,)), (ADD, (0, 0)), (ADD, (1, 1)), (ADD, (0, 2))]
    # the third block reads 2 x 32 channels, and writes over them, while the first's 32 still wait
    assert peak_numbers(network) == (32 + 2 * 32) * 64


def test_a_batch_is_what_walking_each_network_gives(
    mbconv: SearchSpace, nasbench201: SearchSpace
) -> None:
    for space in (mbconv, nasbench201):
        rows = distinct(space, 40, np.random.default_rng(0))
        batch = MemoryModel(space).peak_bytes(rows)
        alone = [
            4 * peak_numbers([(one.block, one.inputs) for one in space.wire(row)]) for row in rows
        ]
        assert batch.tolist() == alone


def test_the_plan_is_near_what_the_runtime_allocates(tmp_path: Path, mbconv: SearchSpace) -> None:
    rows = distinct(mbconv, 6, np.random.default_rng(2))
    paths = [tmp_path / f"{number}.onnx" for number in range(len(rows))]
    for number, row in enumerate(rows):
        network = build(mbconv, row, seed=number)
        export(network, paths[number], mbconv.sample.input_shape(input_size(mbconv, row)))
    told = peak_memory_bytes(paths)
    assert told == [one for path in paths for one in peak_memory_bytes([path])]  # as alone
    measured = np.array(told, dtype=np.float64)
    assert np.isfinite(measured).all()
    error = MemoryModel(mbconv).peak_bytes(rows) / measured - 1.0
    assert np.abs(error).mean() < 0.15
    assert np.corrcoef(np.log(measured), np.log(measured * (1 + error)))[0, 1] > 0.95


def test_a_file_that_does_not_run_has_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    assert peak_memory_bytes([path]) == [None]

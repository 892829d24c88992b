"""Contract tests for cost sources, runtimes and blocks: subclass, and provide the fixtures.

`class TestMine(CostSourceContract)` gives `source` and `blocks`; `class TestMine(RuntimeContract)`
`name`, `model_file` and `target`; `class TestMine(BlockContract)` gives `block`.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lookup_tables.agent_file import agent_file
from lookup_tables.blocks import Block
from lookup_tables.blocks.convolution import ConvBlock
from lookup_tables.blocks.registry import block_of, family
from lookup_tables.errors import LookupTableError, MissingBlocks
from lookup_tables.files import dump, parse
from lookup_tables.graphs import block_graph
from lookup_tables.measuring.anchor import read
from lookup_tables.measuring.clock import SYSTEM_CLOCK
from lookup_tables.measuring.feeds import random_inputs
from lookup_tables.measuring.onnx_session import session_options
from lookup_tables.measuring.timing import Protocol
from lookup_tables.profile import LocalProfiler
from lookup_tables.runtimes.registry import load, runtime, runtime_points
from lookup_tables.source import CostSource
from lookup_tables.table import Entry, LookupTable
from lookup_tables.target import PRECISIONS, Target


class CostSourceContract:
    """What every `CostSource` keeps."""

    def test_prices_are_positive_and_one_a_block(
        self, source: CostSource, blocks: Sequence[Block]
    ) -> None:
        latency = source.latency_ms(blocks)
        assert latency.shape == (len(blocks),)
        assert np.all(latency > 0)

    def test_a_batch_gives_what_its_members_give_alone(
        self, source: CostSource, blocks: Sequence[Block]
    ) -> None:
        alone = [source.latency_ms([block])[0] for block in blocks]
        assert np.array_equal(source.latency_ms(blocks), np.array(alone))

    def test_no_blocks_cost_nothing(self, source: CostSource) -> None:
        assert source.latency_ms([]).shape == (0,)

    def test_energy_is_positive_or_unknown(
        self, source: CostSource, blocks: Sequence[Block]
    ) -> None:
        energy = source.energy_mj(blocks)
        assert energy.shape == (len(blocks),)
        assert np.all(np.isnan(energy) | (energy > 0))


class TableContract(CostSourceContract):
    """What a source keeps that knows only the blocks that somebody measured."""

    def test_an_unknown_block_is_named(self, source: CostSource) -> None:
        stranger = ConvBlock(3, 7, 11, 13, kernel=9)
        with pytest.raises(MissingBlocks, match=stranger.key):
            source.latency_ms([stranger])


class RuntimeContract:
    """What every `Runtime` keeps: `name` in its group, a `model_file` of it, and its `target`."""

    def test_it_is_known_by_its_name(self, name: str) -> None:
        one = runtime(name)
        assert one.name == name
        assert one.package
        assert one.state
        assert set(one.searched) <= set(PRECISIONS)

    def test_importing_it_brings_nothing_heavy(self, name: str) -> None:
        module = runtime_points()[name].partition(":")[0]
        code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
        subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603  # our interpreter

    def test_an_agent_carries_it(self, name: str, tmp_path: Path) -> None:
        agent = tmp_path / "agent.pyz"
        agent.write_bytes(agent_file())
        code = (
            f"import sys; sys.path.insert(0, {str(agent)!r})\n"
            "from lookup_tables.runtimes.registry import runtime\n"
            f"print(sys.modules[type(runtime({name!r})).__module__].__file__)"
        )
        done = subprocess.run(  # noqa: S603  # our interpreter
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )
        assert done.stdout.startswith(str(agent))

    def test_anchors_tell_the_state(self, name: str) -> None:
        reading = read(runtime(name).anchors(), SYSTEM_CLOCK)
        assert reading
        assert all(ms > 0 for ms in reading.values())

    def test_a_file_runs_the_same_again(self, model_file: Path, target: Target) -> None:
        model = load(model_file, target)
        assert model.inputs
        assert all(min(one.shape, default=1) > 0 for one in model.inputs.values())
        feeds = random_inputs(model.inputs, seed=3)
        first = [np.array(one) for one in model.run(feeds)]  # a run may overwrite the last one's
        again = load(model_file, target).run(feeds)
        assert first
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))

    def test_its_files_are_timed(self, model_file: Path, target: Target) -> None:
        profiler = LocalProfiler()
        protocol = Protocol(turns=2, most_turns=4, warmups=1, patience_s=2.0)
        timing = profiler.measure({"m": model_file}, target, protocol=protocol, budget_s=20.0)["m"]
        assert timing.p50_ms > 0
        assert list(profiler.references) == [runtime(target.runtime).state]


class BlockContract:
    """What every family of blocks keeps on its cost side; fixture `block`, one of the family."""

    def test_a_row_reads_back_equal(self, block: Block) -> None:
        assert family(block.kind) is type(block)
        again = block_of(block.kind, dict(block.sizes))
        assert again == block
        assert hash(again) == hash(block)
        assert again.key == block.key
        assert all(isinstance(value, int) for value in block.sizes.values())

    def test_a_table_of_it_reads_back_equal(self, block: Block) -> None:
        entries = (Entry(block, p10_ms=1.0),)
        table = LookupTable(Target("here", "onnxruntime", "1", "fp32"), entries)
        assert parse(dump(table)).entries[0].block == block

    def test_blocks_of_other_sizes_are_others(self, block: Block) -> None:
        other = block.small()
        assert (other == block) == (other.key == block.key)
        assert (other < block) != (block < other) or other == block
        assert other.small() == other
        assert list(other.features()) == list(block.features())
        assert list(other.trend()) == list(block.trend())

    def test_a_size_that_it_has_not_is_refused(self, block: Block) -> None:
        with pytest.raises(LookupTableError, match="colour"):
            block_of(block.kind, {**block.sizes, "colour": 1})

    def test_its_graph_runs_and_has_the_shapes_and_weights_that_it_says(self, block: Block) -> None:
        import onnxruntime

        graph = block_graph(block, seed=3)
        held = sum(int(np.prod(one.dims)) for one in graph.graph.initializer)
        assert held == block.weights
        session = onnxruntime.InferenceSession(
            graph.SerializeToString(), session_options(1), providers=["CPUExecutionProvider"]
        )
        fed = {name: np.ones(shape, dtype=np.float32) for name, shape in block.inputs.items()}
        (output,) = session.run(None, fed)
        assert output.shape == block.output_shape
        assert np.isfinite(output).all()

    def test_small_blocks_have_the_same_operators(self, block: Block) -> None:
        graphs = [block_graph(one).graph.node for one in (block, block.small())]
        assert [n.op_type for n in graphs[0]] == [n.op_type for n in graphs[1]]

    def test_counts_are_in_order(self, block: Block) -> None:
        assert block.macs >= 0
        assert block.parameters >= 0
        assert block.n_layers >= 1
        assert block.live_numbers() >= block.output_numbers > 0
        assert block.arena_numbers() >= math.prod(block.output_shape)
        assert block.live_numbers(reads_sample=True) <= block.live_numbers()
        assert block.moved_numbers >= int(np.prod(block.output_shape)) + block.weights
        assert all(np.isfinite(one) for one in block.features().values())

    def test_narrower_is_never_more(self, block: Block) -> None:
        narrower = block.narrowed(0.75)
        assert narrower.macs <= block.macs
        assert narrower.weights <= block.weights
        assert block.narrowed(1.0) == block

"""Contract tests for cost sources and runtimes: subclass in a test module, provide the fixtures.

`class TestMine(CostSourceContract)` gives `source` and `blocks`; `class TestMine(RuntimeContract)`
`name`, `model_file` and `target`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lookup_tables.agent_file import agent_file
from lookup_tables.blocks import Block
from lookup_tables.errors import MissingBlocks
from lookup_tables.measuring.anchor import read
from lookup_tables.measuring.clock import SYSTEM_CLOCK
from lookup_tables.measuring.timing import Protocol
from lookup_tables.profile import LocalProfiler
from lookup_tables.runtimes.registry import load, random_inputs, runtime, runtime_points
from lookup_tables.source import CostSource
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
        stranger = Block("conv", 3, 7, 11, 13, kernel=9)
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

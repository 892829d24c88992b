"""A device that slips while its blocks are measured costs a second look, and no search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lookup_tables.errors import ProfilingFailed
from lookup_tables.measuring.timing import Timing
from lookup_tables.target import Target
from nas_service.space.base import ImageShape, SearchSpace
from nas_service.space.described.document import read_document
from nas_service.space.described.space import DescribedSpace
from nas_service.space.mbconv import MbconvSpace
from nas_service.worker.tasks.profile_plan import ProfilePlan, plan_of
from nas_service.worker.tasks.profile_space import profile_space

SPACE = MbconvSpace(ImageShape(8, 1, 2))
TARGET = Target("board", "onnxruntime", "1", "fp32")
NETWORKS = (5, 2)
WIDTHS = (0.75,)
SLIP = 60.0


@cache
def _plan() -> ProfilePlan:
    return plan_of(SPACE, 0, NETWORKS, widths=WIDTHS)


def _block_ms(number: int) -> float:
    return 0.004 + _plan().blocks[number].macs / 4e6


def _timing(ms: float) -> Timing:
    return Timing(ms, ms, ms, ms, 0.0, 40, True, "2026-01-01T00:00:00+00:00")


@dataclass
class Scripted:
    """A `Profiler` by a law of sizes; blocks of `slips` take `SLIP` times that, so many times."""

    slips: Mapping[int, int]
    asked: list[list[str]] = field(default_factory=list)
    steadiness: None = None
    references: Mapping[str, Any] = field(default_factory=dict)

    def measure(self, models: Mapping[str, Path], target: Target, **_: Any) -> dict[str, Timing]:
        del target
        self.asked.append(list(models))
        found = {}
        for name in models:
            group, _deployment, number = name.split("/")
            ms = _block_ms(int(number)) if group == "blocks" else 0.4
            slipped = group == "blocks" and len(self.asked) <= self.slips.get(int(number), 0)
            found[name] = _timing(SLIP * ms if slipped else ms)
        return found


def _heads() -> list[int]:
    return [i for i, block in enumerate(_plan().blocks) if block.kind == "head"]


def _profiled(profiler: Any, tmp_path: Path) -> tuple[dict[str, float], dict[str, Any], list[str]]:
    """Prices by block, the table's provenance, and the unstable blocks."""
    ((table, _),) = profile_space(
        SPACE,
        [TARGET],
        1.0,
        0,
        tmp_path,
        lambda *_: None,
        profiler=profiler,
        networks=NETWORKS,
        widths=WIDTHS,
    )
    prices = {entry.block.key: entry.p10_ms for entry in table.entries}
    return prices, table.provenance, [e.block.key for e in table.entries if not e.stable]


def test_blocks_that_slipped_once_are_measured_again(tmp_path: Path) -> None:
    slipped = _heads()[6:]
    profiler = Scripted(dict.fromkeys(slipped, 1))
    prices, provenance, unstable = _profiled(profiler, tmp_path)
    assert profiler.asked[1] == [f"blocks/fp32/{i}" for i in slipped]
    for number in _heads():
        assert prices[_plan().blocks[number].key] == pytest.approx(_block_ms(number))
    assert (provenance["quarantined"], unstable) == ({}, [])


def test_what_nothing_can_stand_for_is_kept_and_called_unstable(tmp_path: Path) -> None:
    """Ten heads, four of them absurd for good: six are too few to fill the others from."""
    assert len(_heads()) == 10
    slipped = _heads()[6:]
    prices, provenance, unstable = _profiled(Scripted(dict.fromkeys(slipped, 9)), tmp_path)
    keys = [_plan().blocks[number].key for number in slipped]
    assert sorted(unstable) == sorted(keys)
    assert provenance["quarantined"] == {}
    assert [prices[key] for key in keys] == pytest.approx([SLIP * _block_ms(i) for i in slipped])


def test_what_others_can_stand_for_is_set_aside_and_filled(tmp_path: Path) -> None:
    number = next(i for i, one in enumerate(_plan().blocks) if one.kind == "mbconv")
    prices, provenance, _ = _profiled(Scripted({number: 9}), tmp_path)
    key = _plan().blocks[number].key
    assert provenance["quarantined"] == {key: pytest.approx(SLIP * _block_ms(number))}
    assert prices[key] == pytest.approx(_block_ms(number), rel=1.0)


def test_nothing_is_measured_twice_on_a_device_that_does_not_slip(tmp_path: Path) -> None:
    profiler = Scripted({})
    _profiled(profiler, tmp_path)
    assert len(profiler.asked) == 1


def _few(depths: list[int]) -> SearchSpace:
    """A space of four networks for each depth."""
    given = {
        "name": "few",
        "input": "image",
        "decisions": {"depth": depths, "width": [0.5, 1.0]},
        "layers": [
            {"block": "conv_relu", "sizes": {"out_channels": {"round": 16, "by": "width"}}},
            {
                "name": "more",
                "block": "conv_relu",
                "repeat": "depth",
                "sizes": {"out_channels": 16, "kernel": 3},
            },
            {"block": "head", "sizes": {"mid_channels": {"choice": [16, 24]}}},
        ],
    }
    return DescribedSpace("few", read_document(given), ImageShape(8, 1, 2))


def test_of_a_small_space_some_is_left_to_check_on() -> None:
    plan = plan_of(_few([1, 2, 3]), 0, (24, 20))
    fit, check = ({tuple(map(int, row)) for row in rows} for rows in (plan.for_fit, plan.for_check))
    assert len(check) >= 5
    assert len(fit) >= 5
    assert not (fit & check) - {(0, 0, 0)}  # the smallest is always fitted


def test_a_space_of_too_few_networks_says_so() -> None:
    with pytest.raises(ProfilingFailed, match=r"space few has 8 networks: too few"):
        plan_of(_few([1, 2]), 0, (24, 20))

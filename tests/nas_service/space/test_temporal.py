"""What is decided of networks on signals, and what their front ends are, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lookup_tables.blocks.front_end import FrontEndBlock
from nas_service.errors import Conflict
from nas_service.learning.signals.window import Window
from nas_service.space.base import IntArray, describe
from nas_service.space.sampling import uniform
from nas_service.space.temporal import TemporalSpace


def _genotype(space: TemporalSpace, **chosen: object) -> IntArray:
    """The smallest network but for decisions by name."""
    row = space.smallest()
    for place, one in enumerate(space.decisions):
        if one.name in chosen:
            row[place] = one.values.index(chosen[one.name])
    return row


@pytest.mark.parametrize(
    ("steps", "frames"),
    [
        (255, None),  # no front end
        (256, None),  # frames of 16 alone
        (1024, None),  # of 64; half as long they would be of 16 steps in half of the window
        (2048, (64, 128)),
        (8000, (64, 128, 256)),
        (48_000, (128, 256, 512)),
    ],
)
def test_frames_are_decided_where_shorter_ones_have_bands(
    steps: int, frames: tuple[int, ...] | None
) -> None:
    found = {one.name: one.values for one in TemporalSpace(Window(steps, 1, 4)).decisions}
    assert found.get("frame_steps") == frames


@pytest.mark.parametrize(
    ("chosen", "sizes"),
    [
        # of 8,000 steps by 128: (8000 - 256) / 128 + 1 frames; 32 bands of 129 frequencies
        ({"steps": 8000, "frame_steps": 256, "front_end": "mfcc"}, (8000, 256, 32, 13, 61)),
        ({"steps": 8000, "frame_steps": 64, "front_end": "log_mel"}, (8000, 64, 21, 0, 249)),
        # half as many steps for as long
        ({"steps": 4000, "frame_steps": 256, "front_end": "mfcc"}, (4000, 128, 32, 13, 61)),
        ({"steps": 4000, "frame_steps": 64, "front_end": "log_mel"}, (4000, 32, 10, 0, 249)),
    ],
)
def test_a_front_end_has_the_frames_that_were_chosen(
    chosen: dict[str, object], sizes: tuple[int, ...]
) -> None:
    space = TemporalSpace(Window(8000, 1, 4))
    first, stem = [node.block for node in space.wire(_genotype(space, **chosen))][:2]
    assert isinstance(first, FrontEndBlock)
    steps, frame, bands, coefficients, frames = sizes
    assert first == FrontEndBlock(1, steps, frame, bands, coefficients)
    assert first.frames == frames
    assert stem.inputs["input"] == (1, coefficients or bands, frames)


def test_a_raw_window_is_one_network_whatever_its_frames() -> None:
    space = TemporalSpace(Window(8000, 1, 4))
    rows = uniform(space, 200, np.random.default_rng(0))
    rows[:, -1] = space.decisions[-1].values.index("raw")
    for frame in range(3):
        rows[:, -2] = frame
        told = space.canonical(rows)
        assert (told[:, -2] == 2).all()
        assert [node.block for node in space.wire(rows[0])] == [
            node.block for node in space.wire(told[0])
        ]


def test_networks_of_an_earlier_version_are_refused_by_name() -> None:
    space = TemporalSpace(Window(8000, 1, 4))
    with pytest.raises(Conflict, match="earlier version of space temporal, which had 18 decisions"):
        describe(space, space.smallest()[:-1])

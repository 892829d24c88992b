"""How many different networks there are: by hand, and by trying all of them."""

from __future__ import annotations

from typing import Any

from nas_service.learning.signals.window import Window
from nas_service.space.base import ImageShape, SearchSpace, n_architectures
from nas_service.space.cell import NasBench201Space
from nas_service.space.counting import n_networks
from nas_service.space.described.document import read_document
from nas_service.space.described.space import DescribedSpace
from nas_service.space.mbconv import MbconvSpace
from nas_service.space.temporal import TemporalSpace


def test_depths_and_layers_are_multiplied_out_by_hand() -> None:
    """Two lengths, four widths; in each of three stages a dilation of two, and 3, 9 or 27 ways."""
    space = TemporalSpace(Window(100, 6, 4))
    assert n_networks(space) == 2 * 4 * (2 * (3 + 9 + 27)) ** 3


def test_the_mobile_space_has_what_it_says() -> None:
    """About 6.5e13, of 3.3e15 combinations."""
    found = n_networks(MbconvSpace(ImageShape(32, 3, 10)))
    assert found is not None
    assert round(found / 1e13, 1) == 6.5


def test_cells_that_coincide_count_once(nasbench201: NasBench201Space) -> None:
    """15,625 combinations; 4,929 different connected cells."""
    assert n_networks(nasbench201) == 4_929


def _described(depths: list[int], **sizes: Any) -> SearchSpace:
    more = {"late": [3, 5]} if sizes else {}
    shape = {"kernel": {"choice": [3, 5, 7]}, "out_channels": 16, **sizes}
    stage = {"block": "temporal_separable", "sizes": shape}
    if sizes:
        stage["first"] = {"dilation": 1}
    document = {
        "name": "two",
        "input": "signal",
        "decisions": {"depth1": depths, "depth2": depths, **more},
        "layers": [
            {"name": "stem", "block": "temporal_conv", "sizes": {"out_channels": 16, "kernel": 3}},
            {**stage, "name": "one", "repeat": "depth1"},
            {**stage, "name": "two", "repeat": "depth2"},
            {"name": "head", "block": "temporal_head"},
        ],
    }
    return DescribedSpace("two", read_document(document), Window(40, 6, 4))


def test_a_described_space_is_counted_as_by_trying_all() -> None:
    small = _described([1, 2])
    assert n_architectures(small) == 2 * 2 * 3**4
    assert n_networks(small) == (3 + 9) ** 2
    large = _described([1, 6])
    assert n_architectures(large) == 2 * 2 * 3**12
    assert n_networks(large) == (3 + 3**6) ** 2


def test_what_cannot_be_multiplied_out_is_not_known() -> None:
    """A decision that layers of two stages read says nothing where neither is there."""
    assert n_networks(_described([1, 6], dilation={"from": "late"})) is None
    # one by one it can be counted: layers beyond the first read it
    assert n_networks(_described([1, 2], dilation={"from": "late"})) == 3 * 3 + 2 * (12**2 - 9)


def test_frames_of_a_raw_window_are_no_choice() -> None:
    """Three lengths of frames with two front ends, and the window as it is."""
    space = TemporalSpace(Window(4096, 1, 4))
    sizes = {one.name: one.size for one in space.decisions}
    assert sizes["front_end"] == 3
    fronts = 1 + 2 * sizes["frame_steps"]
    assert n_networks(space) == sizes["steps"] * 4 * fronts * (2 * (3 + 9 + 27)) ** 3


def test_a_space_of_many_decisions_of_one_value_is_counted() -> None:
    layer = {"block": "temporal_separable"}
    sizes = {"out_channels": 16, "kernel": {"choice": [3]}, "dilation": {"choice": [1]}}
    document = {
        "name": "long",
        "input": "signal",
        "layers": [
            {"name": "stem", "block": "temporal_conv", "sizes": {"out_channels": 16, "kernel": 3}},
            *({**layer, "name": f"layer{n}", "sizes": sizes} for n in range(35)),
            {"name": "head", "block": "temporal_head"},
        ],
    }
    space = DescribedSpace("long", read_document(document), Window(20, 6, 4))
    assert len(space.decisions) == 70
    assert n_networks(space) == 1

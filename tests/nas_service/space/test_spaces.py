from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from nas_service.errors import InvalidSpec
from nas_service.space.base import ImageShape, lower, n_architectures, parse
from nas_service.space.cell import NasBench201Space
from nas_service.space.mbconv import MbconvSpace, strides_for


def test_mbconv_has_more_than_1e12_distinct_networks(mbconv: MbconvSpace) -> None:
    # per stage: depths 1, 2, 3 of 9 kernel-expansion pairs, with or without the gate
    per_stage = 2 * (9 + 9**2 + 9**3)
    assert 3 * 3 * per_stage**4 > 1e12
    assert n_architectures(mbconv) >= 3 * 3 * per_stage**4


@pytest.mark.parametrize(("size", "last"), [(8, 4), (16, 4), (32, 4), (64, 4), (96, 3), (224, 7)])
def test_the_last_feature_map_has_about_four_pixels(size: int, last: int) -> None:
    side = size
    for stride in strides_for(size):
        side = -(-side // stride)
    assert side == last


def test_layers_beyond_the_depth_are_forgotten(mbconv: MbconvSpace) -> None:
    deep = mbconv.largest()
    deep[2] = 0  # stage 1 one layer deep
    other = deep.copy()
    other[6:10] = 0
    assert np.array_equal(mbconv.canonical(deep[None]), mbconv.canonical(other[None]))


def test_an_unknown_value_is_named_with_the_known_ones(mbconv: MbconvSpace) -> None:
    values = {d.name: d.values[0] for d in mbconv.decisions}
    with pytest.raises(InvalidSpec, match=r"width cannot be 0.6; it is one of \[0.5, 0.75, 1.0\]"):
        parse(mbconv, {**values, "width": 0.6})
    with pytest.raises(InvalidSpec, match="no decision 'depth'"):
        parse(mbconv, {**values, "depth": 3})


def test_mbconv_refuses_images_it_cannot_serve() -> None:
    with pytest.raises(InvalidSpec, match="at least 8 pixels"):
        MbconvSpace(ImageShape(4, 3, 10))


@pytest.fixture(scope="module")
def published(bench_data: Path) -> dict[str, np.ndarray]:
    table = pq.read_table(bench_data / "nasbench201.parquet")
    names = ["connected", "canonical_rep_index", "params_cifar10", "macs_cifar10"]
    found = {name: np.array(table[name]) for name in names}
    edges = ("01", "02", "12", "03", "13", "23")
    found["cells"] = np.column_stack([np.array(table[f"op_{edge}"]) for edge in edges])
    return found


def test_canonical_cells_are_exactly_the_published_classes(
    nasbench201: NasBench201Space, published: dict[str, np.ndarray]
) -> None:
    connected = published["connected"]
    canonical = nasbench201.canonical(published["cells"])
    numbers = canonical @ (5 ** np.arange(5, -1, -1))
    pairs = set(zip(numbers[connected], published["canonical_rep_index"][connected], strict=True))
    assert np.array_equal(nasbench201.valid(published["cells"]), connected)
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) == 4929


def test_macs_and_parameters_are_the_published_ones_where_no_edge_is_dead(
    nasbench201: NasBench201Space, published: dict[str, np.ndarray]
) -> None:
    same = (nasbench201.canonical(published["cells"]) == published["cells"]).all(axis=1)
    rows = np.flatnonzero(same & published["connected"])[::97]
    assert len(rows) > 40
    for row in rows:
        blocks = lower(nasbench201, published["cells"][row])
        assert sum(block.macs for block in blocks) == published["macs_cifar10"][row]
        assert sum(block.parameters for block in blocks) == published["params_cifar10"][row]


def test_the_cell_that_only_skips_is_as_published(nasbench201: NasBench201Space) -> None:
    # Dong and Yang (2020): 73,306 parameters and 7.783 M MACs on CIFAR-10
    blocks = lower(nasbench201, nasbench201.smallest())
    assert sum(block.parameters for block in blocks) == 73_306
    assert round(sum(block.macs for block in blocks) / 1e6, 3) == 7.783


def test_a_cell_without_a_path_is_no_network(nasbench201: NasBench201Space) -> None:
    cell = np.array([1, 1, 1, 0, 0, 0])  # nothing reaches the last node
    assert not nasbench201.valid(cell[None])[0]
    with pytest.raises(InvalidSpec, match="does not reach"):
        nasbench201.wire(cell)

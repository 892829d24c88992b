"""Contract tests for search spaces: subclass and provide the fixture `space`."""

from __future__ import annotations

from collections import Counter

import numpy as np

from nas_service.space.base import IntArray, SearchSpace, describe, lower, parse
from nas_service.space.sampling import uniform


def samples(space: SearchSpace, n: int = 40) -> IntArray:
    """Some valid genotypes."""
    return uniform(space, n, np.random.default_rng(4))


class SearchSpaceContract:
    """What every `SearchSpace` keeps."""

    def test_canonical_is_idempotent(self, space: SearchSpace) -> None:
        generator = np.random.default_rng(1)
        sizes = [decision.size for decision in space.decisions]
        raw = generator.integers(0, sizes, (200, len(sizes)))
        once = space.canonical(raw)
        assert np.array_equal(space.canonical(once), once)

    def test_canonical_never_changes_the_blocks(self, space: SearchSpace) -> None:
        generator = np.random.default_rng(2)
        sizes = [decision.size for decision in space.decisions]
        for row in generator.integers(0, sizes, (20, len(sizes))):
            assert lower(space, row) == lower(space, space.canonical(row[None])[0])

    def test_equal_networks_have_equal_features(self, space: SearchSpace) -> None:
        generator = np.random.default_rng(3)
        sizes = [decision.size for decision in space.decisions]
        raw = generator.integers(0, sizes, (50, len(sizes)))
        raw = raw[space.valid(raw)]
        assert np.array_equal(space.features(raw), space.features(space.canonical(raw)))

    def test_every_feature_has_a_name_of_its_own(self, space: SearchSpace) -> None:
        assert space.features(samples(space, 3)).shape[1] == len(set(space.feature_names))

    def test_a_batch_gives_what_its_rows_give(self, space: SearchSpace) -> None:
        rows = samples(space)
        alone = np.concatenate([space.features(row[None]) for row in rows])
        assert np.allclose(space.features(rows), alone)

    def test_the_wired_network_has_the_blocks_of_the_slots(self, space: SearchSpace) -> None:
        for row in samples(space):
            wired = Counter(node.block for node in space.wire(row))
            assert wired == Counter(lower(space, row))

    def test_nodes_read_earlier_nodes(self, space: SearchSpace) -> None:
        for row in samples(space):
            for number, node in enumerate(space.wire(row)):
                assert all(-1 <= source < number for source in node.inputs)

    def test_a_chain_is_one(self, space: SearchSpace) -> None:
        for row in samples(space):
            nodes = space.wire(row)
            in_line = all(node.inputs == (number - 1,) for number, node in enumerate(nodes))
            assert in_line or not space.chain

    def test_a_description_can_be_read_back(self, space: SearchSpace) -> None:
        for row in samples(space, 5):
            described = describe(space, row)
            assert np.array_equal(parse(space, described["decisions"]), row)

    def test_the_corners_are_networks(self, space: SearchSpace) -> None:
        assert space.valid(np.stack([space.smallest(), space.largest()])).all()

"""Architectures with their deployments: one value, arrays, and the list that is stored."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nas_service.space.genotypes import Genotype, Genotypes

GENOTYPES = st.integers(1, 6).flatmap(
    lambda a: st.lists(
        st.builds(
            Genotype,
            st.lists(st.integers(0, 9), min_size=a, max_size=a).map(tuple),
            st.integers(0, 5),
        ),
        min_size=1,
        max_size=8,
    )
)


@given(GENOTYPES)
def test_a_genotype_survives_the_list_and_the_matrix(every: list[Genotype]) -> None:
    assert [Genotype.from_list(one.as_list()) for one in every] == every
    together = Genotypes.of(every)
    assert len(together) == len(every)
    assert list(together) == every
    matrix = together.matrix
    assert matrix.shape == (len(every), len(every[0].architecture) + 1)
    assert matrix.tolist() == [one.as_list() for one in every]
    assert list(Genotypes.from_matrix(matrix)) == every


def test_rows_are_taken_by_mask_slice_and_number() -> None:
    every = Genotypes(np.arange(12).reshape(4, 3), np.array([0, 1, 0, 1]))
    assert [one.deployment for one in every[every.deployments == 1]] == [1, 1]
    assert every[::2].architectures[:, 0].tolist() == [0, 6]
    assert list(every[np.array([3])]) == [Genotype((9, 10, 11), 1)]


def test_none_at_all_are_no_rows() -> None:
    assert len(Genotypes.of([])) == 0

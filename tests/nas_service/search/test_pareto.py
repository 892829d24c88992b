import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nas_service.search.pareto import hypervolume, non_dominated, ranks

# few distinct values, so that ties and copies are common
points = st.integers(1, 30).flatmap(
    lambda n: arrays(np.float64, (n, 2), elements=st.integers(0, 6).map(float))
)
points3 = st.integers(1, 20).flatmap(
    lambda n: arrays(np.float64, (n, 3), elements=st.integers(0, 4).map(float))
)


def _brute(losses: np.ndarray) -> np.ndarray:
    return np.array([not any((b <= a).all() and (b < a).any() for b in losses) for a in losses])


@given(points)
def test_two_losses_agree_with_brute_force(losses: np.ndarray) -> None:
    assert np.array_equal(non_dominated(losses), _brute(losses))


@given(points3)
def test_three_losses_agree_with_brute_force(losses: np.ndarray) -> None:
    assert np.array_equal(non_dominated(losses), _brute(losses))


@given(points, st.randoms())
def test_a_front_is_unchanged_by_shuffling(losses: np.ndarray, random) -> None:
    order = np.array(random.sample(range(len(losses)), len(losses)))
    assert np.array_equal(non_dominated(losses)[order], non_dominated(losses[order]))


def test_equal_points_share_the_front() -> None:
    assert non_dominated(np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 2.0]])).tolist() == [
        True,
        True,
        False,
    ]


def test_a_row_with_nan_is_never_on_the_front() -> None:
    assert non_dominated(np.array([[np.nan, 0.0], [1.0, 1.0]])).tolist() == [False, True]


def test_hypervolume_by_hand() -> None:
    losses = np.array([[1.0, 3.0], [2.0, 1.0], [2.5, 2.0], [9.0, 0.0]])
    # below (4, 4): (4-1)*(4-3) + (4-2)*(3-1)
    assert hypervolume(losses, np.array([4.0, 4.0])) == 3 + 4


def test_nothing_inside_the_reference_has_no_hypervolume() -> None:
    assert hypervolume(np.array([[5.0, 5.0]]), np.array([4.0, 4.0])) == 0.0


@given(points)
def test_every_rank_is_the_front_of_what_is_left(losses: np.ndarray) -> None:
    found = ranks(losses)
    for level in range(int(found.max()) + 1):
        left = found >= level
        assert np.array_equal(found[left] == level, _brute(losses[left]))

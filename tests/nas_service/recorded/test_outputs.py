"""Outputs of any rank beside the original's: by hand, an output and a column at a time."""

from __future__ import annotations

import numpy as np
import pytest

from nas_service.recorded.feeds import Array, Named
from nas_service.recorded.outputs import JudgedOutputs, parity_of_outputs

RANDOM = np.random.default_rng(0)


def _judged(found: list[Array], original: list[Array]) -> JudgedOutputs:
    named = [[{"y": one} for one in some] for some in (found, original)]
    return JudgedOutputs(named[0], named[1])


def _boxes(n: int = 12) -> list[Array]:
    """Four places of boxes in pixels and two scores, of 50 boxes each."""
    boxes = RANDOM.uniform(0, 640, (n, 1, 4, 50))
    scores = RANDOM.uniform(0, 1, (n, 1, 2, 50))
    return list(np.concatenate([boxes, scores], axis=2).astype(np.float32))


def test_the_same_outputs_agree_in_every_precision() -> None:
    same = _boxes()
    for precision in ("fp32", "fp16", "int8"):
        told = parity_of_outputs(_judged(same, same), precision, 1.0)
        assert told.ok
        assert told.output == "y"
        assert told.sqnr_db == 200.0


def test_outputs_of_nothing_are_the_same_as_each_other() -> None:
    for nothing in (np.zeros((1, 3)), np.zeros((0, 4)), np.zeros((1, 0, 7))):
        some = [nothing] * 5
        told = parity_of_outputs(_judged(some, some), "fp32", 1.0)
        assert told.ok, told
        assert told.sqnr_db == 200.0
        assert _judged(some, some).pair("y").fidelity == 1.0
    assert not parity_of_outputs(
        _judged([np.ones((1, 3))] * 5, [np.zeros((1, 3))] * 5), "int8", 1.0
    ).ok


def test_scores_that_died_beside_large_boxes_are_found() -> None:
    original = _boxes()
    dead = [np.array(one) for one in original]
    for one in dead:
        one[:, 5] = 0.0
    told = parity_of_outputs(_judged(dead, original), "int8", 1.0)
    assert told.sqnr_db > 50  # over all numbers nothing is to be seen
    assert not told.ok
    assert told.why == "output y: column 5 of axis 1 varied in the original and is constant now"


def test_scores_of_noise_beside_large_boxes_are_found() -> None:
    original = _boxes()
    noisy = [np.array(one) for one in original]
    for one in noisy:
        one[:, 4] = RANDOM.uniform(0, 1, one[:, 4].shape)
    told = parity_of_outputs(_judged(noisy, original), "int8", 1.0)
    assert not told.ok
    assert "column 4 of axis 1" in told.why


def test_classes_that_are_never_chosen_are_no_columns_of_a_distribution() -> None:
    scores = RANDOM.normal(0, 1, (120, 1, 30))
    scores[..., 20:] -= 25.0  # never the largest, and next to nothing
    scores[..., :10] *= 4.0
    even = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    other = even.copy()
    other[..., 20:] *= RANDOM.uniform(0.0, 2.0, other[..., 20:].shape)
    assert parity_of_outputs(_judged(list(other), list(even)), "int8", 1.0).ok
    assert (even.argmax(axis=-1) == 0).sum() >= 4
    other[..., 0] = 1 / 30  # one that is chosen
    assert not parity_of_outputs(_judged(list(other), list(even)), "int8", 1.0).ok


def test_samples_of_their_own_sizes_are_compared() -> None:
    original = [RANDOM.normal(0, 1, (1, n, 8)) for n in (3, 5, 9, 4, 7)]
    near = [one + RANDOM.normal(0, 1e-6, one.shape) for one in original]
    assert parity_of_outputs(_judged(near, original), "fp32", 1.0).ok
    far = [one * (np.arange(8) != 3) for one in original]
    told = parity_of_outputs(_judged(far, original), "int8", 1.0)
    assert not told.ok
    assert "column 3 of axis 2" in told.why


def test_other_sizes_than_the_originals_are_told() -> None:
    original = [np.ones((1, 4))] * 5
    told = parity_of_outputs(_judged([np.ones((1, 3))] * 5, original), "int8", 1.0)
    assert told.why == "output y has other sizes than the original's"


@pytest.mark.parametrize(("changed", "ok"), [(0, True), (5, True), (50, False)])
def test_whole_numbers_are_equal_or_not(changed: int, ok: bool) -> None:
    original = np.arange(100)
    found = original.copy()
    found[:changed] += 1
    assert parity_of_outputs(_judged([found], [original]), "int8", 1.0).ok is ok


def test_what_is_no_number_is_told() -> None:
    original = [np.ones((1, 2), np.float32)] * 4
    found = [np.array([[1.0, np.nan]], np.float32)] * 4
    told = parity_of_outputs(_judged(found, original), "fp32", 1.0)
    assert told.why == "it gives what is no number in output y"


def test_the_worst_of_several_outputs_is_named() -> None:
    good = [RANDOM.normal(0, 1, (1, 6)) for _ in range(8)]
    bad = [RANDOM.normal(0, 1, (1, 6)) for _ in range(8)]
    found: list[Named] = [
        {"first": a, "second": b} for a, b in zip(good, reversed(bad), strict=True)
    ]
    original: list[Named] = [{"first": a, "second": b} for a, b in zip(good, bad, strict=True)]
    told = parity_of_outputs(JudgedOutputs(found, original), "int8", 1.0)
    assert not told.ok
    assert told.output == "second"


def test_fidelity_is_one_less_noise_over_variance() -> None:
    original = [np.array([value, 10.0]) for value in (1.0, 2.0, 3.0, 4.0)]
    found = [one + np.array([0.5, 0.0]) for one in original]
    # the first number varies by 1.5^2 + .5^2 + .5^2 + 1.5^2 = 5, the second by nothing; noise is
    # 4 times .25
    assert _judged(found, original).pair("y").fidelity == pytest.approx(1.0 - 1.0 / 5.0)


def test_a_number_is_decided_by_its_side() -> None:
    shares = [np.array([[one]]) for one in (0.1, 0.4, 0.6, 0.9)]
    moved = [one + 0.15 for one in shares]  # .25, .55, .75, 1.05: the second changes sides
    assert _judged(moved, shares).pair("y").decisions().tolist() == [True, False, True, True]
    logits = [one - 0.5 for one in shares]
    assert _judged(logits, logits).pair("y").decisions().all()

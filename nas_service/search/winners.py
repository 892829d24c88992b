"""Which members of a front go on to compression."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from nas_service.search.acquisition import Improvement, Region
from nas_service.search.candidates import Candidate, ParetoFront
from nas_service.space.base import FloatArray

_SURELY = 1.5
"""Predicted accuracies this many standard errors apart mostly are so when measured, too."""


Resolution = Callable[[float], float]
"""How far two accuracies near one have to be apart to differ by their standard error."""


def resolution(expected_error: Callable[[float, int], float], n: int, accuracy: float) -> float:
    """Of two scores on `n` samples each: the root of two times the standard error of one."""
    return float(np.sqrt(2.0) * expected_error(accuracy, n))


def choose(
    front: ParetoFront,
    n: int,
    *,
    barred: Collection[tuple[int, ...]] = (),
    resolution: Resolution | None = None,
) -> list[Candidate]:
    """Up to `n` members of different architectures, those that span the most volume together.

    The most accurate member comes first; every next one adds most to the hypervolume of those
    before it, in accuracy and logarithms of the objectives. Architectures in `barred` are passed
    over: offsets were learned on them. Where the test part cannot tell a member's
    accuracy from that of one chosen before, by `resolution`, others come first, as long as there
    are any.
    """
    members = [one for one in front.candidates if one.genotype.architecture not in barred]
    if not members:
        return []
    accuracy = np.array([one.predicted_accuracy for one in members])
    costs = np.array([list(one.objectives.values()) for one in members], dtype=np.float64)
    # a little beyond the worst, so that the ends of the front count
    floor = float(accuracy.min() - 0.05 * (np.ptp(accuracy) + 1e-3))
    region = Region(floor, costs.max(axis=0) * 1.05 + 1e-9, costs.min(axis=0))
    improvement = Improvement(region, costs, accuracy[:, None], np.ones(1))
    order: list[int] = []
    left = np.ones(len(members), dtype=np.bool_)
    while len(order) < n and left.any():
        gain = improvement.expected() if order else accuracy
        apart = np.where(left, _apart(accuracy, order, resolution), -1.0)
        if apart.max() > _SURELY or apart.max() <= 1.0:  # many may do, or none
            among = left & (apart > _SURELY) if apart.max() > _SURELY else left
            pick = int(np.argmax(np.where(among, gain, -1.0)))
        else:  # the one that differs most from those before
            pick = int(np.argmax(apart))
        order.append(pick)
        improvement.add(costs[pick : pick + 1], accuracy[pick : pick + 1])
        architecture = members[pick].genotype.architecture
        left &= np.array([one.genotype.architecture != architecture for one in members])
    return [members[i] for i in order]


def _apart(accuracy: FloatArray, chosen: list[int], resolution: Resolution | None) -> FloatArray:
    """How far each member's accuracy is from the nearest chosen one's: `(n,)`.

    In standard errors of the difference on the test part; infinite where nothing limits the choice.
    """
    if resolution is None or not chosen:
        return np.full(len(accuracy), np.inf)
    errors = np.array([resolution(float(accuracy[i])) for i in chosen])
    return np.asarray((np.abs(accuracy[:, None] - accuracy[chosen]) / errors).min(axis=1))

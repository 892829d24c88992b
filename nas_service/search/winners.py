"""Which members of a front go on to compression."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from nas_service.search.candidates import Candidate, ParetoFront
from nas_service.search.pareto import improvements


def choose(
    front: ParetoFront, n: int, *, barred: Collection[tuple[int, ...]] = ()
) -> list[Candidate]:
    """Up to `n` members of different architectures, those that span the most area together.

    The most accurate member comes first; every next one adds most to the hypervolume of those
    before it. Architectures in `barred` are passed over: offsets were learned on them.
    """
    members = [one for one in front.candidates if one.genotype[:-1] not in barred]
    if not members:
        return []
    losses = np.array([[1.0 - one.predicted_accuracy, one.predicted_latency_ms] for one in members])
    reference = losses.max(axis=0) * 1.05 + 1e-9
    order = [int(np.argmin(losses[:, 0]))]
    taken = {members[order[0]].genotype[:-1]}
    while len(order) < n:
        gain = improvements(losses, losses[order], reference)
        for i, one in enumerate(members):
            if one.genotype[:-1] in taken:
                gain[i] = -1.0
        pick = int(np.argmax(gain))
        if gain[pick] < 0:
            break
        order.append(pick)
        taken.add(members[pick].genotype[:-1])
    return [members[i] for i in order]

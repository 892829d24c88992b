"""What every metric of outputs keeps: a class of tests to be given one, and outputs it takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from nas_service.errors import InvalidSpec
from nas_service.output_metrics.base import OutputMetric
from nas_service.recorded.feeds import Array
from nas_service.recorded.outputs import JudgedOutputs


class OutputMetricContract:
    """Subclasses give `metric`, and `answers` of at least four samples that are not all alike.

    `targets` are what would be right of them, where the metric needs that.
    """

    @pytest.fixture
    def metric(self) -> type[OutputMetric]:
        """The class of the entry point."""
        raise NotImplementedError

    @pytest.fixture
    def answers(self) -> Sequence[Array]:
        """Outputs that are right."""
        raise NotImplementedError

    @pytest.fixture
    def targets(self) -> Sequence[Array] | None:
        """What the answers are right by."""
        return None

    def test_it_says_who_it_is(self, metric: type[OutputMetric]) -> None:
        """A name, and how people read it."""
        assert metric.name
        assert metric.label

    def test_it_is_best_for_the_original(
        self,
        metric: type[OutputMetric],
        answers: Sequence[Array],
        targets: Sequence[Array] | None,
    ) -> None:
        """1 where the answers are those of the original, less for those of other samples."""
        assert metric().value(_judged(answers, answers, targets)) == pytest.approx(1.0)
        others = [*answers[1:], answers[0]]
        assert metric().value(_judged(others, answers, targets)) < 1.0

    def test_it_looks_at_the_output_that_is_named(
        self,
        metric: type[OutputMetric],
        answers: Sequence[Array],
        targets: Sequence[Array] | None,
    ) -> None:
        """An output of another name is refused."""
        judged = _judged(answers, answers, targets)
        assert metric("y").value(judged) == pytest.approx(1.0)
        with pytest.raises(InvalidSpec, match="no output 'z'; there are y"):
            metric("z").value(judged)

    def test_it_says_where_it_needs_to_know_what_is_right(
        self,
        metric: type[OutputMetric],
        answers: Sequence[Array],
        targets: Sequence[Array] | None,
    ) -> None:
        """Without targets it is refused, or agreement with the original."""
        assert metric.needs_targets is (targets is not None)
        judged = _judged(answers, answers, None)
        if not metric.needs_targets:
            assert metric().value(judged) == pytest.approx(1.0)
            return
        with pytest.raises(InvalidSpec, match="targets"):
            metric().value(judged)


def _judged(
    found: Sequence[Array], original: Sequence[Array], targets: Sequence[Array] | None
) -> JudgedOutputs:
    named = [[{"y": np.asarray(one)} for one in some] for some in (found, original)]
    return JudgedOutputs(named[0], named[1], targets)

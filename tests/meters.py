"""Meters for tests, where no machine of ours has one: `NAS_METER=tests.meters:steady`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lookup_tables.model import Array
from lookup_tables.runtimes.ort import OrtModel

MJ_A_RUN = 0.5


def steady() -> Callable[[], float]:
    """Joules that this process has used on a machine on which each run of a model takes the same.

    It counts runs, so that neither a clock nor what else works here beside a test changes it.
    """
    joules = 0.0
    run = OrtModel.run

    def counted(model: OrtModel, feeds: Mapping[str, Array]) -> list[Array]:
        nonlocal joules
        joules += 1e-3 * MJ_A_RUN
        return run(model, feeds)

    OrtModel.run = counted  # type: ignore[method-assign]
    return lambda: joules

"""What converters share: requests come on standard input, answers go to standard output.

This module lies beside the scripts and imports nothing of the service: they run in environments of
their own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

Convert = Callable[[dict[str, Any]], dict[str, Any]]


def main(convert: Convert) -> None:
    """Answer each of the requests of a list, in order; what libraries print goes elsewhere."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    found = [convert(request) for request in json.load(sys.stdin)]
    answers.write(json.dumps(found) + "\n")
    answers.close()


def recorded_of(path: str) -> Any:
    """Calibration samples by names of inputs; None where the file is of one input's.

    As `nas_service.recorded.feeds` writes them: arrays `GROUP/NAME`, `(n, ...)`.
    """
    import numpy as np

    with np.load(path, allow_pickle=False) as arrays:
        if not all("/" in key for key in arrays.files):
            return None
        groups: dict[str, dict[str, Any]] = {}
        for key in arrays.files:
            number, _, name = key.partition("/")
            groups.setdefault(number, {})[name] = arrays[key]
    found = []
    for group in groups.values():
        n = len(next(iter(group.values())))
        found += [{name: np.asarray(one[row]) for name, one in group.items()} for row in range(n)]
    return found


def samples_of(path: str) -> Any:
    """The calibration samples `(n, ...)` of a request: the sole array of the file."""
    import numpy as np

    with np.load(path, allow_pickle=False) as arrays:
        return arrays[arrays.files[0]]

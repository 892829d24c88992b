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


def samples_of(path: str) -> Any:
    """The calibration samples `(n, ...)` of a request: the sole array of the file."""
    import numpy as np

    with np.load(path, allow_pickle=False) as arrays:
        return arrays[arrays.files[0]]

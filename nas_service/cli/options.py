"""Options that several commands have."""

from __future__ import annotations

import math
from typing import Annotated

import typer

ServerOption = Annotated[
    str, typer.Option("--server", envvar="NAS_SERVER", help="Address of the service.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LOCAL = "http://127.0.0.1:8000"


def finite(value: float | None) -> float | None:
    """A number that can be compared: NaN would pass every limit, and infinity is none."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number")
    return value

"""Options that several commands have."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from nas_service import strict_json
from nas_service.errors import InvalidSpec

ServerOption = Annotated[
    str, typer.Option("--server", envvar="NAS_SERVER", help="Address of the service.")
]
PriorityOption = Annotated[
    str,
    typer.Option(help="high: before the usual ones of the project; low: when nothing else waits."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LOCAL = "http://127.0.0.1:8000"


def finite(value: float | None) -> float | None:
    """A number that can be compared: NaN would pass every limit, and infinity is none."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number")
    return value


def numbers(name: str, text: str | None) -> list[float] | None:
    """Numbers of an option `a,b,c`; nothing where it was not given."""
    if text is None:
        return None
    try:
        return [float(one) for one in text.split(",")]
    except ValueError:
        raise InvalidSpec(f"--{name} takes numbers a,b,c, not {text!r}", field=name) from None


def read_yaml(option: str, file: Path) -> Any:
    """What a YAML or JSON file says."""
    from lookup_tables.yaml_text import read_yaml_text  # few commands read it

    field = option.lstrip("-").replace("-", "_")
    try:
        found = read_yaml_text(file.read_text())
    except OSError as error:
        raise InvalidSpec(f"{option}: {error.strerror}: {file}", field=field) from error
    except ValueError as error:  # no text, no YAML, or a date that is none
        raise InvalidSpec(f"{option}: {file} is not YAML: {error}", field=field) from error
    try:
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError) as error:  # a date, or a number that is none
        raise InvalidSpec(
            f"{option}: {file} has what a request cannot hold: {error}", field=field
        ) from error
    return found


def field_of(text: str) -> tuple[str, Any]:
    """A field of the request with its value, as JSON where it is that."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidSpec(f"--set: {text!r} is not NAME=VALUE", field="set")
    try:
        return name, strict_json.loads(value)
    except strict_json.GivenTwice as error:
        raise InvalidSpec(f"--set: {name}: {error}", field="set") from error
    except ValueError:
        return name, value

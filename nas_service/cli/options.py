"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

ServerOption = Annotated[
    str, typer.Option("--server", envvar="NAS_SERVER", help="Address of the service.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LOCAL = "http://127.0.0.1:8000"

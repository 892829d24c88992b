"""`nas doctor`: what is wrong with the installation here, and what to do."""

from __future__ import annotations

import typer

from nas_service.cli import output
from nas_service.cli.options import JsonOption


def doctor(as_json: JsonOption = False) -> None:
    """Say what is wrong with this installation and what to do; exits with 1 where a fault is."""
    from nas_service.cli.doctor_checks import examine  # --help need not wait for it
    from nas_service.settings import Settings

    found = list(examine(Settings()))
    columns = [("looked at", "check"), ("", "state"), ("found", "found"), ("what to do", "advice")]
    output.show([one.as_dict() for one in found], columns, as_json=as_json)
    if any(one.state == "fault" for one in found):
        raise typer.Exit(1)

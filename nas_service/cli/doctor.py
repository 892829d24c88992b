"""`nas doctor`: what is wrong with the installation here, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas_service.cli import output
from nas_service.cli.options import JsonOption


def doctor(
    var_dir: Annotated[Path | None, typer.Option(help="Where data live.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with this installation and what to do; exits with 1 where a fault is."""
    from nas_service.cli.doctor_checks import examine  # --help need not wait for it
    from nas_service.settings import Settings

    settings = Settings() if var_dir is None else Settings(var_dir=var_dir)
    found = list(examine(settings))
    columns = [("looked at", "check"), ("", "state"), ("found", "found"), ("what to do", "advice")]
    output.show([one.as_dict() for one in found], columns, as_json=as_json)
    if any(one.state == "fault" for one in found):
        raise typer.Exit(1)

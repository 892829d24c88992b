"""`nas backup` and `nas restore`: everything that the service here keeps, as one folder."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nas_service.cli import output
from nas_service.cli.options import JsonOption


def backup(
    out: Annotated[Path, typer.Argument(help="Folder to make; it must not be there.")],
    as_json: JsonOption = False,
) -> None:
    """Copy databases and files of the data folder (NAS_VAR_DIR); the service may run meanwhile."""
    from nas_service.settings import Settings
    from nas_service.storage.backup import back_up  # --help need not wait for it

    made = back_up(Settings(), out, _print_progress)
    output.tell(
        f"backed up to {out}: databases of revision {made.revision} and {made.n_files} files of "
        f"{made.n_bytes:,} bytes",
        asdict(made),
        as_json=as_json,
    )


def restore(
    backup: Annotated[Path, typer.Argument(help="Folder that `nas backup` made.")],
    as_json: JsonOption = False,
) -> None:
    """Check a backup and fill the empty data folder (NAS_VAR_DIR) with it; then `nas serve`."""
    from nas_service.settings import Settings
    from nas_service.storage.backup import put_back

    settings = Settings()
    made = put_back(backup, settings, _print_progress)
    output.tell(
        f"restored {settings.var_dir} as it was at {made.made_at}",
        asdict(made),
        as_json=as_json,
    )


def _print_progress(what: str) -> None:
    print(what, file=sys.stderr)

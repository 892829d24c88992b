"""The command line: `nas`."""

from __future__ import annotations

import sys

from nas_service.client import ApiError
from nas_service.errors import NasError


def main() -> None:
    """Run the command line; what goes wrong is one line and a non-zero exit."""
    from nas_service.cli.app import app  # imported late: `nas --help` of a broken setup still runs

    try:
        app(standalone_mode=True)
    except (ApiError, NasError) as error:
        print(f"nas: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        print(
            f"nas: {error.strerror or error}: {error.filename or ''}".rstrip(": "), file=sys.stderr
        )
        sys.exit(1)

"""`nas mcp`: the service as tools of the Model Context Protocol, on standard input and output."""

from __future__ import annotations

from typing import Annotated

import typer

from nas_service.cli.options import LOCAL, ServerOption
from nas_service.errors import Unsupported


def mcp(
    allow_changes: Annotated[
        bool,
        typer.Option("--allow-changes", help="Offer tools that start and cancel searches, too."),
    ] = False,
    server: ServerOption = LOCAL,
) -> None:
    """Serve searches, fronts, devices and certificates to programs that speak MCP."""
    try:
        from nas_service.cli.mcp_tools import server_of
    except ImportError as error:
        raise Unsupported("nas mcp needs: pip install 'nas-service[mcp]'") from error
    server_of(server, changes=allow_changes).run("stdio")

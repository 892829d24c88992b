"""What a machine may lack: skipped with the reason, or failed where CI has installed it."""

from __future__ import annotations

import os

import pytest


def lacks(what: str) -> None:
    """Skip the test because a tool is not there; under NAS_REQUIRE_TOOLS that is a failure."""
    if os.environ.get("NAS_REQUIRE_TOOLS"):
        pytest.fail(f"{what}, and NAS_REQUIRE_TOOLS asks for it")
    pytest.skip(what)

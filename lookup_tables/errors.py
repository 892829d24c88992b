"""The errors of this library; every one is a `LookupTableError`."""

from __future__ import annotations

from collections.abc import Sequence


class LookupTableError(Exception):
    """Anything this library refuses."""


class MissingBlocks(LookupTableError):
    """A table was asked for blocks that it does not hold."""

    def __init__(self, target: str, keys: Sequence[str]) -> None:
        self.keys = tuple(keys)
        shown = ", ".join(self.keys[:3]) + (", ..." if len(self.keys) > 3 else "")
        super().__init__(f"the table of {target} lacks {len(self.keys)} blocks: {shown}")


class InvalidTable(LookupTableError):
    """A table file that cannot be accepted; `problems` names every row and field at fault."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        shown = "; ".join(self.problems[:5])
        more = f" (and {len(self.problems) - 5} more)" if len(self.problems) > 5 else ""
        super().__init__(f"invalid lookup table: {shown}{more}")


class ProfilingFailed(LookupTableError):
    """Too little could be measured to make a table."""

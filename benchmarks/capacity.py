"""What rows of a real service weigh, and what so many devices, searches and candidates would.

Read from the folder of a service that has searched (`--var-dir`, as `make demo` leaves one): bytes
a row of each table with its indexes (what pages hold, without their gaps), rows a search, and from
them what the planned numbers come to. Candidates are rows of `evaluations`; whatever else a search
leaves is counted by search.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rows import Row, parser, report
from nas_service.errors import InvalidSpec
from nas_service.settings import Settings

_BY_CANDIDATE = "evaluations"
_BY_DEVICE = frozenset({"devices", "agents", "targets", "lookup_tables"})
_FEW = frozenset(
    {"datasets", "nas_alembic_version", "predictors", "projects", "spaces", "supernets"}
)
"""Of which there are as many as there are data, people and versions."""


@dataclass(frozen=True)
class _Weight:
    """A table with its indexes."""

    name: str
    rows: int
    size_bytes: int

    @property
    def bytes_a_row(self) -> float:
        return self.size_bytes / max(1, self.rows)


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("capacity", __doc__ or "")
    options.add_argument("--var-dir", type=Path, required=True)
    options.add_argument("--devices", type=float, default=1e3)
    options.add_argument("--searches", type=float, default=1e6)
    options.add_argument("--candidates", type=float, default=1e9)
    given = options.parse_args(arguments)
    settings = Settings(var_dir=given.var_dir)
    weights = _weights(given.var_dir / "nas.sqlite")
    n_searches = next((one.rows for one in weights if one.name == "searches"), 0)
    if not n_searches:
        raise InvalidSpec(f"{given.var_dir} has no search", field="var_dir")
    planned = (
        f"{given.devices:g} devices, {given.searches:g} searches, {given.candidates:g} candidates"
    )
    rows, total = [], 0.0
    for one in sorted(weights, key=lambda weight: weight.name):
        if not one.rows or one.name in _FEW:
            continue
        if one.name == _BY_CANDIDATE:
            n = given.candidates
        elif one.name in _BY_DEVICE:
            n = given.devices * one.rows
        else:
            n = given.searches * one.rows / n_searches
        size_gb = n * one.bytes_a_row / 1e9
        total += size_gb
        rows += [
            Row("capacity", f"{n_searches} searches", one.name, "rows", 1, float(one.rows)),
            Row("capacity", f"{n_searches} searches", one.name, "bytes a row", 1, one.bytes_a_row),
            Row("capacity", planned, one.name, "GB", 1, size_gb),
        ]
    engine = (given.var_dir / "engine.sqlite").stat().st_size / n_searches
    blobs = sum(one.stat().st_size for one in settings.blobs_dir.rglob("*") if one.is_file())
    for what, each in (("engine", engine), ("files", blobs / n_searches)):
        rows.append(Row("capacity", f"{n_searches} searches", what, "bytes a search", 1, each))
        rows.append(Row("capacity", planned, what, "GB", 1, each * given.searches / 1e9))
    rows.append(Row("capacity", planned, "all tables", "GB", 1, total))
    report(rows, given.out)
    return 0


def _weights(database: Path) -> list[_Weight]:
    """Tables of a database, which is only read."""
    if not database.is_file():
        raise InvalidSpec(f"{database} is not there", field="var_dir")
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as held:
        owners = dict(held.execute("SELECT name, tbl_name FROM sqlite_schema").fetchall())
        sizes: dict[str, int] = {}
        for name, size in held.execute(
            "SELECT name, SUM(pgsize - unused) FROM dbstat GROUP BY name"
        ):
            table = owners.get(name, name)
            sizes[table] = sizes.get(table, 0) + int(size)
        tables = [name for name in sizes if owners.get(name) == name and name != "sqlite_schema"]
        counts = {
            name: held.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0]  # noqa: S608  # ours
            for name in tables
        }
    return [_Weight(name, counts[name], sizes[name]) for name in tables]

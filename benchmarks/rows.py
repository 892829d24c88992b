"""What every benchmark reports: rows, printed as a table and written as JSON."""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lookup_tables.target import this_device
from nas_service.lineage import versions


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: of `n` things, over `seeds` seeds."""

    benchmark: str
    case: str
    method: str
    metric: str
    n: int
    value: float
    std: float | None = None
    seeds: int = 1


def parser(name: str, text: str) -> argparse.ArgumentParser:
    """Options that every benchmark has."""
    made = argparse.ArgumentParser(prog=f"nas bench {name}", description=text)
    made.add_argument("--out", type=Path, help="write the rows as JSON")
    made.add_argument("--seed", type=int, default=0)
    return made


def report(rows: list[Row], out: Path | None) -> None:
    """Print the rows, and write them where asked."""
    table = Table()
    for name in ("case", "method", "metric", "n", "value", "std"):
        table.add_column(name, justify="right" if name in {"n", "value", "std"} else "left")
    for row in rows:
        std = "" if row.std is None else f"{row.std:.4g}"
        table.add_row(row.case, row.method, row.metric, str(row.n), f"{row.value:.4g}", std)
    Console(width=120).print(table)
    print(_machine())
    if out is not None:
        keep(rows, out)
        print(f"wrote {out}")


def keep(rows: list[Row], out: Path | None) -> None:
    """Write what there is so far, where rows are written at all."""
    if out is not None:
        where = {"machine": _machine(), "versions": versions()}
        out.write_text(json.dumps([asdict(row) | where for row in rows], indent=1))


def _machine() -> str:
    device = this_device("this-machine")
    return f"{device.model}, {device.n_cores} cores, {platform.system()}"

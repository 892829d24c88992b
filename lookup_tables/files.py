"""Table files: JSON lines, a header and then one entry a line. Reading checks everything.

The format is described in docs/lookup-tables.md.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from lookup_tables.blocks import Block
from lookup_tables.blocks.registry import block_of
from lookup_tables.calibrate import EVERY_FORM, Calibration
from lookup_tables.errors import InvalidTable, LookupTableError
from lookup_tables.measuring.reference import Reference
from lookup_tables.plausible import require_plausible
from lookup_tables.ratio import MIN_NETWORKS, Ratio
from lookup_tables.table import MEASURED, SOURCES, Entry, LookupTable
from lookup_tables.target import PRECISIONS, Target

FORMAT = "nas-lookup-table"
FORMAT_VERSION = 1
MAX_BYTES = 64 * 1024**2
MAX_ENTRIES = 200_000
_ENTRY_FIELDS = {field.name for field in fields(Entry)} - {"block"}


def dump(table: LookupTable) -> str:
    """The table as the text of a table file."""
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "n_entries": len(table.entries),
        "target": table.target.as_dict(),
        "provenance": dict(table.provenance),
        "calibration": None if table.calibration is None else table.calibration.as_dict(),
        "ratios": {name: one.as_dict() for name, one in table.ratios.items()},
    }
    lines = [json.dumps(header, sort_keys=True, allow_nan=False)]
    for entry in table.entries:
        row = {k: v for k, v in entry.as_dict().items() if v is not None}
        row["block"] = {k: v for k, v in row["block"].items() if v}
        lines.append(json.dumps(row, sort_keys=True, allow_nan=False))
    return "\n".join(lines) + "\n"


def write(table: LookupTable, path: Path) -> None:
    """Write a table file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(dump(table), encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path) -> LookupTable:
    """Read a table file from outside; `InvalidTable` names every row and field at fault."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InvalidTable([f"the file has {size:,} bytes, more than {MAX_BYTES:,}"])
    try:
        table = parse(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidTable([f"the file is not UTF-8: {error}"]) from error
    require_plausible(table)
    return table


def parse(text: str) -> LookupTable:
    """Read the text of a table file; `InvalidTable` names every row and field at fault."""
    lines = [
        (n, line)
        for n, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1)
        if line.strip()
    ]
    if not lines:
        raise InvalidTable(["the file is empty"])
    if len(lines) > MAX_ENTRIES + 1:
        raise InvalidTable([f"the file has {len(lines) - 1:,} entries, more than {MAX_ENTRIES:,}"])
    problems: list[str] = []
    header = _object(lines[0], problems)
    if header is None:
        raise InvalidTable(problems)
    target = _target(header, problems)
    calibration = _calibration(header, problems)
    ratios = _ratios(header, problems)
    entries = list(_entries(lines[1:], problems))
    if not entries and not problems:
        problems.append("the file has no entries")
    promised = header.get("n_entries")
    if promised is not None and promised != len(lines) - 1:
        problems.append(
            f"row 1: n_entries: {promised!r}, but the file has {len(lines) - 1}: it was cut "
            "off, or entries were added"
        )
    if problems or target is None:
        raise InvalidTable(problems)
    provenance = header.get("provenance") or {}
    return LookupTable(target, tuple(entries), provenance, calibration, ratios)


def _object(numbered: tuple[int, str], problems: list[str]) -> dict[str, Any] | None:
    number, line = numbered
    try:
        value = json.loads(line, parse_constant=_refuse, object_pairs_hook=_named_once)
    except json.JSONDecodeError as error:
        problems.append(f"row {number}: not JSON ({error.msg})")
        return None
    except ValueError as error:
        problems.append(f"row {number}: {_field_of(line)}{error}")
        return None
    except RecursionError:
        problems.append(f"row {number}: nested too deeply")
        return None
    if not isinstance(value, dict):
        problems.append(f"row {number}: not an object")
        return None
    return value


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is there twice")
    return found


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a number")


def _field_of(line: str) -> str:
    """The field that holds NaN or Infinity, as far as the text of the row tells."""
    found = re.search(r'"(\w+)"\s*:\s*\[?[^"]*?-?(NaN|Infinity)', line)
    return f"{found.group(1)}: " if found else ""


def _target(header: dict[str, Any], problems: list[str]) -> Target | None:
    version = header.get("format_version")
    known = version == FORMAT_VERSION and not isinstance(version, bool)
    if header.get("format") != FORMAT or not known:
        problems.append(
            f"row 1: format and format_version have to be {FORMAT!r} and {FORMAT_VERSION}"
        )
        return None
    try:
        target = Target(**header["target"])
    except (KeyError, TypeError) as error:
        problems.append(f"row 1: target: {error}")
        return None
    for name in ("device", "runtime", "runtime_version", "precision", "operating_point"):
        if not isinstance(getattr(target, name), str):
            problems.append(f"row 1: target.{name}: {getattr(target, name)!r} is not a text")
            return None
    for name in ("threads", "batch"):
        value = getattr(target, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            problems.append(f"row 1: target.{name}: {value!r} is not a count")
            return None
    problems += _provenance_problems(header.get("provenance", {}))
    if target.precision not in PRECISIONS:
        problems.append(
            f"row 1: target.precision is {target.precision!r}, known: {', '.join(PRECISIONS)}"
        )
    return target


def _provenance_problems(provenance: object) -> list[str]:
    """What is wrong with the parts of a provenance that are read again."""
    if provenance is None:
        return []
    if not isinstance(provenance, dict):
        return ["row 1: provenance: not an object"]
    problems = []
    for name in ("steadiness", "references", "image"):
        if not isinstance(provenance.get(name) or {}, dict):
            problems.append(f"row 1: provenance.{name}: not an object")
            return problems
    for name, value in (provenance.get("steadiness") or {}).items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            problems.append(f"row 1: provenance.steadiness.{name}: {value!r} is not a number")
    for kind, reference in (provenance.get("references") or {}).items():
        try:
            Reference.from_dict(reference)
        except LookupTableError as error:
            problems.append(f"row 1: provenance.references.{kind}: {error}")
    if not _is_positive(provenance.get("budget_s") or 1.0):
        problems.append("row 1: provenance.budget_s: not a positive number")
    return problems


def _calibration(header: dict[str, Any], problems: list[str]) -> Calibration | None:
    if header.get("calibration") is None:
        return None
    try:
        found = Calibration.from_dict(header["calibration"])
        numbers = [found.ratio, found.per_block_ms, found.per_layer_ms, found.constant_ms]
        errors = found.relative_errors
        numbers += [*found.per_variant_ms.values(), *found.per_junction_ms.values()]
        numbers += found.errors_of_forms.values()
        if not all(math.isfinite(value) for value in (*numbers, *errors)):
            problems.append("row 1: calibration: a number is not finite")
        elif len(errors) < MIN_NETWORKS:
            problems.append(
                f"row 1: calibration.relative_errors: {len(errors)} numbers; at least "
                f"{MIN_NETWORKS} are needed"
            )
        elif found.form not in EVERY_FORM:
            problems.append(f"row 1: calibration.form: {found.form!r} is not known")
        elif not isinstance(found.statistic, str):
            problems.append(f"row 1: calibration.statistic: {found.statistic!r} is not a text")
        else:
            return found
    except (KeyError, TypeError, AttributeError) as error:
        problems.append(f"row 1: calibration: {error}")
    return None


def _ratios(header: dict[str, Any], problems: list[str]) -> dict[str, Ratio]:
    ratios = {}
    given = {} if header.get("ratios") is None else header["ratios"]
    if not isinstance(given, dict):
        problems.append("row 1: ratios: not an object")
        return {}
    for name, values in given.items():
        try:
            ratios[name] = Ratio.from_dict(values)
        except (KeyError, TypeError, ValueError, LookupTableError) as error:
            problems.append(f"row 1: ratios.{name}: {error}")
    return ratios


def _entries(lines: Iterable[tuple[int, str]], problems: list[str]) -> Iterable[Entry]:
    seen: dict[Block, int] = {}
    for number, line in lines:
        row = _object((number, line), problems)
        if row is None:
            continue
        entry = _entry(number, row, problems)
        if entry is None:
            continue
        if entry.block in seen:
            problems.append(
                f"row {number}: block {entry.block.key} already stands in row {seen[entry.block]}"
            )
            continue
        seen[entry.block] = number
        yield entry


def _is_positive(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < value < 1e12


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


_OTHERS: dict[str, tuple[Callable[[object], bool], str]] = {
    "spread": (lambda v: v is None or v == 0 or _is_positive(v), "a share"),
    "n": (_is_count, "a count"),
    "stable": (lambda v: isinstance(v, bool), "true or false"),
    "measured_at": (lambda v: v is None or isinstance(v, str), "a time"),
}
"""Fields of an entry beside its costs and source, what they may be, and that in words."""


def _entry(number: int, row: dict[str, Any], problems: list[str]) -> Entry | None:
    before = len(problems)
    sizes = row.get("block")
    if not isinstance(sizes, dict):
        problems.append(f"row {number}: block: missing")
        return None
    problems.extend(
        f"row {number}: {name}: unknown field"
        for name in sorted(set(row) - _ENTRY_FIELDS - {"block"})
    )
    for name in ("p10_ms", "p50_ms", "p90_ms", "p99_ms", "energy_mj"):
        value = row.get(name)
        if value is None and name != "p10_ms":
            continue
        if not _is_positive(value):
            problems.append(f"row {number}: {name}: {value!r} is not a positive number")
    if row.get("source", MEASURED) not in SOURCES:
        problems.append(f"row {number}: source: {row['source']!r} is not {' or '.join(SOURCES)}")
    problems.extend(
        f"row {number}: {name}: {row[name]!r} is not {what}"
        for name, (fits, what) in _OTHERS.items()
        if name in row and not fits(row[name])
    )
    problems.extend(
        f"row {number}: block.{name}: {value!r} is not a count"
        for name, value in sizes.items()
        if name != "kind" and not _is_count(value)
    )
    if not isinstance(sizes.get("kind"), str):
        problems.append(f"row {number}: block.kind: {sizes.get('kind')!r} is not a text")
    if len(problems) > before:
        return None
    try:
        block = block_of(sizes["kind"], {k: v for k, v in sizes.items() if k != "kind"})
        return Entry(block=block, **{k: v for k, v in row.items() if k != "block"})
    except (TypeError, LookupTableError) as error:
        problems.append(f"row {number}: block: {error}")
        return None

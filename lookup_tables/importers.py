"""Reads the layouts in which people already have latencies.

- `ofa_table`: block tables of Once-for-All and NSGANetV2, YAML or CSV/Parquet of keys such as
  `MBConv-input:100x100x16-output:50x50x24-expand:3-kernel:5-stride:2-idskip:0-se:0`;
- `fbnet_table`: HW-NAS-Bench's table of the FBNet space, a cost a layer and operator;
- `network_latencies`: CSV or Parquet of whole networks;
- `perf_test` and `benchmark_model`: what `onnxruntime_perf_test` and LiteRT's tool print.

Reading is all or nothing: `InvalidTable` names every row and field at fault.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lookup_tables.blocks import Block
from lookup_tables.blocks.convolution import ConvReluBlock
from lookup_tables.blocks.mbconv import MbConvBlock
from lookup_tables.errors import InvalidTable, LookupTableError
from lookup_tables.source import FloatArray
from lookup_tables.table import Entry, LookupTable
from lookup_tables.target import Target

MAX_BYTES = 256 * 1024**2
UNITS_MS = {"ms": 1.0, "us": 1e-3, "s": 1e3, "ns": 1e-6}
_LARGEST_RATIO = 12
"""In OFA keys `expand` is a ratio up to this, and the number of channels beyond."""

_MBCONV_PARTS = ("expand", "kernel", "stride", "idskip", "se", "hs")
_OFA_COLUMNS = ("mean", "latency_mean_ms", "latency_ms")
_PLAIN_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$")
_MOST_LAYERS = 10_000
_LONGEST_MS = 1e9
_MOST_VALUES = 10_000_000
ANCHOR_COLUMNS = ("anchor_before_ms", "anchor_after_ms")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NetworkLatency:
    """A whole network's latency; percentiles that were not told are None."""

    name: str
    p50_ms: float
    p90_ms: float | None = None
    p99_ms: float | None = None
    n: int = 0
    statistic: str = "p50"
    """What `p50_ms` really is where a tool prints no median: `mean`."""
    anchor_before_ms: float | None = None
    anchor_after_ms: float | None = None
    """An anchor's latency just before and after, where it was measured."""


@dataclass(frozen=True)
class AdditiveTable:
    """A network's cost as a base and one term a layer, `(layers, operators)`; NaN is unknown."""

    base_ms: float
    terms_ms: FloatArray
    operators: tuple[str, ...]

    def latency_ms(self, codes: np.ndarray[Any, np.dtype[np.int64]]) -> FloatArray:
        """Latency of networks given as operators a layer, `(n, layers)`: `(n,)`."""
        layers = np.arange(self.terms_ms.shape[0])
        return np.asarray(self.base_ms + self.terms_ms[layers, codes].sum(axis=1))


def ofa_table(path: Path, target: Target) -> LookupTable:
    """A block table; blocks of other kinds than ours are errors that name the key."""
    problems: list[str] = []
    entries: dict[Block, Entry] = {}
    for place, key, value in _ofa_rows(path):
        latency = _number(value)
        if latency is None or latency <= 0:
            problems.append(f"{place}: {key}: {value!r} is not a positive number of ms")
            continue
        try:
            block = ofa_block(key)
        except LookupTableError as error:
            problems.append(f"{place}: {error}")
            continue
        if block in entries:
            problems.append(f"{place}: {key}: the block occurs twice")
            continue
        entries[block] = Entry(block, p10_ms=latency)
    if not entries and not problems:
        problems.append(f"{path.name} has no rows")
    if problems:
        raise InvalidTable(problems)
    provenance = {"imported": {"layout": "ofa", "file": path.name, "statistic": "mean"}}
    return LookupTable(target, tuple(entries.values()), provenance)


def ofa_block(key: str) -> Block:
    """The block of a key; `LookupTableError` says what is wrong with it."""
    kind, *parts = key.strip().split("-")
    told = dict(part.partition(":")[::2] for part in parts)
    try:
        sizes = [int(v) for v in told["input"].split("x")]
        # a linear layer tells its features alone
        height, width, channels = sizes if len(sizes) > 1 else (1, 1, *sizes)
        out = [int(v) for v in told["output"].split("x")]
    except (KeyError, ValueError):
        raise LookupTableError(f"{key}: input and output are not HxWxC") from None
    if len(out) not in {1, 3} or min(height, width, channels, *out) < 1:
        raise LookupTableError(f"{key}: input and output are not HxWxC")
    name = kind.lower()
    inverted = name in {"mbconv", "expanded_conv"}
    odd = sorted(set(told) - {"input", "output", *(_MBCONV_PARTS if inverted else ())})
    if odd:
        raise LookupTableError(f"{key}: {odd[0]!r} is no part of a block {kind!r}")
    if inverted:
        return _mbconv(key, told, (height, width, channels), out)
    stride = max(1, round(height / out[0])) if len(out) == 3 and "conv" in name else 1
    if len(out) == 3 and [-(-height // stride), -(-width // stride)] != out[:2]:
        raise LookupTableError(f"{key}: no stride leads from input to output")
    if name in {"conv", "first_conv"}:
        return ConvReluBlock(channels, out[-1], height, width, kernel=3, stride=stride)
    if name in {"conv_1", "final_expand_layer", "feature_mix_layer", "logits", "classifier"}:
        if stride != 1:
            raise LookupTableError(
                f"{key}: the output of a block {kind!r} is as large as its input"
            )
        return ConvReluBlock(channels, out[-1], height, width)
    raise LookupTableError(f"{key}: unknown kind of block {kind!r}")


def _mbconv(key: str, told: Mapping[str, str], size: tuple[int, int, int], out: list[int]) -> Block:
    height, width, channels = size
    try:
        expand, kernel, stride = (int(told[name]) for name in ("expand", "kernel", "stride"))
        skip, squeeze = int(told.get("idskip", 0)), int(told.get("se", 0))
        swish = int(told.get("hs", 0))
    except (KeyError, ValueError):
        raise LookupTableError(f"{key}: expand, kernel and stride have to be counts") from None
    if min(expand, kernel, stride) < 1 or len(out) != 3:
        raise LookupTableError(f"{key}: expand, kernel and stride have to be counts")
    if swish:
        raise LookupTableError(f"{key}: h-swish is not known, hs has to be 0")
    middle = channels * expand if expand <= _LARGEST_RATIO else expand
    if [-(-height // stride), -(-width // stride)] != out[:2]:
        raise LookupTableError(f"{key}: stride {stride} does not lead from input to output")
    return MbConvBlock(
        channels,
        out[2],
        height,
        width,
        kernel=kernel,
        stride=stride,
        mid_channels=middle,
        se_channels=max(1, middle // 4) if squeeze else 0,
        residual=int(bool(skip) and stride == 1 and channels == out[2]),
    )


def fbnet_table(path: Path, device: str) -> AdditiveTable:
    """Rows of `device`, `layer`, `op`, `delta_ms`; the row of layer -1 is the base.

    Deltas are against leaving the layer out, and may be negative.
    """
    problems: list[str] = []
    terms: dict[tuple[int, str], float] = {}
    base: float | None = None
    for number, row in _table_rows(path):
        lacking = [n for n in ("device", "layer", "op", "delta_ms") if row.get(n) in (None, "")]
        if lacking:
            problems.append(f"row {number}: {', '.join(lacking)}: missing")
            continue
        if str(row["device"]) != device:
            continue
        value, layer = _number(row["delta_ms"]), _number(row["layer"])
        if value is None or layer is None or layer not in range(-1, _MOST_LAYERS):
            problems.append(
                f"row {number}: layer is no whole number from -1 to {_MOST_LAYERS - 1}, or "
                "delta_ms is not a number"
            )
            continue
        if layer == -1:
            base = value
        elif (int(layer), str(row["op"])) in terms:
            problems.append(f"row {number}: layer {int(layer)}, {row['op']} occurs twice")
        else:
            terms[int(layer), str(row["op"])] = value
    if not problems and (base is None or not terms):
        problems.append(f"no table of device {device!r} with a base (layer -1) in {path.name}")
    if problems or base is None:
        raise InvalidTable(problems)
    operators = tuple(dict.fromkeys(name for _, name in terms))
    grid = np.full((1 + max(layer for layer, _ in terms), len(operators)), np.nan)
    for (layer, name), value in terms.items():
        grid[layer, operators.index(name)] = value
    return AdditiveTable(base, grid, operators)


def network_latencies(path: Path) -> list[NetworkLatency]:
    """Rows of `name` (or `model`) and `p50_ms` (or `latency_UNIT`), further percentiles if told."""
    problems: list[str] = []
    found: dict[str, NetworkLatency] = {}
    for number, row in _table_rows(path):
        name = str(row.get("name") or row.get("model") or "").strip()
        if not name:
            problems.append(f"row {number}: name: missing")
            continue
        if name in found:
            problems.append(f"row {number}: {name} occurs twice")
            continue
        try:
            found[name] = _network(name, row)
        except ValueError as error:
            problems.append(f"row {number}: {name}: {error}")
    if not found and not problems:
        problems.append(f"{path.name} has no rows")
    if problems:
        raise InvalidTable(problems)
    return list(found.values())


def _network(name: str, row: Row) -> NetworkLatency:
    """One row; `ValueError` names the field at fault."""
    middle, p90, p99 = (_percentile(row, p) for p in ("p50", "p90", "p99"))
    if middle is None:
        raise ValueError("no positive p50_ms or latency_ms")
    told = [one for one in (middle, p90, p99) if one is not None]
    if told != sorted(told):
        raise ValueError("p50, p90 and p99 do not rise")
    n = _number(row.get("n")) if row.get("n") not in (None, "") else 0.0
    if n is None or n < 0 or n != int(n):
        raise ValueError(f"n: {row['n']!r} is not a count")
    before, after = (_optional(row, column) for column in ANCHOR_COLUMNS)
    return NetworkLatency(
        name, middle, p90, p99, int(n), anchor_before_ms=before, anchor_after_ms=after
    )


def _optional(row: Row, column: str) -> float | None:
    if row.get(column) in (None, ""):
        return None
    value = _number(row[column])
    if value is None or not 0 < value < _LONGEST_MS:
        raise ValueError(f"{column}: {row[column]!r} is not positive, or no number")
    return value


def perf_test(text: str, name: str) -> NetworkLatency:
    """What `onnxruntime_perf_test` printed; seconds become milliseconds."""
    found = {
        p: _printed(value, name) * 1e3
        for p, value in re.findall(r"\bP(50|90|99) Latency(?: is|:)\s*([\d.eE+-]+)\s*s", text)
    }
    runs = re.search(r"Total (?:inference requests|iterations):\s*(\d+)", text)
    if "50" not in found:
        mean = re.search(r"Average (?:inference )?time cost:\s*([\d.eE+-]+)\s*ms", text)
        if mean is None:
            raise InvalidTable([f"{name}: no line 'P50 Latency', and no average either"])
        n = int(runs[1]) if runs else 0
        return NetworkLatency(name, _printed(mean[1], name), n=n, statistic="mean")
    n = int(runs[1]) if runs else 0
    return NetworkLatency(name, found["50"], found.get("90"), found.get("99"), n)


def benchmark_model(text: str, name: str) -> NetworkLatency:
    """What LiteRT's `benchmark_model` printed; microseconds become milliseconds."""
    lines = [line for line in text.splitlines() if "count=" in line and "avg=" in line]
    if lines:  # the last one is of the timed runs, the one before of the warm-up
        told = dict(re.findall(r"(\w+)=(\S+)", lines[-1]))
        n = int(_printed(told["count"], name))
        if "median" in told:
            return NetworkLatency(name, _printed(told["median"], name) / 1e3, n=n)
        return NetworkLatency(name, _printed(told["avg"], name) / 1e3, n=n, statistic="mean")
    mean = re.search(r"Inference \(avg\):\s*([\d.eE+-]+)", text)
    if mean is None:
        raise InvalidTable([f"{name}: no line with count= and avg=, no 'Inference (avg)'"])
    return NetworkLatency(name, _printed(mean[1], name) / 1e3, statistic="mean")


def _printed(value: str, name: str) -> float:
    """A latency that a tool printed, in its own unit."""
    found = _number(value)
    if found is None or found <= 0.0:
        raise InvalidTable([f"{name}: {value!r} is not positive, or no number"])
    return found


def _percentile(row: Row, which: str) -> float | None:
    names = [which] + (["latency", "time"] if which == "p50" else [])
    for name in names:
        for unit, factor in UNITS_MS.items():
            told = row.get(f"{name}_{unit}")
            if told in (None, ""):
                continue
            value = _number(told)
            if value is None or not 0 < value * factor < _LONGEST_MS:
                raise ValueError(f"{name}_{unit}: {told!r} is not positive, or no number")
            return value * factor
    return None


def _ofa_rows(path: Path) -> Iterable[tuple[str, str, Any]]:
    if path.suffix.lower() in {".yaml", ".yml"}:
        from lookup_tables.yaml_text import read_yaml_text  # an agent has no YAML

        _require_size(path)
        try:
            document = read_yaml_text(path.read_text(encoding="utf-8-sig"), max_values=_MOST_VALUES)
        except ValueError as error:
            raise InvalidTable([f"{path.name}: not YAML: {error}"]) from error
        if not isinstance(document, dict):
            raise InvalidTable([f"{path.name}: not a mapping of keys to costs"])
        for key, value in document.items():
            cost = value.get("mean") if isinstance(value, dict) else value
            yield f"key {key}", str(key), cost
        return
    for number, row in _table_rows(path):
        column = next((one for one in _OFA_COLUMNS if one in row), None)
        if column is None or "key" not in row:
            raise InvalidTable(
                [
                    f"{path.name} has columns {', '.join(map(str, row))}; key and one of "
                    f"{', '.join(_OFA_COLUMNS)} are needed"
                ]
            )
        yield f"row {number}", str(row["key"]), row[column]


def _table_rows(path: Path) -> list[tuple[int, Row]]:
    """Rows of a CSV or Parquet file with their numbers; row 1 of a CSV, a line, holds the names."""
    _require_size(path)
    if path.suffix.lower() == ".parquet":
        import pyarrow
        import pyarrow.parquet

        try:
            found = list(enumerate(pyarrow.parquet.read_table(path).to_pylist(), start=1))
        except pyarrow.ArrowInvalid as error:
            raise InvalidTable([f"{path.name}: not Parquet: {error}"]) from error
        return found
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            reader = csv.DictReader(stream, delimiter=max(",;\t", key=first.count))
            names = [one.strip().lower() for one in reader.fieldnames or ()]
            reader.fieldnames = names
            if twice := sorted({one for one in names if one and names.count(one) > 1}):
                raise InvalidTable([f"{path.name}: column {twice[0]!r} is there twice"])
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidTable([f"{path.name}: not a CSV in UTF-8: {error}"]) from error
    if long := [number for number, row in rows if any(row.pop(None, ()))]:
        raise InvalidTable(
            [
                f"row {number}: it has more cells than the first row has names; a number with a "
                "decimal comma needs a point, or another separator of cells"
                for number in long
            ]
        )
    return rows


def _require_size(path: Path) -> None:
    if path.stat().st_size > MAX_BYTES:
        raise InvalidTable([f"{path.name} has more than {MAX_BYTES:,} bytes"])


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or (isinstance(value, str) and not _PLAIN_NUMBER.match(value)):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None

"""Columns of numbers and of time in tables; time as seconds, in whatever unit it was written."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nas_service.errors import InvalidData

_UNITS = {
    "s": 1.0,
    "sec": 1.0,
    "secs": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "ms": 1e-3,
    "msec": 1e-3,
    "millis": 1e-3,
    "milliseconds": 1e-3,
    "us": 1e-6,
    "micros": 1e-6,
    "microseconds": 1e-6,
    "ns": 1e-9,
    "nanos": 1e-9,
    "nanoseconds": 1e-9,
}
"""Seconds in a unit, as names of columns end in it."""
_WORDS = ("time", "timestamp", "t", "datetime", "date_time", "date", "elapsed", "elapsed_time")
USUAL = frozenset({"time", "timestamp", "t", "time_s", "datetime", "date"})
"""Where one of these is there, others that may be times are channels."""
_ALONE = ("seconds", "milliseconds", "microseconds", "nanoseconds")
NAMES = frozenset([*_WORDS, *_ALONE, *(f"{word}_{unit}" for word in _WORDS for unit in _UNITS)])
_ZONE = re.compile(r":\d\d(\.\d+)? ?(Z|[+-]\d\d:?(\d\d)?)$")
_SINCE_1970 = ((1e17, 1e19, "ns"), (1e14, 1e16, "us"), (1e11, 1e13, "ms"))
"""Numbers from the first on are no seconds since 1970, as they would be of the year 5138 and later;
in that unit they are times from 1973 to 2286."""


def plain(name: str) -> str:
    """A column's name in lower case, its words and its unit apart: `Time (ms)` is `time_ms`."""
    return re.sub(r"[\s()\[\]{}_./-]+", "_", name.lower()).strip("_")


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of that type has numbers."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def floats_of(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Its numbers as numpy's, those of decimals in double precision."""
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    return np.asarray(column.to_numpy())


def seconds_of(column: pa.ChunkedArray, file: str, name: str) -> npt.NDArray[np.float64]:
    """A time column in seconds since its first row, which may be at any time.

    Numbers are seconds unless the column's name ends in another unit (`time_ms`), or they are too
    large for seconds since 1970: then they are milli-, micro- or nanoseconds since then.

    Raises:
        InvalidData: says which row and column.
    """
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    zone = is_text and _ZONE.search(str(column[0])) is not None
    if (as_type := _in_nanoseconds(column.type, zone)) is not None:
        try:
            nanoseconds = column.cast(as_type).cast(pa.int64()).to_numpy()
        except pa.ArrowInvalid as error:
            first = str(error).splitlines()[0]
            raise InvalidData(
                f"{file}: column {name!r} has a time that cannot be read, or is beyond the years "
                f"1678 to 2262 ({first})",
                field="time_column",
            ) from error
        return _since_first(nanoseconds) * _UNITS["ns"]
    if not is_number(column.type):
        raise InvalidData(
            f"{file}: column {name!r} is {column.type}; times are numbers of seconds or timestamps",
            field="time_column",
        )
    numbers = floats_of(column)
    if (wrong := np.flatnonzero(~np.isfinite(numbers))).size:
        raise InvalidData(
            f"{file}, row {int(wrong[0]) + 1}, column {name!r} is not a number",
            field="time_column",
        )
    unit = unit_of(name, numbers)
    if unit is None:
        raise InvalidData(
            f"{file}: column {name!r} has {float(numbers[0]):.4g}, no time since 1970 in any unit: "
            f"give it a name that ends in its unit, as {name}_ns",
            field="time_column",
        )
    return _since_first(numbers) * _UNITS[unit]


def _in_nanoseconds(kind: pa.DataType, with_zone: bool) -> pa.DataType | None:
    """As what a column of dates, times of day, durations or texts of dates is read; else None."""
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pa.timestamp("ns")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.timestamp("ns", "UTC" if with_zone else None)
    if pa.types.is_duration(kind):
        return pa.duration("ns")
    return pa.time64("ns") if pa.types.is_time(kind) else None


def unit_of(name: str, numbers: npt.NDArray[Any]) -> str | None:
    """The unit of a column of numbers, a key of `_UNITS`; None where nothing tells it."""
    ending = plain(name).rpartition("_")[2]
    if ending in _UNITS:
        return ending
    smallest = float(np.abs(numbers.astype(np.float64)).min(initial=np.inf))
    if smallest < _SINCE_1970[-1][0]:
        return "s"
    return next((unit for low, high, unit in _SINCE_1970 if low <= smallest < high), None)


def _since_first(numbers: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Differences to the first row; those of whole numbers are exact."""
    whole = np.issubdtype(numbers.dtype, np.integer)
    exact = numbers.astype(np.int64) if whole else numbers.astype(np.float64)
    found: npt.NDArray[np.float64] = (exact - exact[:1]).astype(np.float64)
    return found

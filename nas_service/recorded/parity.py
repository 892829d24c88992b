"""Do an executable and its torch module agree on the same inputs, in every column?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_ABS = {"fp32": 1e-3}
"""Largest difference of outputs, relative to the largest, for exact precisions."""
MIN_AGREEMENT = {"fp32": 0.999, "fp16": 0.99, "bf16": 0.97, "int8": 0.9}
MIN_SQNR_DB = {"fp32": 60.0, "fp16": 40.0, "bf16": 25.0, "int8": 6.0}
MIN_COLUMN_SQNR_DB = {"fp32": 40.0, "fp16": 20.0, "bf16": 10.0, "int8": 0.0}
"""Of each column about its mean: below 0 dB the noise is larger than what the column tells."""
EXACT_DB = 200.0
"""What stands for no noise at all."""
VARIES = 1e-6
"""A column whose deviation is above this share of the largest number varies."""
_FEW = 4
"""With fewer inputs a column's variance says nothing."""

FloatArray32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parity:
    """Largest difference, signal to noise in dB, agreement of samples, and the verdict.

    `max_abs` is None where something is no number.
    `sqnr_db` is over all numbers; `worst_column_sqnr_db` that of the worst column about its mean,
    `worst_column_cosine` its cosine about its mean; None where no column varies. `why` says what
    is wrong where it is not `ok`; `output` names the worst of several.
    """

    max_abs: float | None
    sqnr_db: float
    agreement: float
    ok: bool
    worst_column: int | None = None
    worst_column_sqnr_db: float | None = None
    worst_column_cosine: float | None = None
    why: str = ""
    output: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Parity:
        """The inverse of `as_dict`; also of what was stored before columns were judged."""
        return cls(**values)


Agreement = Callable[[Floats, Floats], float]
"""The share of samples on which outputs `(n, ...)` and a reference say the same."""


def parity_of(
    outputs: FloatArray32, expected: FloatArray32, precision: str, agree: Agreement
) -> Parity:
    """Compare outputs `(n, ...)` with those expected; tolerances depend on the precision.

    Columns are the numbers of an output, one after the other.
    """
    agreement = agree(outputs.astype(np.float64), expected.astype(np.float64))
    found, reference = (one.reshape(len(one), -1) for one in (outputs, expected))
    for name, values in (("the original", reference), ("it", found)):
        if not np.isfinite(values).all():
            column = int(np.argmin(np.isfinite(values).all(axis=0)))
            return Parity(
                None, -EXACT_DB, 0.0, False, why=f"{name} gives no number in column {column}"
            )
    one, other = found.astype(np.float64), reference.astype(np.float64)
    difference = one - other
    max_abs = float(np.abs(difference).max())
    sqnr_db = float(decibels((other**2).mean(), (difference**2).mean()))
    worst, column_db, cosine, dead = _worst_column(one, other)
    why = _why(
        precision,
        max_abs=max_abs,
        largest=float(np.abs(other).max()),
        sqnr_db=sqnr_db,
        agreement=agreement,
    )
    why = with_columns(why, precision, dead=dead, worst=worst, level_db=column_db)
    return Parity(
        round(max_abs, 8),
        round(sqnr_db, 2),
        round(agreement, 6),
        not why,
        worst,
        None if column_db is None else round(column_db, 2),
        None if cosine is None else round(cosine, 6),
        why,
    )


def _why(
    precision: str, *, max_abs: float, largest: float, sqnr_db: float, agreement: float
) -> str:
    """What is wrong over all columns together; empty where nothing is."""
    limit = MAX_ABS.get(precision)
    within = limit is None or max_abs <= limit * max(1.0, largest)
    if within and agreement >= MIN_AGREEMENT[precision] and sqnr_db >= MIN_SQNR_DB[precision]:
        return ""
    return (
        f"outputs differ by {max_abs:.3g} ({sqnr_db:.0f} dB), predictions agree on {agreement:.1%}"
    )


def with_columns(
    why: str, precision: str, *, dead: object | None, worst: object | None, level_db: float | None
) -> str:
    """What is wrong over all, or of a column: one that died comes first, one of noise last."""
    if dead is not None:
        return f"column {dead} varied in the original and is constant now"
    asked_db = MIN_COLUMN_SQNR_DB[precision]
    if not why and level_db is not None and level_db < asked_db:
        return (
            f"column {worst} has a signal of {level_db:.0f} dB over its noise, "
            f"{asked_db:.0f} are asked for"
        )
    return why


def _worst_column(
    found: Floats, reference: Floats
) -> tuple[int | None, float | None, float | None, int | None]:
    """The column with the most noise about its mean, its SQNR and cosine; one that died."""
    if len(reference) < _FEW:
        return None, None, None, None
    ours, theirs = found - found.mean(axis=0), reference - reference.mean(axis=0)
    scale = max(float(np.abs(reference).max()), 1e-12)
    varied = np.flatnonzero(theirs.std(axis=0) > VARIES * scale)
    if not len(varied):
        return None, None, None, None
    dead = varied[ours[:, varied].std(axis=0) <= 1e-3 * VARIES * scale]
    signal = (theirs[:, varied] ** 2).mean(axis=0)
    noise = ((ours - theirs)[:, varied] ** 2).mean(axis=0)
    levels = decibels(signal, noise)
    at = int(np.argmin(levels))
    worst = int(varied[at])
    norms = np.linalg.norm(ours[:, worst]) * np.linalg.norm(theirs[:, worst])
    cosine = float(ours[:, worst] @ theirs[:, worst] / norms) if norms > 0 else 0.0
    return worst, float(levels[at]), cosine, int(dead[0]) if len(dead) else None


def decibels(signal: Any, noise: Any) -> Any:
    """Signal over noise, both as powers, within what is shown."""
    with np.errstate(divide="ignore"):
        levels = 10.0 * np.log10(np.asarray(signal) / np.maximum(noise, 1e-300))
    # without any noise there is nothing to hear it over
    return np.where(np.asarray(noise) == 0.0, EXACT_DB, np.clip(levels, -EXACT_DB, EXACT_DB))

"""Do an executable and its torch module agree on the same inputs?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nas_service.compilation.base import Executable, FloatArray32

MAX_ABS = {"fp32": 1e-3}
"""Largest difference of logits, relative to the largest logit, for exact precisions."""
MIN_AGREEMENT = {"fp32": 0.999, "fp16": 0.99, "bf16": 0.97, "int8": 0.9}
MIN_SQNR_DB = {"fp32": 60.0, "fp16": 40.0, "bf16": 25.0, "int8": 6.0}


@dataclass(frozen=True, slots=True)
class Parity:
    """Largest difference, signal to noise in dB, share of equal predictions, and the verdict."""

    max_abs: float
    sqnr_db: float
    agreement: float
    ok: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def compare(
    executable: Executable, images: FloatArray32, reference: FloatArray32, precision: str
) -> Parity:
    """Run every image `(n, c, s, s)` and compare with the module's logits `(n, classes)`."""
    found = np.concatenate([executable.run(images[i : i + 1]) for i in range(len(images))])
    return parity_of(found, reference, precision)


def parity_of(found: FloatArray32, reference: FloatArray32, precision: str) -> Parity:
    """Compare logits `(n, classes)`; tolerances depend on the precision."""
    difference = found.astype(np.float64) - reference
    max_abs = float(np.abs(difference).max())
    noise = float((difference**2).mean())
    signal = float((reference.astype(np.float64) ** 2).mean())
    sqnr_db = 10.0 * np.log10(signal / noise) if noise > 0 else 200.0
    agreement = float((found.argmax(axis=1) == reference.argmax(axis=1)).mean())
    limit = MAX_ABS.get(precision)
    close = limit is None or max_abs <= limit * max(1.0, float(np.abs(reference).max()))
    ok = bool(
        np.isfinite(found).all()
        and close
        and agreement >= MIN_AGREEMENT[precision]
        and sqnr_db >= MIN_SQNR_DB[precision]
    )
    return Parity(round(max_abs, 8), round(float(sqnr_db), 2), round(agreement, 6), ok)

"""What is told of a model's files: each beside the original, with the verdict on it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lookup_tables.runtimes.registry import runtime
from nas_service.compilation.shares import grown
from nas_service.delivery.measured import Measured
from nas_service.delivery.verdict import Terms, judge
from nas_service.recorded.parity import Parity
from nas_service.search.certificate import LATENCY
from nas_service.search.values import Measurements
from nas_service.worker.delivery.built import Built
from nas_service.worker.delivery.model_files import Key
from nas_service.worker.delivery.model_judges import ModelJudge
from nas_service.worker.delivery.sessions import Timed, base_of

Json = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """A model's files before and after, those that could not be made, and what is asked of them.

    `judge` knows the test samples and the modules' own answers to them.
    """

    judge: ModelJudge
    terms: Terms
    built: Mapping[Key, Built]
    timed: Mapping[Key, Timed]
    refused: Mapping[Key, str]

    def row(self, runtime_name: str, precision: str) -> Json:
        """A target's row: the original beside what came of it, and the verdict."""
        key = ("compressed", runtime_name, precision)
        row: Json = {"runtime": runtime_name, "precision": precision, "published": False}
        if key not in self.built:
            return {**row, "reason": self.refused[key], "original": None, "compressed": None}
        made = self.built[key]
        base_key = base_of(key, self.built)
        base = None if base_key is None else self.built[base_key]
        row["original"] = None if base_key is None else self._told(base_key)
        row["compressed"] = self._told(key)
        row["notes"] = made.notes
        if made.shares is not None:
            row["shares"] = {**made.shares.as_dict(), "text": made.shares.sentence(precision)}
        if base is not None and base.path.suffix == made.path.suffix == ".onnx":
            row["grown"] = grown(base.path, made.path)
        if made.not_in_precision():
            return {**row, "reason": f"nothing of it is in {precision}: {made.not_in_precision()}"}
        if not made.ran:
            return {**row, "reason": str(made.notes.get("status", "not run on hardware"))}
        same = self.judge.parity(made, precision)
        row["parity"] = same.as_dict()
        if (on_device := self.judge.parity_there(made, precision)) is not None:
            row["parity_on_device"] = on_device.as_dict()
            same = same if on_device.ok else on_device
        if base is None or base_key is None or not base.ran:
            told = self.refused.get(("original", runtime_name, "fp32"), "the original does not run")
            return {**row, "reason": f"nothing to compare with: {told}"}
        own = self.judge.parity(base, "fp32", original=True)
        if not own.ok:
            return {
                **row,
                "reason": f"nothing to compare with: the original's file in fp32 for "
                f"{base.target.runtime} is not the original: {own.why}",
            }
        found = judge(self._measured(key, same), self._measured(base_key, own), self.terms)
        return {**row, "published": found.published, "reason": found.reason}

    def _told(self, key: Key) -> Json:
        one, timed = self.built[key], self.timed.get(key)
        found: Json = {
            "target": one.target.key,
            "size_bytes": one.path.stat().st_size,
            "accuracy": None,
            "latency_ms": None,
            "latency": None,
            "stable": None,
            "peak_memory_bytes": None,
        }
        if one.ran:
            found["accuracy"] = round(self.judge.score(one), 6)
        if timed is not None:
            found["latency_ms"] = timed.timing.p50_ms
            found["latency"] = timed.timing.as_dict()
            found["stable"] = timed.stable
        if one.ran and not one.ran_elsewhere:  # it runs here, and nowhere else
            (allocated,) = runtime(one.target.runtime).peak_memory_bytes([one.path])
            found["peak_memory_bytes"] = allocated
        return found

    def _measured(self, key: Key, same: Parity) -> Measured:
        one, timed = self.built[key], self.timed.get(key)
        measurements: Measurements = {"size_bytes": float(one.path.stat().st_size)}
        if timed is not None:
            measurements = {**measurements, LATENCY: timed.timing.p50_ms}
        return Measured(
            precision=one.target.precision,
            accuracy=self.judge.score(one),
            measurements=measurements,
            stable=timed is not None and timed.stable,
            same=same,
            metric=self.judge.label,
            latency_error=0.0 if timed is None else timed.timing.error or 0.0,
            sha256=hashlib.sha256(one.path.read_bytes()).hexdigest(),
        )

"""What is told of a model's files: each beside the original, with the verdict on it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookup_tables.runtimes.registry import runtime
from nas_service.compilation.parity import Parity, parity_of
from nas_service.compilation.samples import read_samples
from nas_service.compilation.shares import grown
from nas_service.delivery.measured import Measured
from nas_service.delivery.verdict import Terms, judge
from nas_service.learning.base import LearningTask
from nas_service.search.certificate import LATENCY
from nas_service.search.values import Measurements
from nas_service.worker.delivery.built import Built
from nas_service.worker.delivery.model_files import Key
from nas_service.worker.delivery.sessions import Timed, base_of

Json = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """A model's files before and after, those that could not be made, and what is asked of them.

    `folder` has `test.npz` and the modules' own answers in `reference.npz` and, of the original
    where that is another one, `original-reference.npz`.
    """

    folder: Path
    task: LearningTask
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
        if made.outputs is None:
            return {**row, "reason": str(made.notes.get("status", "not run on hardware"))}
        same = self._parity(made, "reference.npz", precision)
        row["parity"] = same.as_dict()
        if made.outputs_there is not None:
            on_device = self._parity_there(made, precision)
            row["parity_on_device"] = on_device.as_dict()
            same = same if on_device.ok else on_device
        if base is None or base_key is None or base.outputs is None:
            told = self.refused.get(("original", runtime_name, "fp32"), "the original does not run")
            return {**row, "reason": f"nothing to compare with: {told}"}
        own = self._original_parity(base)
        if not own.ok:
            return {
                **row,
                "reason": f"nothing to compare with: the original's file in fp32 for "
                f"{base.target.runtime} is not the original: {own.why}",
            }
        found = judge(self._measured(key, same), self._measured(base_key, own), self.terms)
        return {**row, "published": found.published, "reason": found.reason}

    def _parity(self, one: Built, reference: str, precision: str) -> Parity:
        assert one.outputs is not None
        expected = read_samples(self.folder / reference, "outputs")
        return parity_of(one.outputs, expected, precision, self.task.agreement)

    def _parity_there(self, one: Built, precision: str) -> Parity:
        """Of the first samples, which the device was sent."""
        assert one.outputs_there is not None
        expected = read_samples(self.folder / "reference.npz", "outputs")[: len(one.outputs_there)]
        return parity_of(one.outputs_there, expected, precision, self.task.agreement)

    def _original_parity(self, base: Built) -> Parity:
        """The original's own fp32 file beside the module that it was made of."""
        name = "original-reference.npz"
        there = (self.folder / name).is_file()
        return self._parity(base, name if there else "reference.npz", "fp32")

    def _score(self, one: Built) -> float:
        """The score of outputs by the task's first metric."""
        assert one.outputs is not None
        metric = self.task.metric()
        targets = read_samples(self.folder / "test.npz", "targets")
        return metric.score(metric.value(self.task.judge(one.outputs, targets)))

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
        if one.outputs is not None:
            found["accuracy"] = round(self._score(one), 6)
        if timed is not None:
            found["latency_ms"] = timed.timing.p50_ms
            found["latency"] = timed.timing.as_dict()
            found["stable"] = timed.stable
        if one.outputs is not None and one.outputs_there is None:  # it runs here, and nowhere else
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
            accuracy=self._score(one),
            measurements=measurements,
            stable=timed is not None and timed.stable,
            same=same,
            metric=self.task.metric().label,
            latency_error=0.0 if timed is None else timed.timing.error or 0.0,
            sha256=hashlib.sha256(one.path.read_bytes()).hexdigest(),
        )

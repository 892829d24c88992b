"""Candidates as one file of columns: what pages and clients sort, filter and plot."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.errors import InvalidData
from nas_service.search.candidates import Candidates, on_front
from nas_service.space.base import FloatArray, IntArray

SCORE = "score"
"""The name of the column of predicted scores, beside those of quantities."""
_VALUE, _UPPER = "value:", "upper:"


@dataclass(frozen=True, eq=False)
class CandidateSet:
    """`n` candidates: architectures `(n, a)` as positions of values, all else `(n,)`.

    `values` and `uppers` have a column a quantity, in its unit; `values` has the score, too.
    A candidate keeps its row from one front of a search to the next.
    """

    architectures: IntArray
    deployments: IntArray
    values: Mapping[str, FloatArray]
    uppers: Mapping[str, FloatArray]
    score_std: FloatArray
    keeps_limits: npt.NDArray[np.bool_]
    on_front: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, candidates: Candidates) -> CandidateSet:
        """The columns of candidates."""
        front = np.zeros(len(candidates), dtype=np.bool_)
        front[on_front(candidates)] = True
        estimates = candidates.estimates
        return cls(
            architectures=candidates.genotypes.architectures,
            deployments=candidates.genotypes.deployments,
            values={SCORE: candidates.accuracy, **{k: v for k, (v, _) in estimates.items()}},
            uppers={k: bound for k, (_, bound) in estimates.items()},
            score_std=candidates.accuracy_std,
            keeps_limits=np.asarray(candidates.keeps_limits, dtype=np.bool_),
            on_front=front,
        )

    def __len__(self) -> int:
        return len(self.deployments)

    def dump(self) -> bytes:
        """As a compressed .npz; the same candidates give the same bytes."""
        columns: dict[str, Any] = {
            "architectures": self.architectures.astype(np.int32),
            "deployments": self.deployments.astype(np.int32),
            "score_std": self.score_std,
            "keeps_limits": self.keeps_limits,
            "on_front": self.on_front,
            **{f"{_VALUE}{name}": column for name, column in self.values.items()},
            **{f"{_UPPER}{name}": column for name, column in self.uppers.items()},
        }
        stream = io.BytesIO()
        np.savez_compressed(stream, **columns)
        return stream.getvalue()

    @classmethod
    def parse(cls, content: bytes) -> CandidateSet:
        """The inverse of `dump`; raises `InvalidData` for what is none."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                columns = {name: stored[name] for name in stored.files}
            return cls(
                architectures=columns["architectures"].astype(np.int64),
                deployments=columns["deployments"].astype(np.int64),
                values=_named(columns, _VALUE),
                uppers=_named(columns, _UPPER),
                score_std=columns["score_std"],
                keeps_limits=columns["keeps_limits"],
                on_front=columns["on_front"],
            )
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise InvalidData(f"this is no file of candidates: {error}") from error


def _named(columns: Mapping[str, npt.NDArray[np.generic]], prefix: str) -> dict[str, FloatArray]:
    return {
        name.removeprefix(prefix): column.astype(np.float64)
        for name, column in columns.items()
        if name.startswith(prefix)
    }

"""The reference state of a machine: the one that it keeps coming back to, known by its anchors.

Machines have speeds that last from a tenth of a second to minutes. Neither the fastest nor the
average of them repeats from one hour to the next; the most common one does, so that is what
measurements are held to. It is found as the densest place among the readings of all anchors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lookup_tables.errors import LookupTableError
from lookup_tables.measuring.timing import REFERENCE

FloatArray = npt.NDArray[np.float64]

TOLERANCE, WIDEST = 0.06, 0.20
"""How far an anchor may be from its level, relative; more for one that jitters by itself."""
_WIDER, _ENOUGH = (1.0, 1.5, 2.0), 0.10
"""Where no state holds a tenth of the time, as on machines without a clean one, all are wider:
turns are brought to the levels by what their anchors are off."""
_JITTERS = 4.0
_CENTRES, _READINGS = 300, 4000
_HICCUPS = 0.01
"""A share of the time that makes no second state."""
_LONG_WATCH_S = 300.0
"""A machine that did not leave a state for so long is taken to live in it."""
_CERTAINTY = 2.5
"""Standard errors by which a state has to lead, where it was left and came back many times."""
_SETTLES = 3
"""Readings in a row that make a change of state: fewer are a hiccup."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Levels of the anchors in ms, and how sure it is that they are the machine's usual ones.

    `share` of `watched_s` seconds were spent in the state, in `visits` stays; `rival_share` in the
    next most common state. `doubt` says why it may not be the most common state after all; empty
    where there is no reason to doubt. `state` is `reference` or `sustained`.
    """

    levels_ms: Mapping[str, float]
    tolerances: Mapping[str, float]
    share: float
    visits: int
    watched_s: float
    rival_share: float = 0.0
    rival_shift: float = 0.0
    doubt: str = ""
    state: str = REFERENCE
    learned_at: str = ""
    confirmed_at: str = ""

    def holds(self, reading: Mapping[str, float]) -> bool:
        """Whether every anchor that has a level is near it."""
        return all(
            abs(np.log(reading[name] / level)) <= self.tolerances[name]
            for name, level in self.levels_ms.items()
        )

    def fits(self, names: Sequence[str]) -> bool:
        """Whether anchors of these names can tell the state."""
        return set(self.levels_ms) <= set(names)

    def shift(self, reading: Mapping[str, float]) -> float:
        """How much slower (positive) or faster the anchors are than here, relative; their mean."""
        logs = [np.log(reading[name] / level) for name, level in self.levels_ms.items()]
        return float(np.expm1(np.mean(logs)))

    def slowdown(self, reading: Mapping[str, float]) -> float:
        """How many times as long a piece of work takes here as at the reading: at least 1.

        By the anchor that was furthest below its level; 1 where none was below it.
        """
        return max([1.0, *(level / reading[name] for name, level in self.levels_ms.items())])

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            **asdict(self),
            "levels_ms": dict(self.levels_ms),
            "tolerances": dict(self.tolerances),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Reference:
        """The inverse of `as_dict`.

        Raises:
            LookupTableError: a level is not a positive number, or has no tolerance.
        """
        try:
            found = cls(**values)
            for name, level in found.levels_ms.items():
                if not (0.0 < float(level) < np.inf and 0.0 < float(found.tolerances[name]) < 1.0):
                    raise LookupTableError(f"reference state: anchor {name!r} has no level")
        except (TypeError, KeyError, ValueError) as error:
            raise LookupTableError(f"no reference state: {error}") from error
        return found


def find_reference(names: Sequence[str], logs: FloatArray, seconds: FloatArray) -> Reference:
    """The densest state among readings, with its doubts.

    Args:
        names: of the anchors.
        logs: of their readings in ms, in order of time, `(n, len(names))`, n >= 1.
        seconds: that each reading stands for, `(n,)`.
    """
    if len(logs) > _READINGS:  # every k-th: neighbours in time say the same
        step = -(-len(logs) // _READINGS)
        seconds = np.add.reduceat(seconds, np.arange(0, len(logs), step))
        logs = logs[::step]
    weights = seconds / max(float(seconds.sum()), 1e-12)
    for wider in _WIDER:
        tolerances = wider * _tolerances(logs)
        centre = _densest(logs, weights, tolerances)
        inside = _inside(logs, centre, tolerances)
        share = float(weights[inside].sum())
        if share >= _ENOUGH:
            break
    rest = ~_inside(logs, centre, 2.0 * tolerances)
    rival_share = rival_shift = 0.0
    if rest.any():
        rival = _densest(logs[rest], weights[rest], tolerances)
        rival_share = float(weights[rest][_inside(logs[rest], rival, tolerances)].sum())
        rival_shift = float(np.expm1((rival - centre).mean()))
    found = Reference(
        levels_ms={n: round(float(np.exp(c)), 6) for n, c in zip(names, centre, strict=True)},
        tolerances={n: round(float(t), 4) for n, t in zip(names, tolerances, strict=True)},
        share=round(share, 4),
        visits=_visits(inside),
        watched_s=round(float(seconds.sum()), 1),
        rival_share=round(rival_share, 4),
        rival_shift=round(rival_shift, 4),
    )
    return replace(found, doubt=doubt(found))


def doubt(found: Reference) -> str:
    """Why a state may not be the machine's most common one; empty without a reason."""
    alone = found.visits <= 1 or found.rival_share < _HICCUPS
    if alone and found.watched_s < _LONG_WATCH_S:
        return (
            f"the machine was watched for {found.watched_s:.0f} s and seen in one state; "
            "others that last longer would not have shown"
        )
    together = found.share + found.rival_share
    lead = found.share - found.rival_share
    # shares of a time that falls into so many stays, each of a length of its own
    error = np.sqrt(max(together - lead**2, 0.0) / max(found.visits, 1))
    if found.rival_share > 0 and lead < _certainty(found.visits) * error:
        way = "slower" if found.rival_shift > 0 else "faster"
        return (
            f"another state, {abs(found.rival_shift):.0%} {way}, is about as common "
            f"({found.rival_share:.0%} of the time, against {found.share:.0%})"
        )
    return ""


def _certainty(visits: int) -> float:
    """Standard errors that a lead after so many stays has to have.

    About Student's t at the probability of `_CERTAINTY` standard errors, with one degree of freedom
    less than stays: two of them say next to nothing of how long others last.
    """
    freedom = max(visits - 1, 1)
    return _CERTAINTY * (1.0 + 2.5 / freedom + 5.0 / freedom**3)


def _tolerances(logs: FloatArray) -> FloatArray:
    """Of each anchor `(k,)`: what it jitters by from one reading to the next is no change."""
    if len(logs) < 3:
        return np.full(logs.shape[1], TOLERANCE)
    steps = np.abs(np.diff(logs, axis=0))
    jitter = 1.4826 * np.median(steps, axis=0) / np.sqrt(2.0)
    return np.asarray(np.clip(_JITTERS * jitter, TOLERANCE, WIDEST))


def _densest(logs: FloatArray, weights: FloatArray, tolerances: FloatArray) -> FloatArray:
    """The place with most of the time around it: `(k,)`."""
    some = np.unique(np.linspace(0, len(logs) - 1, _CENTRES).round().astype(int))
    near = (np.abs(logs[None, :, :] - logs[some][:, None, :]) <= tolerances).all(axis=2)
    centre = logs[some[int(np.argmax(near @ weights))]]
    for _ in range(5):
        inside = _inside(logs, centre, tolerances)
        if not inside.any():
            break
        centre = np.median(logs[inside], axis=0)
    return np.asarray(centre)


def _inside(logs: FloatArray, centre: FloatArray, tolerances: FloatArray) -> npt.NDArray[np.bool_]:
    return np.asarray((np.abs(logs - centre) <= tolerances).all(axis=1))


def _visits(inside: npt.NDArray[np.bool_]) -> int:
    """Stays in a state; a few readings beside it do not end a stay."""
    visits, now, run = 0, False, 0
    for one in inside.tolist():
        run = run + 1 if one != now else 0
        if run >= _SETTLES or (visits == 0 and one):
            now, run = one, 0
            visits += now
    return visits

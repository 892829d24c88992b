"""How well a table was measured, in a verdict and a sentence; and how to have a better one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

STEADY, ROUGH, UNKNOWN = "steady", "rough", "unknown"
LEAST_STABLE, LEAST_STATE_SHARE = 0.75, 0.05
LARGEST_ERROR = 0.10
"""Mean error on networks in no fit, or of left-out ones, beyond which a table is rough."""
FEW_NETWORKS = 8


@dataclass(frozen=True, slots=True)
class TableCard:
    """`verdict` is `steady`, `rough` or `unknown`; `mend` is the command to run, or empty."""

    verdict: str
    text: str
    mend: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def card_of(
    provenance: Mapping[str, Any],
    calibration: Mapping[str, Any] | None,
    check: Mapping[str, Any] | None,
    device: str,
) -> TableCard:
    """The card of a table, from what is stored with it; tables of any age."""
    steadiness: Mapping[str, Any] = provenance.get("steadiness") or {}
    good: list[str] = []
    bad: list[str] = []
    share = steadiness.get("state_share")
    if share is not None:
        _sort(
            share >= LEAST_STATE_SHARE,
            f"the device was in its reference state {share:.0%} of the time",
            good,
            bad,
        )
    if steadiness.get("n_files"):
        n_files, n_stable = int(steadiness["n_files"]), int(steadiness.get("n_stable") or 0)
        enough = n_stable >= LEAST_STABLE * n_files
        _sort(enough, f"{n_stable} of {n_files} files were measured stably", good, bad)
    if calibration is not None:
        _calibrated(calibration, good, bad)
    if check:
        _checked(check, good, bad)
    doubts = [
        one["doubt"] for one in (provenance.get("references") or {}).values() if one.get("doubt")
    ]
    if not (bad or (share is not None and check)):
        known = f" ({'; '.join(good)})" if good else ""
        return TableCard(
            UNKNOWN,
            f"how steady the device was while this table was measured is not known{known}",
            _command(provenance, device),
        )
    text = "; ".join([*bad, *(good if not bad else []), *doubts])
    if steadiness.get("more_s"):
        text += (
            f"; {steadiness.get('n_unsettled') or 'some'} files would settle in about "
            f"{steadiness['more_s']:.0f} s more"
        )
    if bad:
        return TableCard(ROUGH, text, _command(provenance, device))
    return TableCard(STEADY, text)


def _calibrated(calibration: Mapping[str, Any], good: list[str], bad: list[str]) -> None:
    errors = [abs(float(one)) for one in calibration["relative_errors"]]
    mean = sum(errors) / max(len(errors), 1)
    if len(errors) < FEW_NETWORKS:
        bad.append(f"calibrated on {len(errors)} networks alone")
    form = calibration.get("form", "full")
    text = f"correction {form}, {mean:.1%} off on left-out networks"
    plain = (calibration.get("errors_of_forms") or {}).get("plain")
    if plain is not None and form != "plain":
        text += f" (the plain sum of blocks {plain:.1%})"
    _sort(mean <= LARGEST_ERROR, text, good, bad)


def _checked(check: Mapping[str, Any], good: list[str], bad: list[str]) -> None:
    mean = float(check["mean_error"])
    text = f"estimates are {mean:.1%} off on {check['n']} networks in no fit"
    _sort(mean <= LARGEST_ERROR, text, good, bad)
    plain = check.get("mean_error_of_plain_sum")
    if plain is not None and mean > 1.2 * float(plain) and mean > 0.02:
        bad.append(f"worse than the plain sum of blocks ({plain:.1%})")


def _sort(fine: bool, text: str, good: list[str], bad: list[str]) -> None:
    (good if fine else bad).append(text)


def _command(provenance: Mapping[str, Any], device: str) -> str:
    space = provenance.get("space")
    if not space:
        return f"nas devices profile {device}"
    size = (provenance.get("image") or {}).get("size", 32)
    budget = 2.0 * float(provenance.get("budget_s") or 60.0)
    return (
        f"nas devices profile {device} --space {space} --image-size {size} "
        f"--profile-budget-s {budget:.0f}"
    )

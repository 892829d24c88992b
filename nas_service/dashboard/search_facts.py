"""What a search's page says above its front, and of its winners' files, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nas_service.api.documents.searches import CertificationFacts, CorrectionFacts
from nas_service.api.documents.winners import FrontMember, ResultRow, Stage, Trail, WinnerOut
from nas_service.api.searches import SearchOut
from nas_service.dashboard.formats import (
    Scale,
    joined,
    kilobytes,
    metric_name,
    percent,
    significant,
)

_HELD = {
    "reference": "p50 in the device's reference state",
    "observed": "p90 of everything that was observed",
    "sustained": "p50 after minutes of load",
}
_WORST = 3


@dataclass(frozen=True, slots=True)
class Fact:
    """A name with what is said of it, and where more of it is."""

    name: str
    text: str
    href: str | None = None


def _asked_limit(max_latency_ms: float | None) -> str:
    if max_latency_ms is None:
        return "not settled yet"
    return f"{significant(max_latency_ms)} ms, as asked for"


def facts_of(search: SearchOut) -> Iterator[Fact]:
    """What was asked for and what has been settled."""
    spec, facts = search.spec, search.facts
    yield Fact("State", search.state)
    yield Fact("Data set", spec.dataset, f"/datasets/{spec.dataset}")
    for note in facts.notes:
        yield Fact("Note", note)
    yield Fact("Space", spec.space)
    yield Fact("Device", spec.device, f"/devices/{spec.device}")
    yield Fact("Maximises", metric_name(spec.metric))
    limit = facts.limit_ms
    settled = f"{significant(limit)} ms ({facts.limit_source})"
    yield Fact("Latency limit", _asked_limit(spec.max_latency_ms) if limit is None else settled)
    yield Fact("Limit holds with", f"{spec.limit_probability}, as measured")
    yield Fact("Limit is held against", _HELD[spec.limit_on])
    yield Fact("Certification", _certification(facts.certification))
    for one in facts.corrections:
        yield Fact(f"Correction {one.number}", _correction(one))
    yield Fact("Sampler", spec.sampler)
    yield Fact("Seed", str(spec.seed))
    if (check := facts.operator_check) is not None:
        dropped = percent(check.dropped_share, 0)
        lacking = ", ".join(check.unsupported_operators)
        yield Fact("Operator check", f"{dropped} of the space needs {lacking}: dropped")
    for rule in facts.rules_check:
        yield Fact("Rule", f"{rule.text}: {percent(rule.removed_share, 0)} of the space is out")
    yield Fact("Tables", joined(facts.tables, "none yet"))
    if facts.test_part is not None and facts.test_part.text:
        yield Fact("Test part", facts.test_part.text)
    if search.reopens:
        yield Fact("Re-run of", search.reopens, f"/searches/{search.reopens}")


def steadiness_of(search: SearchOut) -> list[Fact]:
    """How steadily each table was measured, and what would mend it: a sentence or two each."""
    return [
        Fact(
            f"Table {card.precision}: {card.verdict}",
            card.text + (f". Mend it with: {card.mend}" if card.mend else ""),
        )
        for card in search.facts.steadiness
    ]


def _certification(found: CertificationFacts | None) -> str:
    if found is None:
        return "not yet"
    if found.state != "measured" or found.noise is None:
        return found.state
    return f"{found.spent} measurements of candidates, noise {100 * found.noise:.1f} %"


def _correction(found: CorrectionFacts) -> str:
    share = found.share_of_limit
    took = "none was certified" if share is None else f"the slowest took {percent(share, 0)} of it"
    return f"of candidates near the limit {took}; searched on with the tables they corrected"


@dataclass(frozen=True, slots=True)
class Download:
    """A file and where it is."""

    name: str
    artifact: str


@dataclass(frozen=True, slots=True)
class WinnerLine:
    """A winner's file in the table, its cells in order; `quality` says how a verdict is shown."""

    rank: int
    precision: str
    predicted: str
    measured: str
    ties: str
    predicted_latency: str
    latency: str
    observed: str
    size: str
    limit: str
    limit_good: bool
    verdict: str
    verdict_good: bool | None
    front: str
    files: tuple[Download, ...]


def winner_lines(winners: Sequence[WinnerOut], scale: Scale) -> Iterator[WinnerLine]:
    """Each file that was measured, or is to be."""
    for winner in winners:
        if winner.results:
            yield from (_measured(winner, row, scale) for row in winner.results)
        else:
            for precision, estimate in winner.estimates.items():
                yield _pending(winner, precision, estimate, scale)


def best_published(winners: Sequence[WinnerOut], scale: Scale) -> WinnerLine | None:
    """The published file that was measured to be the best, the faster of equals; None without."""
    published = [
        (row.measured_accuracy, -(row.measured_latency_ms or 0.0), winner, row)
        for winner in winners
        for row in winner.results
        if row.published and row.measured_accuracy is not None
    ]
    if not published:
        return None
    _, _, winner, row = max(published, key=lambda one: one[:2])
    return _measured(winner, row, scale)


def _measured(winner: WinnerOut, row: ResultRow, scale: Scale) -> WinnerLine:
    return WinnerLine(
        rank=row.rank,
        precision=row.precision,
        predicted=scale.text(row.predicted_accuracy),
        measured=_accuracy(row),
        ties=_ties(row),
        predicted_latency=significant(row.predicted_latency_ms),
        latency=_latency(row),
        observed=_observed(row),
        size=kilobytes(row.measured_size_bytes),
        limit=row.verdict or "",
        limit_good=row.verdict == "certified",
        verdict="published" if row.published else f"refused: {row.reason}",
        verdict_good=row.published,
        front=_front(row),
        files=_files(winner, row.precision, row.file),
    )


def _pending(winner: WinnerOut, precision: str, estimate: FrontMember, scale: Scale) -> WinnerLine:
    problem = winner.problem
    return WinnerLine(
        rank=winner.rank,
        precision=precision,
        predicted=scale.text(estimate.predicted_accuracy),
        measured="not measured",
        ties="",
        predicted_latency=significant(estimate.predicted_latency_ms),
        latency="not measured",
        observed="",
        size=kilobytes(estimate.size_bytes),
        limit="",
        limit_good=False,
        verdict=winner.state if problem is None else f"failed: {problem.detail}",
        verdict_good=None if problem is None else False,
        front="",
        files=_files(winner, precision, None),
    )


def _files(winner: WinnerOut, precision: str, file: str | None) -> tuple[Download, ...]:
    """The file itself, the weights that it was made of, which a recipe has of its own."""
    recipe = precision.partition("+")[2]
    weights = f"{recipe}.weights.pt" if recipe else "weights.pt"
    names = (file or f"{precision}.onnx", weights, "architecture.json")
    kept = winner.artifacts
    return tuple(Download(name, kept[name]) for name in names if kept.get(name))


def _accuracy(row: ResultRow) -> str:
    if row.measured_accuracy is None:
        return "not measured"
    if row.measured_metric:
        return row.measured_metric
    error = row.measured_accuracy_standard_error
    known = "" if error is None else f" ± {100 * error:.1f}"
    return f"{100 * row.measured_accuracy:.1f}{known} %"


def _latency(row: ResultRow) -> str:
    if row.measured_latency_ms is None:
        return "not measured"
    held = row.certificate
    if held is not None and held.at_most_ms is not None:
        return f"at most {significant(held.at_most_ms)}"
    bounds = None if held is None else held.measured_interval_ms
    between = f" ({significant(bounds[0])} to {significant(bounds[1])})" if bounds else ""
    return f"{significant(row.measured_latency_ms)}{between}"


def _observed(row: ResultRow) -> str:
    """What was seen in whatever state, beside the state that the latency holds in."""
    seen = row.latency
    if seen is None or seen.observed_p90_ms is None:
        return "unknown"
    told = "" if seen.state_share is None else f" ({percent(seen.state_share, 0)})"
    return f"{significant(seen.observed_p50_ms)} / {significant(seen.observed_p90_ms)}{told}"


def _ties(row: ResultRow) -> str:
    if row.tied_with is None:
        return ""
    return f"winner {joined(row.tied_with)}" if row.tied_with else "none"


def _front(row: ResultRow) -> str:
    """A published file is on the measured front unless another is as accurate for less."""
    if row.on_front is None:
        return ""
    better = row.outdone_by
    return "yes" if better is None else f"outdone by winner {better.rank} {better.precision}"


@dataclass(frozen=True, slots=True)
class QuantityLine:
    """A quantity of a measured file: predicted with its bound, measured, its limit."""

    rank: int
    precision: str
    label: str
    predicted: str
    measured: str
    verdict: str


def quantity_lines(winners: Sequence[WinnerOut]) -> Iterator[QuantityLine]:
    """Every quantity of every measured file."""
    for row in (row for winner in winners for row in winner.results):
        for one in row.quantities:
            held = row.certificate if one.name == "latency_ms" else None
            held = held or row.certificates.get(one.name)
            bound = f" (at most {one.upper})" if one.upper and one.upper != one.predicted else ""
            yield QuantityLine(
                row.rank,
                row.precision,
                one.label,
                "unknown" if one.predicted is None else f"{one.predicted}{bound}",
                "counted" if one.counted else one.measured or "not measured",
                "" if held is None else held.verdict,
            )


@dataclass(frozen=True, slots=True)
class ClassLine:
    """How a measured file tells classes apart; `confusion` has a row a true class."""

    rank: int
    precision: str
    accuracy: str
    balanced: str
    macro_f1: str
    worst: str
    names: tuple[str, ...]
    confusion: list[list[int]]


def class_lines(winners: Sequence[WinnerOut]) -> Iterator[ClassLine]:
    """Of files of classifiers."""
    for row in (row for winner in winners for row in winner.results):
        told = row.classification
        if told is None or told.accuracy is None:
            continue
        known = [(share, name) for name, share in told.recall.items() if share is not None]
        worst = sorted(known, key=lambda one: one[0])[:_WORST]
        yield ClassLine(
            row.rank,
            row.precision,
            percent(told.accuracy),
            percent(told.balanced_accuracy),
            percent(told.macro_f1),
            ", ".join(f"{name} {percent(share, 0)}" for share, name in worst),
            tuple(told.recall),
            told.confusion or [],
        )


@dataclass(frozen=True, slots=True)
class StageCell:
    """What a winner's deployment went through at one stage."""

    text: str
    state: str
    artifact: str | None = None


def stage_cells(trail: Trail, scale: Scale) -> list[StageCell]:
    """From front point to certificate."""
    return [_stage(one, scale) for one in trail.stages]


def _stage(stage: Stage, scale: Scale) -> StageCell:
    if stage.state != "done":
        return StageCell(stage.state, "pending")
    match stage.stage:
        case "front":
            told = f"{scale.text(stage.predicted_accuracy)}, "
            return StageCell(f"{told}{significant(stage.predicted_latency_ms)} ms", "good")
        case "measured":
            told = f"{scale.text(stage.accuracy)}, {significant(stage.latency_ms)} ms"
            return StageCell(told, "good")
        case "certified":
            good = stage.verdict == "certified" and not stage.stale
            told = f"stale: {stage.stale}" if stage.stale else stage.verdict or ""
            return StageCell(told, "good" if good else "bad")
        case _:
            return StageCell(stage.name or "", "good", stage.artifact)

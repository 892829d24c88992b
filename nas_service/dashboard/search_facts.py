"""What a search's page says above its front, and of its winners' files, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

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


def facts_of(search: SearchOut) -> Iterator[Fact]:
    """What was asked for and what has been settled."""
    spec, facts = search.spec, search.facts
    yield Fact("State", search.state)
    yield Fact("Data set", spec["dataset"], f"/datasets/{spec['dataset']}")
    for note in facts.get("notes") or []:
        yield Fact("Note", note)
    yield Fact("Space", spec["space"])
    yield Fact("Device", spec["device"], f"/devices/{spec['device']}")
    yield Fact("Maximises", metric_name(spec["metric"]))
    limit = facts.get("limit_ms")
    settled = f"{significant(limit)} ms ({facts.get('limit_source')})"
    yield Fact("Latency limit", "not settled yet" if limit is None else settled)
    yield Fact("Limit holds with", f"{spec['limit_probability']}, as measured")
    yield Fact("Limit is held against", _HELD[spec.get("limit_on") or "reference"])
    yield Fact("Certification", _certification(facts.get("certification")))
    yield Fact("Sampler", spec["sampler"])
    yield Fact("Seed", str(spec["seed"]))
    if check := facts.get("operator_check"):
        dropped = percent(check["dropped_share"], 0)
        lacking = ", ".join(check["unsupported_operators"])
        yield Fact("Operator check", f"{dropped} of the space needs {lacking}: dropped")
    yield Fact("Tables", joined(facts.get("tables") or [], "none yet"))
    for card in facts.get("steadiness") or []:
        mend = f". Mend it with: {card['mend']}" if card.get("mend") else ""
        yield Fact(f"Table {card['precision']}: {card['verdict']}", card["text"] + mend)
    if text := (facts.get("test_part") or {}).get("text"):
        yield Fact("Test part", text)
    if search.reopens:
        yield Fact("Re-run of", search.reopens, f"/searches/{search.reopens}")


def _certification(found: Mapping[str, Any] | None) -> str:
    if not found:
        return "not yet"
    if found["state"] != "measured":
        return str(found["state"])
    noise = f"{100 * found['noise']:.1f} %"
    return f"{found['spent']} measurements of candidates, noise {noise}"


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


def winner_lines(winners: list[dict[str, Any]], scale: Scale) -> Iterator[WinnerLine]:
    """Each file that was measured, or is to be."""
    for winner in winners:
        if winner["results"]:
            yield from (_measured(winner, row, scale) for row in winner["results"])
        else:
            for precision, estimate in winner["estimates"].items():
                yield _pending(winner, precision, estimate, scale)


def _measured(winner: dict[str, Any], row: dict[str, Any], scale: Scale) -> WinnerLine:
    return WinnerLine(
        rank=row["rank"],
        precision=row["precision"],
        predicted=scale.text(row.get("predicted_accuracy")),
        measured=_accuracy(row),
        ties=_ties(row),
        predicted_latency=significant(row.get("predicted_latency_ms")),
        latency=_latency(row),
        observed=_observed(row),
        size=kilobytes(row.get("measured_size_bytes")),
        limit=row.get("verdict") or "",
        limit_good=row.get("verdict") == "certified",
        verdict="published" if row.get("published") else f"refused: {row.get('reason')}",
        verdict_good=bool(row.get("published")),
        front=_front(row),
        files=_files(winner, row["precision"], row.get("file")),
    )


def _pending(
    winner: dict[str, Any], precision: str, estimate: dict[str, Any], scale: Scale
) -> WinnerLine:
    problem = winner["problem"]
    return WinnerLine(
        rank=winner["rank"],
        precision=precision,
        predicted=scale.text(estimate.get("predicted_accuracy")),
        measured="not measured",
        ties="",
        predicted_latency=significant(estimate.get("predicted_latency_ms")),
        latency="not measured",
        observed="",
        size=kilobytes(estimate.get("size_bytes")),
        limit="",
        limit_good=False,
        verdict=f"failed: {problem['detail']}" if problem else winner["state"],
        verdict_good=False if problem else None,
        front="",
        files=_files(winner, precision, None),
    )


def _files(winner: dict[str, Any], precision: str, file: str | None) -> tuple[Download, ...]:
    """The file itself, the weights that it was made of, which a recipe has of its own."""
    recipe = precision.partition("+")[2]
    weights = f"{recipe}.weights.pt" if recipe else "weights.pt"
    names = (file or f"{precision}.onnx", weights, "architecture.json")
    kept = winner["artifacts"]
    return tuple(Download(name, kept[name]) for name in names if kept.get(name))


def _accuracy(row: dict[str, Any]) -> str:
    if row.get("measured_accuracy") is None:
        return "not measured"
    if row.get("measured_metric"):
        return str(row["measured_metric"])
    error = 100 * row["measured_accuracy_standard_error"]
    return f"{100 * row['measured_accuracy']:.1f} ± {error:.1f} %"


def _latency(row: dict[str, Any]) -> str:
    if row.get("measured_latency_ms") is None:
        return "not measured"
    held = row.get("certificate") or {}
    if held.get("at_most_ms") is not None:
        return f"at most {significant(held['at_most_ms'])}"
    bounds = held.get("measured_interval_ms")
    between = f" ({significant(bounds[0])} to {significant(bounds[1])})" if bounds else ""
    return f"{significant(row['measured_latency_ms'])}{between}"


def _observed(row: dict[str, Any]) -> str:
    """What was seen in whatever state, beside the state that the latency holds in."""
    seen = row.get("latency") or {}
    if seen.get("observed_p90_ms") is None:
        return "unknown"
    share = seen.get("state_share")
    told = "" if share is None else f" ({percent(share, 0)})"
    return f"{significant(seen['observed_p50_ms'])} / {significant(seen['observed_p90_ms'])}{told}"


def _ties(row: dict[str, Any]) -> str:
    tied = row.get("tied_with")
    if tied is None:
        return ""
    return f"winner {joined(tied)}" if tied else "none"


def _front(row: dict[str, Any]) -> str:
    """A published file is on the measured front unless another is as accurate for less."""
    if row.get("on_front") is None:
        return ""
    better = row.get("outdone_by")
    return f"outdone by winner {better['rank']} {better['precision']}" if better else "yes"


@dataclass(frozen=True, slots=True)
class QuantityLine:
    """A quantity of a measured file: predicted with its bound, measured, its limit."""

    rank: int
    precision: str
    label: str
    predicted: str
    measured: str
    verdict: str


def quantity_lines(winners: list[dict[str, Any]]) -> Iterator[QuantityLine]:
    """Every quantity of every measured file."""
    for row in (row for winner in winners for row in winner["results"]):
        for one in row.get("quantities") or []:
            name = one["name"]
            held = row.get("certificate") if name == "latency_ms" else None
            held = held or (row.get("certificates") or {}).get(name) or {}
            predicted, upper = one.get("predicted"), one.get("upper")
            bound = f" (at most {upper})" if upper and upper != predicted else ""
            measured = "counted" if one["counted"] else one.get("measured") or "not measured"
            told = "unknown" if predicted is None else f"{predicted}{bound}"
            yield QuantityLine(
                row["rank"],
                row["precision"],
                one["label"],
                told,
                measured,
                held.get("verdict", ""),
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


def class_lines(winners: list[dict[str, Any]]) -> Iterator[ClassLine]:
    """Of files of classifiers."""
    for row in (row for winner in winners for row in winner["results"]):
        told = row.get("classification") or {}
        if told.get("accuracy") is None:
            continue
        known = [(share, name) for name, share in told["recall"].items() if share is not None]
        worst = sorted(known, key=lambda one: one[0])[:_WORST]
        yield ClassLine(
            row["rank"],
            row["precision"],
            percent(told["accuracy"]),
            percent(told["balanced_accuracy"]),
            percent(told["macro_f1"]),
            ", ".join(f"{name} {percent(share, 0)}" for share, name in worst),
            tuple(told["recall"]),
            told.get("confusion") or [],
        )


@dataclass(frozen=True, slots=True)
class StageCell:
    """What a winner's deployment went through at one stage."""

    text: str
    state: str
    artifact: str | None = None


def stage_cells(trail: dict[str, Any], scale: Scale) -> list[StageCell]:
    """From front point to certificate."""
    return [_stage(one, scale) for one in trail["stages"]]


def _stage(stage: dict[str, Any], scale: Scale) -> StageCell:
    if stage["state"] != "done":
        return StageCell(stage["state"], "pending")
    match stage["stage"]:
        case "front":
            score, latency = stage.get("predicted_accuracy"), stage.get("predicted_latency_ms")
            return StageCell(f"{scale.text(score)}, {significant(latency)} ms", "good")
        case "measured":
            score, latency = stage.get("accuracy"), stage.get("latency_ms")
            return StageCell(f"{scale.text(score)}, {significant(latency)} ms", "good")
        case "certified":
            stale = stage.get("stale")
            good = stage["verdict"] == "certified" and not stale
            return StageCell(
                f"stale: {stale}" if stale else stage["verdict"], "good" if good else "bad"
            )
        case _:
            return StageCell(stage["name"], "good", stage["artifact"])

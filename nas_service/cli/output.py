"""How commands speak: tables for people, JSON for programs, progress with an ETA."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nas_service.client import ApiError
from nas_service.errors import readable

if TYPE_CHECKING:
    from rich.console import Console

    from nas_service.client import Client

Json = dict[str, Any]
Column = tuple[str, str]
"""Title, and the row's key with dots for what is inside."""


def console() -> Console:
    """Standard output, wide enough that piped tables keep their columns."""
    from rich.console import Console  # a tenth of a second that other commands need not wait

    plain = Console()
    return plain if plain.is_terminal else Console(width=200)


def show(
    rows: Iterable[Json], columns: Sequence[Column], *, as_json: bool, title: str = ""
) -> None:
    """Print rows as a table, or as JSON."""
    found = list(rows)
    if as_json:
        show_json(found)
        return
    if not found:
        print(f"no {title or 'rows'}")
        return
    from rich.table import Table

    table = Table(title=title or None, title_justify="left")
    for name, key in columns:
        table.add_column(name, justify="right" if _numeric(found, key) else "left")
    for row in found:
        table.add_row(*(_text(_dig(row, key)) for _, key in columns))
    console().print(table)


def tell(text: str, value: Json, *, as_json: bool) -> None:
    """Print a sentence, or a value as JSON."""
    if as_json:
        show_json(value)
    else:
        print(text)


def show_json(value: Any) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, indent=1, sort_keys=True))


def _dig(row: Json, key: str) -> Any:
    value: Any = row
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _numeric(rows: Sequence[Json], key: str) -> bool:
    return all(isinstance(_dig(row, key), int | float | None) for row in rows)


def _text(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return readable(str(value))


def duration(seconds: float | None) -> str:
    """Seconds as a person says them."""
    if seconds is None:
        return "unknown"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


_STANDS_STILL_S = 60.0
"""An estimate of the time left that has not moved for so long says nothing any more."""


class ProgressLine:
    """One line that is rewritten on a terminal; elsewhere a new line when something has changed."""

    def __init__(self, label: str, *, every_s: float = 10.0, quiet: bool = False) -> None:
        self._label = label
        self._every_s = every_s
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._last = 0.0
        self._standing = ("", 0.0)
        self._since = time.monotonic()
        self._silence_s = _STANDS_STILL_S

    def __call__(self, job: Json) -> None:
        """Show how far a job is."""
        if self._quiet:
            return
        now = time.monotonic()
        ended = job["state"] not in {"queued", "running"}
        standing = (str(job["message"]), float(job["progress"]))
        if standing != self._standing:
            self._standing, self._since, self._silence_s = standing, now, _STANDS_STILL_S
            new = True
        else:  # nothing moved: said once, and again after twice the time
            new = now - self._since > self._silence_s
        line = f"{self._label}: {100 * job['progress']:3.0f} %  {job['message']}"
        if not ended:
            still_s = now - self._since
            line += (
                f"  (nothing has moved for {duration(still_s)})"
                if still_s > _STANDS_STILL_S
                else f"  (left: {duration(job['eta_s'])})"
            )
        if self._terminal:
            end = "\n" if ended else ""
            print(f"\r\033[K{line}", end=end, file=sys.stderr, flush=True)
        elif ended or (new and now - self._last > self._every_s):
            if now - self._since > self._silence_s:
                self._silence_s *= 2.0
            self._last = now
            print(line, file=sys.stderr, flush=True)


class SearchProgress(ProgressLine):
    """The progress of a search, and once, as soon as it is known, how its tables were measured."""

    def __init__(self, nas: Client, search_id: str, *, quiet: bool = False) -> None:
        super().__init__("search", quiet=quiet)
        self._nas, self._search_id, self._warned = nas, search_id, quiet

    def __call__(self, job: Json) -> None:
        """Show how far the search is."""
        super().__call__(job)
        if self._warned:
            return
        try:
            cards = self._nas.search(self._search_id)["facts"].get("steadiness")
        except ApiError as error:
            if not error.away:
                raise
            return  # whoever called waits for a service that starts again
        if cards:
            self._warned = True
            for line in steadiness_lines(cards):
                print(f"\n{line}" if self._terminal else line, file=sys.stderr, flush=True)


def steadiness_lines(cards: Iterable[Json], *, verdicts: Sequence[str] = ("rough",)) -> list[str]:
    """A line a table that was measured badly, with the command that mends it."""
    return [
        f"table {card['table']} ({card['precision']}) is {card['verdict']}: {card['text']}"
        + (f"; mend it with: {card['mend']}" if card["mend"] else "")
        for card in cards
        if card["verdict"] in verdicts
    ]


def winner_columns(metric: str, results: Iterable[Json]) -> Sequence[Column]:
    """The columns of a table of winners; `metric` is the name of what the search maximised.

    Each quantity that the search limits beside latency has one of its own.
    """
    limited = dict.fromkeys(name for row in results for name in row.get("certificates") or {})
    said = "macro F1" if metric == "macro_f1" else metric.replace("_", " ")
    return (
        ("winner", "rank"),
        ("precision", "precision"),
        (f"{said} predicted", "accuracy_predicted"),
        (f"{said} measured", "accuracy_measured"),
        ("ties", "ties"),
        ("ms predicted", "predicted_latency_ms"),
        ("ms measured", "measured_latency_ms"),
        ("size kB", "size_kb"),
        ("90 % interval", "interval"),
        *((name, f"limited {name}") for name in limited),
        ("limit", "verdict"),
        ("published", "published"),
        ("front", "front"),
        ("reason", "reason"),
    )


def compression_columns(request: Json) -> Sequence[Column]:
    """Columns of a compression's rows; a model with samples is judged by a metric of its own."""
    metric = request.get("metric") if request.get("samples") else None
    name = str(metric or "accuracy").replace("_", " ")
    return (
        ("runtime", "runtime"),
        ("precision", "precision"),
        ("fp32 ms", "original.latency_ms"),
        ("ms", "compressed.latency_ms"),
        ("fp32 bytes", "original.size_bytes"),
        ("bytes", "compressed.size_bytes"),
        (f"fp32 {name}", "original.accuracy"),
        (name, "compressed.accuracy"),
        ("published", "published"),
        ("why not", "reason"),
    )


def winner_rows(results: Iterable[Json]) -> list[Json]:
    """Result rows in the form that `winner_columns` shows."""
    return [
        {
            **row,
            "accuracy_predicted": row.get("predicted_metric")
            or f"{100 * row['predicted_accuracy']:.1f} %",
            "accuracy_measured": _measured_accuracy(row),
            "ties": ", ".join(map(str, row.get("tied_with") or [])) or "-",
            "front": _front(row),
            "interval": _interval(row.get("certificate") or {}),
            "size_kb": _kilobytes(row["measured_size_bytes"]),
            **{f"limited {name}": _limited(row, name) for name in row.get("certificates") or {}},
        }
        for row in results
    ]


def _limited(row: Json, name: str) -> str:
    """What was measured of a limited quantity, and what that says of the limit."""
    told = {one["name"]: one for one in row["quantities"]}.get(name) or {}
    return f"{told.get('measured') or 'not measured'}, {row['certificates'][name]['verdict']}"


def _front(row: Json) -> str:
    """Whether a published file is on the measured front, or which one is as good for less."""
    if row.get("on_front") is None:
        return "-"
    better = row["outdone_by"]
    return "yes" if better is None else f"outdone by {better['rank']} {better['precision']}"


def _kilobytes(size_bytes: int | None) -> int | None:
    return None if size_bytes is None else round(size_bytes / 1000)


def _measured_accuracy(row: Json) -> str | None:
    if row["measured_accuracy"] is None or row.get("measured_metric"):
        return row.get("measured_metric")
    error = row["measured_accuracy_standard_error"]
    return f"{100 * row['measured_accuracy']:.1f} ± {100 * error:.1f} %"


def _interval(certificate: Json) -> str | None:
    if (most := certificate.get("at_most_ms")) is not None:
        return f"at most {most:.4g}"
    bounds = certificate.get("measured_interval_ms")
    return None if bounds is None else f"{bounds[0]:.4g} to {bounds[1]:.4g}"

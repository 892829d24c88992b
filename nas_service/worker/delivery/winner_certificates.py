"""Certificates of a winner's files, and the rows that tell of them."""

from __future__ import annotations

from collections.abc import Mapping

from lookup_tables.measuring.timing import SUSTAINED
from lookup_tables.profile import Profiler
from nas_service.compilation.benchmark import STATISTICS, protocol_for
from nas_service.delivery.measured import Measured
from nas_service.learning.metric import Judged
from nas_service.lineage import lineage
from nas_service.search import certificate
from nas_service.search.certificate import LATENCY, Certificate
from nas_service.search.certifier import Certifier
from nas_service.search.quantities.registry import quantities
from nas_service.storage import artifacts, certified, searches
from nas_service.worker.context import Context
from nas_service.worker.delivery.bench import Bench
from nas_service.worker.delivery.certified_sessions import bounds_of, typical
from nas_service.worker.delivery.measured_winner import MeasuredWinner
from nas_service.worker.delivery.winner_files import shipped_file
from nas_service.worker.delivery.winner_rows import body_of, metric_texts, row_of


def issue(
    context: Context,
    subject: MeasuredWinner,
    bench: Bench,
    certifiers: Mapping[str, Certifier],
    measured: Mapping[str, Measured],
    judged: Mapping[str, Judged],
) -> None:
    """Store what ships with its measurements and certificates: a row a deployment."""
    spec, winner, names = subject.spec, subject.winner, subject.names
    task = subject.dataset.task
    metric = task.metric(spec.metric)
    steadiness, shift = bench.profiler.steadiness, sustained_shift(bench.profiler)
    with context.database.session() as session:
        shipped = {
            one: shipped_file(session, context, winner, one, bench.files[one][0], subject.stored)
            for one in names
        }
    rows = []
    with context.database.session() as session:
        for name in names:
            timing = typical(bench, name)
            latency = latency_certificate(subject, bench, certifiers[LATENCY], name)
            further = further_certificates(subject, certifiers, name, measured[name])
            row = {
                **row_of(winner, measured[name], measured["fp32"], latency, further),
                "file": shipped[name].name,
                "metric": metric.name,
                **metric_texts(metric, subject.estimated_score(name), measured[name]),
                **task.details(judged[name], subject.dataset.facts),
                "latency": timing.as_dict(),
                "steadiness": steadiness.as_dict() if steadiness else {},
                "sustained_shift": shift,
                "n_sessions_unstable": sum(not one[name].stable for one in bench.sessions),
            }
            rows.append(row)
            protocol = protocol_for(spec.limit_on, spec.sustained_s)
            artifacts.add_measurement(
                session,
                artifact_id=shipped[name].id,
                target_id=subject.targets[name].id,
                values=timing.as_dict(),
                lineage=lineage(seed=spec.seed, protocol=protocol.as_dict()),
            )
            tables = list(subject.search.facts.tables)
            key = subject.targets[name].value.key
            certified.issue(
                session,
                search_id=subject.search.id,
                artifact=shipped[name],
                target_id=subject.targets[name].id,
                verdict=latency.verdict,
                body=body_of(row, latency, key, tables, timing, steadiness, shift),
            )
        every = {**(winner.compressed or {}), **{one.name: one.id for one in shipped.values()}}
        searches.update_winner(session, winner.id, results=rows, state="measured", compressed=every)


def predicted_rows(context: Context, subject: MeasuredWinner) -> None:
    """Keep rows of estimates alone: nothing is published, nothing certified."""
    spec = subject.spec
    rows = []
    for name in subject.names:
        latency = certificate.predicted_only(
            subject.search.facts.settled_limit_ms,
            spec.limit_probability,
            subject.estimates(name)[LATENCY].value,
            subject.spread(name),
            statistic=STATISTICS[spec.limit_on],
        )
        further = further_certificates(subject, {}, name, None)
        metric = subject.dataset.task.metric(spec.metric)
        row = row_of(subject.winner, None, None, latency, further, name)
        rows.append({**row, **metric_texts(metric, subject.estimated_score(name), None)})
    with context.database.session() as session:
        searches.update_winner(session, subject.winner.id, results=rows, state="predicted")


def latency_certificate(
    subject: MeasuredWinner, bench: Bench, certifier: Certifier, name: str
) -> Certificate:
    """Whether a file keeps the latency limit."""
    spec = subject.spec
    return certificate.certificate_of(
        certifier,
        subject.names.index(name),
        spec.limit_probability,
        subject.estimates(name)[LATENCY].value,
        subject.spread(name),
        statistic=STATISTICS[spec.limit_on],
        why_unstable=typical(bench, name).reason,
        at_most=bounds_of(bench, name, spec.limit_on),
    )


def further_certificates(
    subject: MeasuredWinner,
    certifiers: Mapping[str, Certifier],
    name: str,
    measured: Measured | None,
) -> dict[str, Certificate]:
    """Of the search's limits beside latency, by name; what is counted needs none."""
    probability = subject.spec.limit_probability
    issued = {}
    for limited, limit in subject.spec.limits.items():
        quantity = quantities().get(limited.partition("@")[0])
        if quantity is None or quantity.counted:
            continue
        estimate = subject.estimates(name).get(limited)
        predicted = None if estimate is None else estimate.value
        certifier, row = certifiers.get(limited), subject.names.index(name)
        if certifier is not None and certifier.values(row):
            issued[limited] = certificate.certificate_of(
                certifier,
                row,
                probability,
                limit if predicted is None else predicted,
                subject.spread(name, limited),
                quantity=limited,
            )
        else:
            value = None if measured is None else measured.measurements.get(limited)
            issued[limited] = certificate.measured_exactly(
                limited, limit, probability, predicted, value
            )
    return issued


def sustained_shift(profiler: Profiler) -> float | None:
    """How much slower the device is under load than in a burst, by its anchors; None if unknown."""
    burst = profiler.references.get("processor")
    if profiler.steadiness is None or burst is None:
        return None
    under_load = profiler.steadiness.reference
    if under_load.state != SUSTAINED or not burst.fits(list(under_load.levels_ms)):
        return None
    return round(burst.shift(under_load.levels_ms), 4)

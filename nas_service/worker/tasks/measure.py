"""Measure a winner's files on their device, compare them with the torch module, certify limits."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from lookup_tables.target import Deployment
from nas_service.compilation.benchmark import protocol_for
from nas_service.compilation.samples import save_samples
from nas_service.delivery.measured import Measured
from nas_service.engine.child import Progress
from nas_service.errors import Unreachable
from nas_service.jobs.params import WinnerJob
from nas_service.learning.metric import Judged
from nas_service.recorded.parity import parity_of
from nas_service.search import certificate
from nas_service.search.certifier import Certifier
from nas_service.search.quantities.registry import quantities
from nas_service.search.values import Measurements
from nas_service.space.base import input_size
from nas_service.worker.context import Context, make_space
from nas_service.worker.data import open_data
from nas_service.worker.delivery.bench import Bench, open_bench
from nas_service.worker.delivery.built import Built, answer_split, build
from nas_service.worker.delivery.certified_sessions import certify, measured_file, typical
from nas_service.worker.delivery.measured_winner import MeasuredWinner, measured_winner
from nas_service.worker.delivery.winner_certificates import issue, predicted_rows
from nas_service.worker.delivery.winner_files import WinnerFiles, files_of
from nas_service.worker.devices.base import MeasuringDevice
from nas_service.worker.devices.reach import device_of
from nas_service.worker.tasks.profile import keep_references


@dataclass(frozen=True)
class _Sessions:
    """What came of compiling and measuring a winner's files."""

    files: WinnerFiles
    bench: Bench
    built: dict[str, Built]
    judged: dict[str, Judged]
    certifiers: dict[str, Certifier]


def measure(context: Context, job: WinnerJob, report: Progress) -> None:
    """Compile, compare, measure and judge the files of `winner_id`; certificates are issued.

    With `again`, results that are there are replaced, and left as they are where none can be had.
    """
    subject = measured_winner(context, job.winner_id)
    if subject.winner.results is not None and not job.again:
        return  # certified before the step was cut off
    device = device_of(context, subject.device)
    if not device.can_measure([one.value for one in subject.targets.values()]):
        if job.again:
            raise Unreachable(f"device {device.name!r} cannot measure now")
        predicted_rows(context, subject)
        return
    folder = context.scratch(f"measure-{subject.winner.id}")
    try:
        taken = _sessions(context, device, subject, folder, report)
    except Unreachable:
        if job.again:
            raise
        predicted_rows(context, subject)
    else:
        keep_references(context, device.stored.id, taken.bench.profiler)
        report(0.85, "asking the runtime for its memory, checking parity")
        with context.building():
            measured = {one: _measured(subject, taken, one) for one in subject.precisions}
        issue(context, subject, taken.bench, taken.certifiers, measured, taken.judged)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sessions(
    context: Context,
    device: MeasuringDevice,
    subject: MeasuredWinner,
    folder: Path,
    report: Progress,
) -> _Sessions:
    """Compile the files, run them on the test samples here, and measure them on their device."""
    spec, dataset = subject.spec, subject.dataset
    with context.building():
        space = make_space(context, spec.space, dataset.sample)
        data = open_data(
            context, dataset, spec.training.max_train_images, to_train=False, space=space
        )
        size = input_size(space, subject.winner.genotype.row)
        files = files_of(context, subject.stored, subject.precisions, folder)
        built: dict[str, Built] = {}
        judged: dict[str, Judged] = {}
        for place, one in enumerate(subject.precisions):
            report(0.1 + 0.1 * place / len(subject.precisions), f"compiling {one}, running it")
            target = subject.targets[one].value
            made = build(context, files.sources[one], target, folder / one.replace(":", "-"))
            # the very file that ships, by its own runtime here, wherever it is measured
            answer_split(made, data, data.test, size, folder)
            assert made.outputs is not None, "winners are of runtimes that run here"
            built[one] = made
            judged[one] = dataset.task.judge(made.outputs, data.test.targets.numpy())
    number = 0

    def on_progress(_: float, note: str) -> None:
        at = 0.2 + 0.6 * number / certificate.MAX_SESSIONS
        report(at, f"measuring, session {number + 1}" + (f": {note}" if note else ""))

    def on_session(session: int) -> None:
        nonlocal number
        number = session
        on_progress(0.0, "")

    bench = open_bench(
        device,
        {name: (one.path, one.target) for name, one in built.items()},
        protocol=protocol_for(spec.limit_on, spec.sustained_s),
        on_progress=on_progress,
    )
    if not device.here:
        samples = save_samples(folder / "parity.npz", inputs=files.samples)
        for name, outputs in bench.loaded.outputs(samples).items():
            built[name].outputs_there = outputs
    certifiers = certify(
        bench,
        subject.names,
        subject.noisy_limits(),
        probability=spec.limit_probability,
        limit_on=spec.limit_on,
        seed=spec.seed,
        on_session=on_session,
    )
    return _Sessions(files, bench, built, judged, certifiers)


def _measured(subject: MeasuredWinner, taken: _Sessions, precision: str) -> Measured:
    """One file: what it computes beside the network, and every quantity that was measured."""
    task, bench = subject.dataset.task, taken.bench
    metric, judged = task.metric(subject.spec.metric), taken.judged[precision]
    own = Deployment.parse(precision).precision
    expected = taken.files.outputs[precision]
    there = taken.built[precision].outputs_there
    found = taken.built[precision].outputs if there is None else there
    assert found is not None
    same = parity_of(found[: len(expected)], expected, own, task.agreement)
    timing = typical(bench, precision)
    return Measured(
        precision=precision,
        accuracy=metric.score(metric.value(judged)),
        accuracy_standard_error=metric.score_error(metric.standard_error(judged)),
        metric=metric.label,
        n_test=judged.n,
        measurements=_measurements(subject, bench, precision),
        stable=timing.stable,
        same=same,
        not_in_precision=taken.built[precision].not_in_precision(),
    )


def _measurements(subject: MeasuredWinner, bench: Bench, precision: str) -> Measurements:
    """Every quantity of a file that something here or there told."""
    file = measured_file(bench, precision, typical(bench, precision), subject.spec.limit_on)
    every = {name: one.measure([file]) for name, one in quantities().items()}
    return {name: value for name, (value,) in every.items() if value is not None}

"""Import a data set."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nas_service.compilation.samples import read_samples, save_samples
from nas_service.compilation.uploads.answers import answers_of
from nas_service.compilation.uploads.inspect import inspect_trainable
from nas_service.datasets import ingest
from nas_service.datasets.archives import unpack
from nas_service.engine.child import Progress
from nas_service.jobs.params import DatasetJob
from nas_service.learning.base import Ingested, LearningTask
from nas_service.learning.imitation.read import load_arrays, numbers
from nas_service.learning.registry import DEFAULT, learning_task
from nas_service.lineage import lineage
from nas_service.storage import artifacts, datasets
from nas_service.storage.blobs import require_space
from nas_service.storage.datasets import StoredDataset
from nas_service.worker.context import Context

_NICENESS = 10


def import_dataset(context: Context, job: DatasetJob, report: Progress) -> None:
    """Read the source of data set `dataset_id` and store it with its splits."""
    with context.database.session() as session:
        stored = datasets.get_dataset(session, job.dataset_id)
    if stored.ready:
        return
    os.nice(_NICENESS)  # a search that trains or measures beside it goes first
    folder = context.scratch(f"import-{stored.id}")
    try:
        task = str(stored.source.get("task", DEFAULT))
        found = _read(context, learning_task(task), stored.source, folder, report)
        report(0.9, "storing")
        packed = folder / "data.npz"
        require_space(folder, 2 * found.nbytes + context.settings.min_free_bytes)
        found.save(packed)
        sha256 = context.blobs.put(packed)
        _show(context, stored, learning_task(task), packed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    facts = {**found.facts(), **({} if task == DEFAULT else {"task": task})}
    with context.database.session() as session:
        datasets.set_imported(session, stored.id, digest=found.digest, sha256=sha256, facts=facts)


def _show(context: Context, stored: StoredDataset, task: LearningTask, packed: Path) -> None:
    """Keep a picture of some samples, where the task makes one."""
    content = task.preview(packed)
    if content is None:
        return
    file = packed.with_name(datasets.PREVIEW)
    file.write_bytes(content)
    with context.database.session() as session:
        artifacts.add_artifact(
            session,
            context.blobs,
            file,
            owner=stored.id,
            name=file.name,
            kind="preview",
            lineage=lineage(data=stored.name),
        )


def _read(
    context: Context, task: LearningTask, source: dict[str, Any], folder: Path, report: Progress
) -> Ingested:
    if source.get("builtin") == "digits":
        return ingest.digits()
    read = partial(
        task.ingest, answers=source.get("answers") or {}, tell=report, threads=context.threads()
    )
    teacher = (source.get("answers") or {}).get("teacher")
    if teacher is not None:
        read = partial(_with_answers, context, read, teacher, folder)
    if "path" in source:
        # what lies below the roots may be read; a link out of them may not be followed
        within = context.settings.roots
        return read(Path(source["path"]), within=within)
    named = folder / "upload" / str(source["filename"])
    named.parent.mkdir()
    with context.blobs.local(source["sha256"]) as blob:
        shutil.copyfile(blob, named)
    unpacked = unpack(named, folder / "unpacked")
    if unpacked != named:
        named.unlink()
    return read(unpacked, within=[folder])


def _with_answers(
    context: Context,
    read: Callable[..., Ingested],
    teacher: str,
    folder: Path,
    source: Path,
    within: Sequence[Path],
) -> Ingested:
    """Read an `.npz` with what a model answers to its `x` beside, asked within limits."""
    with context.database.session() as session:
        stored = artifacts.get_artifact(session, teacher)
    model, asked = folder / f"teacher{Path(stored.name).suffix}", folder / "asked.npz"
    with context.blobs.local(stored.sha256) as blob:
        inspect_trainable(blob, model)
    held = load_arrays(source)
    save_samples(asked, inputs=numbers(held, "x"))
    answers_of(model, [asked], folder / "answers.npz")
    taught = folder / "taught.npz"
    held["y"] = read_samples(folder / "answers.npz", "outputs")
    np.savez(taught, allow_pickle=False, **held)
    return read(taught, within=within)

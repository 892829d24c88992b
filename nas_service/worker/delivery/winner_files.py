"""A winner's stored files as compilers read them, and what ships of it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from lookup_tables.runtimes.registry import reads_graphs
from lookup_tables.target import Deployment
from nas_service.compilation.base import FloatArray32, Source
from nas_service.compilation.samples import read_samples
from nas_service.storage import artifacts
from nas_service.storage.artifacts import StoredArtifact
from nas_service.storage.searches import StoredWinner
from nas_service.worker.context import Context


@dataclass(frozen=True)
class WinnerFiles:
    """By deployment: the graph, all forms for a compiler, and the network's own `outputs`.

    `samples` `(n, ...)` are what the outputs are of.
    """

    graphs: Mapping[str, Path]
    sources: Mapping[str, Source]
    samples: FloatArray32
    outputs: Mapping[str, FloatArray32]


def files_of(
    context: Context,
    stored: Mapping[str, StoredArtifact],
    deployments: Sequence[str],
    folder: Path,
) -> WinnerFiles:
    """Copies of a winner's artifacts below `folder`."""

    def copied(name: str) -> Path:
        path = folder / name  # anew each time: what a crash left there may be half a file
        with context.blobs.local(stored[name].sha256) as blob:
            shutil.copyfile(blob, path)
        return path

    graphs, sources, outputs = {}, {}, {}
    for name in deployments:
        one = Deployment.parse(name)
        prefix = f"{one.recipe}." if one.recipe else ""
        graphs[name] = copied(f"{one.graph}.onnx")
        sources[name] = Source(graphs[name])
        if not reads_graphs(one.runtime):  # it quantises by itself
            program = copied(f"{prefix}program.pt2")
            calibration = copied(f"{prefix}calibration.npz")
            plain = stored.get(f"{prefix}fp32.onnx")
            graph = copied(plain.name) if plain else graphs[name]
            sources[name] = Source(graph, program, calibration)
        parity = copied(f"{prefix}parity.npz")
        samples, outputs[name] = read_samples(parity), read_samples(parity, "outputs")
    return WinnerFiles(graphs, sources, samples, outputs)


def shipped_file(
    session: Session,
    context: Context,
    winner: StoredWinner,
    name: str,
    compiled: Path,
    stored: dict[str, StoredArtifact],
) -> StoredArtifact:
    """What ships in a deployment: the compiled file, or the graph where that is the same bytes."""
    graph = stored[f"{Deployment.parse(name).graph}.onnx"]
    same_bytes = hashlib.sha256(compiled.read_bytes()).hexdigest() == graph.sha256
    if same_bytes and compiled.suffix == Path(graph.name).suffix:
        return graph
    return artifacts.add_artifact(
        session,
        context.blobs,
        compiled,
        owner=winner.id,
        name=compiled.name,
        kind="compiled",
        lineage={**graph.lineage, "deployment": name},
    )

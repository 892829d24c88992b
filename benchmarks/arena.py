"""Peak memory as planned from block sizes, beside the arena that LiteRT lays out.

Random networks of a space are converted to LiteRT; the arena is that of its own kernels, without
XNNPACK, as microcontrollers have it. The plan alone, and the plan times the ratio that is fitted on
the first networks, as tables do it, are held against the arenas of the others.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.rows import Row, parser, report
from lookup_tables.ratio import fit_ratio
from lookup_tables.runtimes.litert import arena_bytes
from lookup_tables.runtimes.registry import runtime, runtime_versions
from lookup_tables.target import Target
from nas_service.learning.signals.window import Window
from nas_service.plugins import SPACES, load
from nas_service.search.memory import ArenaModel
from nas_service.space.base import FloatArray, ImageShape, Sample
from nas_service.space.sampling import distinct
from nas_service.worker.tasks.profile_files import network_files
from predictors.quality import spearman

SAMPLES: dict[str, Sample] = {"temporal": Window(128, 6, 4), "mbconv": ImageShape(32, 3, 10)}


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("arena", __doc__ or "")
    options.add_argument("--space", action="append", choices=list(SAMPLES), help="default: both")
    options.add_argument("--precision", action="append", choices=["fp32", "int8"])
    options.add_argument("--fit", type=int, default=10, help="networks that the ratio is fitted on")
    options.add_argument("--networks", type=int, default=20, help="networks it is held against")
    given = options.parse_args(arguments)
    rows: list[Row] = []
    for name in given.space or SAMPLES:
        for precision in given.precision or ("fp32", "int8"):
            rows += _compared(name, precision, given.fit, given.networks, given.seed)
    report(rows, given.out)
    return 0


def _compared(name: str, precision: str, n_fit: int, n: int, seed: int) -> list[Row]:
    space = load(SPACES, name)(SAMPLES[name])
    genotypes = distinct(space, n_fit + n, np.random.default_rng([seed, 31]))
    target = Target("this-machine", "litert", runtime_versions()["litert"], precision)
    with tempfile.TemporaryDirectory() as folder:
        files = network_files(
            space, genotypes, [target], Path(folder), _say, (0.0, 1.0), None, len(genotypes)
        )
        key = target.deployment.name
        found = [arena_bytes(files[number][key]) for number in range(len(genotypes))]
    arena = np.array([np.nan if one is None else one for one in found], dtype=np.float64)
    width = runtime("litert").arena_number_bytes[precision]
    planned = ArenaModel(space).peak_numbers(genotypes) * width
    ratio = fit_ratio(planned[:n_fit], arena[:n_fit]).ratio
    case = f"{name}, litert:{precision}"
    rows = []
    for method, estimate in (("plan", planned), ("plan, ratio of the first", ratio * planned)):
        errors = _errors(estimate[n_fit:], arena[n_fit:])
        rows += [
            Row("arena", case, method, "mean error", n, float(errors.mean())),
            Row("arena", case, method, "largest error", n, float(errors.max())),
        ]
    rows.append(Row("arena", case, "ratio", "arena over plan", n_fit, ratio))
    together = spearman(planned[n_fit:], arena[n_fit:])
    return [*rows, Row("arena", case, "plan", "Spearman", n, together)]


def _errors(estimate: FloatArray, arena: FloatArray) -> FloatArray:
    return np.asarray(np.abs(estimate / arena - 1.0))


def _say(fraction: float, message: str) -> None:
    print(f"{100 * fraction:3.0f} % {message}", file=sys.stderr)

"""Passes on graphs: static, mixed and dynamic int8, and fp16."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from lookup_tables.measuring.feeds import keep_feeds
from lookup_tables.measuring.timing import Protocol
from lookup_tables.profile import LocalProfiler
from lookup_tables.quantized import LAYERS, half_precision, names_in, prepared, quantize
from lookup_tables.target import Target
from nas_service.compression.base import GraphContext
from nas_service.compression.graph_samples import outputs_of
from nas_service.errors import Unsupported, as_unsupported
from nas_service.recorded.feeds import Named

_ROUNDING = 1e-9
_TRIAL = Protocol(turns=12, most_turns=12, repeats=5)
_CLEARLY = 0.97
"""Faster by more than what timings repeat within."""
_PERCENTILE = 99.99
"""Of what an operator gives, that ranges hold where the rarest numbers are cut off."""
_SENSITIVE_ON = 32
"""Held-out samples that a layer's sensitivity comes from."""
_RANGES_OF_ONE = 8
"""Samples for ranges where a layer alone is quantised."""
_RANGES_IN_MEMORY = 16


class StaticInt8Pass:
    """Ranges from training samples, then int8 weights and activations.

    Options: n_images; activations, uint8 (fast on x86 and Arm here), int8 (symmetric, with biases
    in float: what TensorRT takes), or measured: both are timed on this machine, and int8 is taken
    where it is clearly faster; operators, all or layers: convolutions and matrix products alone.
    """

    def apply(self, source: Path, destination: Path, context: GraphContext) -> None:
        """Write the int8 graph."""
        wanted = context.options.get("activations", "uint8")
        trial = _Trial(source, context, layers_only=context.options.get("operators") == "layers")
        if wanted != "measured":
            trial.write(destination, signed=wanted == "int8")
            return
        with tempfile.TemporaryDirectory(dir=destination.parent) as name:
            made = [Path(name) / f"{kind}.onnx" for kind in ("uint8", "int8")]
            for path in made:
                trial.write(path, signed=path.stem == "int8")
            shutil.move(_clearly_faster(made, source, context), destination)


class MixedInt8Pass:
    """int8 where it costs little, float where it costs much.

    All operators first; where that loses more than `max_loss` of the score on held-out samples, or
    cannot be done, the layers alone, with ranges of all that was seen and then without the rarest
    numbers; then layers go back to float, most sensitive first, until the score is within
    `max_loss` of the float graph's. A layer's sensitivity is the noise of the outputs, each over
    its variance, when it alone is in int8.

    With `fastest`, layers alone are tried where all operators would do, too, and are taken where
    they are clearly faster on this machine: what lies between layers is often not faster in int8.
    """

    def apply(self, source: Path, destination: Path, context: GraphContext) -> None:
        """Write the mixed graph.

        Raises:
            Unsupported: the quantiser does not take it, or no layer may be in int8.
        """
        wanted = context.samples.score(source) - float(context.options["max_loss"]) - _ROUNDING
        with tempfile.TemporaryDirectory(dir=destination.parent) as name:
            ready = Path(name) / "prepared.onnx"
            with as_unsupported("ONNX Runtime cannot quantise it"):
                prepared(source, ready)  # layers are told apart by the names that they have there
                kept = names_in(source, ready, context.keep_float)
            context = replace(context, keep_float=kept)
            trial, other = (Path(name) / f"{one}.onnx" for one in ("trial", "layers"))
            every = _Trial(ready, context, is_prepared=True)
            layers = replace(every, layers_only=True)
            without_rare = replace(layers, percentile=_PERCENTILE)
            best: tuple[float, _Trial] = (-np.inf, layers)
            for one in (every, layers, without_rare):
                score = self._scored(one, trial)
                if score >= wanted:
                    break
                if one.layers_only and score > best[0]:
                    best = score, one
            else:
                self._fewest_in_float(best[1], trial, wanted)
            both = context.options.get("fastest") and not one.layers_only
            if both and self._scored(layers, other) >= wanted and _in_integers(other):
                trial = _clearly_faster([trial, other], source, context)
            shutil.move(trial, destination)

    def _scored(self, trial: _Trial, made: Path) -> float:
        """What a trial is worth; nothing where all operators cannot be quantised."""
        try:
            trial.write(made)
            return trial.context.samples.score(made)
        except Unsupported:
            if trial.layers_only:
                raise
            return -np.inf

    def _fewest_in_float(self, trial: _Trial, made: Path, wanted: float) -> None:
        layers = _by_sensitivity(trial, made.parent)
        low, high = 0, len(layers)  # how many stay in float: fewest that are enough
        while low < high:
            middle = (low + high) // 2
            trial.write(made, excluded=layers[:middle])
            if trial.context.samples.score(made) >= wanted:
                high = middle
            else:
                low = middle + 1
        if high == len(layers):
            raise Unsupported(
                f"none of {len(layers)} layers can be in int8 without more loss than is allowed"
            )
        trial.write(made, excluded=layers[:high])


def _in_integers(graph: Path) -> bool:
    """Whether anything of a graph is in integers at all."""
    nodes = onnx.load(graph, load_external_data=False).graph.node
    return any(one.op_type == "QuantizeLinear" for one in nodes)


def _clearly_faster(made: Sequence[Path], source: Path, context: GraphContext) -> Path:
    """The second of two graphs where it is clearly faster on this machine, else the first."""
    sample = context.samples.held_out(source)[0]
    for path in made:
        keep_feeds(path, sample)
    files = {path.stem: path for path in made}
    target = Target("this-machine", "onnxruntime", "", "int8")
    timings = LocalProfiler().measure(files, target, protocol=_TRIAL, seed=context.seed)
    first, second = (timings[path.stem].p50_ms for path in made)
    return made[second < _CLEARLY * first]


@dataclass(frozen=True)
class _Trial:
    """A graph that is quantised, this way and that."""

    source: Path
    context: GraphContext
    layers_only: bool = False
    percentile: float | None = None
    is_prepared: bool = False

    def write(
        self,
        destination: Path,
        *,
        signed: bool = False,
        excluded: Sequence[str] = (),
        only: Sequence[str] | None = None,
        most: int | None = None,
    ) -> None:
        """Write its int8 form; ranges come from `most` samples.

        Raises:
            Unsupported: the quantiser does not take it.
        """
        wanted = int(self.context.options.get("n_images", 128))
        if self.percentile is not None:  # it keeps all that every operator gave in memory
            wanted = min(wanted, _RANGES_IN_MEMORY)
        batches = self.context.samples.for_ranges(self.source, min(wanted, most or wanted))
        with as_unsupported("ONNX Runtime cannot quantise it"):
            quantize(
                self.source,
                destination,
                [dict(one) for one in batches],
                signed=signed,
                only=only,
                excluded=[*self.context.keep_float, *excluded],
                layers_only=self.layers_only,
                percentile=self.percentile,
                is_prepared=self.is_prepared,
            )


class DynamicInt8Pass:
    """int8 weights; activations are quantised while the network runs. No samples are needed."""

    def apply(self, source: Path, destination: Path, context: GraphContext) -> None:
        """Write the graph."""
        from onnxruntime.quantization import QuantType, quantize_dynamic

        partial = destination.with_name(destination.name + ".partial")
        # unsigned weights: ONNX Runtime has no kernel of integer convolution for signed ones
        with as_unsupported("ONNX Runtime cannot quantise it"):
            quantize_dynamic(
                str(source),
                str(partial),
                weight_type=QuantType.QUInt8,
                nodes_to_exclude=list(context.keep_float),
            )
        partial.replace(destination)


class Fp16Pass:
    """Half-precision weights and arithmetic; inputs and outputs stay fp32."""

    def apply(self, source: Path, destination: Path, context: GraphContext) -> None:
        """Write the graph."""
        half_precision(source, destination, keep_float=context.keep_float)


def _by_sensitivity(trial: _Trial, folder: Path) -> list[str]:
    """Names of convolutions and matrix products, those that int8 hurts most first."""
    kept = set(trial.context.keep_float)
    nodes = onnx.load(trial.source, load_external_data=False).graph.node
    layers = [n.name for n in nodes if n.op_type in LAYERS and n.name not in kept]
    samples = trial.context.samples.held_out(trial.source)[:_SENSITIVE_ON]
    plain = _flat(trial.source, samples)
    spread = [max(float(one.var()), 1e-12) for one in plain]
    noise = {}
    for layer in layers:
        made = folder / "layer.onnx"
        trial.write(made, only=[layer], most=_RANGES_OF_ONE)
        found = _flat(made, samples)
        parts = zip(found, plain, spread, strict=True)
        noise[layer] = max(noise_of(a, b) / over for a, b, over in parts)
    return sorted(layers, key=lambda name: -noise[name])


def noise_of(found: np.ndarray, plain: np.ndarray) -> float:
    """Mean square of what numbers are off; without bound where there are more or fewer of them."""
    if found.shape != plain.shape:  # an output whose sizes follow from what is computed
        return math.inf
    return float(((found - plain) ** 2).mean()) if plain.size else 0.0


def _flat(graph: Path, feeds: Sequence[Named]) -> list[np.ndarray]:
    """Each output's numbers over all samples."""
    answers = outputs_of(graph, feeds)
    return [
        np.concatenate([one.ravel() for one in some]).astype(np.float64)
        for some in zip(*answers, strict=True)
    ]

"""Static int8 quantisation of ONNX graphs for ONNX Runtime: one recipe for blocks and networks.

Unsigned activations, signed weights with a scale a channel, quantise and dequantise nodes (QDQ):
the form for which ONNX Runtime's x86 and Arm kernels are fast. A table priced with another
form than the networks ship in would price something else.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import lru_cache
from io import StringIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from lookup_tables.errors import LookupTableError
from lookup_tables.in_float import before_logarithms, keep_pools_in_float
from lookup_tables.target import this_device

Array = npt.NDArray[np.float32]


LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators with weights that are quantised, and take nearly all of the time."""
_HALF_LARGEST = 1e4
"""What the fp16 converter cuts constants off at."""
_HALF_SMALLEST = 6e-5
"""The smallest number that fp16 holds in full precision."""


class _Batches(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, batches: Sequence[dict[str, Array]]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> dict[str, Array] | None:
        return next(self._batches, None)


def quantize(
    source: Path,
    destination: Path,
    batches: Sequence[dict[str, Array]],
    *,
    signed: bool = False,
    only: Sequence[str] | None = None,
    excluded: Sequence[str] = (),
    layers_only: bool = False,
    percentile: float | None = None,
    is_prepared: bool = False,
) -> None:
    """Write the int8 form of the graph at `source`, with ranges seen on `batches`.

    A batch maps input names to arrays of the graph's own shapes. Activations are unsigned unless
    `signed`: then they are symmetric too and biases stay in float, as TensorRT wants it. `only` and
    `excluded` name the nodes that are quantised, and that are not; `layers_only` leaves all but
    `LAYERS` in float. Ranges hold all that was seen, or `percentile` % of it. What
    `prepared` wrote is taken as it is where `is_prepared`. Average pools stay in
    float, and energies before their logarithm. Weights have 7 bits where this processor's 8-bit
    products saturate; see `products_saturate`.
    """
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # the library logs advice on the root logger
    ort.set_default_logger_severity(3)  # and opens sessions that warn of what it left unused
    try:
        with tempfile.TemporaryDirectory(dir=destination.parent) as folder:
            ready, made = Path(folder) / "prepared.onnx", Path(folder) / "made.onnx"
            if is_prepared:
                shutil.copyfile(source, ready)
            else:
                prepared(source, ready)
            every = only is None and not layers_only
            in_float = [*keep_pools_in_float(ready), *before_logarithms(ready)] if every else []
            if layers_only:
                in_float = before_logarithms(ready)
            ranges = {} if percentile is None else {"CalibPercentile": percentile}
            with redirect_stdout(StringIO()):  # where it tells of its histograms
                quantize_static(
                    str(ready),
                    str(made),
                    _Batches(batches),
                    quant_format=QuantFormat.QDQ,
                    per_channel=True,
                    activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                    reduce_range=not signed and products_saturate(),
                    nodes_to_quantize=None if only is None else list(only),
                    nodes_to_exclude=[*names_in(source, ready, excluded), *in_float],
                    op_types_to_quantize=list(LAYERS) if layers_only else None,
                    calibrate_method=(
                        CalibrationMethod.MinMax
                        if percentile is None
                        else CalibrationMethod.Percentile
                    ),
                    extra_options={
                        "ActivationSymmetric": signed,
                        "QuantizeBias": not signed,
                        **ranges,
                    },
                )
            model = onnx.load(made)
            sort_nodes(model.graph)  # what only branches read may have come after these
            onnx.save(model, made)
            made.replace(destination)
    finally:
        logger.setLevel(level)


def prepared(source: Path, destination: Path) -> None:
    """Write the graph as it is quantised, every node with a name.

    Normalisation and biases are joined with the layers before them, so that some layers have other
    names than in the source.
    """
    quant_pre_process(str(source), str(destination), skip_symbolic_shape=True)
    model = onnx.load(destination)
    name_nodes(model)
    _flatten_biases(model)
    onnx.save(model, destination)


def _flatten_biases(model: onnx.ModelProto) -> None:
    """Make biases `(1, n)` of matrix products `(n,)`, which is the same there.

    Products and sums are joined to such, and the quantiser takes them for one number (onnxruntime
    issue 24815).
    """
    read_by: dict[str, set[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            read_by.setdefault(name, set()).add(node.op_type)
    biases = {
        node.input[2] for node in model.graph.node if node.op_type == "Gemm" and node.input[2:]
    }
    for one in model.graph.initializer:
        flat = len(one.dims) == 2 and one.dims[0] == 1 and one.dims[1] > 1
        if flat and one.name in biases and read_by[one.name] == {"Gemm"}:
            del one.dims[0]


def names_in(source: Path, ready: Path, names: Sequence[str]) -> list[str]:
    """What nodes of `source` are called in the prepared graph: there the same weights are theirs.

    Raises:
        LookupTableError: a node is not there any more.
    """
    if not names:
        return []
    before = {node.name: node for node in onnx.load(source, load_external_data=False).graph.node}
    after = onnx.load(ready, load_external_data=False).graph.node
    here = {node.name for node in after}
    found = []
    for name in names:
        if name in here:
            found.append(name)
            continue
        weights = set(before[name].input[1:]) if name in before else set()
        theirs = [node.name for node in after if weights & set(node.input[1:])]
        if not theirs:
            raise LookupTableError(f"node {name} cannot stay in float: it was joined with others")
        found += theirs
    return found


@lru_cache(maxsize=1)
def products_saturate() -> bool:
    """Whether pairs of unsigned times signed bytes are added up in 16 bits on this processor.

    x86 without VNNI does (`vpmaddubsw`): 255 * 127 * 2 does not fit, and outputs are wrong without
    a word. On such an EPYC digits lost 5 points in int8, and none with weights of 7 bits.
    """
    device = this_device("here")
    vnni = {"avx512_vnni", "avx_vnni", "amx_int8"} & set(device.instruction_sets)
    return device.labels.get("machine") in {"x86_64", "AMD64"} and not vnni


def half_precision(source: Path, destination: Path, *, keep_float: Sequence[str] = ()) -> None:
    """Write the graph with fp16 weights and arithmetic; inputs and outputs stay fp32.

    So do the nodes of `keep_float`, and those with constants that fp16 cannot hold: the converter
    would cut them off.
    """
    from onnxruntime.transformers import float16

    model = onnx.load(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells of every weight that it rounds to zero
        model = float16.convert_float_to_float16(
            model,
            keep_io_types=True,
            node_block_list=[*_beyond_half(model), *keep_float],
        )
    sort_nodes(model.graph)  # it puts conversions of inputs at the end
    partial = destination.with_name(destination.name + ".partial")
    onnx.save(model, partial)
    partial.replace(destination)


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Put a graph's nodes, and those of graphs inside of it, behind all that they read."""
    for node in graph.node:
        for inner in _graphs_in(node):
            sort_nodes(inner)
    maker = {name: at for at, node in enumerate(graph.node) for name in node.output if name}
    reads = [{maker[one] for one in _read_by(node) if one in maker} for node in graph.node]
    if all(max(before, default=-1) < at for at, before in enumerate(reads)):
        return
    readers: list[list[int]] = [[] for _ in reads]
    for at, before in enumerate(reads):
        for one in before:
            readers[one].append(at)
    missing = [len(before) for before in reads]
    ordered = [at for at, n in enumerate(missing) if not n]
    for at in ordered:  # which grows meanwhile
        for one in readers[at]:
            missing[one] -= 1
            if not missing[one]:
                ordered.append(one)
    if len(ordered) < len(reads):
        raise ValueError("nodes of a graph read one another in a circle")
    copies = [onnx.NodeProto.FromString(graph.node[at].SerializeToString()) for at in ordered]
    del graph.node[:]
    graph.node.extend(copies)


def _graphs_in(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    found = []
    for one in node.attribute:
        found += [one.g] if one.HasField("g") else []
        found += one.graphs
    return found


def _read_by(node: onnx.NodeProto) -> set[str]:
    """Names that a node reads, from within graphs inside of it, too."""
    found = set(node.input)
    for inner in _graphs_in(node):
        own = {name for one in inner.node for name in one.output}
        own |= {one.name for one in [*inner.input, *inner.initializer]}
        read = set().union(*map(_read_by, inner.node), (one.name for one in inner.output))
        found |= read - own
    return found - {""}


def _beyond_half(model: onnx.ModelProto) -> list[str]:
    """Names of nodes that read a constant too large for fp16, or one too small as a whole.

    Sums of many skip connections have variances of 1e8 where they are normalised.
    """
    constants = {one.name: one for one in model.graph.initializer}
    name_nodes(model)
    for node in model.graph.node:
        if node.op_type == "Constant":
            for one in node.attribute:
                if one.name == "value":
                    constants[node.output[0]] = one.t
    outside = set()
    for name, constant in constants.items():
        if constant.data_type == onnx.TensorProto.FLOAT:
            largest = float(np.abs(numpy_helper.to_array(constant)).max(initial=0.0))
            if largest > _HALF_LARGEST or 0.0 < largest < _HALF_SMALLEST:
                outside.add(name)
    return [node.name for node in model.graph.node if outside & {*node.input, *node.output}]


def name_nodes(model: onnx.ModelProto) -> None:
    """Give nodes without a name one that no other has."""
    taken = {node.name for node in model.graph.node}
    for number, node in enumerate(model.graph.node):
        if not node.name:
            name = f"node_{number}"
            while name in taken:
                name += "_"
            taken.add(name)
            node.name = name


def is_half(path: Path) -> bool:
    """Whether a graph has fp16 weights already."""
    weights = onnx.load(path, load_external_data=False).graph.initializer
    return any(one.data_type == onnx.TensorProto.FLOAT16 for one in weights)


def is_quantized(path: Path) -> bool:
    """Whether a graph has quantise and dequantise nodes, or integer operators."""
    nodes = onnx.load(path, load_external_data=False).graph.node
    return any("QuantizeLinear" in n.op_type or n.op_type.startswith("QLinear") for n in nodes)


def is_symmetric(path: Path) -> bool:
    """Whether all of a quantised graph is int8 around zero: neither uint8 nor int32 biases."""
    graph = onnx.load(path).graph
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    zeros = [
        constants.get(node.input[2]) if len(node.input) > 2 else None
        for node in graph.node
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"}
    ]
    return bool(zeros) and all(
        zero is not None and zero.dtype == np.int8 and not zero.any() for zero in zeros
    )


def with_integer_borders(path: Path) -> None:
    """Rewrite a quantised block in place to take and give uint8 tensors.

    Between two blocks of a quantised network activations stay uint8; a block measured with float
    borders would pay for conversions that the network does not make. A block that was left in float
    gets conversions inside its borders, as it has them in a network.
    """
    model = onnx.load(path)
    graph = model.graph
    nodes = list(graph.node)
    for value in list(graph.input):
        readers = [n for n in nodes if value.name in n.input]
        if any(n.op_type != "QuantizeLinear" for n in readers):
            inner = f"{value.name}_float"
            _rename(nodes, value.name, inner)
            nodes.insert(0, _conversion(graph, "DequantizeLinear", value.name, inner))
            _set_integer(value, value.name)
            continue
        inner = readers[0].output[0]
        for reader in readers:
            _rename(nodes, reader.output[0], inner)
            nodes.remove(reader)
        _set_integer(value, inner)
    for value in list(graph.output):
        writer = next(n for n in nodes if value.name in n.output)
        if writer.op_type != "DequantizeLinear":
            outer = f"{value.name}_uint8"
            nodes.append(_conversion(graph, "QuantizeLinear", value.name, outer))
            _set_integer(value, outer)
            continue
        nodes.remove(writer)
        _set_integer(value, writer.input[0])
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, path)


def _conversion(graph: onnx.GraphProto, operator: str, source: str, result: str) -> onnx.NodeProto:
    """A conversion between float and uint8 with a scale of its own."""
    names = [f"{result}_scale", f"{result}_zero_point"]
    graph.initializer.append(numpy_helper.from_array(np.array(0.05, np.float32), names[0]))
    graph.initializer.append(numpy_helper.from_array(np.array(128, np.uint8), names[1]))
    return helper.make_node(operator, [source, *names], [result])


def _rename(nodes: Sequence[onnx.NodeProto], old: str, new: str) -> None:
    for node in nodes:
        for place, name in enumerate(node.input):
            if name == old:
                node.input[place] = new


def _set_integer(value: onnx.ValueInfoProto, name: str) -> None:
    value.name = name
    value.type.tensor_type.elem_type = onnx.TensorProto.UINT8

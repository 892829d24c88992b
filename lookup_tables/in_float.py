"""Operators that stay in float in an int8 graph, whatever is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

_MOST_LAYERS = 2
"""Before a logarithm: a transform and its bands. What ends a whole network in one is no such."""
_LAYERS = {"Conv", "Gemm", "MatMul"}


def keep_pools_in_float(path: Path) -> list[str]:
    """Let average pools compute in float though all around them is int8; the nodes that do.

    ONNX Runtime joins a pool and the conversions beside it to an integer pool that takes ten times
    as long as the float one (a cell of two pools: 3.2 ms for 0.6 ms). A maximum with the lowest
    float changes nothing, is not optimised away, and stands between the pool and its conversion.
    """
    model = onnx.load(path)
    graph = model.graph
    types = {one.name: one.type.tensor_type.elem_type for one in (*graph.input, *graph.value_info)}
    single = onnx.TensorProto.FLOAT
    pools = [
        node
        for node in graph.node
        if node.op_type == "AveragePool" and types.get(node.input[0], single) == single
    ]
    if not pools:
        return []
    if "lowest_float" not in {one.name for one in graph.initializer}:
        lowest = np.array(np.finfo(np.float32).min, np.float32)
        graph.initializer.append(numpy_helper.from_array(lowest, "lowest_float"))
    names = []
    for number, pool in enumerate(pools):
        pool.name = pool.name or f"average_pool_{number}"
        (result,) = pool.output
        pool.output[0] = f"{result}_pooled"
        guard = helper.make_node(
            "Max", [pool.output[0], "lowest_float"], [result], name=f"{pool.name}_in_float"
        )
        graph.node.insert(list(graph.node).index(pool) + 1, guard)
        names += [pool.name, guard.name]
    onnx.save(model, path)
    return names


def before_logarithms(path: Path) -> list[str]:
    """Names of nodes that energies come from whose logarithm is taken, that included.

    A range of eight bits has 256 levels; energies of a signal span millions, and their logarithm
    needs the small ones.
    """
    nodes = onnx.load(path, load_external_data=False).graph.node
    made_by = {name: node for node in nodes for name in node.output}
    found: list[str] = []
    for node in nodes:
        if node.op_type != "Log":
            continue
        above, left = [], [node]
        while left:
            one = left.pop()
            if one not in above:
                above.append(one)
                left += [made_by[name] for name in one.input if name in made_by]
        if sum(one.op_type in _LAYERS for one in above) <= _MOST_LAYERS:
            found += [one.name for one in above if one.name]
    return list(dict.fromkeys(found))

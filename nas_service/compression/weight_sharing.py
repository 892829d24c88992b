"""Weight sharing: a layer's weights take few values (Han et al., 2016, "Deep Compression").

The graph that ships holds a byte a weight and a code book a layer, which runtimes unfold when they
load it: the network runs as fast as before, and no faster. Entropy-coded (LZMA) the file is smaller
still, since some values are much more frequent than others.
"""

from __future__ import annotations

import copy
import lzma
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.cluster import KMeans
from torch import nn

from nas_service.compression.base import PassContext
from nas_service.compression.masks import bake, weighted_layers

_MIN_WEIGHTS = 256
_ROUNDS = 50


class ClusterPass:
    """Shares weights layer by layer by k-means, starting from even steps; option: clusters."""

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The copy whose layers have at most `clusters` different weights; zeros stay zero."""
        clusters = int(context.options["clusters"])
        copied = copy.deepcopy(bake(network))
        for layer in weighted_layers(copied):
            weight = layer.weight.detach()
            if weight.numel() >= _MIN_WEIGHTS:
                shared = _shared(weight.numpy().ravel(), clusters).reshape(weight.shape)
                layer.weight = nn.Parameter(torch.from_numpy(shared))
        return copied


def _shared(values: np.ndarray, clusters: int) -> np.ndarray:
    """Each value replaced by the centre of its cluster; zero is a centre where there are zeros."""
    moved = values != 0
    zeros = not moved.all()
    wanted = values[moved].astype(np.float64)[:, None]
    k = min(clusters - zeros, len(np.unique(wanted)))
    if k < 1:
        return values
    start = np.linspace(wanted.min(), wanted.max(), k)[:, None]
    found = KMeans(k, init=start, n_init=1, max_iter=_ROUNDS).fit(wanted)
    result = np.zeros_like(values)
    result[moved] = found.cluster_centers_[found.labels_, 0]
    return result


def pack(source: Path, destination: Path) -> None:
    """Write a graph whose shared weights are indices into code books; the same network."""
    model = onnx.load(source)
    graph = model.graph
    kept, nodes = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        book, indices = np.unique(values, return_inverse=True)
        if values.dtype != np.float32 or values.size < _MIN_WEIGHTS or len(book) > 256:
            kept.append(tensor)
            continue
        name = tensor.name
        rows = indices.astype(np.uint8).reshape(values.shape)
        kept.append(numpy_helper.from_array(book, f"{name}_values"))
        kept.append(numpy_helper.from_array(rows, f"{name}_indices"))
        wide = f"{name}_wide"
        nodes.append(helper.make_node("Cast", [f"{name}_indices"], [wide], to=TensorProto.INT32))
        nodes.append(helper.make_node("Gather", [f"{name}_values", wide], [name]))
    nodes += graph.node
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    partial = destination.with_name(destination.name + ".partial")
    onnx.save(model, partial)
    partial.replace(destination)


def entropy_coded(source: Path, destination: Path) -> None:
    """Write `source` LZMA-coded (.xz); `xz -d` gives it back byte for byte."""
    partial = destination.with_name(destination.name + ".partial")
    partial.write_bytes(lzma.compress(source.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
    partial.replace(destination)

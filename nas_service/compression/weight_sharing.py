"""Weight sharing: a layer's weights take few values (Han et al., 2016, "Deep Compression").

The graph that ships holds a byte a weight and a code book a layer, which runtimes unfold when they
load it: the network runs as fast as before, and no faster. Entropy-coded (LZMA) the file is smaller
still, since some values are much more frequent than others. Shared values are trained on with their
gradients summed over the places that share them (section 3 of that paper).
"""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.cluster import KMeans
from torch import Tensor, nn
from torch.nn.utils import parametrize

from nas_service.compression.base import PassContext
from nas_service.compression.distillation import recipe_of
from nas_service.compression.masks import bake, weighted_layers
from nas_service.compression.quantization_aware import folded
from nas_service.training.loop import train

_MIN_WEIGHTS = 256
_ROUNDS = 50


class ClusterPass:
    """Shares weights layer by layer by k-means, then trains what is shared.

    Options: `clusters`, and `finetune`'s with `epochs` from 0.
    """

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The copy whose layers have at most `clusters` different weights; zeros stay zero.

        Normalisation is folded into convolutions first, as it is where the network ships: folded
        later it would part again what is shared.
        """
        clusters = int(context.options["clusters"])
        copied = folded(bake(network))
        for layer in weighted_layers(copied):
            if layer.weight.numel() >= _MIN_WEIGHTS:
                shared = SharedWeight(layer.weight.detach(), clusters)
                parametrize.register_parametrization(layer, "weight", shared)
        if context.options.get("epochs", 0):
            recipe = recipe_of(context)
            train(
                copied,
                context.data,
                context.size,
                recipe,
                seed=context.seed,
                teacher=context.teacher,
            )
        return bake(copied).eval()


class SharedWeight(nn.Module):
    """A weight by its places in a book of values; the parameter is how far each value has moved.

    In units of 1/sqrt(its places): then a step of gradient descent moves a value by the mean of the
    steps its places would have taken, and a learning rate means what it means without sharing.
    """

    def __init__(self, weight: Tensor, clusters: int) -> None:
        super().__init__()
        shared = _shared(weight.numpy().ravel(), clusters).reshape(weight.shape)
        book, places, counts = np.unique(shared, return_inverse=True, return_counts=True)
        self.register_buffer("book", torch.from_numpy(book))
        self.register_buffer("places", torch.from_numpy(places.reshape(weight.shape)))
        unit = np.where(book == 0, 0.0, 1.0 / np.sqrt(counts)).astype(np.float32)
        self.register_buffer("unit", torch.from_numpy(unit))

    book: Tensor
    places: Tensor
    unit: Tensor

    def forward(self, moved: Tensor) -> Tensor:
        """The weight whose values have `moved` `(k,)`."""
        return (self.book + self.unit * moved)[self.places]

    def right_inverse(self, weight: Tensor) -> Tensor:
        """At the start no value has moved, whatever the weight was before it was shared."""
        del weight
        return torch.zeros_like(self.book)


def _shared(values: np.ndarray, clusters: int) -> np.ndarray:
    """Each value replaced by the centre of its cluster; zero is a centre where there are zeros.

    Clusters start at even steps, which keeps the few large weights apart from the many small ones.
    """
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

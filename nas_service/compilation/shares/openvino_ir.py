"""OpenVINO files: layers behind FakeQuantize whose weights are stored as integers."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from xml.etree.ElementTree import Element  # the type alone: defusedxml reads

from defusedxml.ElementTree import fromstring

from nas_service.compilation.shares.base import Layer, Shares, counted

_LAYERS = {"Convolution", "GroupConvolution", "MatMul", "ConvolutionBackpropData"}
_BETWEEN = {"Convert", "Multiply", "Subtract", "Reshape", "Transpose", "FakeQuantize"}
"""What may lie between a stored weight and its layer."""
_PASSING = {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "MaxPool"}
"""What moves quantised numbers on as they are."""
_INTEGER = {"i8", "u8"}


@dataclass(frozen=True, slots=True)
class _Node:
    """An operator, with the operators that its inputs come from, by port."""

    kind: str
    name: str
    element_type: str
    size: int
    sources: Mapping[int, str]


def of_openvino(path: Path, precision: str) -> Shares | None:
    """The shares of a zip with `model.xml`; None for bf16, a hint that no file has in it."""
    if precision not in {"int8", "fp32"}:
        return None
    with zipfile.ZipFile(path) as archive:
        root = fromstring(archive.read("model.xml"))
    # branches and bodies of loops number their layers anew
    graphs = [_nodes(one) for one in root.iter() if one.find("layers") is not None]
    return counted([layer for nodes in graphs for layer in _layers(nodes, precision)])


def _layers(nodes: Mapping[str, _Node], precision: str) -> Iterator[Layer]:
    for node in nodes.values():
        if node.kind not in _LAYERS:
            continue
        weight = _weight(node, nodes)
        if weight is None:
            continue  # a product of two activations
        stored = weight.element_type in _INTEGER
        inside = stored and _quantised(node.sources.get(0, ""), nodes)
        if precision == "fp32":
            stored = inside = weight.element_type == "f32"
        yield Layer(node.name, weight.size, inside, stored)


def _nodes(graph: Element) -> dict[str, _Node]:
    sources: dict[str, dict[int, str]] = {}
    ports: dict[str, list[str]] = {}
    every = graph.findall("layers/layer")
    for one in every:
        ports[one.get("id", "")] = [port.get("id", "") for port in one.findall("input/port")]
    for edge in graph.findall("edges/edge"):
        into = edge.get("to-layer", "")
        port = ports[into].index(edge.get("to-port", ""))
        sources.setdefault(into, {})[port] = edge.get("from-layer", "")
    found = {}
    for one in every:
        number, data = one.get("id", ""), one.find("data")
        told = {} if data is None else data.attrib
        sides = told.get("shape", "").replace(" ", "").split(",")
        shape = [int(side) for side in sides if side.isdecimal()]  # "?" is an input's, of no weight
        found[number] = _Node(
            kind=one.get("type", ""),
            name=one.get("name", ""),
            element_type=told.get("element_type", ""),
            size=prod(shape),
            sources=sources.get(number, {}),
        )
    return found


def _weight(layer: _Node, nodes: Mapping[str, _Node]) -> _Node | None:
    """The stored weights that a layer's second input comes from."""
    at = nodes.get(layer.sources.get(1, ""))
    while at is not None and at.kind in _BETWEEN:
        at = nodes.get(at.sources.get(0, ""))
    return at if at is not None and at.kind == "Const" else None


def _quantised(number: str, nodes: Mapping[str, _Node]) -> bool:
    at = nodes.get(number)
    while at is not None and at.kind in _PASSING:
        at = nodes.get(at.sources.get(0, ""))
    return at is not None and at.kind == "FakeQuantize"

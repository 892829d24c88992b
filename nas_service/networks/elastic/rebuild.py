"""An exported program as a graph of modules that can be trained, narrowed and shortened.

A program holds its weights as plain tensors, its normalisation is frozen, and the batch of its
example is baked into reshapes. Here each layer with weights becomes a module again, normalisation
has statistics of its own, operators that write in place are replaced by their twins that do not,
and reshapes take any batch. The result is held against the program before anybody uses it.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor, fx, nn

from nas_service.networks.elastic.layers import ATEN, LAYERS, Maker, not_elastic

_TOLERANCE = 1e-4
"""Of the program's own answers, relative to the largest of them."""


def rebuild(program: Any) -> fx.GraphModule:
    """The program as a module of one input and one output, in inference mode.

    Raises:
        InvalidData: what in it cannot be trained again, and where.
    """
    source = program.module()
    example = _only_input(program)
    made = _Rebuilder(source, example.shape[0]).network()
    _require_same(made, source, example)
    _require_any_batch(made, source, example)
    return made


def _only_input(program: Any) -> Tensor:
    arguments, keywords = program.example_inputs
    if keywords or len(arguments) != 1 or not isinstance(arguments[0], Tensor):
        raise not_elastic("it takes something else than one tensor")
    example: Tensor = arguments[0]
    return example


def _require_same(made: nn.Module, source: nn.Module, example: Tensor) -> None:
    noise = torch.randn(example.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = _tensor(source(noise)), made(noise)
    if expected.shape != found.shape or _gap(found, expected) > _TOLERANCE:
        raise not_elastic("rebuilt from its graph it answers otherwise than the program does")


def _require_any_batch(made: nn.Module, source: nn.Module, example: Tensor) -> None:
    """Several samples at once have to get the answers that each gets alone."""
    generator = torch.Generator().manual_seed(1)
    batch = torch.randn((3, *example.shape[1:]), generator=generator)
    n = example.shape[0]
    with torch.no_grad():
        alone = [_tensor(source(one[None].expand(n, *one.shape).contiguous()))[:1] for one in batch]
        try:
            found = made(batch)
        except (RuntimeError, AssertionError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise not_elastic(f"the batch of its example is baked in ({reason})") from error
    if len(found) != len(batch) or _gap(found, torch.cat(alone)) > _TOLERANCE:
        raise not_elastic(
            "the batch of its example is baked in: samples are answered otherwise together"
        )


def _gap(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max().clamp_min(1e-6))


def _tensor(answered: Any) -> Tensor:
    if isinstance(answered, Tensor):
        return answered
    raise not_elastic("its output is not one tensor")


class _Rebuilder:
    """Goes over the program's nodes once, in order."""

    def __init__(self, source: fx.GraphModule, batch: int) -> None:
        self._source = source
        self._batch = batch
        self._root = nn.Module()
        self._graph = fx.Graph()
        self._made: dict[fx.Node, fx.Node] = {}
        self._same: dict[fx.Node, fx.Node] = {}
        self._latest: dict[fx.Node, fx.Node] = {}
        self._modules: dict[tuple[str, ...], str] = {}
        self._input: fx.Node | None = None

    def network(self) -> fx.GraphModule:
        """See `rebuild`."""
        for node in self._source.graph.nodes:
            made = self._one(node)
            if made is not None:
                self._made[node] = made
        network = fx.GraphModule(self._root, self._graph)
        network.graph.eliminate_dead_code()
        network.delete_all_unused_submodules()
        network.recompile()
        network.graph.lint()
        return network.eval()

    def _one(self, node: fx.Node) -> fx.Node | None:
        if node.op == "placeholder":
            if self._input is not None:
                raise not_elastic(
                    f"it takes several inputs ({node.name} beside {self._input.name})"
                )
            self._input = self._graph.placeholder(node.name)
            return self._input
        if node.op == "output":
            answers = list(_nodes_in(node.args))
            if len(answers) != 1:
                raise not_elastic(f"it gives {len(answers)} outputs, one is taken")
            self._graph.output(self._now(answers[0]))
            return None
        if node.op == "get_attr":
            return None  # made where it is read: as a module's weight, or by itself
        if node.op == "call_module":
            return None  # checks of the example's shape
        return self._call(node)

    def _call(self, node: fx.Node) -> fx.Node:
        maker = LAYERS.get(node.target)
        if maker is not None:
            weights = tuple(str(one.target) for one in node.args if _is_weight(one))
            if weights:
                return self._layer(node, maker, weights)
        target, args = node.target, self._mapped(node.args)
        if target in _STATIC_SHAPE and self._batch_leads(node):
            args = (args[0], self._any_batch(list(args[1])), *args[2:])
        if target is ATEN.expand.default and self._batch_leads(node):
            args = (args[0], [self._batch_now(), *args[1][1:]], *args[2:])
        twin = _twin(target)
        called: Any = twin or target
        made = self._graph.call_function(called, args, self._mapped(node.kwargs))
        written = node.args[0] if twin is not None else None
        if isinstance(written, fx.Node):  # whoever reads that tensor from here on sees the change
            self._same[node] = self._same.get(written, written)
            self._latest[self._same[node]] = made
        return made

    def _layer(self, node: fx.Node, maker: Maker, weights: tuple[str, ...]) -> fx.Node:
        name = self._modules.get((str(node.target), *weights))
        if name is None:
            values = [self._value(one) for one in node.args]
            module = maker(*values, **{k: self._value(v) for k, v in node.kwargs.items()})
            name = _free_name(self._root, weights[0])
            self._root.add_module(name, module)
            self._modules[(str(node.target), *weights)] = name
        return self._graph.call_module(name, (self._now(node.args[0]),))

    def _value(self, one: Any) -> Any:
        """A weight itself where a node reads one; other nodes as nothing."""
        if _is_weight(one):
            return _attribute(self._source, str(one.target))
        return None if isinstance(one, fx.Node) else one

    def _now(self, node: Any) -> fx.Node:
        """The node that holds what this one's tensor is by now."""
        tensor = self._same.get(node, node)
        if tensor in self._latest:
            return self._latest[tensor]
        if node not in self._made and node.op == "get_attr":
            self._made[node] = self._held(str(node.target))
        return self._made[node]

    def _held(self, target: str) -> fx.Node:
        value = _attribute(self._source, target)
        name = _free_name(self._root, target, whole=True)
        if isinstance(value, nn.Parameter):
            self._root.register_parameter(name, value)
        else:
            self._root.register_buffer(name, value)
        return self._graph.get_attr(name)

    def _mapped(self, values: Any) -> Any:
        if isinstance(values, fx.Node):
            return self._now(values)
        if isinstance(values, Mapping):
            return {key: self._mapped(one) for key, one in values.items()}
        if isinstance(values, Sequence) and not isinstance(values, str):
            kind = tuple if isinstance(values, tuple) else list
            return kind(self._mapped(one) for one in values)
        return values

    def _batch_leads(self, node: fx.Node) -> bool:
        shape = node.args[1]
        return isinstance(shape, list | tuple) and len(shape) > 1 and bool(shape[0] == self._batch)

    def _any_batch(self, shape: list[Any]) -> list[Any]:
        if all(one != -1 for one in shape[1:]):
            return [-1, *shape[1:]]
        return [self._batch_now(), *shape[1:]]

    def _batch_now(self) -> fx.Node:
        assert self._input is not None
        return self._graph.call_function(ATEN.sym_size.int, (self._input, 0))


_STATIC_SHAPE = {ATEN.view.default, ATEN.reshape.default, ATEN._unsafe_view.default}


def _twin(target: Any) -> Any:
    """The operator that gives a new tensor, of one that writes into its first argument."""
    schema = getattr(target, "_schema", None)
    if schema is None or not schema.name.startswith("aten::") or not schema.name.endswith("_"):
        return None
    packet = getattr(ATEN, schema.name.removeprefix("aten::").rstrip("_"), None)
    if packet is None:
        raise not_elastic(f"operator {schema.name} writes in place and has no twin that does not")
    return getattr(packet, target._overloadname)


def _is_weight(one: Any) -> TypeGuard[fx.Node]:
    return isinstance(one, fx.Node) and one.op == "get_attr"


def _nodes_in(values: Any) -> Sequence[fx.Node]:
    found: list[fx.Node] = []
    fx.node.map_arg(values, found.append)
    return found


def _attribute(module: nn.Module, target: str) -> Any:
    return operator.attrgetter(target)(module)


def _free_name(root: nn.Module, target: str, *, whole: bool = False) -> str:
    """A name for what was `layer.1.conv.weight`: `layer_1_conv`."""
    path = target if whole else target.rpartition(".")[0] or target
    name = path.replace(".", "_") or "weight"
    number, free = 1, name
    while hasattr(root, free):
        number += 1
        free = f"{name}_{number}"
    return free

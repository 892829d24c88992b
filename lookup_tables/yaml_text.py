"""YAML that somebody wrote: what it does not mean is refused before it is made.

Aliases expand without end, nesting breaks the reader, and of a key that is there twice only the
last would count.
"""

from __future__ import annotations

from typing import Any

import yaml

MAX_VALUES = 100_000
MAX_DEPTH = 64


def read_yaml_text(text: str) -> Any:
    """What a text says.

    Raises:
        ValueError: it is no YAML, or more than is taken; names the line.
    """
    try:
        _require_shallow(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            _n_values(root, {}, set())
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _require_shallow(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ValueError(f"line {_line(event)}: nested deeper than {MAX_DEPTH} levels")


def _n_values(node: yaml.Node, known: dict[int, int], within: set[int]) -> int:
    """How many values a node is once aliases stand for what they name."""
    if (found := known.get(id(node))) is not None:
        return found
    if id(node) in within:
        raise ValueError(f"line {_line(node)}: an alias is part of what it names")
    within.add(id(node))
    n = 1
    if isinstance(node, yaml.MappingNode):
        _require_apart(node)
        n += sum(_n_values(one, known, within) for pair in node.value for one in pair)
    elif isinstance(node, yaml.SequenceNode):
        n += sum(_n_values(one, known, within) for one in node.value)
    within.discard(id(node))
    if n > MAX_VALUES:
        raise ValueError(
            f"line {_line(node)}: with its aliases it is more than {MAX_VALUES:,} values"
        )
    known[id(node)] = n
    return n


def _require_apart(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag.endswith(":merge"):
            continue
        if (key.tag, key.value) in seen:
            raise ValueError(f"line {_line(key)}: {key.value!r} is there twice")
        seen.add((key.tag, key.value))


def _line(one: Any) -> int:
    return int(one.start_mark.line) + 1

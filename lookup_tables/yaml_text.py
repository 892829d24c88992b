"""YAML that somebody wrote: what it does not mean is refused before it is made.

Aliases expand without end, nesting breaks the reader, and of a key that is there twice only the
last would count. Numbers and words are those of YAML 1.2: `010` is ten, `1:30` and `yes` are texts.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

MAX_VALUES = 100_000
MAX_DEPTH = 64


class _Texts(yaml.SafeLoader):  # type: ignore[misc]  # the library tells no types
    """Words and numbers as they are written: all of them are texts."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # as in the class above
        "<": [("tag:yaml.org,2002:merge", re.compile("<<$"))]
    }


class _Values(_Texts):
    """Words and numbers as YAML 1.2's core schema has them (10.3.2)."""


def _whole(loader: _Values, node: yaml.ScalarNode) -> int:
    return _whole_number(str(loader.construct_scalar(node)))


def _whole_number(text: str) -> int:
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


for _tag, _pattern, _first in (
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
):
    _Values.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), list(_first)
    )
_INT = "tag:yaml.org,2002:int"
_Values.add_constructor(_INT, _whole)


def read_yaml_text(text: str, *, as_written: bool = False, max_values: int = MAX_VALUES) -> Any:
    """What a text says; with `as_written` words and numbers are texts, as names of classes are.

    Raises:
        ValueError: it is no YAML, or more than is taken; names the line.
    """
    loader = _Texts if as_written else _Values
    try:
        _require_shallow(text)
        root = yaml.compose(text, Loader=loader)
        if root is not None:
            _n_values(root, {}, set(), max_values)
        reader = loader(text)
        try:
            return reader.get_single_data()
        finally:
            reader.dispose()
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except (KeyError, TypeError, AttributeError) as error:  # of a tag and what it does not suit
        raise ValueError(f"a value does not suit its tag: {error}") from error


def _require_shallow(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ValueError(f"line {_line(event)}: nested deeper than {MAX_DEPTH} levels")


def _n_values(node: yaml.Node, known: dict[int, int], within: set[int], most: int) -> int:
    """How many values a node is once aliases stand for what they name."""
    if (found := known.get(id(node))) is not None:
        return found
    if id(node) in within:
        raise ValueError(f"line {_line(node)}: an alias is part of what it names")
    within.add(id(node))
    n = 1
    if isinstance(node, yaml.MappingNode):
        _require_apart(node)
        n += sum(_n_values(one, known, within, most) for pair in node.value for one in pair)
    elif isinstance(node, yaml.SequenceNode):
        n += sum(_n_values(one, known, within, most) for one in node.value)
    within.discard(id(node))
    if n > most:
        raise ValueError(f"line {_line(node)}: with its aliases it is more than {most:,} values")
    known[id(node)] = n
    return n


def _require_apart(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag.endswith(":merge"):
            continue
        named = key.tag, _whole_number(key.value) if key.tag == _INT else key.value
        if named in seen:
            raise ValueError(f"line {_line(key)}: {key.value!r} is there twice")
        seen.add(named)


def _line(one: Any) -> int:
    return int(one.start_mark.line) + 1

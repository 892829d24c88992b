"""Archives of exported programs that users bring, checked and written anew.

torch trusts an archive: it unpickles entries of old layouts, evaluates the expressions of symbolic
sizes, and calls whatever operator a graph names. So nothing of an upload reaches torch but weights
as plain bytes and a graph that is checked here; they go into an archive that is written here, since
two readers may find different entries in one that a stranger wrote.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from enum import Enum
from pathlib import Path
from typing import Any

import torch

from nas_service.compilation.uploads.refusal import MAX_BYTES, bad

_NOTES = ("archive_format", "archive_version", "byteorder", ".data/version")
_GRAPH = "models/model.json"
_CONFIGS = (
    "data/weights/model_weights_config.json",
    "data/constants/model_constants_config.json",
)
_SAMPLE = "data/sample_inputs/model.pt"
_TENSOR = re.compile(r"data/(weights/weight|constants/tensor)_\d+")
_IGNORED = re.compile(r"\.data/serialization_id|\.format_version|\.storage_alignment")
_OLD = ("serialized_exported_program.json", "version")

_ARITHMETIC = frozenset(
    f"_operator.{name}"
    for name in ("getitem", "add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "eq", "ne")
)
"""Of Python's own operators those that only compute."""
_OPERATOR = re.compile(r"torch\.ops\.aten\.([A-Za-z_]\w*)\.([A-Za-z_]\w*)")
_REACHES_OUT = frozenset({"filename", "path", "file"})
_CONTAINERS = frozenset({None, "builtins.tuple", "builtins.list", "builtins.dict"})


class OpenSizes(Enum):
    """Which sizes of its inputs a program may leave open."""

    NONE = "none"
    BATCH = "the batch alone"
    ANY = "any"


def rewrite(
    source: Path, destination: Path, *, open_sizes: OpenSizes = OpenSizes.NONE
) -> list[str]:
    """Check an archive and write one of the same program; gives the operators of its graph.

    Raises:
        InvalidData: it holds anything but a graph of torch's own operators and plain tensors.
    """
    try:
        with zipfile.ZipFile(source) as archive, zipfile.ZipFile(destination, "w") as made:
            entries = _entries(archive)
            graph = json.loads(archive.read(entries[_GRAPH]))
            operators = _checked(graph, open_sizes)
            for name, entry in sorted(entries.items()):
                with made.open(f"model/{name}", "w", force_zip64=True) as out:
                    out.write(_content(name, archive.read(entry), graph))
    except Exception:
        destination.unlink(missing_ok=True)
        raise
    return operators


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Entries by their names below the archive's one folder."""
    every = archive.infolist()
    if sum(one.file_size for one in every) > 2 * MAX_BYTES:
        raise bad("unpacked it is too large")
    found: dict[str, zipfile.ZipInfo] = {}
    folders = {one.filename.partition("/")[0] for one in every}
    for one in every:
        name = one.filename.partition("/")[2]
        if name in found:
            raise bad(f"it holds {name} twice")
        if one.filename in _OLD or name in _OLD:
            raise bad("a torch before 2.8 saved it: export it again")
        if name in (*_NOTES, _GRAPH, *_CONFIGS, _SAMPLE) or _TENSOR.fullmatch(name):
            found[name] = one
        elif name == "data.pkl":
            raise bad(
                "it is a file of weights or a TorchScript, which may hold code: save "
                "torch.export.export(model.eval(), inputs) with torch.export.save"
            )
        elif not _IGNORED.fullmatch(name):
            raise bad(f"it holds {one.filename}, which is no part of a plain exported program")
    missing = [name for name in (*_NOTES[:2], _GRAPH, *_CONFIGS, _SAMPLE) if name not in found]
    if len(folders) != 1 or missing:
        raise bad(f"it is no exported program of torch ({', '.join(missing) or 'many folders'})")
    return found


def _content(name: str, content: bytes, graph: dict[str, Any]) -> bytes:
    """What goes into the new archive of an entry."""
    if name == _GRAPH:
        return json.dumps(graph).encode()
    if name in _CONFIGS:
        config = json.loads(content)
        _require_fixed(config)
        for told in config["config"].values():
            if told["use_pickle"] or told["tensor_meta"] is None:
                raise bad(f"{told['path_name']} is pickled, and nothing uploaded is unpickled")
        return content
    if name == _SAMPLE:  # torch would go on to unpickle what it cannot load as tensors
        sample = torch.load(io.BytesIO(content), weights_only=True)
        again = io.BytesIO()
        torch.save(sample, again)
        return again.getvalue()
    return content


def _checked(program: dict[str, Any], open_sizes: OpenSizes) -> list[str]:
    """Operators of a serialised program, and the program made harmless where that is enough."""
    # conditions on the input's shape, as code: whoever runs it here gives what its example is like
    program["guards_code"] = []
    program["graph_module"]["treespec_namedtuple_fields"] = {}
    if open_sizes is OpenSizes.BATCH:
        _require_batch_alone(program)
    symbols: set[str] = set()
    _require_fixed(program, None if open_sizes is OpenSizes.NONE else symbols)
    if open_sizes is OpenSizes.BATCH and len(symbols) > 1:
        raise bad(_BESIDE_BATCH)
    targets = {node["target"] for node in program["graph_module"]["graph"]["nodes"]}
    for target in sorted(targets):
        _require_plain(target)
    for call in program["graph_module"]["module_call_graph"]:
        told = call["signature"] or {}
        for spec in ("in_spec", "out_spec"):
            if told.get(spec):
                _require_containers(json.loads(told[spec])[1])
    return sorted(target.removeprefix("torch.ops.") for target in targets)


def _require_fixed(told: Any, symbols: set[str] | None = None) -> None:
    """Refuse expressions, which torch evaluates, and arguments that are themselves code.

    With `symbols`, sums and products of numbers and symbols pass, whose names are put there.
    """
    if isinstance(told, dict):
        for key, value in told.items():
            if key == "expr_str" or (key == "as_expr" and symbols is None):
                _require_plain_size(value, symbols)
            if key in {"as_graph", "as_operator", "as_custom_obj", "as_opaque_obj"}:
                raise bad(f"its graph has arguments that are no data ({key})")
            _require_fixed(value, symbols)
    elif isinstance(told, list):
        for value in told:
            _require_fixed(value, symbols)


_SYMBOL = re.compile(r"Symbol\('(s\d{1,6})', positive=True, integer=True\)")
_SIZE = re.compile(r"(?:Add\(|Mul\(|Max\(|Min\(|FloorDiv\(|Integer\(-?\d{1,9}\)|[, )])*")
"""As sympy writes sums, products and bounds out, with symbols taken out."""
_LONGEST = 400


def _require_plain_size(expression: Any, symbols: set[str] | None) -> None:
    """Refuse a size that is more than numbers and symbols, added up and multiplied.

    torch has sympy evaluate what stands there; a power could take all memory.
    """
    if symbols is None or not isinstance(expression, str) or len(expression) > _LONGEST:
        raise bad("its sizes depend on its input: export it for one image of a fixed size")
    if not _SIZE.fullmatch(_SYMBOL.sub("", expression)):
        raise bad("its sizes depend on its input by more than sums and products")
    symbols.update(_SYMBOL.findall(expression))


_BESIDE_BATCH = "sizes beside its batch depend on its input: export it with those fixed"


def _require_batch_alone(program: dict[str, Any]) -> None:
    """Refuse a program of which another axis of an input than the first is open."""
    graph = program["graph_module"]["graph"]
    for given in graph["inputs"]:
        name = given.get("as_tensor", {}).get("name")
        sizes = graph["tensor_values"].get(name, {}).get("sizes", [])
        if any("as_expr" in one for one in sizes[1:]):
            raise bad(_BESIDE_BATCH)


def _require_plain(target: Any) -> None:
    """Refuse an operator that is not torch's own, or that does more than to compute."""
    if target in _ARITHMETIC:
        return
    found = _OPERATOR.fullmatch(target) if isinstance(target, str) else None
    if found is None:
        raise bad(f"operator {target} is not one of torch's own")
    name, overload = found.groups()
    full = f"aten::{name}" + ("" if overload == "default" else f".{overload}")
    # others of that name space belong to TorchScript, among them one that writes files
    if full not in _dispatched():
        raise bad(f"operator {target} is not one of torch's own")
    schema = getattr(getattr(torch.ops.aten, name), overload)._schema
    if any(argument.name in _REACHES_OUT for argument in schema.arguments):
        raise bad(f"operator {target} reads files")


def _dispatched() -> frozenset[str]:
    return frozenset(torch._C._dispatch_get_all_op_names())


def _require_containers(spec: dict[str, Any]) -> None:
    """Refuse containers of values whose description names a class to import."""
    if spec["type"] not in _CONTAINERS:
        raise bad(f"its inputs or outputs are in a {spec['type']}")
    for child in spec["children_spec"]:
        _require_containers(child)

"""Files that nobody should be able to upload, by the hundred, each with a name that says why."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
from onnx import TensorProto, helper
from pyarrow import parquet

from lookup_tables.files import dump
from nas_service.search.testing import small_problem, table_by_macs

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64
NOISE = np.random.default_rng(0).integers(0, 256, 4096, dtype=np.uint8).tobytes()
DEEP = 100_000


@dataclass(frozen=True)
class Bad:
    """A file to upload; `filename` says what it claims to be."""

    name: str
    filename: str
    content: bytes


def _no_file_at_all(suffix: str) -> Iterator[Bad]:
    """What is wrong whatever a file claims to be."""
    yield Bad(f"empty{suffix}", f"f{suffix}", b"")
    yield Bad(f"spaces{suffix}", f"f{suffix}", b"   \n\n ")
    yield Bad(f"noise{suffix}", f"f{suffix}", NOISE)
    yield Bad(f"picture{suffix}", f"f{suffix}", PNG)
    yield Bad(f"zeros{suffix}", f"f{suffix}", b"\0" * 10_000)
    yield Bad(f"deep-brackets{suffix}", f"f{suffix}", b"[" * DEEP)
    yield Bad(f"deep-objects{suffix}", f"f{suffix}", b'{"a":' * DEEP)
    yield Bad(f"one-long-line{suffix}", f"f{suffix}", b"a" * 5_000_000)


# tables of blocks

_WRONG: tuple[tuple[str, str], ...] = (
    ("nan", "NaN"),
    ("infinity", "Infinity"),
    ("too-large", "1e999"),
    ("negative", "-1"),
    ("text", '"x"'),
    ("true", "true"),
    ("list", "[]"),
    ("object", "{}"),
    ("deep", "[" * 2000 + "]" * 2000),
    ("digits", "9" * 5000),
)


def tables() -> Iterator[Bad]:
    """Lookup tables."""
    yield from _no_file_at_all(".jsonl")
    problem = small_problem()
    space = problem.space.architectures
    text = dump(table_by_macs(space, problem.space.deployments[0])).replace('"board"', '"here"')
    lines = text.splitlines()[:40]
    header = json.loads(lines[0]) | {"n_entries": 39}
    lines[0] = json.dumps(header)

    def file(name: str, changed: list[str]) -> Bad:
        return Bad(name, "table.jsonl", "\n".join(changed).encode() + b"\n")

    for field in ("format", "format_version", "n_entries", "target", "calibration", "ratios"):
        for what, value in _WRONG:
            if (field, what) == ("ratios", "object"):
                continue  # there may be none
            yield file(f"header-{field}-{what}", [_with(lines[0], field, value), *lines[1:]])
    for field in header["target"]:
        for what, value in _WRONG:
            if (field, what) in {(f, "text") for f in ("device", "runtime", "runtime_version")}:
                continue  # a text is what it is
            if (field, what) == ("operating_point", "text"):
                continue
            target = _with(json.dumps(header["target"]), field, value)
            yield file(f"target-{field}-{what}", [_with(lines[0], "target", target), *lines[1:]])
    for what, value in _WRONG:
        yield file(f"p10-{what}", [lines[0], _with(lines[1], "p10_ms", value), *lines[2:]])
        yield file(f"block-{what}", [lines[0], _with(lines[1], "block", value), *lines[2:]])
        yield file(f"unknown-{what}", [lines[0], _with(lines[1], "colour", value), *lines[2:]])
        block = json.loads(lines[1])["block"]
        for field in block:
            changed = _with(json.dumps(block), field, value)
            one = _with(lines[1], "block", changed)
            yield file(f"block-{field}-{what}", [lines[0], one, *lines[2:]])
    whole = "\n".join(lines).encode()
    for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        yield Bad(f"cut-off-{share}", "table.jsonl", whole[: int(len(whole) * share)])
    yield file("twice", [*lines, lines[5]])
    yield file("no-header", lines[1:])
    yield file("two-headers", [lines[0], *lines])
    yield file("header-alone", [_with(lines[0], "n_entries", "0")])
    yield Bad("utf-16", "table.jsonl", text.encode("utf-16"))
    yield Bad("latin", "table.jsonl", whole.replace(b"here", b"h\xe9re"))
    yield Bad("zero-byte", "table.jsonl", whole.replace(b"here", b"he\0re"))
    yield Bad("packed", "table.jsonl", gzip.compress(whole))


def _with(line: str, field: str, value: str) -> str:
    """The JSON of an object with another value, as text, which may be none."""
    held: dict[str, Any] = json.loads(line)
    held[field] = "@value@"
    return json.dumps(held).replace('"@value@"', value)


# arrays


def _npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _pictures(n: int = 60) -> dict[str, Any]:
    generator = np.random.default_rng(1)
    return {"x": generator.integers(0, 256, (n, 8, 8, 1)).astype(np.uint8), "y": np.arange(n) % 3}


def arrays() -> Iterator[Bad]:
    """Data sets as arrays."""
    yield from _no_file_at_all(".npz")
    good = _pictures()

    def file(name: str, **changed: Any) -> Bad:
        held = {k: v for k, v in (good | changed).items() if v is not None}
        return Bad(f"npz-{name}", "data.npz", _npz(**held))

    yield file("no-labels", y=None)
    yield file("no-pictures", x=None)
    yield file("nothing", x=None, y=None)
    yield file("labels-too-few", y=good["y"][:-1])
    yield file("one-class", y=np.zeros(60, int))
    yield file("no-rows", x=good["x"][:0], y=good["y"][:0])
    yield file("one-row", x=good["x"][:1], y=good["y"][:1])
    yield file("class-of-one", y=np.array([0] * 59 + [1]))
    yield file("flat", x=good["x"].reshape(60, -1))
    yield file("a-number", x=np.float64(3))
    yield file("five-dimensions", x=good["x"][..., None])
    yield file("no-channels", x=good["x"][..., :0])
    yield file("no-height", x=good["x"][:, :0])
    yield file("texts", x=np.full((60, 8, 8, 1), "a"))
    yield file("times", x=good["x"].astype("datetime64[s]"))
    yield file("complex", x=good["x"].astype(complex))
    yield file("records", x=np.zeros(60, dtype=[("a", "i4"), ("b", "f4")]))
    for what, value in (("nan", np.nan), ("infinity", np.inf), ("minus-infinity", -np.inf)):
        spoilt = good["x"].astype(np.float32)
        spoilt[3, 2, 1] = value
        yield file(f"{what}-in-a-picture", x=spoilt)
        yield file(f"{what}-label", y=np.where(good["y"] == 1, value, good["y"].astype(float)))
    yield file("all-nan", x=np.full((60, 8, 8, 1), np.nan, np.float32))
    yield file("label-matrix", y=np.zeros((60, 3, 2), int))
    yield file("every-label-another", y=np.arange(60))
    yield file("labels-complex", y=good["y"].astype(complex))
    stream = io.BytesIO()
    np.savez(stream, x=np.array([{"a": 1}] * 60, dtype=object), y=good["y"])
    yield Bad("npz-objects", "data.npz", stream.getvalue())
    whole = _npz(**good)
    for share in (0.05, 0.2, 0.5, 0.8, 0.95, 0.999):
        yield Bad(f"npz-cut-off-{share}", "data.npz", whole[: int(len(whole) * share)])
    for at in range(8):
        spoilt_bytes = bytearray(whole)
        spoilt_bytes[30 + at * 97 : 34 + at * 97] = b"\xff\x00\xff\x00"
        yield Bad(f"npz-spoilt-{at}", "data.npz", bytes(spoilt_bytes[: -8 - at]))
    yield Bad("npz-header-lies", "data.npz", _lying(10**12))
    yield Bad("npz-header-lies-little", "data.npz", _lying(10**7))
    yield Bad("npz-member-no-array", "data.npz", _zip({"x.npy": b"no array", "y.npy": b"neither"}))
    for name, head in (
        ("dashes", "-" * 9000),
        ("brackets", "(" * 9000),
        ("no-literal", "{[]: 1}"),
        ("mixed-keys", "{1: 2, 'descr': '|u1', 'shape': (1,), 'fortran_order': False}"),
        ("negative-shape", "{'descr': '|u1', 'fortran_order': False, 'shape': (-4,)}"),
        ("unknown-type", "{'descr': '|q9', 'fortran_order': False, 'shape': (4,)}"),
    ):
        yield Bad(f"npz-head-{name}", "data.npz", _zip({"x.npy": _headed(head), "y.npy": b""}))
    yield Bad("npz-locked", "data.npz", _locked(whole))
    yield Bad(
        "npz-honest-bomb", "data.npz", _zip({"x.npy": _array_of_zeros(150_000_000, 150_000_000)})
    )
    yield Bad("npz-bomb", "data.npz", _zip({"x.npy": _array_of_zeros(2**31), "y.npy": b""}))


def _headed(head: str) -> bytes:
    """An array with a head of one's own."""
    text = head.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + b"\0" * 64


def _array_of_zeros(n: int, held: int = 20_000_000) -> bytes:
    """The head of an array of that many bytes and some of them."""
    stream = io.BytesIO()
    head = {"descr": "|u1", "fortran_order": False, "shape": (n,)}
    np.lib.format.write_array_header_1_0(stream, head)
    return stream.getvalue() + b"\0" * held


def _lying(n: int) -> bytes:
    """Arrays whose head says more than there is."""
    stream = io.BytesIO()
    head = {"descr": "|u1", "fortran_order": False, "shape": (n, 8, 8, 1)}
    np.lib.format.write_array_header_1_0(stream, head)
    labels = io.BytesIO()
    np.save(labels, np.zeros(60, int))
    return _zip({"x.npy": stream.getvalue() + b"\0" * 640, "y.npy": labels.getvalue()})


def _zip(members: dict[str, bytes], deflated: bool = True) -> bytes:
    stream = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


# folders of pictures in archives


def archives() -> Iterator[Bad]:
    """Data sets as archives."""
    yield from _no_file_at_all(".zip")
    picture = _picture()

    def folder(extra: dict[str, bytes], n: int = 12) -> dict[str, bytes]:
        made = {f"{one}/{i}.png": picture for one in "ab" for i in range(n)}
        return made | extra

    for name in ("../out.png", "../../../etc/passwd", "/etc/passwd", "a/../../out", "..\\out.png"):
        yield Bad(f"zip-{name}", "data.zip", _zip(folder({name: picture})))
    yield Bad("zip-link", "data.zip", _linked("/etc/passwd"))
    yield Bad("zip-link-out", "data.zip", _linked("../../.."))
    yield Bad("zip-bomb", "data.zip", _zip(folder({"a/zeros.png": b"\0" * 300_000_000})))
    yield Bad("zip-no-picture", "data.zip", _zip({"a/1.txt": b"a", "b/1.txt": b"b"}))
    yield Bad("zip-nothing", "data.zip", _zip({}))
    yield Bad("zip-one-class", "data.zip", _zip({f"a/{i}.png": picture for i in range(30)}))
    broken = {f"{one}/{i}.png": picture[:40] for one in "ab" for i in range(12)}
    yield Bad("zip-broken-pictures", "data.zip", _zip(broken))
    yield Bad("zip-pictures-of-text", "data.zip", _zip(dict.fromkeys(broken, b"text")))
    whole = _zip(folder({}))
    for share in (0.1, 0.5, 0.9, 0.99):
        yield Bad(f"zip-cut-off-{share}", "data.zip", whole[: int(len(whole) * share)])
    yield Bad("zip-in-zip", "data.zip", _zip({"inner.zip": whole}))
    yield Bad("zip-locked", "data.zip", _locked(whole))
    yield Bad("zip-huge-pictures", "data.zip", _zip({k: _huge_picture() for k in broken}))
    yield Bad("tar-cut-off", "data.tar.gz", gzip.compress(whole)[:-20])
    yield Bad("tar-no-tar", "data.tar.gz", gzip.compress(b"no tar"))


def _picture() -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def _huge_picture() -> bytes:
    """A few bytes that say they are a picture of 60,000 by 60,000 pixels."""
    import zlib

    def part(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return PNG[:8] + part(b"IHDR", head) + part(b"IDAT", body) + part(b"IEND", b"")


def _linked(to: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        link = zipfile.ZipInfo("a/link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, to)
        archive.writestr("b/1.png", _picture())
    return stream.getvalue()


def _locked(whole: bytes) -> bytes:
    """The same with every member said to be encrypted."""
    found = bytearray(whole)
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = found.find(mark)
        while place >= 0:
            found[place + at] |= 1
            place = found.find(mark, place + 4)
    return bytes(found)


# rows


def rows() -> Iterator[Bad]:
    """Data sets as tables of rows."""
    yield from _no_file_at_all(".csv")
    yield from _no_file_at_all(".parquet")
    table = pa.table({"a": np.arange(60.0), "label": ["x", "y"] * 30})
    stream = io.BytesIO()
    parquet.write_table(table, stream)
    whole = stream.getvalue()
    for share in (0.1, 0.5, 0.9, 0.99):
        yield Bad(f"parquet-cut-off-{share}", "data.parquet", whole[: int(len(whole) * share)])
    nested = pa.table({"a": [[{"b": 1}]] * 60, "label": ["x", "y"] * 30})
    stream = io.BytesIO()
    parquet.write_table(nested, stream)
    yield Bad("parquet-nested", "data.parquet", stream.getvalue())
    none = pa.table({"a": pa.array([], pa.float64()), "label": pa.array([], pa.string())})
    stream = io.BytesIO()
    parquet.write_table(none, stream)
    yield Bad("parquet-no-rows", "data.parquet", stream.getvalue())


# graphs


def _graph(**changed: Any) -> onnx.ModelProto:
    weight = helper.make_tensor("w", TensorProto.FLOAT, (4, 3, 1, 1), np.ones(12))
    nodes = changed.pop("nodes", None) or [
        helper.make_node("Conv", ["x", "w"], ["h"]),
        helper.make_node("GlobalAveragePool", ["h"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    shape = changed.pop("shape", (1, 3, 8, 8))
    kind = changed.pop("kind", TensorProto.FLOAT)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [weight],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def graphs() -> Iterator[Bad]:
    """ONNX files."""
    yield from _no_file_at_all(".onnx")

    def file(name: str, model: onnx.ModelProto) -> Bad:
        return Bad(f"onnx-{name}", "model.onnx", model.SerializeToString())

    whole = _graph().SerializeToString()
    for share in (0.1, 0.3, 0.5, 0.7, 0.9, 0.98):
        yield Bad(f"onnx-cut-off-{share}", "model.onnx", whole[: int(len(whole) * share)])
    node = helper.make_node
    yield file("no-nodes", _graph(nodes=[node("Identity", ["z"], ["y"])]))
    yield file("unknown-operator", _graph(nodes=[node("Frobnicate", ["x"], ["y"])]))
    yield file("own-domain", _graph(nodes=[node("Relu", ["x"], ["y"], domain="evil")]))
    yield file("circle", _graph(nodes=[node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"])]))
    yield file("name-twice", _graph(nodes=[node("Relu", ["x"], ["y"]), node("Relu", ["x"], ["y"])]))
    yield file("wrong-shapes", _graph(nodes=[node("MatMul", ["x", "w"], ["y"])]))
    yield file("no-output", _graph(nodes=[node("Relu", ["x"], ["z"])]))
    yield file("text-input", _graph(kind=TensorProto.STRING))
    yield file("shape-of-zero", _graph(shape=(1, 3, 0, 8)))
    yield file("shape-negative", _graph(shape=(1, 3, -8, 8)))
    yield file("shape-huge", _graph(shape=(1, 3, 2**31, 2**31)))
    outside = _graph()
    held = outside.graph.initializer[0]
    held.ClearField("float_data")
    held.data_location = TensorProto.EXTERNAL
    entry = held.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    yield file("weights-elsewhere", outside)
    short = _graph()
    del short.graph.initializer[0].float_data[6:]
    yield file("weights-too-few", short)
    large = _graph()
    large.graph.initializer[0].dims[0] = 2**40
    yield file("weights-that-lie", large)
    no_version = _graph()
    del no_version.opset_import[:]
    yield file("no-version", no_version)
    future = _graph()
    future.opset_import[0].version = 10_000
    yield file("version-to-come", future)
    deep = _graph(nodes=[_branches(60)])
    yield file("deep-branches", deep)
    yield Bad("program-zip", "model.pt2", _zip({"a": b"b"}))
    yield Bad("program-pickle", "model.pt2", b"\x80\x04\x95\x0b\x00\x00\x00cos\nsystem\n.")


def _branches(depth: int) -> onnx.NodeProto:
    """If within If, and so on."""
    node = helper.make_node("Identity", ["x"], ["y"])
    for level in range(depth):
        graph = helper.make_graph(
            [node], f"g{level}", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
        )
        node = helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)
        if level > 12:  # both branches double the file each time
            break
    return node


KINDS: dict[str, Callable[[], Iterator[Bad]]] = {
    "tables": tables,
    "arrays": arrays,
    "archives": archives,
    "rows": rows,
    "graphs": graphs,
}

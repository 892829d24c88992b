"""What is counted of the code itself: where things are known, how large and how tested they are.

    nas bench structure

Reads the checkout that it lies in, runs nothing of it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import grimp
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from benchmarks.rows import Row, parser, report

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("nas_service", "predictors", "lookup_tables")
CLASSIFICATION = re.compile(
    r"ImageShape|n_classes|class_names|argmax|top-1|top1|\bpixels?\b|\bimages?\b|Classification"
)
"""Words of image classification; a file that has one knows of it."""
CLASSIFICATION_HOMES = (
    "nas_service/learning/image_classification",
    "nas_service/datasets/",
    "nas_service/networks/reference/",
    "nas_service/space/mbconv",
    "nas_service/space/cell",
    "nas_service/templates/",
)
"""Where images and their classes are what a file is about."""
KIND = re.compile(r"\bkind\s*(==|!=|in\b|not in\b)")
DISPATCHED = re.compile(r"^[a-z_]+:[a-z_]+$")
JSON = re.compile(r"\bdict\[str, Any\]|\bMapping\[str, Any\]|\bJson\b")
BORDERS = (
    "nas_service/api/",
    "nas_service/cli/",
    "nas_service/client.py",
    "nas_service/storage/",
    "nas_service/errors.py",
    "lookup_tables/files.py",
    "lookup_tables/agent",
)
"""Where text and rows become values, and back."""


def main(arguments: list[str]) -> int:
    """Count and report."""
    given = parser("structure", __doc__ or "").parse_args(arguments)
    sources = {path: path.read_text() for package in PACKAGES for path in _files(ROOT / package)}
    tests = {path: path.read_text() for path in _files(ROOT / "tests")}
    trees = {path: ast.parse(text) for path, text in sources.items()}
    knowing = [path for path, text in sources.items() if _knows_classification(path, text)]
    annotated = {path: list(_json_typed(tree)) for path, tree in trees.items()}
    longest = max(
        (size, f"{_name(path)}.{name}")
        for path in trees
        if "/migrations/" not in _name(path)
        for name, size in _functions(trees[path])
    )
    untested = sorted(set(map(_module, sources)) - _imported(tests))
    kinds = sum(len(KIND.findall(text)) for text in sources.values())
    counts = {
        "files that know image classification, outside its homes": len(knowing),
        "comparisons of a kind (kind ==)": kinds,
        "JSON-typed parameters and returns": sum(map(len, annotated.values())),
        "JSON-typed parameters and returns, not at a border": sum(
            len(found) for path, found in annotated.items() if not _name(path).startswith(BORDERS)
        ),
        "calls dispatched by a string": sum(map(_dispatched, trees.values())),
        "modules": len(sources),
        "modules that no test imports": len(untested),
        "lines of code": sum(text.count("\n") for text in sources.values()),
        "lines of tests": sum(text.count("\n") for text in tests.values()),
        "import cycles": len(_cycles()),
        f"lines of the longest function ({longest[1]})": longest[0],
    }
    report([Row("structure", "code", "-", name, n, n) for name, n in counts.items()], given.out)
    return 0


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _module(path: Path) -> str:
    return _name(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _knows_classification(path: Path, text: str) -> bool:
    at_home = _name(path).startswith(CLASSIFICATION_HOMES)
    return not at_home and CLASSIFICATION.search(text) is not None


def _json_typed(tree: ast.Module) -> Iterator[str]:
    """Parameters and returns of functions whose annotation is a dictionary of anything."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            annotations = [one.annotation for one in arguments] + [node.returns]
            for one in annotations:
                if one is not None and JSON.search(ast.unparse(one)):
                    yield f"{node.name}: {ast.unparse(one)}"


def _functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def _dispatched(tree: ast.Module) -> int:
    """Texts of the form `module:function` that are given to a call."""
    return sum(
        isinstance(argument, ast.Constant)
        and isinstance(argument.value, str)
        and DISPATCHED.match(argument.value) is not None
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for argument in node.args
    )


def _imported(tests: dict[Path, str]) -> set[str]:
    """Modules that some test names in an import."""
    found: set[str] = set()
    for text in tests.values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                found |= {one.name for one in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
    return found


def _cycles() -> list[list[str]]:
    """Groups of modules that import each other, faces of packages counted as modules."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    names = sorted(graph.modules)
    number = {name: i for i, name in enumerate(names)}
    pairs = [
        (number[name], number[imported])
        for name in names
        for imported in graph.find_modules_directly_imported_by(name)
        if imported in number
    ]
    rows, columns = zip(*pairs, strict=True)
    edges = coo_matrix(([1] * len(pairs), (rows, columns)), shape=(len(names), len(names)))
    _, of = connected_components(edges, connection="strong")
    groups: dict[int, list[str]] = {}
    for name, group in zip(names, of.tolist(), strict=True):
        groups.setdefault(group, []).append(name)
    return [one for one in groups.values() if len(one) > 1]

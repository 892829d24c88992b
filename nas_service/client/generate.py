"""Writes what the typed client has of the API: values, and a method an operation, from OpenAPI.

python -m nas_service.client.generate

Names follow from addresses: `POST /v1/devices/{name}:profile` is `devices.profile`, `GET
/v1/searches/{id}/front` is `searches.front`, and the verbs of HTTP are `all` (a list, page by
page), `get`, `create`, `update`, `put` and `delete`. Values come from datamodel-code-generator.
"""

from __future__ import annotations

import json
import keyword
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]
FOLDER = Path(__file__).parent / "typed"
KEPT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
_VERBS = {"get": "get", "post": "create", "put": "put", "patch": "update", "delete": "delete"}
_SINGULAR = {"candidates": "candidate", "trials": "trial"}
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
_HEAD = '"""Made of the OpenAPI document by `nas_service.client.generate`; not edited."""\n\n'
_BOUNDS = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "pattern"),
    *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
    "propertyNames",
)
_REFERENCE = "#/components/schemas/"


def generate(document: Json, folder: Path) -> None:
    """Write `models.py`, `resources.py` and `async_resources.py` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    document = _with_enums_in_place(document, document["components"]["schemas"])
    _write_models(document, folder / "models.py")
    operations = list(_operations(document))
    for name, is_async in (("resources", False), ("async_resources", True)):
        (folder / f"{name}.py").write_text(_resources(operations, is_async=is_async))
    made = [str(folder / f"{one}.py") for one in ("models", "resources", "async_resources")]
    style = ("--quiet", "--isolated", "--line-length=100", "--target-version=py311")
    for command in (("check", "--fix", "--select=I,F401"), ("format",)):
        _run(folder, "ruff", *command, *style, *made)


def _write_models(document: Json, path: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        given = Path(scratch) / "openapi.json"
        given.write_text(json.dumps(_prepared(document)))
        options = [
            *("--input", str(given), "--input-file-type", "openapi", "--output", str(path)),
            *("--output-model-type", "pydantic_v2.BaseModel", "--target-python-version", "3.11"),
            *("--base-class", "nas_client_value.Value", "--formatters", "builtin"),
            *("--use-annotated", "--enum-field-as-literal", "all", "--use-union-operator"),
            *("--use-standard-collections", "--use-schema-description", "--disable-timestamp"),
            *("--use-double-quotes", "--strict-nullable", "--field-constraints"),
            "--collapse-root-models",
            *("--custom-file-header", _HEAD.strip()),
        ]
        _run(Path(scratch), "datamodel_code_generator", *options)
    text = path.read_text()
    path.write_text(text.replace("from nas_client_value import", "from .value import"))


def _run(folder: Path, module: str, *options: str) -> None:
    """Run a tool in a folder, whose settings it would take."""
    command = [sys.executable, "-W", "ignore", "-m", module, *options]
    subprocess.run(command, check=True, cwd=folder)  # noqa: S603  # our own interpreter and tools


def _with_enums_in_place(node: Any, schemas: Json) -> Any:
    """The document with sets of words where they are used, rather than by name."""
    if isinstance(node, list):
        return [_with_enums_in_place(one, schemas) for one in node]
    if not isinstance(node, dict):
        return node
    named = schemas.get(str(node.get("$ref", "")).removeprefix(_REFERENCE), {})
    if "enum" in named:
        return {"type": "string", "enum": named["enum"]}
    return {key: _with_enums_in_place(one, schemas) for key, one in node.items()}


def _prepared(node: Any, *, named: bool = False) -> Any:
    """The document without titles that only repeat a name and bounds, and with enums that may grow.

    Bounds are the service's to check; a bounded number would become a class of its own here.

    A service that is newer than the client may answer with a word that the client does not know.
    `named` says that the keys of `node` are names of fields or schemas, not words of OpenAPI.
    """
    if isinstance(node, list):
        return [_prepared(one) for one in node]
    if not isinstance(node, dict):
        return node
    if named:
        return {key: _prepared(one) for key, one in node.items()}
    kept = {
        key: _prepared(one, named=key in ("properties", "schemas", "paths"))
        for key, one in node.items()
        if key not in _BOUNDS and not (key == "title" and isinstance(one, str))
    }
    if "patternProperties" in kept:
        (kept["additionalProperties"],) = kept.pop("patternProperties").values()
    if "schemas" in kept:
        kept["schemas"] = {k: one for k, one in kept["schemas"].items() if not _is_words(one)}
    if isinstance(kept.get("default"), dict | list) and kept["default"]:
        del kept["default"]  # the service's own; what is not given is not sent
    if "enum" in kept and kept.get("type") == "string":
        words = {"type": "string", "enum": kept.pop("enum")}
        kept.pop("type")
        kept["anyOf"] = [words, {"type": "string"}]
    return kept


def _is_words(schema: Json) -> bool:
    return "properties" not in schema and "anyOf" in schema


@dataclass(frozen=True)
class Parameter:
    """A parameter of a method: its name there, in the API, and the code of type and default."""

    name: str
    sent_as: str
    kind: str
    default: str | None


@dataclass(frozen=True)
class Operation:
    """One call of the API as a method of a resource."""

    resource: str
    name: str
    method: str
    path: str
    summary: str
    in_path: tuple[Parameter, ...]
    query: tuple[Parameter, ...]
    body: str | None
    uploads: bool
    keyed: bool
    """Whether it takes an idempotency key."""
    answer: str
    kind: str
    """`value`, `optional`, `page`, `bytes`, `events` or `nothing`."""


def _operations(document: Json) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        if not path.startswith("/v1/") or path.startswith("/v1/agent"):
            continue
        for method, one in methods.items():
            resource, name = _named(path, method, one)
            given = [_parameter(p) for p in one.get("parameters", [])]
            places = [p["in"] for p in one.get("parameters", [])]
            content = one.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            kind, answer = _answer(one["responses"], {p.sent_as for p in given})
            yield Operation(
                resource,
                name,
                method.upper(),
                path,
                (one.get("description") or one.get("summary") or "").strip(),
                tuple(p for p, at in zip(given, places, strict=True) if at == "path"),
                tuple(
                    p
                    for p, at in zip(given, places, strict=True)
                    if at == "query" and not (kind == "page" and p.name == "cursor")
                ),
                None if schema is None else _type(schema),
                "application/octet-stream" in content,
                "idempotency_key" in {p.name for p in given},
                answer,
                kind,
            )


def _named(path: str, method: str, operation: Json) -> tuple[str, str]:
    """Resource and method of an address: `searches`, `front`."""
    steps, _, verb = path.removeprefix("/v1/").partition(":")
    parts = steps.split("/")
    below = [one for one in parts[1:] if not one.startswith("{")]
    verb = verb.replace("-", "_")
    resource = parts[0].replace("-", "_")
    if below:
        ends_in_item = parts[-1].startswith("{")
        inner = [_SINGULAR.get(one, one) for one in below[:-1]]
        last = below[-1]
        inner.append(_SINGULAR.get(last, last) if ends_in_item or verb else last)
        noun = "_".join(inner).replace("-", "_")
        return resource, f"{verb}_{noun}" if verb else noun
    if verb:
        return resource, verb
    lists = method == "get" and len(parts) == 1 and _is_list(operation)
    return resource, "all" if lists else _VERBS[method]


def _is_list(operation: Json) -> bool:
    schema = _json_schema(operation["responses"]["200"])
    return schema.get("type") == "array" or "/Listing_" in schema.get("$ref", "")


def _json_schema(response: Json) -> Json:
    found: Json = response.get("content", {}).get("application/json", {}).get("schema", {})
    return found


def _answer(responses: Json, asked: set[str]) -> tuple[str, str]:
    good = {code: one for code, one in responses.items() if code.startswith("2")}
    if set(good) == {"204"}:
        return "nothing", "None"
    (body,) = (one for code, one in good.items() if code != "204")
    content = body.get("content", {})
    if "text/event-stream" in content:
        return "events", "ServerEvent"
    if "application/json" not in content:
        return "bytes", "bytes"
    schema = _json_schema(body)
    if "cursor" in asked and "/Listing_" in schema.get("$ref", ""):
        return "page", "models." + schema["$ref"].partition("Listing_")[2].rstrip("_")
    return ("optional" if "204" in good else "value"), _type(schema)


def _parameter(given: Json) -> Parameter:
    name = given["name"].replace("-", "_").lower()
    name = f"{name}_" if keyword.iskeyword(name) else name
    schema = given["schema"]
    if given["required"]:
        return Parameter(name, given["name"], _type(schema), None)
    default = schema.get("default")
    kind = _type(schema)
    if default is None and not kind.endswith("| None"):
        kind += " | None"
    return Parameter(name, given["name"], kind, repr(default if default != [] else ()))


def _type(schema: Json) -> str:
    """The code of a schema's type."""
    if "$ref" in schema:
        return "models." + str(schema["$ref"]).removeprefix(_REFERENCE).replace("_", "")
    if "enum" in schema:
        return f"Literal[{', '.join(repr(one) for one in schema['enum'])}]"
    if "anyOf" in schema:
        return " | ".join(_type(one) for one in schema["anyOf"])
    if schema.get("type") == "null":
        return "None"
    if schema.get("type") == "array":
        return f"Sequence[{_type(schema['items'])}]"
    if schema.get("type") == "object":
        return f"dict[str, {_type(schema['additionalProperties'])}]"
    return _PLAIN[schema["type"]]


def _resources(operations: list[Operation], *, is_async: bool) -> str:
    sender = "AsyncSender" if is_async else "Sender"
    iterator = "AsyncIterator" if is_async else "Iterator"
    lines = [
        f"{_HEAD}from __future__ import annotations\n",
        f"from collections.abc import {iterator}, Sequence\nfrom typing import Literal\n",
        "from . import models",
        f"from .requests import Content, ServerEvent, path\nfrom .sending import {sender}\n",
    ]
    names = sorted({one.resource for one in operations})
    for resource in names:
        own = [one for one in operations if one.resource == resource]
        lines.append(f"\n\nclass {_class(resource, is_async=is_async)}:")
        lines.append(f'    """What `/v1/{resource.replace("_", "-")}` can do."""\n')
        lines.append(f"    def __init__(self, sender: {sender}) -> None:")
        lines.append("        self._sender = sender\n")
        lines += [_method(one, is_async=is_async) for one in own]
    kind = "AsyncResources" if is_async else "Resources"
    lines.append(f'\n\nclass {kind}:\n    """Every resource of the API by its name."""\n')
    lines.append(f"    def __init__(self, sender: {sender}) -> None:")
    lines += [
        f"        self.{name} = {_class(name, is_async=is_async)}(sender)\n"
        f'        """See `{_class(name, is_async=is_async)}`."""'
        for name in names
    ]
    return "\n".join(lines) + "\n"


def _class(resource: str, *, is_async: bool) -> str:
    name = "".join(part.capitalize() for part in resource.split("_"))
    return f"Async{name}" if is_async else name


def _method(one: Operation, *, is_async: bool) -> str:
    parameters = ["self", *(f"{p.name}: {p.kind}" for p in one.in_path)]
    if one.body is not None:
        parameters.append(f"body: {one.body}" + (" = None" if "None" in one.body else ""))
    if one.uploads:
        parameters.append("content: Content")
    named = [
        *(f"{p.name}: {p.kind}" for p in one.query if p.default is None),
        *(f"{p.name}: {p.kind} = {p.default}" for p in one.query if p.default is not None),
        *(["idempotency_key: str | None = None"] if one.keyed else []),
    ]
    if named:
        parameters += ["*", *named]
    streams = one.kind in ("page", "events")
    iterator = "AsyncIterator" if is_async else "Iterator"
    answer = {
        "page": f"{iterator}[{one.answer}]",
        "events": f"{iterator}[ServerEvent]",
        "optional": f"{one.answer} | None",
    }.get(one.kind, one.answer.replace("Sequence[", "list["))
    awaits = is_async and not streams
    path = f'"{one.path}"'
    if one.in_path:
        shown = re.sub(r"\{[a-z_]+\}", "{}", one.path)
        path = f'path("{shown}", {", ".join(p.name for p in one.in_path)})'
    given = [f'"{one.method}"', path] if not streams else [path]
    if one.kind in ("page", "value", "optional"):
        given.append(one.answer.replace("Sequence[", "list["))
    if one.query:
        given.append("query={" + ", ".join(f'"{p.sent_as}": {p.name}' for p in one.query) + "}")
    given += ["body=body"] * (one.body is not None) + ["content=content"] * one.uploads
    given += ["idempotency_key=idempotency_key"] * one.keyed
    call = {
        "page": "pages",
        "events": "events",
        "optional": "value_or_none",
        "bytes": "bytes_of",
        "nothing": "nothing",
        "value": "value",
    }[one.kind]
    body = f"self._sender.{call}({', '.join(given)})"
    body = f"await {body}" if awaits else body
    body = body if one.kind == "nothing" else f"return {body}"
    summary = _docstring(one)
    return (
        f"    {'async ' if awaits else ''}def {one.name}({', '.join(parameters)}) -> {answer}:\n"
        f"{summary}\n        {body}\n"
    )


def _docstring(one: Operation) -> str:
    told = " ".join(one.summary.split()) or f"{one.method} {one.path}."
    address = f"`{one.method} {one.path}`"
    first, *rest = textwrap.wrap(told, 84)
    if not rest and len(first) < 80:
        text = f"{first}\n\n{address}"
    else:
        text = "\n".join([first, *rest]) + f"\n\n{address}"
    text = text.replace("\\", "\\\\").replace('"""', "'''")
    return textwrap.indent(f'"""{text}\n"""', "        ")


if __name__ == "__main__":
    generate(json.loads(KEPT.read_text()), FOLDER)

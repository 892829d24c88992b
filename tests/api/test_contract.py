"""The API answers as its OpenAPI document says, whatever it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.contract import HERE as ASKED
from benchmarks.contract import explore
from nas_service.api.documents.tables import Provenance
from tests.api.served import HERE, Served, served
from tests.prepared import copied

N_CASES = 2000


@pytest.fixture(scope="module")
def service(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(copied(prepared, tmp_path_factory.mktemp("contract") / "var")) as made:
        yield made


def _schema_of(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema


def _open_places(
    document: dict[str, Any], schema: dict[str, Any], place: str, seen: frozenset[str]
) -> Iterator[str]:
    """Where an answer may have any field at all, and names none."""
    reference = schema.get("$ref", "")
    if reference in seen:
        return
    found, seen = _schema_of(document, schema), seen | {reference} if reference else seen
    if found.get("type") == "object" and "properties" not in found:
        values = found.get("additionalProperties", True)
        if values is True or values == {}:
            yield place
        elif isinstance(values, dict):
            yield from _open_places(document, values, f"{place}.*", seen)
    for name, one in found.get("properties", {}).items():
        yield from _open_places(document, one, f"{place}.{name}", seen)
    for one in (*found.get("anyOf", ()), *found.get("allOf", ()), *found.get("oneOf", ())):
        yield from _open_places(document, one, place, seen)
    if "items" in found:
        yield from _open_places(document, found["items"], f"{place}[]", seen)


def test_every_answer_has_a_shape(service: Served) -> None:
    """What a plug-in or a source says in names of its own is values by name, said to be so."""
    document = service.client.app.openapi()  # type: ignore[attr-defined]  # ours
    lacking = [
        f"{method} {path} {status}"
        for path, methods in document["paths"].items()
        for method, one in methods.items()
        for status, answer in one["responses"].items()
        if status != "204" and status != "304"
        for content in [answer.get("content", {})]
        if not all("schema" in shape for kind, shape in content.items() if "json" in kind)
    ]
    assert lacking == []
    places = {
        found
        for path, methods in document["paths"].items()
        for method, one in methods.items()
        for status, answer in one["responses"].items()
        if status.startswith("2") and "application/json" in answer.get("content", {})
        for found in _open_places(
            document,
            answer["content"]["application/json"]["schema"],
            f"{method} {path}",
            frozenset(),
        )
    }
    own = ("conditions", "sources", "shipping", "protocol", "quarantined", "fill", "answers")
    own += ("reading", "reference", "recipe[].*", "notes")
    assert sorted(one for one in places if not one.endswith(own)) == []


def test_every_answer_is_as_the_document_says(service: Served) -> None:
    client = service.client

    def send(**request: Any) -> Any:
        request["url"] = HERE + request["url"].removeprefix(ASKED)
        request["headers"] = {**request.get("headers", {}), **service.headers("operator")}
        return client.request(**request)

    document = client.app.openapi()  # type: ignore[attr-defined]  # ours
    found = explore(document, send, service.ids, N_CASES)
    assert found.n >= N_CASES
    assert {200, 201, 202, 404, 422} <= set(found.statuses)
    assert not found.faults, "\n".join(f"{k}: {v[0]}" for k, v in found.faults.items())


@pytest.mark.parametrize(
    "said",
    [
        {"protocol": "my script"},
        {"threads": "all"},
        {"references": None},
        {"calibration_networks": None},
        {"steadiness": {"n_files": 12.5, "n_stable": 3}},
    ],
    ids=lambda said: next(iter(said)),
)
def test_a_table_of_somebody_s_own_keeps_no_list_from_being_read(said: dict[str, Any]) -> None:
    """Provenance is any JSON; what is not as ours is null, and all else of it stays."""
    found = Provenance.model_validate({"space": "mbconv", "fill": {"n_filled": 1}, **said})
    assert (found.space, found.fill) == ("mbconv", {"n_filled": 1})
    (name,) = said
    if name == "steadiness":
        assert found.steadiness is not None
        assert (found.steadiness.n_files, found.steadiness.n_stable) == (None, 3)
    else:
        assert not getattr(found, name)

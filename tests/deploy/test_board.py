"""Board and alerts ask for metrics that are served, by labels and values that they have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from nas_service.api.app import create_app
from nas_service.api.metrics import Counted, State
from nas_service.cli.databases import prepare
from nas_service.settings import Settings
from nas_service.storage.session import Database

DEPLOY = Path(__file__).parents[2] / "deploy"
BOARD = json.loads((DEPLOY / "grafana" / "nas.json").read_text())
ALERTS = yaml.safe_load((DEPLOY / "grafana" / "alerts.yaml").read_text())
QUERIES = [
    *(target["expr"] for panel in BOARD["panels"] for target in panel["targets"]),
    *(rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]),
]
_METRIC = re.compile(r"\b(nas_[a-z_]+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_BY = re.compile(r"\bby \(([^)]*)\)")
_OF_PROMETHEUS = {"instance", "le"}

Series = dict[str, list[dict[str, str]]]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Series:
    """Names and labels of all that a service tells that has answered a request or two."""
    settings = Settings(var_dir=tmp_path_factory.mktemp("board") / "var")
    prepare(settings)
    registry = CollectorRegistry()
    registry.register(State(Database(settings.url), patience_s=120.0))
    app = create_app(settings)
    app.wrap(lambda inner: Counted(inner, registry))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        assert client.get("/v1/jobs").status_code == 200
        assert client.get("/v1/jobs/none").status_code == 404
    found: Series = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for one in family.samples:
            found.setdefault(one.name, []).append(dict(one.labels))
    return found


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_finds_what_it_asks_for(query: str, served: Series) -> None:
    asked = _METRIC.findall(query)
    assert asked, "it asks for none of ours"
    labels = set(_OF_PROMETHEUS)
    for name, matchers in asked:
        assert name in served, f"{name} is not served"
        labels |= set(served[name][0])
        for label, sign, value in _MATCHER.findall(matchers):
            assert label in served[name][0], f"{name} has no label {label}"
            if sign == "=":
                assert value in {one[label] for one in served[name]}, f"{label} is never {value}"
    for group in _BY.findall(query):
        assert {one.strip() for one in group.split(",")} <= labels


def test_panels_say_what_they_show_in_units_and_do_not_cover_each_other() -> None:
    covered: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        at: dict[str, Any] = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & covered
        covered |= cells


def test_every_metric_of_ours_is_on_the_board_or_in_an_alert(served: Series) -> None:
    shown = {name for query in QUERIES for name, _ in _METRIC.findall(query)}
    ours = {
        name
        for name in served
        if name.startswith("nas_") and not name.endswith(("_created", "_count", "_sum"))
    }
    assert ours <= shown

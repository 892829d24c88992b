"""Every setting, route, plug-in group, command and benchmark in the code is in the documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from fastapi.routing import APIRoute

from benchmarks.run import BENCHMARKS
from nas_service.api.app import RESOURCES
from nas_service.cli.app import app
from nas_service.plugins import GROUPS
from nas_service.settings import Settings

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs" / "reference.md").read_text()


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_documented(name: str) -> None:
    assert f"`NAS_{name.upper()}`" in REFERENCE


def _routes() -> list[str]:
    return [
        f"{method} {route.path}"
        for resource in RESOURCES
        for route in resource.router.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods)
    ]


@pytest.mark.parametrize("route", _routes())
def test_every_route_is_documented(route: str) -> None:
    assert f"`{route}`" in REFERENCE


def test_every_command_is_documented() -> None:
    group = typer.main.get_command(app)
    commands = REFERENCE.split("## Commands")[1].split("## REST")[0]
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        assert f"`nas {name}" in commands
        for inner in getattr(command, "commands", {}):
            assert re.search(rf"`nas {name} [^|]*\b{re.escape(inner)}`", commands), (name, inner)


@pytest.mark.parametrize("group", GROUPS)
def test_every_plugin_group_is_documented(group: str) -> None:
    assert f"`{group}`" in (ROOT / "docs" / "plugins.md").read_text()


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_every_benchmark_has_a_command_in_the_documents(name: str) -> None:
    assert f"nas bench {name}" in (ROOT / "docs" / "benchmarks.md").read_text()


def test_links_between_documents_lead_somewhere() -> None:
    for document in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name}: {link}"

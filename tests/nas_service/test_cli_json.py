"""`--json` prints one JSON document, whatever the command; without it a table says the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from nas_service import cli
from nas_service.cli.app import app
from nas_service.client import Client
from tests.prepared import copied
from tests.service import Service

GO_ON = {"serve", "worker", "agent", "mcp", "bench"}
"""Commands that end with what they serve or measure; a benchmark's tables are its own."""
ARE_JSON = {"openapi", "api"}


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
        return
    for part, below in command.commands.items():
        yield from _commands(below, f"{name} {part}".strip())


def test_every_command_can_print_json() -> None:
    without = {
        name
        for name, command in _commands(typer.main.get_command(app), "")
        if "--json" not in {option for one in command.params for option in one.opts}
    }
    assert without == GO_ON | ARE_JSON


@pytest.fixture(scope="module")
def service(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(copied(prepared, tmp_path_factory.mktemp("json") / "var"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def run(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["nas", *words, "--server", service.url])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert ended.value.code == 0, err
        return out

    return run


@pytest.fixture(scope="module")
def search(service: Service) -> str:
    with Client(service.url) as nas:
        return str(next(nas.every("/v1/searches"))["id"])


LISTS = [
    *("searches", "jobs", "spaces", "plugins", "supernets", "predictors", "compressions"),
    *("devices list", "tables list", "datasets list", "artifacts list", "tokens list"),
    *("projects list", "members list", "webhooks list", "schedules list", "audit", "whoami"),
    *("datasets show toy", "devices show here", "spaces mbconv"),
]


@pytest.mark.parametrize("words", LISTS)
def test_lists_are_json_or_a_table(run: Any, words: str) -> None:
    json.loads(run(*words.split(), "--json"))
    assert run(*words.split()).strip()


OF_A_SEARCH = [
    *("show", "front", "lineage", "again", "candidates", "advice", "importance", "history"),
    "certificates",
]


@pytest.mark.parametrize("name", OF_A_SEARCH)
def test_what_a_search_has_is_json_or_a_table(run: Any, search: str, name: str) -> None:
    json.loads(run(name, search, "--json"))
    assert run(name, search).strip()


def test_candidates_are_sorted_narrowed_and_shown_whole(run: Any, search: str) -> None:
    found = json.loads(run("candidates", search, "--sort", "latency_ms", "--limit", "7", "--json"))
    values = [one["estimates"]["latency_ms"]["value"] for one in found["items"]]
    assert len(values) == 7
    assert values == sorted(values)
    under = f"latency_ms<={values[3]}"
    fewer = json.loads(run("candidates", search, "--where", under, "--limit", "2000", "--json"))
    assert fewer["n_matching"] == len(fewer["items"])
    assert max(one["estimates"]["latency_ms"]["value"] for one in fewer["items"]) <= values[3]
    one = json.loads(run("candidate", search, str(found["items"][0]["index"]), "--json"))
    assert one["architecture"] == found["items"][0]["architecture"]
    assert sum(cost["share"][0] for cost in one["blocks"]["costs"]) > 0
    table = run("candidate", search, str(found["items"][0]["index"]))
    assert all(block["kind"] in table for block in one["blocks"]["blocks"])


def test_a_front_compared_with_itself_has_no_differences(run: Any, search: str) -> None:
    found = json.loads(run("compare", search, search, "--json"))
    assert (found["entered"], found["left"]) == ([], [])
    assert f"on both: {found['stayed']}" in run("compare", search, search)


def test_saving_tells_the_files_in_json_too(run: Any, search: str, tmp_path: Path) -> None:
    told = json.loads(run("fetch", search, "--out", str(tmp_path / "a"), "--json"))
    assert told["wrote"]
    assert all(Path(one).is_file() for one in told["wrote"])


def test_labels_schedules_and_webhooks_change(run: Any, search: str) -> None:
    told = json.loads(run("devices", "label", "here", "room=12", "--json"))
    assert told["facts"]["labels"]["room"] == "12"
    assert "room=12" in run("devices", "show", "here")
    made = json.loads(run("schedules", "add", search, "0 4 * * *", "--json"))
    changed = json.loads(run("schedules", "change", made["id"], "30 5 * * *", "--json"))
    assert changed["cron"] == "30 5 * * *"
    run("schedules", "remove", made["id"])
    hook = json.loads(run("webhooks", "add", "https://a.example/hook", "--json"))
    told = json.loads(run("webhooks", "change", hook["id"], "--event", "search.finished", "--json"))
    assert told["events"] == ["search.finished"]
    run("webhooks", "remove", hook["id"])


def test_what_is_not_there_is_not_called_unknown(run: Any, search: str) -> None:
    assert "unknown" not in run("jobs", "--kind", "search")
    assert "unknown" not in run("spaces", "mbconv")
    assert "unknown" not in run("certificates", search)
    assert "unknown" not in run("predictors")


def test_any_call_can_be_made(run: Any, search: str, tmp_path: Path) -> None:
    assert json.loads(run("api", "get", f"/v1/searches/{search}"))["id"] == search
    page = json.loads(run("api", "GET", "/v1/jobs?limit=1&kind=search"))
    assert [one["kind"] for one in page["items"]] == ["search"]
    body = tmp_path / "body.json"
    body.write_text('{"labels": {"room": "13"}}')
    changed = json.loads(run("api", "PATCH", "/v1/devices/here", "--data", f"@{body}"))
    assert changed["facts"]["labels"]["room"] == "13"
    made = json.loads(run("api", "POST", "/v1/webhooks", "--data", '{"url": "https://b.example"}'))
    assert run("api", "DELETE", f"/v1/webhooks/{made['id']}") == ""


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["api", "FETCH", "/v1/jobs"], "METHOD: 'FETCH'"),
        (["api", "GET", "/metrics"], "PATH: '/metrics'"),
        (["api", "POST", "/v1/devices", "--data", "{"], "--data: not JSON"),
        (["api", "POST", "/v1/devices", "--data", "@/no/such"], "--data: No such file"),
        (["candidates", "sea_nothing"], "sea_nothing"),
        (["study", "sea_nothing", "--out", "/no/such/folder/x.db"], "--out: there is no folder"),
        (["devices", "label", "here", "room"], "--label"),
        (["search", "--dataset", "toy", "--device", "here", "--rules", "/no/file"], "--rules: No "),
    ],
)
def test_what_cannot_be_is_one_line(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    named: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["nas", *words, "--server", service.url])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code not in (0, None)
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert named in line

"""`nas mlflow`: a search as a run of MLflow, with a run below it for each file of its winners."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas_service.cli import output
from nas_service.cli.options import LOCAL, JsonOption, ServerOption
from nas_service.client import Client
from nas_service.errors import InvalidSpec, Unsupported

if TYPE_CHECKING:
    from mlflow import MlflowClient

Json = dict[str, Any]
SEARCH_TAG = "nas.search_id"
PARENT_TAG = "mlflow.parentRunId"
_SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
_FINISHED = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}


def mlflow(
    search_id: str,
    tracking_uri: Annotated[
        str,
        typer.Option(
            envvar="MLFLOW_TRACKING_URI", help="As http://host:5000 or sqlite:///mlflow.db."
        ),
    ],
    experiment: Annotated[str, typer.Option(help="Made where there is none.")] = "nas-service",
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Write a search that has ended as an MLflow run, with a run below it for each winner's file.

    A search that is there already is not written twice.
    """
    with Client(server) as nas:
        search = nas.search(search_id)
        if search["state"] not in _FINISHED:
            raise InvalidSpec(
                f"search {search_id} is {search['state']}: it can be written when it has ended",
                field="search_id",
            )
        winners, history = nas.winners(search_id), nas.get(f"/v1/searches/{search_id}/history")
        front = nas.front(search_id)
    client = client_of(tracking_uri)
    with _named_problems():
        made = write_runs(client, experiment, search, winners, history, front)
    if made["runs"]:
        text = f"wrote {search_id} with {len(made['runs']) - 1} files as run {made['run_id']}"
    else:
        text = f"{search_id} is there as run {made['run_id']}"
    output.tell(text, made, as_json=as_json)


def client_of(tracking_uri: str) -> MlflowClient:
    """A client of a tracking server or database, which gives up after seconds, not minutes.

    Raises:
        InvalidSpec: no such tracking store.
        Unsupported: the extra `mlflow` is not installed.
    """
    scheme = tracking_uri.partition(":")[0].partition("+")[0]
    if scheme not in _SCHEMES:
        raise InvalidSpec(
            f"--tracking-uri: {tracking_uri!r} is none of {', '.join(_SCHEMES)}",
            field="tracking_uri",
        )
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise Unsupported("nas mlflow needs: pip install 'nas-service[mlflow]'") from error
    with _named_problems():
        return MlflowClient(tracking_uri=tracking_uri)


@contextmanager
def _named_problems() -> Iterator[None]:
    """What the store says, in one line, by the option that names it."""
    from mlflow.exceptions import MlflowException  # it is there, as the client is

    try:
        yield
    except (MlflowException, OSError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise InvalidSpec(f"--tracking-uri: {why}", field="tracking_uri") from error


def write_runs(
    client: MlflowClient,
    experiment: str,
    search: Json,
    winners: list[Json],
    history: list[Json],
    front: Json,
) -> Json:
    """Write the runs; gives the search's run, and all that were written."""
    known = client.get_experiment_by_name(experiment)
    experiment_id = known.experiment_id if known else client.create_experiment(experiment)
    there = client.search_runs(
        [experiment_id], f"tags.`{SEARCH_TAG}` = '{search['id']}' and tags.`nas.kind` = 'search'"
    )
    if there:
        return {"run_id": there[0].info.run_id, "experiment_id": experiment_id, "runs": []}
    tags = {SEARCH_TAG: search["id"], "nas.kind": "search"}
    spec = search["spec"]
    run = _Run(client, experiment_id, search["id"], tags, search["created_at"])
    run.params(_flat(spec))
    for moment in history:
        run.metrics(
            {name: moment[name] for name in ("hypervolume", "n_front", "n_measured")},
            step=moment["n_evaluations"] or 0,
        )
    run.metrics({name: search["facts"].get(name) for name in ("limit_ms", "n_published")})
    run.document(front, "front.json")
    written = [run.id]
    for winner in winners:
        for row in winner["results"]:
            below = {**tags, "nas.kind": "file", PARENT_TAG: run.id, **_said(row)}
            name = f"winner {winner['rank']} {row['precision']}"
            child = _Run(client, experiment_id, name, below, search["created_at"])
            child.params({"rank": winner["rank"], "precision": row["precision"]})
            child.metrics(dict(_numbers(row)))
            child.document(row, "measured.json")
            child.end(search["finished_at"], "FINISHED")
            written.append(child.id)
    run.end(search["finished_at"], _FINISHED[search["state"]])
    return {"run_id": run.id, "experiment_id": experiment_id, "runs": written}


class _Run:
    """One run that is being written."""

    def __init__(
        self,
        client: MlflowClient,
        experiment_id: str,
        name: str,
        tags: Mapping[str, str],
        started_at: str,
    ) -> None:
        self._client = client
        run = client.create_run(
            experiment_id, start_time=_milliseconds(started_at), tags=dict(tags), run_name=name
        )
        self.id: str = run.info.run_id

    def params(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            self._client.log_param(self.id, name, value)

    def metrics(self, values: Mapping[str, Any], step: int = 0) -> None:
        for name, value in values.items():
            if value is not None:
                self._client.log_metric(self.id, name, float(value), step=step)

    def document(self, value: Json, name: str) -> None:
        self._client.log_text(self.id, json.dumps(value, indent=1, sort_keys=True), name)

    def end(self, finished_at: str | None, status: str) -> None:
        at = None if finished_at is None else _milliseconds(finished_at)
        self._client.set_terminated(self.id, status, at)


def _milliseconds(at: str) -> int:
    return round(1000 * datetime.fromisoformat(at).timestamp())


def _flat(values: Mapping[str, Any], before: str = "") -> Json:
    """Nested settings with dots in their names; lists as JSON."""
    found: Json = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{name}.")
        elif isinstance(value, list):
            found[before + name] = json.dumps(value)
        elif value is not None:
            found[before + name] = value
    return found


def _said(row: Json) -> dict[str, str]:
    """What a file's row says in words, as tags."""
    names = ("verdict", "target", "sha256")
    certificate = row.get("certificate") or {}
    said = {f"nas.{name}": str(row[name]) for name in names if row.get(name)}
    if certificate.get("verdict"):
        said["nas.certificate"] = str(certificate["verdict"])
    return said


def _numbers(row: Json) -> Iterator[tuple[str, float]]:
    """What was predicted and what was measured, by name; nothing stands in for the unknown."""
    for name, value in row.items():
        named = name.startswith(("predicted_", "measured_")) or name in ("macs", "parameters")
        if named and isinstance(value, int | float) and not isinstance(value, bool):
            yield name, float(value)

"""`nas wait`, `nas fetch` and `nas show`: come back to what was started, and take its result."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from nas_service.cli import output
from nas_service.cli.options import LOCAL, JsonOption, ServerOption
from nas_service.client import ApiError, Client

PATIENCE_S = 900.0
"""A service that is being started again is waited for so long."""
_INTERRUPTED = 130


def wait_for(
    nas: Client, job_id: str, on_progress: Callable[[dict[str, Any]], None], *, name: str
) -> dict[str, Any]:
    """Wait for a job, across restarts of the service; Ctrl-C says what goes on."""
    try:
        return nas.wait(job_id, on_progress=on_progress, patience_s=PATIENCE_S)
    except KeyboardInterrupt:
        print(
            f"\n{name} goes on without this command: `nas wait {name}` comes back to it, "
            f"`nas cancel {name}` ends it",
            file=sys.stderr,
        )
        raise typer.Exit(_INTERRUPTED) from None


def wait(name: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Wait for a search, a compression, a data set or any job, across restarts of the service."""
    with Client(server) as nas:
        nas.wait_until_it_answers()
        job = job_of(nas, name)
        if job["kind"] == "search":
            line: Any = output.SearchProgress(nas, job["id"], quiet=as_json)
        else:
            line = output.ProgressLine(job["kind"].replace("_", " "), quiet=as_json)
        done = wait_for(nas, job["id"], line, name=name)
        if as_json:
            output.show_json(done)
        elif job["kind"] == "search":
            show_front(nas, name, as_json=False)
        else:
            print(f"{name}: {done['state']}")


def fetch(
    name: str,
    out: Annotated[Path, typer.Option(help="Folder to save to.")],
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Save what a search or a compression gave: report, bundle, files. Waits where it goes on."""
    with Client(server) as nas:
        nas.wait_until_it_answers()
        job = job_of(nas, name)
        if job["state"] in {"queued", "running"}:
            wait_for(nas, job["id"], output.ProgressLine(job["kind"]), name=name)
        elif job["state"] != "succeeded":
            raise ApiError(job["problem"] or {"detail": f"{name} was {job['state']}"})
        saved = save_result(nas, job["subject"], out)
    text = "\n".join(f"wrote {file}" for file in saved) or "there are no files"
    output.tell(text, {"wrote": [str(file) for file in saved]}, as_json=as_json)


def show(name: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Show how a search, a compression, a data set or a job stands, and why it failed if it did."""
    with Client(server) as nas:
        job = job_of(nas, name)
        steps = list(nas.every("/v1/jobs", parent=job["id"])) if job["kind"] == "search" else []
    if as_json:
        output.show_json({**job, "steps": steps})
        return
    left = f", left: {output.duration(job['eta_s'])}" if job["state"] == "running" else ""
    print(f"{job['kind']} {name}: {job['state']}, {100 * job['progress']:.0f} %{left}")
    if job["message"]:
        print(f"at: {job['message']}")
    if why := why_not(job):
        print(f"why: {why}")
    for step in steps:
        if step["problem"]:
            print(f"step {step['kind']} {step['state']}: {why_not(step)}")


def why_not(thing: dict[str, Any]) -> str:
    """Why a search or job did not succeed, in a line; empty where it did, or goes on."""
    problem = thing.get("problem")
    return str(problem.get("detail") or problem.get("title")) if problem else ""


def job_of(nas: Client, name: str) -> dict[str, Any]:
    """The job of that id, or the newest one about the thing of that id or name."""
    try:
        return nas.job(name)
    except ApiError as error:
        if error.problem.get("status") != 404:
            raise
    found = next(nas.every("/v1/jobs", subject=name), None)
    if found is None:
        dataset = next((one for one in nas.every("/v1/datasets") if one["name"] == name), None)
        if dataset is not None:
            found = next(nas.every("/v1/jobs", subject=dataset["id"]), None)
    if found is None:
        raise ApiError({"detail": f"no search, compression, data set or job {name!r}"})
    return found


def show_front(nas: Client, search_id: str, *, as_json: bool) -> None:
    """Print a search's measured front; the predicted one as long as nothing is measured."""
    rows = [row for winner in nas.winners(search_id) for row in winner["results"]]
    if as_json:
        output.show_json({"front": nas.front(search_id), "winners": rows})
        return
    search = nas.search(search_id)
    facts = search["facts"]
    if search["problem"]:
        print(f"search {search_id} {search['state']}: {why_not(search)}")
    if rows:
        columns = output.winner_columns(search["spec"].get("metric") or "accuracy", rows)
        title = f"front of {search_id}, limit {facts['limit_ms']:g} ms"
        output.show(output.winner_rows(rows), columns, as_json=False, title=title)
        if text := (facts.get("test_part") or {}).get("text"):
            print(text)
        everything = ("steady", "rough", "unknown")
        for line in output.steadiness_lines(facts.get("steadiness") or [], verdicts=everything):
            print(line)
        return
    output.show(
        nas.front(search_id)["front"],
        [
            ("precision", "precision"),
            (f"{search['spec'].get('metric') or 'accuracy'} predicted", "predicted_accuracy"),
            ("ms predicted", "predicted_latency_ms"),
            ("size bytes", "size_bytes"),
        ],
        as_json=False,
        title="predicted front; nothing measured yet",
    )


def save_result(nas: Client, owner: str, folder: Path) -> list[Path]:
    """Save the files that belong to a search or a compression itself: report, bundle, compiled."""
    folder.mkdir(parents=True, exist_ok=True)
    saved = []
    for artifact in nas.every("/v1/artifacts", owner=owner):
        if artifact["owner"] == owner:
            nas.download(artifact["id"], folder / artifact["name"])
            saved.append(folder / artifact["name"])
    return saved

"""The command line: what runs a service, and what talks to one."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas_service import __version__
from nas_service.cli import (
    artifacts,
    backup,
    bundles,
    compress,
    datasets,
    devices,
    doctor,
    events,
    insights,
    inspect_model,
    mcp_server,
    measure,
    members,
    mlflow_runs,
    output,
    pages,
    remove,
    search,
    searches,
    stock,
    study,
    tables,
    tokens,
    toolchains,
    waiting,
)
from nas_service.cli.options import JsonOption, finite
from nas_service.errors import InvalidSpec
from nas_service.queues import CONCURRENCY

if TYPE_CHECKING:
    from nas_service.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rendering help with rich takes as long as everything else
    help="Hardware-aware neural architecture search: fronts that were measured on the device.",
)
for _name, _group in (
    ("devices", devices),
    ("tables", tables),
    ("datasets", datasets),
    ("artifacts", artifacts),
    ("toolchains", toolchains),
    ("tokens", tokens),
):
    app.add_typer(_group.commands, name=_name)
app.add_typer(members.projects, name="projects")
app.add_typer(members.members, name="members")
app.add_typer(events.webhooks, name="webhooks")
app.add_typer(events.schedules, name="schedules")
for _command in (
    search.search,
    searches.searches,
    searches.front,
    searches.lineage,
    searches.again,
    study.study,
    mlflow_runs.mlflow,
    insights.candidates,
    insights.candidate,
    insights.advice,
    insights.importance,
    insights.history,
    insights.compare,
    insights.certificates,
    stock.jobs,
    stock.spaces,
    stock.plugins,
    stock.supernets,
    stock.predictors,
    stock.compressions,
    stock.api,
    doctor.doctor,
    bundles.verify,
    bundles.signing_keys,
    backup.backup,
    backup.restore,
    searches.extend,
    searches.clone,
    searches.cancel,
    tables.price,
    compress.compress,
    inspect_model.inspect,
    measure.measure,
    remove.remove,
    tokens.whoami,
    tokens.audit,
    waiting.wait,
    waiting.fetch,
    waiting.show,
):
    app.command()(_command)
app.command("open")(pages.open_)
app.command("mcp")(mcp_server.mcp)


def _print_version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def common(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Hardware-aware neural architecture search: fronts that were measured on the device."""


def _settings(**overrides: Any) -> Settings:
    """Settings from the environment, with what the command line says on top."""
    from pydantic import ValidationError  # a third of a second that --help need not wait

    from nas_service.settings import Settings

    given = {k: v for k, v in overrides.items() if v is not None}
    for name, value in given.items():  # child processes read the same
        os.environ[f"NAS_{name.upper()}"] = str(value)
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise InvalidSpec(f"NAS_{name.upper()}: {message}", field=name) from error


@app.command()
def version(as_json: JsonOption = False) -> None:
    """Print the version."""
    if as_json:
        output.show_json({"version": __version__})
    else:
        print(__version__)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    var_dir: Annotated[Path | None, typer.Option(help="Where data live.")] = None,
    api_only: Annotated[bool, typer.Option("--api-only", help="No worker, no migration.")] = False,
) -> None:
    """Run the service: API, dashboard and one worker."""
    from nas_service.cli.serve import serve as run
    from nas_service.cli.serve import serve_api

    settings = _settings(host=host, port=port, var_dir=var_dir)
    if api_only:
        serve_api(settings)
    else:
        raise typer.Exit(run(settings))


@app.command()
def worker(
    queues: Annotated[str, typer.Option(help="Queues to work on, joined by commas.")] = ",".join(
        CONCURRENCY
    ),
    var_dir: Annotated[Path | None, typer.Option(help="Where data live.")] = None,
) -> None:
    """Run a worker process."""
    from nas_service.processes import die_with_parent, uncollected, wait_for_start

    die_with_parent()
    with uncollected():
        from nas_service.cli.databases import require_database
        from nas_service.worker.main import work

    wait_for_start()
    settings = _settings(var_dir=var_dir)
    require_database(settings)
    work(settings, [part.strip() for part in queues.split(",") if part.strip()])


@app.command()
def agent(
    server: Annotated[str, typer.Option(help="Address of the service.")],
    token: Annotated[
        str, typer.Option(envvar="NAS_AGENT_TOKEN", help="From `nas devices token NAME`.")
    ],
    folder: Annotated[
        Path | None, typer.Option(help="Where unfinished work lies; ~/.cache/nas-agent.")
    ] = None,
    once: Annotated[bool, typer.Option(help="End when there is nothing to do.")] = False,
) -> None:
    """Measure on this machine for a service: pulls work, accepts no connections."""
    from lookup_tables import agent as of_device

    arguments = ["--server", server, "--token", token]
    arguments += ["--folder", str(folder)] if folder else []
    raise typer.Exit(of_device.main([*arguments, "--once"] if once else arguments))


@app.command()
def migrate(
    var_dir: Annotated[Path | None, typer.Option(help="Where data live.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring the database's tables to the newest revision."""
    from nas_service.cli.databases import prepare
    from nas_service.storage.session import shown_url

    settings = _settings(var_dir=var_dir)
    prepare(settings)
    shown = shown_url(settings.url)
    if as_json:
        output.show_json({"migrated": shown})
    else:
        print(f"migrated {shown}")


@app.command()
def openapi(
    out: Annotated[Path | None, typer.Option(help="File to write; printed unless given.")] = None,
) -> None:
    """Print what the REST API is as an OpenAPI document: clients are generated from it."""
    from nas_service.api.app import create_app

    document = create_app(_settings()).openapi()
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if out is None:
        print(text, end="")
    else:
        out.write_text(text)


@app.command()
def demo(
    var_dir: Annotated[Path, typer.Option(help="Where data live.")] = Path("var"),
    seed: int = 0,
    profile_budget_s: Annotated[
        float, typer.Option(callback=finite, help="Seconds to profile.")
    ] = 60.0,
    max_latency_ms: Annotated[
        float | None,
        typer.Option(callback=finite, help="Hard limit; the space's median unless given."),
    ] = None,
    port: Annotated[int, typer.Option(help="Port to serve on; 0 takes a free one.")] = 0,
    keep: Annotated[
        bool | None, typer.Option(help="Keep serving at the end; on a terminal unless told.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the main job on the digits that ship with scikit-learn, on this machine."""
    from nas_service.cli.demo import run

    raise typer.Exit(
        run(
            var_dir,
            seed=seed,
            profile_budget_s=profile_budget_s,
            max_latency_ms=max_latency_ms,
            port=port,
            keep=keep,
            as_json=as_json,
        )
    )


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],  # `--help` is the benchmark's own
    }
)
def bench(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Benchmark; none lists them.")] = None,
) -> None:
    """Run a benchmark: `nas bench NAME --help` tells its options."""
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / "benchmarks" / "run.py").is_file():
        raise InvalidSpec("benchmarks are no part of the package: run this in a checkout of it")
    sys.path.insert(0, str(checkout))
    run_benchmark = importlib.import_module("benchmarks.run")
    raise typer.Exit(run_benchmark.main(name, context.args))

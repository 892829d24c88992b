"""The commands."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from nas_service import __version__
from nas_service.cli import output
from nas_service.cli.archive import content_digest, packed
from nas_service.client import ApiError, Client
from nas_service.errors import InvalidSpec
from nas_service.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Hardware-aware neural architecture search: fronts that were measured on the device.",
)
devices_app = typer.Typer(no_args_is_help=True, help="Devices and their targets.")
tables_app = typer.Typer(no_args_is_help=True, help="Lookup tables.")
datasets_app = typer.Typer(no_args_is_help=True, help="Data sets.")
artifacts_app = typer.Typer(no_args_is_help=True, help="Stored files.")
app.add_typer(devices_app, name="devices")
app.add_typer(tables_app, name="tables")
app.add_typer(datasets_app, name="datasets")
app.add_typer(artifacts_app, name="artifacts")

ServerOption = Annotated[
    str, typer.Option("--server", envvar="NAS_SERVER", help="Address of the service.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LOCAL = "http://127.0.0.1:8000"


def _settings(**overrides: Any) -> Settings:
    """Settings from the environment, with what the command line says on top."""
    given = {k: v for k, v in overrides.items() if v is not None}
    for name, value in given.items():  # child processes read the same
        os.environ[f"NAS_{name.upper()}"] = str(value)
    return Settings()


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
    queues: Annotated[
        str, typer.Option(help="Queues to work on, joined by commas.")
    ] = "control,cpu,device",
    var_dir: Annotated[Path | None, typer.Option(help="Where data live.")] = None,
) -> None:
    """Run a worker process."""
    from nas_service.engine.child import die_with_parent
    from nas_service.worker.main import work

    die_with_parent()
    work(_settings(var_dir=var_dir), [part.strip() for part in queues.split(",") if part.strip()])


@app.command()
def migrate(
    var_dir: Annotated[Path | None, typer.Option(help="Where data live.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring the database's tables to the newest revision."""
    from nas_service.cli.serve import prepare

    settings = _settings(var_dir=var_dir)
    prepare(settings)
    shown = settings.url.rpartition("@")[2]
    if as_json:
        output.show_json({"migrated": shown})
    else:
        print(f"migrated {shown}")


@devices_app.command("list")
def devices_list(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List devices."""
    with Client(server) as nas:
        output.show(
            nas.every("/v1/devices"),
            [
                ("name", "name"),
                ("model", "facts.model"),
                ("cores", "facts.n_cores"),
                ("this machine", "local"),
            ],
            as_json=as_json,
            title="devices",
        )


@devices_app.command("add")
def devices_add(
    name: str,
    this_machine: Annotated[
        bool, typer.Option("--this-machine", help="Describe the service's own machine.")
    ] = False,
    kind: Annotated[str, typer.Option(help="cpu, gpu, npu, mcu, phone or board.")] = "cpu",
    model: Annotated[str | None, typer.Option(help="What it is.")] = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Register a device."""
    with Client(server) as nas:
        added = nas.add_device(name, this_machine=this_machine, kind=kind, model=model)
        targets = nas.get(f"/v1/devices/{name}/targets")
    if as_json:
        output.show_json({**added, "targets": targets})
    else:
        print(f"added device {added['name']} with {len(targets)} targets")


@devices_app.command("show")
def devices_show(name: str, server: ServerOption = LOCAL) -> None:
    """Print a device and its targets as JSON."""
    with Client(server) as nas:
        found = nas.get(f"/v1/devices/{name}")
        output.show_json({**found, "targets": nas.get(f"/v1/devices/{name}/targets")})


@devices_app.command("profile")
def devices_profile(
    name: str,
    space: Annotated[str, typer.Option(help="Search space.")] = "mbconv",
    dataset: Annotated[str | None, typer.Option(help="Data set whose images to size for.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Or: pixels a side.")] = None,
    profile_budget_s: Annotated[float, typer.Option(help="Seconds to spend.")] = 60.0,
    seed: int = 0,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Measure blocks and networks on a device; makes lookup tables."""
    request: dict[str, Any] = {"space": space, "profile_budget_s": profile_budget_s, "seed": seed}
    if image_size is not None:
        request["image"] = {"size": image_size}
    if dataset is not None:
        request["dataset"] = dataset
    with Client(server) as nas:
        job = nas.profile(name, **request)["job"]
        done = nas.wait(job["id"], on_progress=output.ProgressLine("profiling", quiet=as_json))
    if as_json:
        output.show_json(done)


@tables_app.command("list")
def tables_list(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List lookup tables."""
    with Client(server) as nas:
        targets = {target["id"]: target for target in nas.every("/v1/targets")}
        rows = [
            {**table, "target": targets[table["target_id"]]["key"]}
            for table in nas.every("/v1/lookup-tables")
        ]
    output.show(
        rows,
        [
            ("version", "version"),
            ("target", "target"),
            ("space", "provenance.space"),
            ("entries", "n_entries"),
            ("measured", "n_measured"),
            ("fill error", "provenance.fill.left_out_median_error"),
            ("check error", "latency_check.mean_error"),
            ("check Spearman", "latency_check.spearman"),
        ],
        as_json=as_json,
        title="lookup tables",
    )


@tables_app.command("add")
def tables_add(file: Path, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Upload a lookup table file."""
    with Client(server) as nas:
        added = nas.upload_table(file)
    if as_json:
        output.show_json(added)
    else:
        print(f"added table {added['version']} with {added['n_entries']} entries")


@tables_app.command("validate")
def tables_validate(file: Path, as_json: JsonOption = False) -> None:
    """Check a lookup table file; names every row and field at fault."""
    from lookup_tables import files
    from lookup_tables.errors import InvalidTable

    try:
        table = files.read(file)
    except InvalidTable as error:
        if as_json:
            output.show_json({"valid": False, "problems": list(error.problems)})
        else:
            for problem in error.problems:
                print(problem)
        raise typer.Exit(1) from None
    if as_json:
        output.show_json({"valid": True, "version": table.version})
    else:
        print(f"valid: table {table.version} with {len(table.entries)} entries")


@tables_app.command("export")
def tables_export(table: str, file: Path, server: ServerOption = LOCAL) -> None:
    """Save a lookup table as a file."""
    with Client(server) as nas:
        file.write_bytes(nas.fetch(f"/v1/lookup-tables/{table}/content"))
    print(f"wrote {file}")


@datasets_app.command("list")
def datasets_list(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List data sets."""
    with Client(server) as nas:
        output.show(
            nas.every("/v1/datasets"),
            [
                ("name", "name"),
                ("size", "facts.size"),
                ("channels", "facts.channels"),
                ("train", "facts.n_train"),
                ("validation", "facts.n_validation"),
                ("test", "facts.n_test"),
                ("digest", "digest"),
            ],
            as_json=as_json,
            title="data sets",
        )


@datasets_app.command("add")
def datasets_add(
    name: str,
    path: Annotated[Path | None, typer.Argument(help="Folder, .zip, .npz or .parquet.")] = None,
    builtin: Annotated[str | None, typer.Option(help="A built-in data set: digits.")] = None,
    server_path: Annotated[
        str | None, typer.Option(help="A path on the server, below NAS_DATA_ROOTS.")
    ] = None,
    image_size: Annotated[int | None, typer.Option(help="Pixels a side.")] = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Import a data set: upload PATH, or name a built-in one or a path on the server."""
    with Client(server) as nas:
        added = _add_dataset(
            nas, name, path, builtin=builtin, server_path=server_path, image_size=image_size
        )
        nas.wait(added["job"]["id"], on_progress=output.ProgressLine("import", quiet=as_json))
        found = nas.get(f"/v1/datasets/{name}")
    if as_json:
        output.show_json(found)
    else:
        facts = found["facts"]
        print(
            f"added data set {name}: {len(facts['classes'])} classes, {facts['n_train']} training, "
            f"{facts['n_validation']} validation and {facts['n_test']} test images"
        )


def _add_dataset(
    nas: Client,
    name: str,
    path: Path | None,
    *,
    builtin: str | None = None,
    server_path: str | None = None,
    image_size: int | None = None,
) -> dict[str, Any]:
    given = [value for value in (path, builtin, server_path) if value is not None]
    if len(given) != 1:
        raise InvalidSpec("give exactly one of PATH, --builtin and --server-path")
    if path is None:
        return nas.add_dataset(name, builtin=builtin, path=server_path, image_size=image_size)
    with packed(path) as archive:
        return nas.upload_dataset(name, archive, image_size=image_size)


@app.command()
def search(
    dataset: Annotated[str, typer.Option(help="Name of a data set, or PATH of one to upload.")],
    space: Annotated[str, typer.Option(help="Search space.")] = "mbconv",
    device: Annotated[str, typer.Option(help="Device to search for.")] = "this-machine",
    max_latency_ms: Annotated[
        float | None, typer.Option(help="Hard limit; the space's median unless given.")
    ] = None,
    precision: Annotated[
        list[str] | None, typer.Option(help="fp32, int8; both unless given.")
    ] = None,
    sampler: Annotated[str, typer.Option(help="guided, random, tpe or nsga2.")] = "guided",
    evaluator: Annotated[str, typer.Option(help="supernet or standalone.")] = "supernet",
    queries: Annotated[int, typer.Option(help="Accuracy evaluations to spend.")] = 40,
    winners: Annotated[int, typer.Option(help="Winners to compress and measure.")] = 4,
    initial: Annotated[int, typer.Option(help="Subnets the predictor starts from.")] = 64,
    epochs: Annotated[int | None, typer.Option(help="Supernet epochs.")] = None,
    finetune_epochs: Annotated[int | None, typer.Option(help="Epochs for each winner.")] = None,
    max_train_images: Annotated[int | None, typer.Option(help="Train on so many images.")] = None,
    train_batch: Annotated[int, typer.Option(help="Images a training step.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 0.05,
    flip: Annotated[bool, typer.Option("--flip", help="Mirror training images.")] = False,
    image_size: Annotated[int | None, typer.Option(help="Pixels a side, for an upload.")] = None,
    profile_budget_s: Annotated[float, typer.Option(help="Seconds to profile, if needed.")] = 60.0,
    seed: int = 0,
    wait: Annotated[bool, typer.Option(help="Wait for the end.")] = True,
    out: Annotated[Path | None, typer.Option(help="Folder for report and bundle.")] = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Search for a data set and a device, and show the measured front."""
    with Client(server) as nas:
        _have_device(nas, device)
        name = _have_dataset(nas, dataset, image_size, quiet=as_json)
        request: dict[str, Any] = {
            "dataset": name,
            "space": space,
            "device": device,
            "max_latency_ms": max_latency_ms,
            "sampler": sampler,
            "evaluator": evaluator,
            "n_queries": queries,
            "n_winners": winners,
            "n_initial": initial,
            "profile_budget_s": profile_budget_s,
            "seed": seed,
            "training": {
                "epochs": epochs,
                "finetune_epochs": finetune_epochs,
                "max_train_images": max_train_images,
                "batch": train_batch,
                "learning_rate": learning_rate,
                "flip": flip,
            },
        }
        if precision:
            request["precisions"] = precision
        submitted = nas.submit_search(**request)
        search_id = submitted["id"]
        if not as_json:
            print(f"search {search_id}: {nas.url}/searches/{search_id}")
        if not wait:
            if as_json:
                output.show_json(submitted)
            return
        nas.wait(search_id, on_progress=output.ProgressLine("search", quiet=as_json))
        _show_front(nas, search_id, as_json=as_json)
        if out is not None:
            _save(nas, search_id, out)


def _have_device(nas: Client, name: str) -> None:
    """Register this machine under the default name, the first time that it is asked for."""
    if name != "this-machine":
        return
    try:
        nas.get(f"/v1/devices/{name}")
    except ApiError as error:
        if error.problem.get("status") != 404:
            raise
        nas.add_device(name, this_machine=True)


def _have_dataset(nas: Client, dataset: str, image_size: int | None, *, quiet: bool) -> str:
    """The name of a data set; a path is uploaded under the name of its last part."""
    path = Path(dataset)
    if not path.exists():
        return str(nas.get(f"/v1/datasets/{dataset}")["name"])
    with packed(path) as archive:
        # named by content: another folder of the same name, or edited files, is another data set
        name = f"{path.resolve().stem}-{content_digest(archive, image_size)}"
        if name not in {one["name"] for one in nas.every("/v1/datasets")}:
            job = nas.upload_dataset(name, archive, image_size=image_size)["job"]["id"]
        else:
            found = nas.get(f"/v1/datasets/{name}")
            if found["digest"] is not None:
                return name
            job = next(nas.every("/v1/jobs", subject=found["id"]))["id"]
    nas.wait(job, on_progress=output.ProgressLine("import", quiet=quiet))
    return name


def _show_front(nas: Client, search_id: str, *, as_json: bool) -> None:
    rows = [row for winner in nas.winners(search_id) for row in winner["results"]]
    if as_json:
        output.show_json({"front": nas.front(search_id), "winners": rows})
        return
    facts = nas.search(search_id)["facts"]
    if rows:
        title = f"front of {search_id}, limit {facts['limit_ms']:g} ms"
        output.show(output.winner_rows(rows), output.WINNER_COLUMNS, as_json=False, title=title)
        return
    output.show(
        nas.front(search_id)["front"],
        [
            ("precision", "precision"),
            ("accuracy predicted", "predicted_accuracy"),
            ("ms predicted", "predicted_latency_ms"),
            ("size bytes", "size_bytes"),
        ],
        as_json=False,
        title="predicted front; nothing measured yet",
    )


def _save(nas: Client, search_id: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for artifact in nas.every("/v1/artifacts", owner=search_id):
        if artifact["owner"] == search_id:
            nas.download(artifact["id"], folder / artifact["name"])
            print(f"wrote {folder / artifact['name']}")


@app.command()
def searches(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List searches."""
    with Client(server) as nas:
        output.show(
            nas.every("/v1/searches"),
            [
                ("id", "id"),
                ("state", "state"),
                ("data set", "spec.dataset"),
                ("space", "spec.space"),
                ("device", "spec.device"),
                ("limit ms", "facts.limit_ms"),
                ("published", "facts.n_published"),
            ],
            as_json=as_json,
            title="searches",
        )


@app.command()
def front(search_id: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Show a search's front."""
    with Client(server) as nas:
        _show_front(nas, search_id, as_json=as_json)


@app.command()
def cancel(search_id: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Cancel a search."""
    with Client(server) as nas:
        job = nas.cancel_search(search_id)
    if as_json:
        output.show_json(job)
    else:
        print(f"asked {search_id} to end")


@app.command()
def price(
    architecture: Annotated[str, typer.Argument(help="Architecture JSON, or a file with it.")],
    device: Annotated[str, typer.Option(help="Device to price on.")] = "this-machine",
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Estimate what an architecture costs on a device's targets."""
    text = architecture
    if not text.lstrip().startswith("{"):
        text = Path(architecture).read_text()
    try:
        described = json.loads(text)
        request = {key: described[key] for key in ("space", "image", "decisions")}
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InvalidSpec(
            f"not an architecture with space, image and decisions: {error}"
        ) from error
    with Client(server) as nas:
        prices = nas.price(device=device, **request)
    output.show(
        prices,
        [
            ("target", "target"),
            ("table", "table_version"),
            ("estimated ms", "estimated_latency_ms"),
            ("upper ms", "latency_upper_ms"),
            ("estimated bytes", "estimated_size_bytes"),
            ("MACs", "macs"),
            ("parameters", "parameters"),
        ],
        as_json=as_json,
        title="estimates",
    )


@artifacts_app.command("list")
def artifacts_list(
    owner: Annotated[str | None, typer.Option(help="A search or a winner.")] = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """List artifacts."""
    with Client(server) as nas:
        output.show(
            nas.every("/v1/artifacts", owner=owner),
            [
                ("id", "id"),
                ("owner", "owner"),
                ("name", "name"),
                ("bytes", "size_bytes"),
                ("sha256", "sha256"),
            ],
            as_json=as_json,
            title="artifacts",
        )


@artifacts_app.command("get")
def artifacts_get(artifact_id: str, file: Path, server: ServerOption = LOCAL) -> None:
    """Save an artifact."""
    with Client(server) as nas:
        nas.download(artifact_id, file)
    print(f"wrote {file}")


@artifacts_app.command("delete")
def artifacts_delete(artifact_id: str, server: ServerOption = LOCAL) -> None:
    """Delete an artifact."""
    with Client(server) as nas:
        nas.delete_artifact(artifact_id)
    print(f"deleted {artifact_id}")


@artifacts_app.command("collect-garbage")
def artifacts_collect(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Remove bytes that nothing speaks of."""
    with Client(server) as nas:
        found = nas.collect_garbage()
    if as_json:
        output.show_json(found)
    else:
        print(f"removed {found['n_removed']} files")


@app.command()
def demo(
    var_dir: Annotated[Path, typer.Option(help="Where data live.")] = Path("var"),
    seed: int = 0,
    profile_budget_s: Annotated[float, typer.Option(help="Seconds to profile.")] = 60.0,
    max_latency_ms: Annotated[
        float | None, typer.Option(help="Hard limit; the space's median unless given.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port to serve on; 0 takes a free one.")] = 0,
    keep: Annotated[
        bool | None, typer.Option(help="Keep serving at the end; on a terminal unless told.")
    ] = None,
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
        )
    )


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Benchmark; none lists them.")] = None,
) -> None:
    """Run a benchmark: `nas bench NAME --help` tells its options."""
    try:
        run_benchmark = importlib.import_module("benchmarks.run")
    except ModuleNotFoundError:
        raise InvalidSpec(
            "the benchmarks are not installed; they come with a checkout of the project"
        ) from None
    raise typer.Exit(run_benchmark.main(name, context.args))

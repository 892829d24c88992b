"""`nas devices`: devices, their targets, profiling."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nas_service.cli import output
from nas_service.cli.cards import tables_with_cards
from nas_service.cli.options import LOCAL, JsonOption, ServerOption, finite
from nas_service.cli.waiting import wait_for
from nas_service.client import Client
from nas_service.errors import InvalidSpec
from nas_service.queues import THIS_MACHINE

commands = typer.Typer(no_args_is_help=True, help="Devices and their targets.")


@commands.command("list")
def devices_list(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List devices."""
    with Client(server) as nas:
        output.show(
            [{**one, "machine": _machine(one)} for one in nas.every("/v1/devices")],
            [
                ("name", "name"),
                ("model", "facts.model"),
                ("cores", "facts.n_cores"),
                ("machine", "machine"),
            ],
            as_json=as_json,
            title="devices",
        )


def _machine(device: dict[str, Any]) -> str | None:
    """The machine whose workers measure on a device; None where an agent does."""
    return (device["facts"].get("machine") or THIS_MACHINE) if device["local"] else None


@commands.command("add")
def devices_add(
    name: str,
    this_machine: Annotated[
        bool, typer.Option("--this-machine", help="Describe the service's own machine.")
    ] = False,
    machine: Annotated[
        str | None, typer.Option(help="A machine that workers run on, by its NAS_MACHINE.")
    ] = None,
    kind: Annotated[str, typer.Option(help="cpu, gpu, npu, mcu, phone or board.")] = "cpu",
    model: Annotated[str | None, typer.Option(help="What it is.")] = None,
    peak_gmacs: Annotated[
        float | None,
        typer.Option(callback=finite, help="Peak fp32 GMAC/s, to price it unmeasured."),
    ] = None,
    bandwidth_gb: Annotated[
        float | None,
        typer.Option(callback=finite, help="Memory bandwidth in GB/s, to price it unmeasured."),
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE; may be repeated.")] = None,
    without_operator: Annotated[
        list[str] | None,
        typer.Option(help="An ONNX operator that it lacks, as Sigmoid; may be repeated."),
    ] = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Register a device."""
    facts: dict[str, Any] = {"kind": kind, "model": model}
    if peak_gmacs is not None:
        facts["peak_macs_per_s"] = 1e9 * peak_gmacs
    if bandwidth_gb is not None:
        facts["bandwidth_bytes_per_s"] = 1e9 * bandwidth_gb
    if without_operator:
        facts["unsupported_operators"] = without_operator
    if machine is not None:
        facts["machine"] = machine
    facts["labels"] = dict(_label(one) for one in label or [])
    with Client(server) as nas:
        added = nas.add_device(name, this_machine=this_machine, **facts)
        targets = nas.get(f"/v1/devices/{name}/targets")
    if as_json:
        output.show_json({**added, "targets": targets})
    else:
        print(f"added device {added['name']} with {len(targets)} targets")


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise InvalidSpec(f"--label takes KEY=VALUE, not {text!r}", field="label")
    return key, value


@commands.command("show")
def devices_show(name: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Show what is known of a device, and its targets; --json has its reference states, too."""
    with Client(server) as nas:
        found = nas.get(f"/v1/devices/{name}")
        targets = nas.get(f"/v1/devices/{name}/targets")
    if as_json:
        output.show_json({**found, "targets": targets})
        return
    hidden = ("drift", "drift_checks", "references", "labels")
    facts = {k: v for k, v in found["facts"].items() if k not in hidden}
    labels = [f"{key}={value}" for key, value in found["facts"]["labels"].items()]
    rows = [{"what": k, "value": v} for k, v in {**facts, "labels": labels}.items() if v]
    columns = [("what is known", "what"), ("value", "value")]
    output.show(rows, columns, as_json=False, title=found["name"])
    columns = [("target", "key"), ("precision", "precision")]
    output.show(targets, columns, as_json=False, title="targets")


@commands.command("label")
def devices_label(
    name: str,
    label: Annotated[list[str], typer.Argument(help="KEY=VALUE; all others go.")],
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Give a device other labels, in place of those that it has."""
    with Client(server) as nas:
        changes = {"labels": dict(_label(one) for one in label)}
        changed = nas.call("PATCH", f"/v1/devices/{name}", changes)
    output.tell(f"{name}: {', '.join(label)}", changed, as_json=as_json)


@commands.command("token")
def devices_token(name: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Make a token for a device's agent; it is shown this once, the one before ends."""
    with Client(server) as nas:
        made = nas.make_token(name)
    if as_json:
        output.show_json(made)
        return
    print(f"token of {name}: {made['token']}")
    print(f"on the device:  {made['command']}")
    print(f"or:             curl -O {server.rstrip('/')}/agent.pyz")
    print(f"                python agent.pyz --server {server.rstrip('/')} --token {made['token']}")


@commands.command("kit")
def devices_kit(
    name: str,
    out: Annotated[Path, typer.Argument(help="Zip to write.")],
    space: Annotated[str, typer.Option(help="Search space.")] = "mbconv",
    dataset: Annotated[str | None, typer.Option(help="Data set whose images to size for.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Or: pixels a side.")] = None,
    precision: Annotated[
        list[str] | None, typer.Option(help="fp32, int8; both unless given.")
    ] = None,
    seed: int = 0,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Pack models, commands and a CSV to fill, for a device that the service cannot reach."""
    request: dict[str, Any] = {"space": space, "seed": seed}
    if image_size is not None:
        request["image"] = {"size": image_size}
    if dataset is not None:
        request["dataset"] = dataset
    if precision:
        request["precisions"] = precision
    with Client(server) as nas:
        made = nas.post(f"/v1/devices/{name}:make-kit", request)
        wait_for(
            nas,
            made["job"]["id"],
            output.ProgressLine("kit", quiet=as_json),
            name=made["job"]["id"],
        )
        kit = max(nas.every("/v1/artifacts", owner=made["id"]), key=lambda one: one["created_at"])
        nas.download(kit["id"], out)
    output.tell(f"wrote {out}; its id is {kit['id']}", kit, as_json=as_json)


@commands.command("import-kit")
def devices_import_kit(
    name: str,
    kit: Annotated[str, typer.Argument(help="Id of the kit.")],
    results: Annotated[Path, typer.Argument(help="results.csv, or the folder of logs.")],
    runtime_version: Annotated[str, typer.Option(help="Of ONNX Runtime on the device.")],
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Make lookup tables of a filled kit."""
    try:
        text = _logs(results) if results.is_dir() else results.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidSpec(f"{results} is not UTF-8: {error}", field="results") from error
    request = {"kit": kit, "results": text, "runtime_version": runtime_version}
    with Client(server) as nas:
        job = nas.post(f"/v1/devices/{name}:import-kit", request)["job"]
        done = wait_for(
            nas, job["id"], output.ProgressLine("import", quiet=as_json), name=job["id"]
        )
    output.tell(f"made tables of {name}", done, as_json=as_json)


def _logs(folder: Path) -> str:
    """What the tool printed for each model, as the text of a CSV."""
    from lookup_tables.errors import InvalidTable
    from lookup_tables.importers import ANCHOR_COLUMNS, NetworkLatency, perf_test

    def read(log: Path) -> NetworkLatency:
        name = log.relative_to(folder).with_suffix("").as_posix()
        try:
            printed = perf_test(log.read_text(errors="replace"), name)
        except InvalidTable as error:
            raise InvalidSpec(str(error), field="results") from error
        if printed.statistic != "p50":
            raise InvalidSpec(
                f"{name}: only an average was printed, and tables hold medians", field="results"
            )
        return printed

    lines = [",".join(["name", "p50_ms", "p90_ms", "p99_ms", "n", *ANCHOR_COLUMNS])]
    for log in sorted(folder.rglob("*.txt")):
        if log.name.endswith((".before.txt", ".after.txt")):
            continue
        one = read(log)
        beside = [log.with_suffix(f".{when}.txt") for when in ("before", "after")]
        anchors = [repr(read(path).p50_ms) if path.exists() else "" for path in beside]
        values = [repr(one.p50_ms), str(one.p90_ms or ""), str(one.p99_ms or ""), str(one.n)]
        lines.append(",".join([one.name, *values, *anchors]))
    return "\n".join(lines) + "\n"


@commands.command("check")
def devices_check(
    name: str,
    profile_budget_s: Annotated[
        float, typer.Option(callback=finite, help="Seconds to profile, if needed.")
    ] = 60.0,
    seed: int = 0,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Look for drift: measure a few networks again, and profile the device anew where it moved."""
    request = {"profile_budget_s": profile_budget_s, "seed": seed}
    with Client(server) as nas:
        job = nas.post(f"/v1/devices/{name}:check-drift", request)["job"]
        wait_for(nas, job["id"], output.ProgressLine("drift", quiet=as_json), name=job["id"])
        found = nas.get(f"/v1/devices/{name}")["facts"]["drift"]["targets"]
    rows = [{"target": key, **one} for key, one in found.items()]
    columns = [("target", "target"), ("moved", "moved"), ("shift", "shift")]
    columns += [("probes", "n_probes"), ("p", "p_value")]
    output.show(rows, columns, as_json=as_json, title=f"drift of {name}")


@commands.command("profile")
def devices_profile(
    name: str,
    space: Annotated[str, typer.Option(help="Search space.")] = "mbconv",
    dataset: Annotated[str | None, typer.Option(help="Data set whose images to size for.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Or: pixels a side.")] = None,
    profile_budget_s: Annotated[
        float, typer.Option(callback=finite, help="Seconds to spend.")
    ] = 60.0,
    precision: Annotated[
        list[str] | None, typer.Option(help="fp32, int8, openvino:bf16 ...; may be repeated.")
    ] = None,
    networks: Annotated[
        int | None,
        typer.Option(help="Measure so many networks alone; the rest is other devices' tables."),
    ] = None,
    seed: int = 0,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Measure blocks and networks on a device; makes lookup tables."""
    request: dict[str, Any] = {"space": space, "profile_budget_s": profile_budget_s, "seed": seed}
    if networks is not None:
        request["networks"] = networks
    if precision:
        request["precisions"] = precision
    if image_size is not None:
        request["image"] = {"size": image_size}
    if dataset is not None:
        request["dataset"] = dataset
    with Client(server) as nas:
        job = nas.profile(name, **request)["job"]
        done = wait_for(
            nas, job["id"], output.ProgressLine("profiling", quiet=as_json), name=job["id"]
        )
        made = [] if as_json else _made_since(nas, name, job["created_at"])
    if as_json:
        output.show_json(done)
    for line in made:
        print(line)


def _made_since(nas: Client, device: str, since: str) -> list[str]:
    """A line a table of a device that is newer than this, with how well it was measured."""
    cards = [
        {**table["card"], "table": table["version"], "precision": table["target"]}
        for table in tables_with_cards(nas)
        if table["device"] == device and table["created_at"] >= since
    ]
    return output.steadiness_lines(cards, verdicts=("steady", "rough", "unknown"))

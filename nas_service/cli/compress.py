"""`nas compress`: a model, a recipe and targets, without any search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nas_service import strict_json
from nas_service.cli import output
from nas_service.cli.have import have_dataset, have_device
from nas_service.cli.inspect_model import looked_at, shape_of
from nas_service.cli.options import (
    LOCAL,
    JsonOption,
    PriorityOption,
    ServerOption,
    finite,
    numbers,
)
from nas_service.cli.recorded import require_metric_of, require_samples, sent_samples, signature_of
from nas_service.cli.waiting import wait_for
from nas_service.client import Client
from nas_service.compilation.kept import UNSTEADY
from nas_service.errors import InvalidSpec

REFERENCE = "reference:"
WINNER = "winner:"


def compress(
    model: Annotated[
        str,
        typer.Argument(help="FILE.onnx, FILE.pt2, reference:NAME[:WIDTH], or winner:ID."),
    ],
    dataset: Annotated[
        str | None, typer.Option(help="Name of a data set, or PATH of one to upload.")
    ] = None,
    samples: Annotated[
        list[Path] | None,
        typer.Option(help="FILE.npz of arrays by names of the model's inputs; may be repeated."),
    ] = None,
    test: Annotated[
        list[Path] | None,
        typer.Option(help="The same, to judge by, with targets or not; may be repeated."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="NAME or NAME:OUTPUT, with --samples.  [default: fidelity]")
    ] = None,
    keep_float: Annotated[
        list[str] | None, typer.Option(help="Layer that stays in float; may be repeated.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Passes in order: NAME,NAME:OPTION=VALUE:...; or a JSON file."),
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="RUNTIME:PRECISION; may be repeated.")
    ] = None,
    device: Annotated[str, typer.Option(help="Device to measure on.")] = "this-machine",
    max_loss: Annotated[
        float, typer.Option(callback=finite, help="Accuracy that may be lost, a fraction.")
    ] = 0.01,
    speedup_share: Annotated[
        float,
        typer.Option(callback=finite, help="Of what pruned MACs promise, what has to be measured."),
    ] = 0.8,
    shape: Annotated[
        str | None, typer.Option(help="CxHxW, for a graph whose sizes are open: 3x224x224.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="To train a reference network.")] = 10,
    image_size: Annotated[int | None, typer.Option(help="Pixels a side, for an upload.")] = None,
    mean: Annotated[str | None, typer.Option(help="Of pixels from 0 to 1, a,b,c.")] = None,
    std: Annotated[str | None, typer.Option(help="Their deviation, a,b,c.")] = None,
    max_train_images: Annotated[int | None, typer.Option(help="Train on so many.")] = None,
    max_test_images: Annotated[int, typer.Option(help="Judge on so many.")] = 1000,
    seed: int = 0,
    priority: PriorityOption = "normal",
    out: Annotated[Path | None, typer.Option(help="Folder for report and files.")] = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Compress a model, compile it for each target, compare it with the original, measure both."""
    own = model.startswith((REFERENCE, WINNER))
    if shape is not None and own:
        raise InvalidSpec("--shape goes with a model file", field="shape")
    if (dataset is None) == (not samples):
        raise InvalidSpec("give one of --dataset and --samples", field="dataset")
    if own and samples:
        raise InvalidSpec("--samples go with a model file", field="samples")
    if not samples and (test or metric or keep_float):
        raise InvalidSpec("--test, --metric and --keep-float go with --samples", field="samples")
    request: dict[str, Any] = {
        "device": device,
        "shape": shape_of(shape),
        "recipe": recipe_of(recipe),
        "targets": [_target(one) for one in target or ["onnxruntime:int8"]],
        "max_loss": max_loss,
        "speedup_share": speedup_share,
        "mean": numbers("mean", mean),
        "std": numbers("std", std),
        "max_train_images": max_train_images,
        "max_test_images": max_test_images,
        "seed": seed,
        "priority": priority,
    }
    with Client(server) as nas:
        nas.wait_until_it_answers()
        if samples:
            looked = signature_of(Path(model))  # what is wrong is said before it is sent
            _require_read(looked, request["targets"])
            require_metric_of(looked, metric or "fidelity")
            require_samples(looked, samples, "samples")
            require_samples(looked, test or [], "test")
        elif not own:
            _require_read(looked_at(Path(model), request["shape"]), request["targets"])
        request |= _model(nas, model, epochs)
        have_device(nas, device)
        if samples:
            request["samples"] = sent_samples(nas, samples)
            request["test"] = sent_samples(nas, test or [])
            request["metric"] = metric or "fidelity"
            request["keep_float"] = keep_float or []
        else:
            assert dataset is not None
            request["dataset"] = have_dataset(nas, dataset, image_size, quiet=as_json)
        made = nas.compress(**request)
        wait_for(
            nas,
            made["job"]["id"],
            output.ProgressLine("compress", quiet=as_json),
            name=made["job"]["id"],
        )
        told = nas.compression(made["id"])
        if out is not None:
            _save(nas, told, out)
    if as_json:
        output.show_json(told)
        return
    _show(told)


def _show(told: dict[str, Any]) -> None:
    """Print what was done and what came of it."""
    for note in told["made_ready"]:
        print(f"made ready: {note}")
    if told["passes"]:
        columns = [("pass", "name"), ("accuracy (validation)", "accuracy")]
        columns += [("parameters", "parameters"), ("MACs", "macs"), ("zeros", "sparsity")]
        output.show(told["passes"], columns, as_json=False, title="passes")
    title = f"compression {told['id']}"
    output.show(
        told["rows"], output.compression_columns(told["request"]), as_json=False, title=title
    )
    for row in told["rows"]:
        if row.get("shares"):
            larger = f"; larger than in fp32: {', '.join(row['grown'])}" if row.get("grown") else ""
            print(f"{row['runtime']} {row['precision']}: {row['shares']['text']}{larger}")
    if any(row.get("kept") == UNSTEADY for row in told["rows"]):
        print(f"what was not measured steadily is kept: `nas measure {told['id']}` tries again")


def _require_read(looked: dict[str, Any], targets: list[dict[str, str]]) -> None:
    """Refuse targets whose runtime can never take the model, wherever it is compiled."""
    why_not = {row["runtime"]: row["why"] for row in looked["runtimes"] if row["never"]}
    for target in targets:
        if target["runtime"] in why_not:
            raise InvalidSpec(
                f"--target {target['runtime']}:{target['precision']}: {target['runtime']} "
                f"{why_not[target['runtime']]}",
                field="target",
            )


def recipe_of(text: str | None) -> list[Any]:
    """Steps from `NAME,NAME:OPTION=VALUE`, or from a JSON file."""
    if not text:
        return []
    if text.endswith(".json"):
        try:
            steps = strict_json.loads(Path(text).read_text(encoding="utf-8"))
        except strict_json.GivenTwice as error:
            raise InvalidSpec(f"{text}: {error}", field="recipe") from error
        except ValueError as error:
            raise InvalidSpec(f"{text} is not JSON: {error}", field="recipe") from error
        if not isinstance(steps, list):
            raise InvalidSpec(f"{text} is not a list of passes", field="recipe")
        return steps
    return [_step(one) for one in text.split(",")]


def _step(text: str) -> str | dict[str, dict[str, Any]]:
    name, *options = text.split(":")
    if not options:
        return name
    found = {}
    for one in options:
        key, equals, value = one.partition("=")
        if not (key and equals and value):
            raise InvalidSpec(f"--recipe: {one!r} is not OPTION=VALUE", field="recipe")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return {name: found}


def _target(text: str) -> dict[str, str]:
    runtime, colon, precision = text.partition(":")
    if not (runtime and colon and precision):
        raise InvalidSpec(f"--target takes RUNTIME:PRECISION, not {text!r}", field="target")
    return {"runtime": runtime, "precision": precision}


def _model(nas: Client, model: str, epochs: int) -> dict[str, Any]:
    if model.startswith(REFERENCE):
        name, _, width = model.removeprefix(REFERENCE).partition(":")
        (number,) = numbers("width", width or "1") or [1.0]
        return {"reference": {"name": name, "width": number, "epochs": epochs}}
    if model.startswith(WINNER):
        return {"winner": model.removeprefix(WINNER)}
    return {"model": nas.upload_model(Path(model))["id"]}


def _save(nas: Client, told: dict[str, Any], out: Path) -> None:
    """Write the report and every published file."""
    out.mkdir(parents=True, exist_ok=True)
    wanted = {row.get("artifact") for row in told["rows"]}
    for one in told["artifacts"]:
        if one["id"] in wanted or one["name"] in {"report.json", "preprocessing.json"}:
            nas.download(one["id"], out / one["name"])

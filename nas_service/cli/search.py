"""`nas search`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from nas_service.cli import output
from nas_service.cli.have import have_dataset, have_device
from nas_service.cli.options import (
    LOCAL,
    JsonOption,
    PriorityOption,
    ServerOption,
    field_of,
    finite,
    read_yaml,
)
from nas_service.cli.own_model import OwnModel, have_space
from nas_service.cli.waiting import save_result, show_front, wait_for
from nas_service.client import Client
from nas_service.errors import InvalidSpec

T = TypeVar("T")


def search(
    dataset: Annotated[str, typer.Option(help="Name of a data set, or PATH of one to upload.")],
    space: Annotated[
        str | None, typer.Option(help="Search space; the usual one of the data set's task.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="An exported program (.pt2) of your own: the space is what it can be."),
    ] = None,
    model_factory: Annotated[
        str | None, typer.Option(help="The same for what an installed model factory makes.")
    ] = None,
    space_file: Annotated[
        Path | None, typer.Option(help="YAML file that describes a space: layers, choices, rules.")
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(help="Of the pixels, 0 to 1, that it was taught on, a,b,c."),
    ] = None,
    std: Annotated[str | None, typer.Option(help="Their deviation, a,b,c.")] = None,
    device: Annotated[str, typer.Option(help="Device to search for.")] = "this-machine",
    max_latency_ms: Annotated[
        float | None,
        typer.Option(callback=finite, help="Hard limit; the space's median unless given."),
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(help="fp32, int8, openvino:bf16 ...; fp32 and int8 unless given."),
    ] = None,
    sampler: Annotated[str, typer.Option(help="guided, exact, random, tpe, nsga2 ...")] = "guided",
    evaluator: Annotated[
        str, typer.Option(help="supernet, standalone, or outside: trainers of your own.")
    ] = "supernet",
    metric: Annotated[
        str | None,
        typer.Option(
            help="What is best: a metric of the learning task, its first unless given; of images "
            "accuracy, balanced_accuracy, macro_f1."
        ),
    ] = None,
    queries: Annotated[int, typer.Option(help="Accuracy evaluations to spend.")] = 40,
    winners: Annotated[int, typer.Option(help="Winners to compress and measure.")] = 4,
    initial: Annotated[int, typer.Option(help="Subnets the predictor starts from.")] = 64,
    epochs: Annotated[int | None, typer.Option(help="Supernet epochs.")] = None,
    finetune_epochs: Annotated[int | None, typer.Option(help="Epochs for each winner.")] = None,
    balanced: Annotated[
        bool, typer.Option("--balanced", help="Train on as many samples of each class.")
    ] = False,
    early_stop: Annotated[
        int | None, typer.Option(help="End training after so many epochs without a better one.")
    ] = None,
    find_rate: Annotated[
        bool, typer.Option("--find-rate", help="Look for the learning rate before training.")
    ] = False,
    augment: Annotated[
        str | None,
        typer.Option(
            help="Change training pictures: trivial_augment, rand_augment, auto_augment, aug_mix."
        ),
    ] = None,
    max_train_images: Annotated[int | None, typer.Option(help="Train on so many images.")] = None,
    train_batch: Annotated[int, typer.Option(help="Images a training step.")] = 32,
    learning_rate: Annotated[
        float, typer.Option(callback=finite, help="Highest learning rate.")
    ] = 0.05,
    flip: Annotated[bool, typer.Option("--flip", help="Mirror training images.")] = False,
    image_size: Annotated[int | None, typer.Option(help="Pixels a side, for an upload.")] = None,
    profile_budget_s: Annotated[
        float, typer.Option(callback=finite, help="Seconds to profile, if needed.")
    ] = 60.0,
    objective: Annotated[
        list[str] | None,
        typer.Option(help="Minimised beside the error: latency_ms, size_bytes, macs, ..."),
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, an upper bound; may be repeated.")
    ] = None,
    also_device: Annotated[
        list[str] | None, typer.Option(help="A further device: latency_ms@NAME, latency_ms@worst.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="End after so many batches without a better front.")
    ] = None,
    cheap_fidelity: Annotated[
        float | None,
        typer.Option(
            callback=finite,
            help="Look at three candidates a query with this share of the effort first.",
        ),
    ] = None,
    limit_probability: Annotated[
        float,
        typer.Option(
            callback=finite, help="Probability with which limits are to hold when measured."
        ),
    ] = 0.95,
    measuring_budget: Annotated[
        int, typer.Option(help="Measurements of candidates before winners are chosen.")
    ] = 10,
    corrections: Annotated[
        int | None,
        typer.Option(
            help="How often the search goes on with tables that its measurements corrected.  "
            "[default: 3 with sampler exact]"
        ),
    ] = None,
    limit_on: Annotated[
        str,
        typer.Option(
            help="What the limit is held against: reference (p50 in the device's reference "
            "state), observed (p90 of everything), sustained (p50 after load)."
        ),
    ] = "reference",
    sustained_s: Annotated[
        float, typer.Option(callback=finite, help="Seconds of load before a sustained measurement.")
    ] = 120.0,
    follow: Annotated[
        list[str] | None,
        typer.Option(help="Devices to search again for: all, name:PATTERN, label:KEY=VALUE."),
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(help="YAML or JSON file of rules over decisions; see the search spaces."),
    ] = None,
    seed: int = 0,
    priority: PriorityOption = "normal",
    further: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE, any other field of the request, as n_holdout=30."),
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the end.")] = True,
    out: Annotated[Path | None, typer.Option(help="Folder for report and bundle.")] = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Search for a data set and a device, and show the measured front."""
    if out is not None and not wait:
        raise InvalidSpec(
            "--out: there is nothing to save with --no-wait; later: nas fetch ID --out FOLDER",
            field="out",
        )
    limits = _once("--limit", [_limit(one) for one in limit or []])
    more = _once("--set", [field_of(one) for one in further or []])
    if max_latency_ms is not None and "max_latency_ms" in more:
        raise InvalidSpec("--set: max_latency_ms is given as --max-latency-ms, too", field="set")
    own = OwnModel(model, model_factory, space_file, mean, std)
    own.check(space)
    with Client(server) as nas:
        nas.wait_until_it_answers()
        have_device(nas, device)
        name = have_dataset(nas, dataset, image_size, quiet=as_json)
        if own.asked:
            space = have_space(nas, own, name, quiet=as_json)
        request: dict[str, Any] = {
            "dataset": name,
            **({} if space is None else {"space": space}),
            "device": device,
            "max_latency_ms": max_latency_ms,
            "sampler": sampler,
            "evaluator": evaluator,
            "n_queries": queries,
            "n_winners": winners,
            "n_initial": initial,
            "profile_budget_s": profile_budget_s,
            "limit_probability": limit_probability,
            "measuring_budget": measuring_budget,
            "corrections": corrections,
            "limit_on": limit_on,
            "sustained_s": sustained_s,
            "follows": follow or [],
            "seed": seed,
            "priority": priority,
            "training": {
                "epochs": epochs,
                "finetune_epochs": finetune_epochs,
                "max_train_images": max_train_images,
                "batch": train_batch,
                "learning_rate": learning_rate,
                "flip": flip,
                "balanced": balanced,
                "early_stop": early_stop,
                "find_rate": find_rate,
                "augment": augment,
            },
        }
        if metric is not None:
            request["metric"] = metric
        if precision:
            request["precisions"] = precision
        if objective:
            request["objectives"] = objective
        if also_device:
            request["also_devices"] = also_device
        if patience is not None:
            request["patience"] = patience
        if cheap_fidelity is not None:
            request["cheap_fidelity"] = cheap_fidelity
        request["limits"] = limits
        if rules is not None:
            request["rules"] = _rules(rules)
        request |= more
        submitted = nas.submit_search(**request)
        search_id = submitted["id"]
        if not as_json:
            print(f"search {search_id}: {nas.url}/searches/{search_id}")
            for note in nas.search(search_id)["facts"].get("notes") or []:
                print(f"note: {note}")
        if not wait:
            if as_json:
                output.show_json(submitted)
            return
        watched = output.SearchProgress(nas, search_id, quiet=as_json)
        wait_for(nas, search_id, watched, name=search_id)
        show_front(nas, search_id, as_json=as_json)
        if out is not None:
            saved = save_result(nas, search_id, out)
            if not as_json:  # which is one document
                print("\n".join(f"wrote {file}" for file in saved))


def _rules(file: Path) -> list[dict[str, Any]]:
    """The rules of a file: a list, or what stands under `rules`."""
    found = read_yaml("--rules", file)
    listed = found.get("rules") if isinstance(found, dict) else found
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise InvalidSpec(f"--rules: {file} is no list of rules", field="rules")
    return listed


def _once(option: str, pairs: list[tuple[str, T]]) -> dict[str, T]:
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InvalidSpec(f"{option}: {twice[0]} is given twice", field=option.strip("-"))
    return dict(pairs)


def _limit(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    try:
        upper = float(value if equals else "")
    except ValueError as error:
        raise InvalidSpec(f"--limit takes NAME=VALUE, not {text!r}", field="limit") from error
    if not math.isfinite(upper):
        raise InvalidSpec(f"--limit: {text!r} is not a finite number", field="limit")
    return name, upper

"""`nas search`, `searches`, `front` and `cancel`."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from nas_service.cli import output
from nas_service.cli.archive import content_digest, packed
from nas_service.cli.datasets import require_answered
from nas_service.cli.options import (
    LOCAL,
    JsonOption,
    PriorityOption,
    ServerOption,
    finite,
    read_yaml,
)
from nas_service.cli.own_model import OwnModel, have_space
from nas_service.cli.waiting import save_result, show_front, wait_for, why_not
from nas_service.client import ApiError, Client
from nas_service.errors import InvalidSpec


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
    limits = dict(_limit(one) for one in limit or [])
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
        request |= dict(_field(one) for one in further or [])
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


def _field(text: str) -> tuple[str, Any]:
    """A field of the request with its value, as JSON where it is that."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidSpec(f"--set: {text!r} is not NAME=VALUE", field="set")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _limit(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    try:
        upper = float(value if equals else "")
    except ValueError as error:
        raise InvalidSpec(f"--limit takes NAME=VALUE, not {text!r}", field="limit") from error
    if not math.isfinite(upper):
        raise InvalidSpec(f"--limit: {text!r} is not a finite number", field="limit")
    return name, upper


def have_device(nas: Client, name: str) -> None:
    """Register this machine under the default name, the first time that it is asked for."""
    if name != "this-machine":
        return
    try:
        nas.get(f"/v1/devices/{name}")
    except ApiError as error:
        if error.problem.get("status") != 404:
            raise
        nas.add_device(name, this_machine=True)


def have_dataset(nas: Client, dataset: str, image_size: int | None, *, quiet: bool) -> str:
    """The name of a data set; a path (with a `/`) is uploaded under the name of its last part."""
    path = Path(dataset)
    if _names_a_set(dataset):
        known = {one["name"] for one in nas.every("/v1/datasets")}
        if dataset in known or not path.exists():
            if image_size is not None:
                raise InvalidSpec(
                    "--image-size: a data set has the size that it was imported with; give it to "
                    "`nas datasets add`",
                    field="image_size",
                )
            return str(nas.get(f"/v1/datasets/{dataset}")["name"])
        raise InvalidSpec(
            f"--dataset: no data set {dataset!r}; for the file or folder of that name write "
            f"./{dataset}",
            field="dataset",
        )
    answers = {} if image_size is None else {"image_size": image_size}
    if path.exists():
        require_answered(path, answers)
    with packed(path) as archive:
        # named by content: another folder of the same name, or edited files, is another data set
        digest = content_digest(archive, answers)
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.resolve().stem).strip("._-")
        name = f"{stem[: 63 - len(digest)] or 'images'}-{digest}"
        if name not in {one["name"] for one in nas.every("/v1/datasets")}:
            job = nas.upload_dataset(name, archive, **answers)["job"]["id"]
        else:
            found = nas.get(f"/v1/datasets/{name}")
            if found["digest"] is not None:
                return name
            job = next(nas.every("/v1/jobs", subject=found["id"]))["id"]
    nas.wait(job, on_progress=output.ProgressLine("import", quiet=quiet))
    return name


def _names_a_set(dataset: str) -> bool:
    """Whether it is a name, not a path: paths have a separator, or begin with a dot."""
    return "/" not in dataset and "\\" not in dataset and not dataset.startswith((".", "~"))


def searches(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List searches."""
    with Client(server) as nas:
        output.show(
            ({**one, "why": why_not(one)} for one in nas.every("/v1/searches")),
            [
                ("id", "id"),
                ("state", "state"),
                ("data set", "spec.dataset"),
                ("space", "spec.space"),
                ("device", "spec.device"),
                ("limit ms", "facts.limit_ms"),
                ("published", "facts.n_published"),
                ("why", "why"),
            ],
            as_json=as_json,
            title="searches",
        )


def front(search_id: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Show a search's front."""
    with Client(server) as nas:
        show_front(nas, search_id, as_json=as_json)


def lineage(search_id: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Show what each winner went through: front, training, compression, compiling, measuring."""
    with Client(server) as nas:
        found = nas.lineage(search_id)
    if as_json:
        output.show_json(found)
        return
    rows = [{**one, **{s["stage"]: _told(s) for s in one["stages"]}} for one in found]
    stages = ("front", "trained", "compressed", "compiled", "measured", "certified")
    columns = [("winner", "rank"), ("deployment", "deployment"), *((s, s) for s in stages)]
    output.show(rows, columns, as_json=False, title=f"lineage of {search_id}")


def _told(stage: dict[str, Any]) -> str:
    """A stage in a few characters: the digest of its file, or what was found."""
    if stage["state"] != "done":
        return str(stage["state"])
    if stage["sha256"]:
        return f"{stage['name']} {stage['sha256'][:8]}"
    if stage["stage"] == "certified":
        return str(stage["stale"] or stage["verdict"])
    kind = "predicted_" if stage["stage"] == "front" else ""
    accuracy, latency_ms = stage[kind + "accuracy"], stage[kind + "latency_ms"]
    said = [
        None if accuracy is None else f"{100 * accuracy:.1f} %",
        None if latency_ms is None else f"{latency_ms:.3g} ms",
    ]
    return ", ".join(one for one in said if one) or "unknown"


def again(search_id: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Show how a search went on the devices that it follows: what changed on each front."""
    with Client(server) as nas:
        found = nas.get(f"/v1/searches/{search_id}/again")
    rows = [{**one, **_changes(one["facts"].get("diff") or {})} for one in found]
    output.show(
        rows,
        [
            ("id", "id"),
            ("device", "spec.device"),
            ("state", "state"),
            ("entered", "n_entered"),
            ("left", "n_left"),
            ("stayed", "stayed"),
            ("gain, points", "gain_points"),
            ("published", "facts.n_published"),
        ],
        as_json=as_json,
        title="searches opened again",
    )


def _changes(diff: dict[str, Any]) -> dict[str, Any]:
    if not diff:
        return {}
    gain = diff["best_accuracy_gain"]
    return {
        "n_entered": len(diff["entered"]),
        "n_left": len(diff["left"]),
        "stayed": diff["stayed"],
        "gain_points": None if gain is None else round(100 * gain, 2),
    }


def extend(
    search_id: str,
    queries: Annotated[int, typer.Option(help="More queries to spend.")],
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Go on with a search that has ended, in a new one that knows all that it was told."""
    with Client(server) as nas:
        made = nas.post(f"/v1/searches/{search_id}:extend", {"n_queries": queries})
    output.tell(made["id"], made, as_json=as_json)


def clone(
    search_id: str,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of what is to be otherwise; VALUE as in JSON."),
    ] = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Start a search again with some things changed."""
    with Client(server) as nas:
        made = nas.post(f"/v1/searches/{search_id}:clone", dict(map(_field, changes or [])))
    output.tell(made["id"], made, as_json=as_json)


def cancel(search_id: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Cancel a search."""
    with Client(server) as nas:
        job = nas.cancel_search(search_id)
    if as_json:
        output.show_json(job)
    else:
        print(f"asked {search_id} to end")

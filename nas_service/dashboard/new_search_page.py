"""A form for a search, beside the same request as a program would make it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from nas_service.access.identity import Rule
from nas_service.api import searches
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Services, With
from nas_service.api.search_requests import SearchIn, settled
from nas_service.dashboard.device_page import DeviceLine, line_of
from nas_service.dashboard.rendering import PageRoute, page
from nas_service.errors import NasError
from nas_service.plugins import EVALUATORS, PREDICTORS, SAMPLERS, SPACES, names
from nas_service.storage import datasets, devices, leases
from nas_service.storage.datasets import StoredDataset
from nas_service.storage.fair_queueing import PRIORITIES
from nas_service.storage.spaces import own_spaces

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_FORM_BYTES = 64 * 1024
_LISTS = {"precisions", "objectives", "follows", "also_devices"}
_N_OFFERED = 200
_FIELDS = frozenset(
    {
        "dataset",
        "device",
        "space",
        "max_latency_ms",
        "precisions",
        "metric",
        "n_queries",
        "n_winners",
        "training.epochs",
        "seed",
        "objectives",
        "limits",
        "sampler",
        "predictor",
        "evaluator",
        "limit_on",
        "priority",
        "n_initial",
        "n_holdout",
        "batch",
        "measuring_budget",
        "profile_budget_s",
        "follows",
        "rules",
    }
)
"""What the form has a field for; what else an address asks for goes along unseen."""
_MORE = frozenset(
    {"objectives", "limits", "sampler", "predictor", "evaluator", "limit_on", "priority"}
) | {
    *("n_initial", "n_holdout", "batch", "measuring_budget", "profile_budget_s", "follows", "rules")
}
"""Of those, the ones that are folded away."""


@dataclass(frozen=True, slots=True)
class DataCard:
    """What the form says of the chosen data set."""

    name: str
    text: str
    notes: list[str]


@router.get("/searches/new")
@allow(Rule.READ)
def ask(request: Request, with_: With) -> Response:
    """The form, filled with what the address says; a search can be asked for by a link."""
    return _form(request, with_, dict(request.query_params))


@router.post("/searches/new")
@allow(Rule.WRITE, max_body_bytes=_FORM_BYTES)
async def start(request: Request, with_: With) -> Response:
    """Start the search, or show the form again with what cannot be."""
    async with request.form(max_fields=100) as form:
        values = {name: value for name, value in form.items() if isinstance(value, str)}
    return await run_in_threadpool(_start, request, with_, values)


def _start(request: Request, with_: Services, values: dict[str, str]) -> Response:
    try:
        made = searches.submit(SearchIn.model_validate(request_of(values)), with_, Response())
    except ValidationError as error:
        return _form(request, with_, values, _by_field(error))
    except NasError as error:
        field = str(error.fields.get("field", ""))
        return _form(request, with_, values, {field: error.detail} if field else {}, error.detail)
    return RedirectResponse(f"/searches/{made.id}", status_code=303)


def request_of(values: Mapping[str, str]) -> dict[str, Any]:
    """A request's body from a form's texts; what was left empty is left out."""
    body: dict[str, Any] = {}
    for name, text in values.items():
        value = text.strip()
        if not value:
            continue
        if name in _LISTS:
            body[name] = [one.strip() for one in value.split(",") if one.strip()]
        elif name == "limits":
            pairs = (one.partition("=") for one in value.split(","))
            body[name] = {key.strip(): number.strip() for key, _, number in pairs}
        elif name == "rules":
            body[name] = _json_or_text(value)
        elif name.startswith("training."):
            body.setdefault("training", {})[name.removeprefix("training.")] = value
        else:
            body[name] = value
    return body


def _json_or_text(text: str) -> Any:
    """What the text says as JSON; the text itself, which is then refused, where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _by_field(error: ValidationError) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in error.errors():
        parts = [str(part) for part in one["loc"] if not isinstance(part, int)]
        name = ".".join(parts[:2]) if parts[:1] == ["training"] else (parts or ["form"])[0]
        found.setdefault(name, one["msg"].removeprefix("Value error, "))
    return found


def _form(
    request: Request,
    with_: Services,
    values: dict[str, str],
    errors: dict[str, str] | None = None,
    problem: str | None = None,
) -> Response:
    """The form with its values, errors at their fields, and the same request beside it."""
    with with_.database.session() as session:
        every_set = datasets.list_datasets(session, cursor=None, limit=_N_OFFERED).items
        known_sets = [one for one in every_set if one.ready]
        known_devices = devices.list_devices(session, cursor=None, limit=_N_OFFERED).items
        machines = set(leases.machines(session))
        lines = {one.name: line_of(session, one, machines) for one in known_devices}
        every_space = [*names(SPACES), *own_spaces(session)]
    by_name = {one.name: one for one in known_sets}
    values = {
        "dataset": next(iter(by_name), ""),
        "device": next(iter(lines), ""),
        **values,
    }
    chosen: StoredDataset | None = by_name.get(values["dataset"])
    usual = "" if chosen is None else chosen.task.usual_space
    values = {"space": usual or "mbconv", **values}
    asked = _typed(request_of(values))
    if errors is None and request.query_params:
        errors = _checked(with_, asked)
    first = next((_said(name, text) for name, text in (errors or {}).items()), None)
    device: DeviceLine | None = lines.get(values["device"])
    return page(
        request,
        "new_search.html",
        status=422 if errors and request.method == "POST" else 200,
        values=values,
        unshown={name: text for name, text in values.items() if name not in _FIELDS},
        defaults=_defaults(),
        errors=errors or {},
        more_is_wrong=any(name in _MORE for name in errors or {}),
        checked="dataset" in request.query_params and not errors,
        problem=problem or (first if errors else None),
        datasets=list(by_name),
        devices=list(lines),
        spaces=every_space,
        samplers=names(SAMPLERS),
        predictors=names(PREDICTORS),
        evaluators=names(EVALUATORS),
        priorities=PRIORITIES,
        dataset=None if chosen is None else _card(chosen),
        device=device,
        as_cli=as_cli(asked),
        as_python=as_python(asked, str(request.base_url)),
        as_curl=as_curl(asked, str(request.base_url)),
    )


def _checked(with_: Services, asked: dict[str, Any]) -> dict[str, str]:
    """What cannot be in a request, by field; as starting it would say."""
    try:
        with with_.database.session() as session:
            settled(session, with_.blobs, SearchIn.model_validate(asked))
    except ValidationError as error:
        return _by_field(error)
    except NasError as error:
        return {str(error.fields.get("field") or "form"): error.detail}
    return {}


def _said(name: str, text: str) -> str:
    """A fault with the name of its field, unless it begins with it."""
    return text if name == "form" or text.startswith(name) else f"{name}: {text}"


def _typed(asked: dict[str, Any]) -> dict[str, Any]:
    """The request with numbers as numbers, where it can be; what cannot stays as it was typed."""
    try:
        made = SearchIn.model_validate(asked)
    except ValidationError:
        return asked
    return made.model_dump(mode="json", exclude_unset=True)


def _defaults() -> dict[str, str]:
    """What a field has where it is left empty."""
    found = {}
    for name, field in SearchIn.model_fields.items():
        if isinstance(field.default, str | int | float):
            found[name] = str(field.default)
        elif isinstance(field.default, tuple):
            found[name] = ", ".join(map(str, field.default))
    return found


def _card(dataset: StoredDataset) -> DataCard:
    facts = dataset.facts
    parts = ", ".join(
        f"{facts[f'n_{part}']} {part}"
        for part in ("train", "validation", "test")
        if f"n_{part}" in facts
    )
    notes = (facts.get("report") or {}).get("notes") or []
    classes = f"{len(facts['classes'])} classes; " if facts.get("classes") else ""
    return DataCard(dataset.name, f"{classes}{parts} samples", list(notes))


_OPTIONS = {
    "dataset": "--dataset",
    "space": "--space",
    "device": "--device",
    "max_latency_ms": "--max-latency-ms",
    "sampler": "--sampler",
    "evaluator": "--evaluator",
    "metric": "--metric",
    "n_queries": "--queries",
    "n_winners": "--winners",
    "n_initial": "--initial",
    "profile_budget_s": "--profile-budget-s",
    "patience": "--patience",
    "cheap_fidelity": "--cheap-fidelity",
    "limit_probability": "--limit-probability",
    "measuring_budget": "--measuring-budget",
    "limit_on": "--limit-on",
    "sustained_s": "--sustained-s",
    "seed": "--seed",
    "priority": "--priority",
    "precisions": "--precision",
    "objectives": "--objective",
    "also_devices": "--also-device",
    "follows": "--follow",
    "training.epochs": "--epochs",
    "training.finetune_epochs": "--finetune-epochs",
    "training.max_train_images": "--max-train-images",
    "training.batch": "--train-batch",
    "training.learning_rate": "--learning-rate",
}
"""Fields of a request that the command has an option for; all others go by `--set`."""


def as_cli(asked: Mapping[str, Any]) -> str:
    """The request as a command."""
    parts = ["nas search"]
    for name, value in asked.items():
        if name == "training":
            switched_off = {key for key, one in value.items() if one is False}
            parts += [
                _option(f"training.{key}", one)
                for key, one in value.items()
                if key not in switched_off
            ]
        elif name == "limits":
            parts += [f"--limit {_quoted(f'{key}={one}')}" for key, one in value.items()]
        elif name in _LISTS:
            parts += [_option(name, one) for one in value]
        else:
            parts.append(_option(name, value))
    return " \\\n  ".join(parts)


def _option(name: str, value: Any) -> str:
    if name == "training.flip":
        return "--flip"
    if name in _OPTIONS:
        return f"{_OPTIONS[name]} {_quoted(value)}"
    return f"--set {_quoted(f'{name}={json.dumps(value)}')}"


def as_python(asked: Mapping[str, Any], base: str) -> str:
    """The request as a program."""
    lines = "".join(f"        {name}={value!r},\n" for name, value in asked.items())
    return (
        f"from nas_service.client import Client\n\nwith Client({base.rstrip('/')!r}) as nas:\n"
        f"    search = nas.submit_search(\n{lines}    )\n"
    )


def as_curl(asked: Mapping[str, Any], base: str) -> str:
    """The request over HTTP."""
    body = shlex.quote(json.dumps(asked))
    return (
        f"curl -X POST {base}v1/searches -H 'Content-Type: application/json' \\\n"
        f'  -H "Authorization: Bearer $NAS_TOKEN" \\\n  -d {body}'
    )


def _quoted(value: Any) -> str:
    return shlex.quote(str(value))

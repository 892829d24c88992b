"""`nas study`: a search's queries as an Optuna study, for whatever reads those."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nas_service.cli import output
from nas_service.cli.options import LOCAL, JsonOption, ServerOption
from nas_service.client import Client
from nas_service.errors import InvalidSpec

Json = dict[str, Any]
DEPLOYMENT = "precision"
"""The parameter beside an architecture's decisions."""


def study(
    search_id: str,
    out: Annotated[Path, typer.Option(help="SQLite file to write; one that is not there yet.")],
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Write what a search was told as an Optuna study: a trial a query, its score maximised.

    `optuna.load_study(study_name=ID, storage="sqlite:///FILE")` reads it.
    """
    if not out.resolve().parent.is_dir():
        raise InvalidSpec(f"--out: there is no folder {out.resolve().parent}", field="out")
    if out.exists():
        raise InvalidSpec(f"--out: {out} is there already", field="out")
    with Client(server) as nas:
        search = nas.search(search_id)
        queries = list(nas.every(f"/v1/searches/{search_id}/evaluations", limit=1000))
    if not queries:
        raise InvalidSpec(f"search {search_id} has no queries yet", field="search_id")
    written = write_study(out, search, queries)
    output.tell(
        f"wrote {written} trials of {search_id} to {out}",
        {"study": search_id, "file": str(out), "n_trials": written},
        as_json=as_json,
    )


def write_study(out: Path, search: Json, queries: list[Json]) -> int:
    """Write the study; categories of a parameter are the values that queries had."""
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked = [one["architecture"]["decisions"] | {DEPLOYMENT: one["precision"]} for one in queries]
    spaces: dict[str, BaseDistribution] = {
        name: CategoricalDistribution(
            sorted({one[name] for one in asked}, key=lambda value: (str(type(value)), value))
        )
        for name in asked[0]
    }
    made = optuna.create_study(
        study_name=search["id"], storage=f"sqlite:///{out.resolve()}", direction="maximize"
    )
    spec = search["spec"]
    for name in ("dataset", "space", "device", "metric", "seed", "sampler"):
        made.set_user_attr(name, spec[name])
    made.add_trials(
        [
            optuna.trial.create_trial(
                params=params,
                distributions=spaces,
                value=one["accuracy"],
                user_attrs={"number": one["number"], "batch": one["batch"]},
            )
            for params, one in zip(asked, queries, strict=True)
        ]
    )
    return len(queries)

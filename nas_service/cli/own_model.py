"""`nas search --model`: a search space of a network of one's own, made before the search starts."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_service.cli import output
from nas_service.cli.options import numbers, read_yaml
from nas_service.cli.waiting import wait_for
from nas_service.client import Client
from nas_service.errors import InvalidSpec

_SHOWN = 8
"""Frozen layers that are named; `nas spaces NAME` names all of them."""


@dataclass(frozen=True)
class OwnModel:
    """What was asked for: a program's file, an installed factory's name, or a document."""

    file: Path | None
    factory: str | None
    definition: Path | None
    mean: str | None
    std: str | None

    @property
    def asked(self) -> bool:
        """Whether it is to be a model of one's own."""
        return any(one is not None for one in (self.file, self.factory, self.definition))

    def check(self, space: str | None) -> None:
        """Raise `InvalidSpec` where the options do not go together."""
        given = [one for one in (self.file, self.factory, self.definition) if one is not None]
        if len(given) > 1:
            raise InvalidSpec(
                "give one of --model, --model-factory and --space-file", field="model"
            )
        if self.asked and space is not None:
            raise InvalidSpec("--space: there is another space already", field="space")
        if not self.asked and (self.mean is not None or self.std is not None):
            raise InvalidSpec("--mean and --std go with --model", field="mean")
        if self.definition is not None and not self.definition.is_file():
            raise InvalidSpec(f"--space-file: no file {self.definition}", field="space")
        if self.file is not None and not self.file.is_file():
            raise InvalidSpec(f"--model: no file {self.file}", field="model")


def have_space(nas: Client, own: OwnModel, dataset: str, *, quiet: bool) -> str:
    """The name of the space of a model, which is uploaded and looked into first."""
    request: dict[str, Any] = {"dataset": dataset}
    if own.factory is not None:
        request["factory"] = own.factory
    if own.definition is not None:
        request["definition"] = read_yaml("--space-file", own.definition)
    if own.file is not None:
        request["model"] = nas.upload_model(own.file)["id"]
    if own.mean is not None or own.std is not None:
        request |= {"mean": numbers("mean", own.mean), "std": numbers("std", own.std)}
    made = nas.post("/v1/search-spaces", request)
    name = str(made["id"])
    line = output.ProgressLine("space", quiet=quiet)
    wait_for(nas, made["job"]["id"], line, name=name)
    if not quiet:
        found = nas.get(f"/v1/search-spaces/{name}", dataset=dataset)
        if found["own_model"] is None:
            print(f"space {name}: {size_of(found)}")
        else:
            tell_elastic(found)
    return name


def size_of(space: dict[str, Any]) -> str:
    """How many networks a space has."""
    if space.get("n_networks") is None:
        return f"at most {space['n_genotypes']:.3g} networks"
    return f"{space['n_networks']:.3g} networks"


def tell_elastic(space: dict[str, Any]) -> None:
    """Print what of a model is elastic, and why the rest is not."""
    report = space["own_model"]
    layers = report["layers"]
    by_kind: dict[str, int] = {}
    for decision in space["decisions"]:
        if len(decision["values"]) > 1:
            about = decision["name"].partition(".")[0]
            by_kind[about] = by_kind.get(about, 0) + 1
    told = ", ".join(f"{n} of {about}" for about, n in by_kind.items())
    print(
        f"space {space['name']}: {report['n_elastic']} of {len(layers)} layers are elastic; "
        f"decisions: {told}"
    )
    frozen = [one for one in layers if not one["decisions"]]
    for one in frozen[:_SHOWN]:
        print(f"frozen: {one['layer']} ({one['kind']}): {one['reason']}", file=sys.stderr)
    if len(frozen) > _SHOWN:
        more = len(frozen) - _SHOWN
        print(f"frozen: {more} more, see `nas spaces {space['name']}`", file=sys.stderr)
    for note in report["notes"]:
        print(f"note: {note}", file=sys.stderr)

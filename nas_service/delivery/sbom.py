"""What a bundle consists of and was made with, as a CycloneDX bill of materials."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

_OURS = uuid.UUID("7b0ea3a6-6f1c-5a6e-9a0e-2f8d6e1c7f10")
"""Namespace of the serial numbers, which follow from what is listed."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the bundle; a model file has a runtime and a precision."""

    name: str
    sha256: str
    runtime: str | None = None
    precision: str | None = None

    def component(self) -> Component:
        """As the bill has it."""
        facts = {"runtime": self.runtime, "precision": self.precision}
        return Component(
            name=self.name,
            type=ComponentType.MACHINE_LEARNING_MODEL if self.runtime else ComponentType.FILE,
            bom_ref=self.name,
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=self.sha256)],
            properties=[
                Property(name=f"nas:{name}", value=value) for name, value in facts.items() if value
            ],
        )


def bill_of(
    parts: Sequence[Part], versions: Mapping[str, str], data: Mapping[str, Any] | None
) -> str:
    """The bill, JSON of CycloneDX 1.6.

    Args:
        parts: the files.
        versions: of Python packages that they were made with, none of which is in the bundle.
        data: `name` and `digest` of what the models were taught and judged on, where it is known.
    """
    described = "\n".join(f"{one.sha256}  {one.name}" for one in parts)
    bom = Bom(serial_number=uuid.uuid5(_OURS, described))
    bundle = Component(name="bundle", type=ComponentType.APPLICATION, bom_ref="bundle")
    bom.metadata = BomMetaData(component=bundle)
    bom.metadata.timestamp = None  # type: ignore[assignment]  # the same files, the same bill
    held = [one.component() for one in parts]
    bom.components.update(held)
    bom.register_dependency(bundle, held)
    for name, version in versions.items():
        bom.components.add(_library(name, version))
    if data is not None:
        bom.components.add(_data(data))
    return str(JsonV1Dot6(bom).output_as_string(indent=1))


def _library(name: str, version: str) -> Component:
    is_python = name == "python"
    return Component(
        name=name,
        version=version,
        type=ComponentType.PLATFORM if is_python else ComponentType.LIBRARY,
        scope=ComponentScope.EXCLUDED,
        bom_ref=f"{name}@{version}",
        purl=None if is_python else PackageURL("pypi", None, name, version),
    )


def _data(data: Mapping[str, Any]) -> Component:
    return Component(
        name=str(data["name"]),
        type=ComponentType.DATA,
        scope=ComponentScope.EXCLUDED,
        bom_ref=f"data/{data['name']}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=str(data["digest"]))],
    )

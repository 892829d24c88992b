"""A stored document: its known fields by type, and what plug-ins or later versions add beside."""

from __future__ import annotations

from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)

Choice = bool | int | float | str
"""A value of a decision."""
Decisions = dict[str, Choice]
"""An architecture: a value for each decision, by the decision's name."""
Own = dict[str, JsonValue]
"""What a plug-in says in names of its own."""


class Document(BaseModel):
    """A part of what is stored as JSON; a field that was not stored is null.

    So is one that was stored as something else: files from outside and plug-ins write documents,
    too, and one of them must not keep a whole list from being read.
    """

    model_config = ConfigDict(extra="allow", from_attributes=True)

    @model_validator(mode="wrap")
    @classmethod
    def _what_fits(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError as error:
            if not isinstance(value, dict):
                raise
            wrong = {one["loc"][0] for one in error.errors() if one["loc"]}
            return handler({name: one for name, one in value.items() if name not in wrong})


class Sent(BaseModel):
    """A stored row as it is sent: the fields that are named here, and no others."""

    model_config = ConfigDict(from_attributes=True)

    @classmethod
    def of(cls, stored: Any) -> Self:
        """The row of the same attributes."""
        return cls.model_validate(stored)


class Lineage(Document):
    """Where a row came from: what went in, and the versions of what ran."""

    seed: int | None = None
    sources: Own = Field(default={}, description="Ids and digests of what it was made from.")
    versions: dict[str, str] = {}


class Architecture(Document):
    """A network of a search space; the inputs are beside, under the name of their kind."""

    space: str
    decisions: Decisions


class Estimate(Document):
    """An expected value, and what the measured one stays below with the limit's probability."""

    value: float
    upper: float

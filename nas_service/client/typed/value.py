"""What every value of the API is: fields by type, and what a newer service says beside them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A value that is sent or answered; fields that this client does not know are kept."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

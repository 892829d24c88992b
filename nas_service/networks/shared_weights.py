"""Shared weights for a space, whichever kind it is of."""

from __future__ import annotations

from nas_service.networks.sharing import SharedWeights
from nas_service.networks.supernet import Supernet
from nas_service.space.base import SearchSpace
from nas_service.space.elastic.space import ElasticSpace
from nas_service.space.wrapped import unwrapped


def shared_weights(space: SearchSpace, *, seed: int) -> SharedWeights:
    """Weights drawn from `seed`; of a user's own network those that it came with.

    Raises:
        InvalidSpec: the space shares no weights.
    """
    own = unwrapped(space)
    if isinstance(own, ElasticSpace):
        from nas_service.networks.elastic.shared import ElasticSupernet

        return ElasticSupernet(own)
    return Supernet(space, seed=seed)

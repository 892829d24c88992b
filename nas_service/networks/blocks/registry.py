"""The torch module of a block, by its kind."""

from __future__ import annotations

from typing import Any

from lookup_tables.blocks import Block
from nas_service.networks.blocks.base import BlockModule
from nas_service.plugins import BLOCK_MODULES, load


def block_module(block: Block) -> BlockModule[Any]:
    """The torch module of a block, with fresh weights.

    Raises:
        UnknownPlugin: its kind has no torch module; the known kinds are listed.
    """
    made: BlockModule[Any] = load(BLOCK_MODULES, block.kind)(block)
    return made

"""Blocks: fusible groups of operators with their sizes, one file a family.

What follows from the sizes alone is here; the torch module of a family is the file of the same name
in `nas_service.networks.blocks`.
"""

from lookup_tables.blocks.base import Block, Layer

__all__ = ["Block", "Layer"]

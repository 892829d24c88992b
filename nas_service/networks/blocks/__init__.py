"""Torch modules of blocks, one file a family, named as its half in `lookup_tables.blocks`."""

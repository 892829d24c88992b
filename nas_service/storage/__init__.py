"""Rows, blobs and migrations."""

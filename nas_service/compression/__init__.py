"""Compression passes and recipes."""

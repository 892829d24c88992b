"""Reproducible measurements: one module a benchmark, a table on the terminal, JSON with --out."""

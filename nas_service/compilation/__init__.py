"""Compilers, parity and benchmarks of executables."""

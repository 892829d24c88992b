"""Multi-objective search over a space: values in, values out."""

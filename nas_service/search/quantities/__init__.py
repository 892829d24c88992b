"""What is minimised or limited beside the metric: one module a quantity."""

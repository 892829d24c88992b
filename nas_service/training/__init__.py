"""Data, training loops and distillation."""

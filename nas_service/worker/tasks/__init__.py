"""Heavy steps: each runs in a process of its own, JSON in and JSON out."""

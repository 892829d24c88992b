"""Timing files so that the result repeats: turns that count, anchors, the machine's state."""

"""Models of any signature: what they read and give, samples recorded for them, their answers."""

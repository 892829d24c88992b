"""Networks that learn to answer as another one does, from samples of its inputs alone."""

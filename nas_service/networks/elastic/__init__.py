"""A network of the user's own whose width, depth and input size can be chosen."""

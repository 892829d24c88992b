"""Accuracy of architectures from their features, with honest uncertainty."""

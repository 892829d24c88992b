"""Workflows and the steps they are made of."""

"""What is deployed: manifests, units, the board."""

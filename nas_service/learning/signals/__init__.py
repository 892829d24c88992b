"""Learning tasks on signals: windows of several channels over time."""

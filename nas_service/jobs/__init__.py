"""What jobs are asked for: the parameters of each kind, checked where they are stored and read."""

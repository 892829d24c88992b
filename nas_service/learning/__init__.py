"""Learning tasks: what goes into a network, what comes out, and how good that is."""

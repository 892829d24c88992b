"""Search spaces whose largest network is a model of the user's own."""

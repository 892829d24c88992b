"""Who may call what: rules of routes, who asks, how much of a request is read."""

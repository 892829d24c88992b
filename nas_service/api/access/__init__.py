"""Who may call what: rules of routes, who asks, tokens and the audit log."""

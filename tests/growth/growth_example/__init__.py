"""One plug-in of each kind, from outside the service."""

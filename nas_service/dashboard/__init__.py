"""Web pages: a client of the REST API."""

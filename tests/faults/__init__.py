"""What breaks under a service while it works, and what must be left."""

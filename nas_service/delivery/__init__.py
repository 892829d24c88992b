"""What is delivered: files as they were measured, the verdict on them, and the bundle."""

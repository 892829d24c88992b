"""What is stored as JSON, in the shapes that the API sends it in."""

"""What learning tasks with one of several classes a sample share."""

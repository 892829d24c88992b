"""Data sets as people have them: looked at, asked about, and read into the stored form."""

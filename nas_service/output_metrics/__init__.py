"""By what models of any signature are judged."""

"""Search spaces described in YAML: layers, choices, repeats; read and checked, no code."""

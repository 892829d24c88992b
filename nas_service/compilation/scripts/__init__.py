"""Scripts that run in a process, and where needed in an environment, of their own.

Each reads one request from its standard input and answers with one line of JSON. None imports
anything of this project: an environment that holds a toolchain need not hold the service.

Request: `source` (a file), `out` (the file to write), `precision`, `calibration` (an npz with
prepared samples `(n, ...)`, where the precision needs one), `options`. Answer: `notes`, a mapping.
"""

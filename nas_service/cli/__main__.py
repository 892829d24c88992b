"""`python -m nas_service.cli`."""

from nas_service.cli import main

main()

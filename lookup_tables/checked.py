"""Whether a table file can be read, found out in a process of its own.

python -m lookup_tables.checked FILE prints its problems as a JSON list, an empty one where it has
none. Whoever starts it sets limits: what a file makes of a parser is not known before.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lookup_tables.errors import InvalidTable
from lookup_tables.files import read


def problems_of(path: Path) -> list[str]:
    """Every row and field at fault."""
    try:
        read(path)
    except InvalidTable as error:
        return list(error.problems)
    return []


if __name__ == "__main__":
    sys.stdout.write(json.dumps(problems_of(Path(sys.argv[1]))))

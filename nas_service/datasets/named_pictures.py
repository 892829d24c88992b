"""Pictures of a source by what a table may call them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nas_service.datasets.names import normal
from nas_service.datasets.walking import File

_MOST_FOLDERS = 16
"""Of a path's end; longer ones are compared as a whole."""
_ABSOLUTE = re.compile(r"/|[A-Za-z]:|~|\.\./")
_LONGEST_PATH = 4096


class NamedPictures:
    """Pictures by what a table may call them.

    That is a path from the table's folder or the root, the end of such a path, its name or stem; or
    an absolute path of another machine, which ends in the whole path of the picture here.
    """

    def __init__(self, pictures: Sequence[File]) -> None:
        self._whole = {file.names: file for file in pictures}
        self._deepest = min(max((len(one) for one in self._whole), default=0), _MOST_FOLDERS)
        self._ends: dict[int, dict[tuple[str, ...], File | None]] = {}

    def find(self, cell: str, folder: tuple[str, ...]) -> File | None:
        """The picture that a cell of a table in `folder` names; None for none, or for several."""
        if len(cell) > _LONGEST_PATH:
            return None
        path = normal(cell.strip()).replace("\\", "/")
        names = tuple(n for n in path.split("/") if n not in ("", "."))
        if not names:
            return None
        found = self._whole.get((*folder, *names)) or self._whole.get(names)
        found = found or self._by_end((*folder, *names)) or self._by_end(names)
        if found is None and _ABSOLUTE.match(path):
            lengths = range(min(len(names) - 1, self._deepest), 0, -1)
            ends = (names[-length:] for length in lengths)
            found = next((self._whole[one] for one in ends if one in self._whole), None)
        return found

    def _by_end(self, names: tuple[str, ...]) -> File | None:
        """The one picture whose path ends so, with or without its ending."""
        length = len(names)
        if length > self._deepest:
            return None
        if length not in self._ends:  # made for the lengths that are asked for
            found: dict[tuple[str, ...], File | None] = {}
            for file in self._whole.values():
                if len(file.names) < length:
                    continue
                *folders, name = file.names[-length:]
                for key in {(*folders, name), (*folders, name.rpartition(".")[0] or name)}:
                    # what two pictures are called by is none's name
                    found[key] = None if key in found else file
            self._ends[length] = found
        return self._ends[length].get(names)

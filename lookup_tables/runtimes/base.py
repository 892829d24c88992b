"""What a runtime is, and what it says of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import ClassVar

from lookup_tables.measuring.anchor import Anchor
from lookup_tables.measuring.anchors import PROCESSOR, processor_anchors
from lookup_tables.model import Model
from lookup_tables.target import Target


class Runtime(ABC):
    """Loads model files on the device that this runs on; has no state of its own.

    Importing the module of a runtime imports nothing but numpy and this package: agents carry it
    to devices that have no torch, and the service asks it what there is without loading anything.
    One module a runtime, as an agent carries that module and no other of its package. The
    entry-point group is `lookup_tables.runtimes`, an entry the class itself.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    """The distribution that loads its files; its version is the runtime's."""
    searched: ClassVar[tuple[str, ...]] = ()
    """Precisions that tables are made of and that a search chooses among; none where files of it
    take too long to make, or need hardware that tables were never made on."""
    reads_graphs: ClassVar[bool] = False
    """Whether it runs ONNX graphs as they are: then blocks alone are measured. For others every
    file is converted, and tables are made of a few whole networks."""
    ships_graphs: ClassVar[bool] = False
    """Whether what ships is the graph itself, so that its size is that of the file that ships."""
    set_by_precision: ClassVar[bool] = False
    """Whether the precision is a setting of loading rather than the file's own: files of several
    precisions are then measured in groups of their own."""
    state: ClassVar[str] = PROCESSOR
    """Which state of the machine its timings hold in: a name that all runtimes share which run on
    the same hardware, as `processor` or `gpu`. Reference states are kept by it."""

    def version(self) -> str | None:
        """Its version on this machine; None where it is not installed or lacks its hardware."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None

    def anchors(self) -> Sequence[Anchor]:
        """Fixed pieces of work whose speed tells the machine's state for its files."""
        return processor_anchors()

    @abstractmethod
    def load(self, path: Path, target: Target) -> Model:
        """A file made ready to run with the target's settings.

        Raises:
            ModuleNotFoundError: its package is not installed.
            LookupTableError: the hardware is not here, or the file is not for it.
            Exception: whatever the runtime raises for a file that it does not load.
        """

    arena_number_bytes: ClassVar[Mapping[str, int]] = {}
    """Bytes a number takes in an arena as `Block.arena_numbers` plans it, by precision."""

    def peak_memory_bytes(self, paths: Sequence[Path]) -> list[int | None]:
        """What it allocates for activations in one run of each file; None where it does not say."""
        return [None] * len(paths)

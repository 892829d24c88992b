"""Bundles as users unpack them."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from nas_service.client import Client
from nas_service.templates.signed import SUMS


def unpack(nas: Client, search: str, folder: Path) -> None:
    """Download the bundle of a search and unpack it into a new folder."""
    files = {one["name"]: one["id"] for one in nas.every("/v1/artifacts", owner=search)}
    folder.mkdir()
    nas.download(files["bundle.zip"], folder / "bundle.zip")
    with zipfile.ZipFile(folder / "bundle.zip") as archive:
        archive.extractall(folder)


def list_anew(folder: Path) -> None:
    """Write the digests of what is in an unpacked bundle now, whose models are asked for alone."""
    sums = folder / SUMS
    names = [line.partition("  ")[2] for line in sums.read_text().splitlines()]
    digests = {one: hashlib.sha256((folder / one).read_bytes()).hexdigest() for one in names}
    sums.write_text("".join(f"{digest}  {name}\n" for name, digest in digests.items()))

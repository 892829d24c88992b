"""Bundles as users unpack them."""

from __future__ import annotations

import zipfile
from pathlib import Path

from nas_service.client import Client


def unpack(nas: Client, search: str, folder: Path) -> None:
    """Download the bundle of a search and unpack it into a new folder."""
    files = {one["name"]: one["id"] for one in nas.every("/v1/artifacts", owner=search)}
    folder.mkdir()
    nas.download(files["bundle.zip"], folder / "bundle.zip")
    with zipfile.ZipFile(folder / "bundle.zip") as archive:
        archive.extractall(folder)

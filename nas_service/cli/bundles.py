"""`nas verify` and `nas signing-keys`: whether a bundle is what a service made."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from nas_service.cli import output
from nas_service.cli.options import LOCAL, JsonOption, ServerOption
from nas_service.client import Client
from nas_service.errors import InvalidSpec
from nas_service.templates.signed import SIGNATURE, SUMS, faults, is_signed


def verify(
    bundle: Annotated[Path, typer.Argument(help="A bundle.zip, or the folder it was unpacked to.")],
    key: Annotated[
        Path | None, typer.Option(help="Public key, PEM; the service's own unless given.")
    ] = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Check a bundle's files against their digests, and the signature of those."""
    with _opened(bundle) as (names, read):
        found = faults(names, read)
        if not {SUMS, SIGNATURE} <= set(names):
            raise InvalidSpec(f"{bundle} has no {SUMS} with its signature", field="bundle")
        sums, signature = read(SUMS), read(SIGNATURE)
    by = None
    for name, pem in _keys(key, server).items():
        try:
            if is_signed(sums, signature, pem.encode()):
                by = name
        except RuntimeError as error:
            raise InvalidSpec(f"--key: {name}: {error}", field="key") from error
    if by is None:
        found.insert(0, f"{SUMS} was signed by none of the keys")
    if found:
        raise InvalidSpec(f"{bundle}: {'; '.join(found[:5])}", field="bundle", faults=found)
    told = {"bundle": str(bundle), "signed_by": by, "n_files": len(sums.splitlines())}
    output.tell(f"{bundle}: {told['n_files']} files as made, signed by {by}", told, as_json=as_json)


def signing_keys(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Print the public keys that the service signs bundles with, in PEM, newest first."""
    with Client(server) as nas:
        found = nas.get("/v1/signing-keys")
    if as_json:
        output.show_json(found)
        return
    for one in found:
        print(one["pem"], end="")


def _keys(key: Path | None, server: str) -> dict[str, str]:
    """Keys in PEM by what they are called."""
    if key is not None:
        try:
            return {key.name: key.read_text()}
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidSpec(f"--key: {key} cannot be read: {error}", field="key") from error
    with Client(server) as nas:
        return {one["id"]: one["pem"] for one in nas.get("/v1/signing-keys")}


@contextmanager
def _opened(bundle: Path) -> Iterator[tuple[list[str], Callable[[str], bytes]]]:
    """Names of a bundle's files, and what reads one."""
    if bundle.is_dir():
        every = [one.relative_to(bundle) for one in bundle.rglob("*") if one.is_file()]
        names = [one.as_posix() for one in every if "__pycache__" not in one.parts]
        yield names, lambda name: (bundle / name).read_bytes()
        return
    try:
        archive = zipfile.ZipFile(bundle)
    except (OSError, zipfile.BadZipFile) as error:
        raise InvalidSpec(f"{bundle} is no bundle: {error}", field="bundle") from error
    with archive:
        yield archive.namelist(), archive.read

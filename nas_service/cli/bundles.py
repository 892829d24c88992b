"""`nas verify` and `nas signing-keys`: whether a bundle is what a service made."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from nas_service.cli import output
from nas_service.cli.options import LOCAL, JsonOption, ServerOption
from nas_service.client import Client
from nas_service.errors import InvalidSpec
from nas_service.templates.signed import SIGNATURE, SUMS, digest, faults, is_signed, keys_in

_MAX_SUMS_BYTES = 16 * 1024**2
"""Far more than the list of a bundle with the most winners has."""


@dataclass(frozen=True, slots=True)
class _Files:
    """A bundle's files: their names, and what opens one."""

    names: list[str]
    opened: Callable[[str], BinaryIO]

    def read(self, name: str) -> bytes:
        """The content of a small file."""
        with self.opened(name) as stream:
            content = stream.read(_MAX_SUMS_BYTES + 1)
        if len(content) > _MAX_SUMS_BYTES:
            raise InvalidSpec(f"{name} has more than {_MAX_SUMS_BYTES:,} bytes", field="bundle")
        return content

    def digest_of(self, name: str) -> str:
        """The SHA-256 of a file of any size."""
        with self.opened(name) as stream:
            return digest(stream)


def verify(
    bundle: Annotated[Path, typer.Argument(help="A bundle.zip, or the folder it was unpacked to.")],
    key: Annotated[
        Path | None,
        typer.Option(help="Public keys, PEM; those of the service unless given."),
    ] = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Check the signature of a bundle's list of digests, then each file against that list."""
    keys = _keys(key, server)
    with _read(bundle) as files:
        if missing := {SUMS, SIGNATURE} - set(files.names):
            raise InvalidSpec(f"{bundle} has no {min(missing)}", field="bundle")
        sums, signature = files.read(SUMS), files.read(SIGNATURE)
        by = _signer(sums, signature, keys)
        if by is None:  # then nothing else of it is read
            raise InvalidSpec(f"{bundle}: {SUMS} was signed by none of the keys", field="bundle")
        found = faults(files.names, sums, files.digest_of)
    if found:
        raise InvalidSpec(f"{bundle}: {'; '.join(found[:5])}", field="bundle", faults=found)
    n_files = len(sums.splitlines())
    checked = {"bundle": str(bundle), "signed_by": by, "n_files": n_files}
    output.tell(f"{bundle}: {n_files} files as made, signed by {by}", checked, as_json=as_json)


def signing_keys(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Print the public keys that the service signs bundles with, in PEM, newest first."""
    with Client(server) as nas:
        found = nas.get("/v1/signing-keys")["items"]
    if as_json:
        output.show_json(found)
        return
    for one in found:
        print(one["pem"], end="")


def _signer(sums: bytes, signature: bytes, keys: dict[str, str]) -> str | None:
    """What the key is called that signed."""
    for name, pem in keys.items():
        try:
            if any(is_signed(sums, signature, one) for one in keys_in(pem)):
                return name
        except RuntimeError as error:
            raise InvalidSpec(f"--key: {name}: {error}", field="key") from error
    return None


def _keys(key: Path | None, server: str) -> dict[str, str]:
    """Keys in PEM by what they are called."""
    if key is not None:
        try:
            text = key.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidSpec(f"--key: {key} cannot be read: {error}", field="key") from error
        if not keys_in(text):
            raise InvalidSpec(f"--key: {key} has no public key in PEM", field="key")
        return {key.name: text}
    with Client(server) as nas:
        return {one["id"]: one["pem"] for one in nas.get("/v1/signing-keys")["items"]}


@contextmanager
def _read(bundle: Path) -> Iterator[_Files]:
    """A bundle's files; whatever is damaged about it is told in a line."""
    try:
        if bundle.is_dir():
            yield _unpacked(bundle)
            return
        with zipfile.ZipFile(bundle) as archive:
            names = archive.namelist()
            if twice := [one for one, n in Counter(names).items() if n > 1]:
                raise InvalidSpec(f"{bundle} has {twice[0]} twice", field="bundle")
            yield _Files(names, archive.open)  # type: ignore[arg-type]  # it reads bytes
    except (
        *(OSError, EOFError, zipfile.BadZipFile, zlib.error),
        *(RuntimeError, NotImplementedError),  # encrypted, or packed in an unknown way
    ) as error:
        raise InvalidSpec(f"{bundle} cannot be read: {error}", field="bundle") from error


def _unpacked(folder: Path) -> _Files:
    """Every file of a folder, also what Python left there, which it would run."""
    every = [one for one in folder.rglob("*") if one.is_symlink() or not one.is_dir()]
    for one in every:
        if one.is_symlink():
            raise InvalidSpec(f"{one} is a link: no bundle has any", field="bundle")
    names = [one.relative_to(folder).as_posix() for one in every]
    return _Files(names, lambda name: (folder / name).open("rb"))

"""Check that the files of this bundle are those that were made, and by whose key they were signed.

    python signed.py                  # are they as listed in SHA256SUMS?
    python signed.py --key KEY.pem    # and was that list signed by this key?

Needs Python; for the signature also the package `cryptography`, or OpenSSL 3. By hand:
    sha256sum -c SHA256SUMS
    openssl pkeyutl -verify -pubin -inkey KEY.pem -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig
This finds out what was damaged on its way. Against somebody who changes a bundle on purpose check
it by hand, or by `nas verify bundle.zip`, before anything in it is run: he changes this file, too.
The key has to come from the service (`nas signing-keys`) and not with the bundle.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"

Digest = Callable[[str], str]


def faults(names: Iterable[str], sums: bytes, digest_of: Digest) -> list[str]:
    """What is not as listed: files that are others, missing, or in no list."""
    there = set(names) - {SUMS, SIGNATURE}
    listed = {}
    for line in sums.decode("utf-8", "replace").split("\n"):
        digest, _, name = line.partition("  ")
        if line:
            listed[name] = digest
    found = [f"{name} is missing" for name in sorted(set(listed) - there)]
    found += [f"{name} is not listed" for name in sorted(there - set(listed))]
    for name in sorted(there & set(listed)):
        if digest_of(name) != listed[name]:
            found.append(f"{name} is not the file that was made")
    return found


def keys_in(pem: str) -> list[bytes]:
    """Each public key of a PEM file, which may hold several."""
    end = "-----END PUBLIC KEY-----"
    return [f"{one.strip()}\n{end}\n".encode() for one in pem.split(end) if "BEGIN" in one]


def _keys_of(path: Path) -> list[bytes]:
    found = keys_in(path.read_text())
    if not found:
        raise RuntimeError(f"{path.name} has no public key in PEM")
    return found


def is_signed(sums: bytes, signature: bytes, key: bytes) -> bool:
    """Whether a list was signed by the private half of a public key in PEM.

    Raises:
        RuntimeError: neither the package nor OpenSSL is here, or the key is none.
    """
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        return _by_openssl(sums, signature, key)
    try:
        load_pem_public_key(key).verify(signature, sums)  # type: ignore[union-attr,call-arg]
    except InvalidSignature:
        return False
    except (ValueError, TypeError, AttributeError) as error:
        raise RuntimeError(f"no Ed25519 public key: {error}") from error
    return True


def _by_openssl(sums: bytes, signature: bytes, key: bytes) -> bool:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in (("key", key), ("sums", sums), ("sig", signature)):
            (folder / file).write_bytes(content)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(folder / "key")]
        command += ["-rawin", "-in", str(folder / "sums"), "-sigfile", str(folder / "sig")]
        try:
            done = subprocess.run(  # noqa: S603  # its own words and files
                command, capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise RuntimeError("needs the package cryptography, or OpenSSL 3") from error
    if done.returncode and "Signature Verification Failure" not in done.stdout:
        raise RuntimeError(f"OpenSSL: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
    return done.returncode == 0


def digest(stream: BinaryIO) -> str:
    """SHA-256 of a file."""
    found = hashlib.sha256()
    while chunk := stream.read(1 << 20):
        found.update(chunk)
    return found.hexdigest()


def check(folder: Path, key: Path | None = None) -> bool:
    """Print whether an unpacked bundle is as it was made; files of yours beside it do not count."""

    def digest_of(name: str) -> str:
        with (folder / name).open("rb") as stream:
            return digest(stream)

    names = [one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()]
    if SUMS not in names:
        print(f"FAILED: {SUMS} is missing")
        return False
    sums = (folder / SUMS).read_bytes()
    found = [one for one in faults(names, sums, digest_of) if not one.endswith(" is not listed")]
    for one in found:
        print(f"FAILED: {one}")
    if not found:
        print(f"files: as listed in {SUMS}")
    if key is None:
        return not found
    if SIGNATURE not in names:
        print(f"FAILED: {SIGNATURE} is missing")
        return False
    try:
        keys = _keys_of(key)
        signature = (folder / SIGNATURE).read_bytes()
        good = any(is_signed(sums, signature, one) for one in keys)
    except (RuntimeError, OSError, UnicodeDecodeError) as error:
        print(f"FAILED: {error}")
        return False
    print(f"signed by {key.name}" if good else f"FAILED: the list was not signed by {key.name}")
    return good and not found


def key_of(arguments: list[str]) -> Path | None:
    """The key that is asked for, taken out of a command's arguments."""
    if "--key" not in arguments:
        return None
    at = arguments.index("--key")
    if at + 1 == len(arguments):
        sys.exit("--key needs a file")
    del arguments[at]
    return Path(arguments.pop(at))


if __name__ == "__main__":
    sys.exit(0 if check(Path(__file__).parent, key_of(sys.argv[1:])) else 1)

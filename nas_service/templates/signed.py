"""Check that the files of this bundle are those that were made, and by whose key they were signed.

    python signed.py                  # are they as listed in SHA256SUMS?
    python signed.py --key KEY.pem    # and was that list signed by this key?

Needs Python; for the signature also the package `cryptography`, or OpenSSL 3. By hand:
    sha256sum -c SHA256SUMS
    openssl pkeyutl -verify -pubin -inkey KEY.pem -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig
The key has to come from the service (`nas signing-keys`) and not from the bundle: who changes the
one can change the other.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"

Read = Callable[[str], bytes]


def faults(names: Iterable[str], read: Read) -> list[str]:
    """What is not as listed: files that are others, missing, or in no list."""
    there = set(names) - {SUMS, SIGNATURE}
    if SUMS not in set(names):
        return [f"{SUMS} is missing"]
    listed = {}
    for line in read(SUMS).decode("utf-8", "replace").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    found = [f"{name} is missing" for name in sorted(set(listed) - there)]
    found += [f"{name} is not listed" for name in sorted(there - set(listed))]
    for name in sorted(there & set(listed)):
        if hashlib.sha256(read(name)).hexdigest() != listed[name]:
            found.append(f"{name} is not the file that was made")
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


def check(folder: Path, key: Path | None = None) -> bool:
    """Print whether an unpacked bundle is as it was made; files of yours beside it do not count."""

    def read(name: str) -> bytes:
        return (folder / name).read_bytes()

    names = [one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()]
    found = [one for one in faults(names, read) if not one.endswith(" is not listed")]
    for one in found:
        print(f"FAILED: {one}")
    if not found:
        print(f"files: as listed in {SUMS}")
    if key is None:
        return not found
    if not {SUMS, SIGNATURE} <= set(names):
        print(f"FAILED: {SUMS} or its signature is missing")
        return False
    try:
        good = is_signed(read(SUMS), read(SIGNATURE), key.read_bytes())
    except (RuntimeError, OSError) as error:
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

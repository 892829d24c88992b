"""The key of this machine's service, by which it signs what it delivers (Ed25519, RFC 8032)."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from nas_service.errors import InvalidSpec
from nas_service.settings import Settings


@dataclass(frozen=True)
class Signer:
    """A private key."""

    _key: Ed25519PrivateKey

    @classmethod
    def of(cls, settings: Settings) -> Signer:
        """The key that the settings name, in PEM (PKCS 8, without a password).

        Where they name none, the one below the data folder, which is made the first time.

        Raises:
            InvalidSpec: the file that they name cannot be read, or is no such key.
        """
        path = settings.signing_key_path
        try:
            if settings.signing_key is None and not path.exists():
                _make(path)
            key = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise InvalidSpec(f"NAS_SIGNING_KEY: {path}: {error.strerror}") from error
        except (ValueError, TypeError) as error:
            raise InvalidSpec(f"NAS_SIGNING_KEY: {path} is no private key in PEM") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidSpec(f"NAS_SIGNING_KEY: {path} is another kind of key than Ed25519")
        return cls(key)

    def sign(self, content: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._key.sign(content)

    @property
    def public_pem(self) -> str:
        """What others check signatures by."""
        public = self._key.public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def key_id(self) -> str:
        """A name for the key: the beginning of the SHA-256 of its public half."""
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"key_{hashlib.sha256(raw).hexdigest()[:16]}"


def _make(path: Path) -> None:
    """Write a new key for its owner alone; the first of several processes that do so has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    handle, name = tempfile.mkstemp(dir=path.parent)  # readable by its owner alone
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            os.fsync(stream.fileno())
        os.link(partial, path)
    except FileExistsError:
        pass
    finally:
        partial.unlink()

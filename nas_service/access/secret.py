"""Secrets that are shown once and kept as their digest."""

from __future__ import annotations

import hashlib
import secrets

PREFIX = "nas_"
"""Never a dash first, since tokens go on command lines; and leaked ones can be searched for."""
_BYTES = 32


def new_secret() -> str:
    """A secret of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(_BYTES)


def digest_of(secret: str) -> str:
    """SHA-256 in hexadecimal: enough for a secret that nobody can guess, and looked up by index."""
    return hashlib.sha256(secret.encode()).hexdigest()

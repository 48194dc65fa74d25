"""Passwords: kept as Argon2id hashes, never as they are."""

from __future__ import annotations

import secrets
from functools import cache

from argon2 import PasswordHasher, profiles
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher.from_parameters(profiles.RFC_9106_LOW_MEMORY)


def make_hash(password: str) -> str:
    """A hash with a salt of its own. It takes some 50 ms and 64 MiB: not for the event loop."""
    return _hasher.hash(password)


def matches(password: str, password_hash: str | None) -> bool:
    """Whether it is the password. Takes as long where there is none to compare with, so that nobody learns that."""
    try:
        return _hasher.verify(password_hash or _nobodys(), password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys() -> str:
    """A hash of a password that nobody has."""
    return make_hash(secrets.token_hex())

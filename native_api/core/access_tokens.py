"""Access tokens: what a login gives, a JWT signed by this server that says who it is for and how long."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import jwt
from jwt.types import Options

from native_api.core import clock
from native_api.core.errors import Invalid, Unauthenticated

ALGORITHM = "HS256"
MIN_KEY_LENGTH = 32
OPTIONS: Options = {
    "require": ["sub", "iat", "exp", "jti"],
    "verify_iat": False,
}  # another machine's clock may be ahead


class Claim(NamedTuple):
    """What a valid token says. Times are milliseconds, UTC."""

    user_id: str
    issued_at: int
    expires_at: int
    login_id: str


class Keys:
    """The keys that sign: the first makes tokens, all of them are accepted, so that a key can be rotated out."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys or any(len(key) < MIN_KEY_LENGTH for key in keys):
            raise Invalid(f"A signing key must have at least {MIN_KEY_LENGTH} characters")
        self._by_id = {hashlib.sha256(key.encode()).hexdigest()[:8]: key for key in keys}
        self._current = next(iter(self._by_id))

    def issue(self, user_id: str, minutes: int) -> str:
        """A token for this user, good for so many minutes."""
        now = clock.now()
        claims = {"sub": user_id, "iat": now / 1000, "exp": now // 1000 + 60 * minutes, "jti": secrets.token_hex(8)}
        return jwt.encode(claims, self._by_id[self._current], ALGORITHM, headers={"kid": self._current})

    def read(self, token: str) -> Claim:
        """What the token says; Unauthenticated if it is not one of ours, or its time is over."""
        try:
            key = self._by_id[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(token, key, [ALGORITHM], options=OPTIONS)
            issued_at, expires_at = round(claims["iat"] * 1000), int(claims["exp"]) * 1000
            return Claim(str(claims["sub"]), issued_at, expires_at, str(claims["jti"]))
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
            raise Unauthenticated("The access token is not valid, or its time is over: log in again") from None


def load_keys(setting: str, file: Path) -> Keys:
    """The keys in the setting, separated by commas; else those in the file, one a line, made when it is not there."""
    if setting:
        return Keys([key.strip() for key in setting.split(",") if key.strip()])
    if not file.exists():
        with suppress(FileExistsError):
            add_key(file, new=True)
    return Keys(file.read_text().split())


def add_key(file: Path, *, new: bool = False) -> None:
    """Put a fresh key before those in the file, which only its owner may read. With `new` there must be no file yet."""
    older = "" if new or not file.exists() else file.read_text()
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}")  # so that nobody reads a file half written
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(f"{secrets.token_urlsafe(48)}\n{older}")
    try:
        if new:
            file.hardlink_to(fresh)
        else:
            fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)

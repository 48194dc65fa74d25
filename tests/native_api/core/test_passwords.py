"""Passwords are kept as Argon2id hashes, and wrong ones do not match."""

from __future__ import annotations

from native_api.core import passwords


def test_a_password_matches_its_hash_and_no_other() -> None:
    hashed = passwords.make_hash("correct horse")
    assert passwords.matches("correct horse", hashed)
    for wrong in ("", "correct hors", "Correct horse", "correct horse ", hashed):
        assert not passwords.matches(wrong, hashed)


def test_a_hash_is_argon2id_with_a_salt_of_its_own() -> None:
    one, other = (passwords.make_hash("correct horse") for _ in range(2))
    assert one.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert one != other
    assert "correct" not in one


def test_any_text_is_a_password() -> None:
    for password in ("", "é" * 500, "🔑", "a\nb"):
        assert passwords.matches(password, passwords.make_hash(password))


def test_nothing_matches_where_there_is_no_hash() -> None:
    """Neither of a user who has none, nor of one whose hash cannot be read."""
    for hashed in (None, "", "plain", "$argon2id$broken", "$2b$12$" + "x" * 53):
        for password in ("", "plain", "correct horse"):
            assert not passwords.matches(password, hashed)

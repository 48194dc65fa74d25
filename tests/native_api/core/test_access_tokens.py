"""Access tokens: good for their time, and only if one of our keys signed them."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest

from native_api.core import access_tokens, clock
from native_api.core.access_tokens import Keys, add_key, load_keys
from native_api.core.errors import Invalid, Unauthenticated

KEY, OTHER = "k" * 32, "o" * 40
MINUTE_MS = 60_000


def test_a_token_says_who_it_is_for_and_how_long() -> None:
    before = clock.now()
    claim = Keys([KEY]).read(Keys([KEY]).issue("somebody", 5))
    assert claim.user_id == "somebody"
    assert before <= claim.issued_at <= clock.now()
    assert -1000 < claim.expires_at - claim.issued_at - 5 * MINUTE_MS <= 0


def test_no_two_tokens_are_the_same() -> None:
    keys = Keys([KEY])
    assert len({keys.issue("somebody", 5) for _ in range(10)}) == 10


def test_its_time_is_over_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    keys, now = Keys([KEY]), clock.now()
    made: list[str] = []
    for age in (4 * MINUTE_MS, 6 * MINUTE_MS):
        monkeypatch.setattr(clock, "now", lambda age=age: now - age)
        made.append(keys.issue("somebody", 5))
    assert keys.read(made[0]).user_id == "somebody"
    with pytest.raises(Unauthenticated, match="time is over"):
        keys.read(made[1])


# Keys


def test_a_key_is_rotated_out() -> None:
    old, both, new = Keys([KEY]), Keys([OTHER, KEY]), Keys([OTHER])
    before, after = old.issue("somebody", 5), both.issue("somebody", 5)
    assert both.read(before).user_id == both.read(after).user_id == new.read(after).user_id == "somebody"
    for keys, token in ((new, before), (old, after)):
        with pytest.raises(Unauthenticated):
            keys.read(token)


@pytest.mark.parametrize("keys", [[], ["k" * 31], [""], [KEY, "short"]])
def test_a_key_that_could_be_guessed_is_refused(keys: list[str]) -> None:
    with pytest.raises(Invalid, match="at least 32 characters"):
        Keys(keys)


# What is no token of ours


def part(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def header(**fields: Any) -> dict[str, Any]:
    """That of a good token, with some fields in it changed."""
    return jwt.get_unverified_header(Keys([KEY]).issue("somebody", 5)) | fields


def claims(**fields: Any) -> dict[str, Any]:
    now = clock.now() // 1000
    return {"sub": "somebody", "iat": now, "exp": now + 300, "jti": "login"} | fields


def signed(told: dict[str, Any], key: str = KEY, algorithm: str = "HS256") -> str:
    return jwt.encode(told, key, algorithm, headers=header(alg=algorithm))


def without(name: str) -> str:
    return signed({key: value for key, value in claims().items() if key != name})


def test_what_is_made_by_hand_here_counts_if_nothing_is_wrong_with_it() -> None:
    assert Keys([KEY]).read(signed(claims())).user_id == "somebody"


FORGED: dict[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "words": lambda: "x.y.z",
    "not ASCII": lambda: "é" * 40,
    "empty parts": lambda: "..",
    "signed by nobody": lambda: f"{part(header(alg='none'))}.{part(claims())}.",
    "an algorithm of no key": lambda: f"{part(header(alg='none'))}.{part(claims())}.{part('x' * 32)}",
    "another algorithm": lambda: signed(claims(), KEY * 2, "HS512"),
    "signed by another key": lambda: signed(claims(), OTHER),
    "changed": lambda: ".".join(
        [signed(claims()).split(".")[0], part(claims(sub="x")), signed(claims()).split(".")[2]]
    ),
    "cut off": lambda: signed(claims())[:-5],
    "no key's id": lambda: jwt.encode(claims(), KEY, "HS256"),
    "an unknown key's id": lambda: jwt.encode(claims(), KEY, "HS256", headers={"kid": "00000000"}),
    "an odd key's id": lambda: f"{part(header(kid=['x']))}.{part(claims())}.{part('x')}",
    "for nobody": lambda: without("sub"),
    "made at no time": lambda: without("iat"),
    "of no login": lambda: without("jti"),
    "for ever": lambda: without("exp"),
    "for an odd while": lambda: signed(claims(exp="soon")),
    "until infinity": lambda: f"{part(header())}.{part(json.dumps(claims(exp=float('inf'))))}.{part('x')}",
    "made at an odd time": lambda: signed(claims(iat="now")),
    "for an odd user": lambda: signed(claims(sub=5)),
    "over": lambda: signed(claims(exp=clock.now() // 1000 - 1)),
    "a list": lambda: f"{part([1])}.{part([1])}.{part('x')}",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=list(FORGED))
def test_what_is_forged_or_no_token_at_all_says_nothing(forge: Callable[[], str]) -> None:
    with pytest.raises(Unauthenticated) as refused:
        Keys([KEY]).read(forge())
    assert KEY not in refused.value.message


# The file


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_the_file_is_made_once_for_its_owner_alone(folder: Path) -> None:
    file = folder / "below" / "secret.key"
    token = load_keys("", file).issue("somebody", 5)
    written = file.read_text()
    assert mode(file) == 0o600
    assert load_keys("", file).read(token).user_id == "somebody"
    assert file.read_text() == written
    assert list(file.parent.iterdir()) == [file]


def test_many_that_start_at_once_have_one_key(folder: Path) -> None:
    file = folder / "secret.key"
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: load_keys("", file), range(8)))
    for keys in found:
        assert keys.read(found[0].issue("somebody", 5)).user_id == "somebody"


def test_a_fresh_key_comes_before_the_older_ones(folder: Path) -> None:
    file = folder / "secret.key"
    before = load_keys("", file)
    (old,) = file.read_text().split()
    add_key(file)
    fresh, kept = file.read_text().split()
    assert (kept, mode(file)) == (old, 0o600)
    after = load_keys("", file)
    assert after.read(before.issue("somebody", 5)).user_id == "somebody"
    assert Keys([fresh]).read(after.issue("somebody", 5)).user_id == "somebody"
    assert list(folder.iterdir()) == [file]


def test_a_key_is_added_where_there_is_no_file_yet(folder: Path) -> None:
    add_key(folder / "secret.key")
    assert len((folder / "secret.key").read_text().split()) == 1
    assert mode(folder / "secret.key") == 0o600


def test_the_setting_counts_before_the_file(folder: Path) -> None:
    file = folder / "secret.key"
    assert load_keys(f" {OTHER} , {KEY},", file).read(Keys([KEY]).issue("somebody", 5)).user_id == "somebody"
    assert not file.exists()
    with pytest.raises(Invalid, match="at least 32 characters"):
        load_keys("short", file)


def test_made_keys_are_long_enough_to_be_safe(folder: Path) -> None:
    load_keys("", folder / "secret.key")
    assert len((folder / "secret.key").read_text().strip()) >= 2 * access_tokens.MIN_KEY_LENGTH

"""Guessing passwords: after some failures no more guesses are looked at, for a while."""

from __future__ import annotations

import pytest

from native_api.core.errors import TooManyAttempts
from native_api.web import throttle
from native_api.web.throttle import FROM_ANYWHERE, FROM_ONE_PLACE, WINDOW_SECONDS, Throttle

HERE, THERE = "10.0.0.1", "10.0.0.2"


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def guesses(time: Time) -> Throttle:
    return Throttle(time)


def fail(guesses: Throttle, times: int, name: str = "ada", address: str = HERE) -> None:
    for _ in range(times):
        guesses.check(name, address)
        guesses.failed(name, address)


def test_some_failures_are_forgiven_and_then_no_more(guesses: Throttle) -> None:
    fail(guesses, FROM_ONE_PLACE)
    with pytest.raises(TooManyAttempts) as refused:
        guesses.check("ada", HERE)
    assert refused.value.retry_after == WINDOW_SECONDS
    assert str(WINDOW_SECONDS) in refused.value.message


def test_others_and_those_elsewhere_are_not_shut_out(guesses: Throttle) -> None:
    fail(guesses, FROM_ONE_PLACE)
    guesses.check("ada", THERE)
    guesses.check("bob", HERE)


def test_a_name_is_the_same_in_any_case(guesses: Throttle) -> None:
    for name in ("ada", "ADA", "Ada", "aDa", "adA") * (FROM_ONE_PLACE // 5):
        fail(guesses, 1, name)
    with pytest.raises(TooManyAttempts):
        guesses.check("AdA", HERE)


def test_guesses_from_everywhere_count_together(guesses: Throttle) -> None:
    for number in range(FROM_ANYWHERE):
        fail(guesses, 1, address=f"10.0.1.{number}")
    with pytest.raises(TooManyAttempts):
        guesses.check("ada", THERE)
    guesses.check("bob", THERE)


def test_after_a_while_it_begins_again(guesses: Throttle, time: Time) -> None:
    fail(guesses, FROM_ONE_PLACE)
    time.seconds += WINDOW_SECONDS - 0.5
    with pytest.raises(TooManyAttempts) as refused:
        guesses.check("ada", HERE)
    assert refused.value.retry_after == 1
    time.seconds += 0.5
    fail(guesses, FROM_ONE_PLACE)
    with pytest.raises(TooManyAttempts):
        guesses.check("ada", HERE)


def test_the_right_password_makes_failures_from_there_forgotten(guesses: Throttle) -> None:
    fail(guesses, FROM_ONE_PLACE - 1)
    guesses.succeeded("Ada", HERE)
    fail(guesses, FROM_ONE_PLACE)
    with pytest.raises(TooManyAttempts):
        guesses.check("ada", HERE)


def test_it_remembers_so_many_and_no_more(guesses: Throttle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MAX_KEPT", 20)
    fail(guesses, FROM_ONE_PLACE)
    for number in range(100):
        fail(guesses, 1, f"name {number}")
        fail(guesses, 1, f"{number} {'x' * 100_000}")
    assert len(guesses._kept) == 20
    assert max(len(name) for name, _ in guesses._kept) < 1000
    guesses.check("ada", HERE)

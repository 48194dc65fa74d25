"""Histories of metrics, on both databases."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from native_api.core import histories, metrics, pages
from native_api.core.errors import Invalid
from native_api.core.histories import Moment
from native_api.core.metrics import MetricScope, Name, Point

LOSS = Name(MetricScope.NONE, "loss")
RUN, EXPERIMENT = 7, 3


def log(conn: Connection, *points: Point) -> None:
    metrics.append(conn, [(RUN, EXPERIMENT, {LOSS: points})])


def paged(conn: Connection, limit: int) -> list[Moment]:
    found: list[Moment] = []
    token = None
    while page := histories.page(conn, RUN, LOSS, limit, token):
        assert len(page.items) <= limit
        found += page.items
        token = page.next_token
        if token is None:
            break
    return found


def in_order(points: Sequence[Point]) -> list[Moment]:
    return sorted(
        (point.recorded_at, point.step, point.value, 2 * point.is_nan + point.is_final) for point in set(points)
    )


IN_STEP_ORDER = [Point(step, step // 2, float(step % 7)) for step in range(30)]
SAME_STEP = [Point(0, time, float(time % 5)) for time in range(30)]
SAME_TIME = [Point(step, 5, float(step % 3)) for step in range(30)]
WITH_NANS = [Point(step // 3, step // 6, 0.0, step % 2) for step in range(30)]
FINAL_TWIN = [*IN_STEP_ORDER, Point(0, 0, 0.0, is_final=1), Point(0, 99, 0.0, is_final=1)]
BACKWARDS = [Point(30 - step, step // 2, float(step)) for step in range(30)]


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(points, id=name)
        for name, points in {
            "in step order": IN_STEP_ORDER,
            "one step": SAME_STEP,
            "one time": SAME_TIME,
            "with NaNs": WITH_NANS,
            "with final values": FINAL_TWIN,
            "backwards": BACKWARDS,
            "the first one late": [Point(-1, 8, 0.0), *IN_STEP_ORDER],
            "the last one early": [*IN_STEP_ORDER, Point(99, 8, 0.0)],
            "one out of place": [*IN_STEP_ORDER[:15], Point(15, 3, 0.5), *IN_STEP_ORDER[16:]],
        }.items()
    ],
)
@pytest.mark.parametrize("limit", [1, 7, 10, 29, 30, 40])
def test_pages_hold_every_point_by_time(conn: Connection, points: Sequence[Point], limit: int) -> None:
    log(conn, *points)
    assert paged(conn, limit) == histories.whole(conn, RUN, LOSS) == in_order(points)


TIMES = st.integers(0, 4)
VALUES = st.sampled_from([-math.inf, -0.5, 0.0, 1.0, math.inf])
NO, YES = st.just(0), st.just(1)
STEPS = st.integers(-3, 3)
POINTS = st.one_of(
    st.tuples(STEPS, TIMES, VALUES, NO, NO),
    st.tuples(STEPS, TIMES, st.just(0.0), YES, NO),
    st.tuples(NO, TIMES, VALUES, NO, YES),
).map(Point._make)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(points=st.lists(POINTS, min_size=1, max_size=12, unique=True), limit=st.integers(1, 6))
def test_pages_hold_every_point_whatever_their_order(conn: Connection, points: list[Point], limit: int) -> None:
    with conn.begin_nested() as savepoint:
        log(conn, *points)
        found = paged(conn, limit)
        savepoint.rollback()
    assert found == in_order(points)


def test_what_is_added_between_pages_hides_and_repeats_nothing(conn: Connection) -> None:
    log(conn, *IN_STEP_ORDER)
    first = histories.page(conn, RUN, LOSS, 10)
    log(conn, Point(3, -5, 9.0), Point(40, 40, 9.0))
    rest = histories.page(conn, RUN, LOSS, 100, first.next_token)
    steps = [step for _, step, *_ in (*first.items, *rest.items)]
    assert steps == [*range(30), 40]


@pytest.mark.parametrize(
    "values", [[], [1, 2, 3.0], [1, 2, 3.0, 0, 0], [None, 2, 3.0, 0], [1, 2, "x", 0], [1, 2, 3, 0]]
)
def test_a_forged_token_is_refused(conn: Connection, values: list[object]) -> None:
    log(conn, *IN_STEP_ORDER)
    query = pages.fingerprint("history", RUN, LOSS)
    with pytest.raises(Invalid, match="Invalid page token"):
        histories.page(conn, RUN, LOSS, 10, pages.encode(query, values))  # type: ignore[arg-type]


def test_an_unknown_key_has_no_history(conn: Connection) -> None:
    assert histories.whole(conn, RUN, Name(MetricScope.NONE, "never logged")) == []
    assert histories.sample(conn, RUN, Name(MetricScope.NONE, "never logged"), None, 10) == []


def test_a_sample_is_spread_evenly_and_ends_with_the_last_point(conn: Connection) -> None:
    log(conn, *(Point(step, step, float(step)) for step in range(200)))
    assert [step for _, step, *_ in histories.sample(conn, RUN, LOSS, None, 10)] == [*range(0, 180, 20), 199]
    assert [step for _, step, *_ in histories.sample(conn, RUN, LOSS, (50, 52), 10)] == [50, 51, 52]
    assert [step for _, step, *_ in histories.sample(conn, RUN, LOSS, None, 1)] == [199]


def test_a_sample_keeps_the_spikes(conn: Connection) -> None:
    values = {33: 1000.0, 155: -1000.0}
    log(conn, *(Point(step, step, values.get(step, 1.0)) for step in range(200)))
    assert {1000.0, -1000.0} < {value for _, _, value, _ in histories.sample(conn, RUN, LOSS, None, 10)}


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=200), st.integers(1, 50))
def test_what_is_kept_is_in_order_within_bounds_and_holds_both_ends(values: list[float], limit: int) -> None:
    kept = histories.spread(values, limit)
    assert len(kept) == min(limit, len(values))
    assert kept == sorted(set(kept))
    assert kept[-1] == len(values) - 1
    assert limit == 1 or kept[0] == 0

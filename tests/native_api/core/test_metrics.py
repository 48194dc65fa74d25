"""Latest points and values as native callers read them, on both databases."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
from sqlalchemy import Connection, select

from native_api.core import histories, metric_values, metrics
from native_api.core import tables as t
from native_api.core.metrics import MetricScope, Name, Point

LOSS = Name(MetricScope.NONE, "loss")
RUN, EXPERIMENT = 7, 3
POINTS = [Point(1, 10, 0.9), Point(2, 20, 0.5), Point(2, 30, 0.7)]
latest = t.run_metric_latest.c


def log(conn: Connection, *points: Point, name: Name = LOSS) -> None:
    metrics.append(conn, [(RUN, EXPERIMENT, {name: points})])


def stored(conn: Connection) -> dict[str, object]:
    return dict(conn.execute(select(t.run_metric_latest)).mappings().one())


@pytest.mark.parametrize("arrival", list(permutations(POINTS)))
def test_latest_never_moves_back(conn: Connection, arrival: tuple[Point, ...]) -> None:
    for point in arrival:
        log(conn, point)
    row = stored(conn)
    assert (row["step"], row["recorded_at"], row["value"]) == (2, 30, 0.7)
    assert (row["count"], row["min_value"], row["max_value"], row["first_value"]) == (3, 0.5, 0.9, 0.9)


def test_a_repeated_point_is_stored_and_counted_once(conn: Connection) -> None:
    log(conn, *POINTS, *POINTS)
    log(conn, POINTS[0], Point(3, 40, 0.1))
    assert stored(conn)["count"] == 4
    assert len(histories.whole(conn, RUN, LOSS)) == 4


def test_a_nan_counts_as_zero_in_the_order_and_stays_out_of_the_extremes(conn: Connection) -> None:
    log(conn, Point(1, 10, 0.0, is_nan=1), Point(1, 10, -1.0), Point(0, 5, 2.0))
    row = stored(conn)
    assert (row["is_nan"], row["min_value"], row["max_value"], row["count"]) == (1, -1.0, 2.0, 3)


def test_only_nans_have_no_extremes_until_a_number_comes(conn: Connection) -> None:
    log(conn, Point(1, 10, 0.0, is_nan=1))
    assert stored(conn)["min_value"] is None
    log(conn, Point(2, 20, 5.0))
    assert (stored(conn)["min_value"], stored(conn)["max_value"]) == (5.0, 5.0)


def test_infinities_and_64_bit_numbers_are_stored_exactly(conn: Connection) -> None:
    least, most = -(2**63), 2**63 - 1
    log(conn, Point(least, 0, -math.inf), Point(most, most, math.inf))
    assert histories.whole(conn, RUN, LOSS) == [(0, least, -math.inf, 0), (most, most, math.inf, 0)]


def test_a_final_value_is_the_latest(conn: Connection) -> None:
    log(conn, Point(0, 5, 0.3, is_final=1), Point(100, 50, 0.4))
    assert (stored(conn)["value"], stored(conn)["is_final"]) == (0.3, 1)


def test_scopes_keep_metrics_apart(conn: Connection) -> None:
    log(conn, Point(1, 1, 1.0), name=Name(MetricScope.VAL, "loss"))
    log(conn, Point(1, 1, 2.0), name=Name(MetricScope.TRAIN, "loss"))
    found = sorted((latest.scope, latest.key, latest.value) for latest in metrics.latest(conn, [RUN]))
    assert found == [(1, "loss", 2.0), (2, "loss", 1.0)]


def test_as_many_points_as_fill_several_blocks_are_all_stored(conn: Connection) -> None:
    many = {Name(MetricScope.NONE, f"m{n}"): [Point(step, step, 0.5) for step in range(3)] for n in range(3001)}
    metrics.append(conn, [(RUN, EXPERIMENT, many)])
    assert sum(conn.scalars(select(latest["count"]))) == 9003
    assert len(conn.execute(select(t.run_metric_values.c.step)).all()) == 9003


def test_keys_are_remembered_only_once_committed(conn: Connection) -> None:
    with conn.begin_nested() as savepoint:
        metrics.intern(conn, {"rolled back"})
        savepoint.rollback()
    assert "rolled back" not in metrics.intern(conn, set())
    assert metrics.find_id(conn, "rolled back") is None


# Values as native callers read them


def test_values_are_paged_in_the_order_that_they_are_stored_in(conn: Connection) -> None:
    names = [Name(scope, key) for key in ("loss", "acc") for scope in (MetricScope.NONE, MetricScope.VAL)]
    points = [
        *(Point(step, time, value) for step in (2**40, -3, 0) for time in (5, 1) for value in (math.inf, -0.5)),
        *(Point(0, 9, 0.0, is_nan=1), Point(0, 9, 0.0), Point(0, 3, 1.0, is_final=1), Point(0, 2, 2.0, is_final=1)),
    ]
    for name in names:
        log(conn, *points, name=name)
    metrics.append(conn, [(RUN + 1, EXPERIMENT, {LOSS: points})])

    def paged(limit: int, **which: object) -> list[metric_values.MetricValue]:
        found: list[metric_values.MetricValue] = []
        token = None
        while page := metric_values.page(conn, RUN, limit, token, **which):  # type: ignore[arg-type]
            found += page.items
            token = page.next_token
            if token is None:
                break
        return found

    whole = paged(1000)
    assert len(whole) == len(names) * len(points)
    for name in names:
        of_name = paged(1000, key=name.key, scope=name.scope)
        in_order = sorted(points, key=lambda point: (point.is_final, point.step, *point[1:4]))
        assert [(one.is_final, one.step, one.recorded_at, one.value, one.is_nan) for one in of_name] == [
            (point.is_final, *point[:4]) for point in in_order
        ]
        assert paged(3, key=name.key, scope=name.scope) == of_name
    assert paged(7) == whole
    assert paged(5, key="loss") == [one for one in whole if one.key == "loss"]
    assert paged(5, scope=2) == [one for one in whole if one.scope == 2]

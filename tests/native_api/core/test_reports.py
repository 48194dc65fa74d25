"""Leaderboards, best runs and dashboards, on both databases."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from sqlalchemy import Connection, update

from native_api.core import metrics, reports
from native_api.core import tables as t
from native_api.core.access import Actor
from native_api.core.errors import Invalid, NotFound
from native_api.core.metrics import MetricScope, Name, Point
from tests.conftest import make_actor

LOSS = Name(MetricScope.NONE, "loss")
VAL_LOSS = Name(MetricScope.VAL, "loss")


@dataclass
class Lab:
    """An experiment to fill with runs: `lab.run("a", loss=0.5)`. The letter is the run_id, 32 times."""

    conn: Connection
    actor: Actor
    experiment: int = 1

    def __post_init__(self) -> None:
        row = {
            "id": self.experiment,
            "experiment_id": self.experiment_id,
            "project_id": self.actor.project_id,
            "name": f"experiment {self.experiment}",
            "artifact_location": "x",
            "created_at": 1,
            "updated_at": 1,
        }
        self.conn.execute(t.experiments.insert(), row)

    @property
    def experiment_id(self) -> str:
        return f"{self.experiment:032x}"

    def run(self, letter: str, scope: MetricScope = MetricScope.NONE, *, at: int = 0, **values: float) -> None:
        """A run with these metrics, recorded at `at`."""
        points = {
            Name(scope, key): [Point(0, at, 0.0, 1) if math.isnan(value) else Point(0, at, value)]
            for key, value in values.items()
        }
        metrics.append(self.conn, [(self.make(letter), self.experiment, points)])

    def make(self, letter: str, **columns: object) -> int:
        row = {
            "run_id": letter * 32,
            "experiment_id": self.experiment,
            "run_name": f"run {letter}",
            "status": "running",
            "user_name": "",
            "artifact_uri": "x",
            "created_at": 1,
            "revision": 1,
        }
        number: int = self.conn.execute(t.runs.insert().returning(t.runs.c.id), row | columns).scalar_one()
        return number

    def change(self, letter: str, **columns: object) -> None:
        self.conn.execute(update(t.runs).where(t.runs.c.run_id == letter * 32).values(**columns))

    def declare(self, goal: str, key: str = "loss") -> None:
        row = {"metric_id": key.ljust(32, "0"), "key": key, "goal": goal, "created_at": 1}
        self.conn.execute(t.metric_definitions.insert(), row)

    def board(self, metric: Name = LOSS, limit: int = 100) -> str:
        """The letters of the leaderboard's runs, read page by page."""
        letters, token = "", None
        while True:
            page = reports.leaderboard(self.conn, self.actor, self.experiment_id, metric, limit, token)
            letters += "".join(standing.run_id[0] for standing in page.items)
            token = page.next_token
            if token is None:
                return letters

    def best(self, metric: Name = LOSS) -> str:
        return reports.best_run(self.conn, self.actor, self.experiment_id, metric)[0]

    def dashboard(self, key: str | None = None, scope: int | None = None) -> reports.Dashboard:
        return reports.dashboard(self.conn, self.actor, self.actor.project_id, key, scope)


@pytest.fixture
def lab(conn: Connection, actor: Actor) -> Lab:
    return Lab(conn, actor)


# Leaderboards


@pytest.mark.parametrize(("goal", "order"), [("max", "bdca"), ("min", "acdb"), ("last", "cdba"), (None, "cdba")])
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_leaderboard_is_in_the_order_of_the_goal(lab: Lab, goal: str | None, order: str, limit: int) -> None:
    if goal:
        lab.declare(goal)
    lab.run("a", loss=-math.inf, at=1)
    lab.run("b", loss=math.inf, at=2)
    lab.run("c", loss=1.0, at=4)
    lab.run("d", loss=2.0, at=3)
    assert lab.board(limit=limit) == order
    assert lab.best() == order[0]


@pytest.mark.parametrize("goal", ["max", "min", "last"])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_ties_come_by_run_id_and_nans_after_all_numbers(lab: Lab, goal: str, limit: int) -> None:
    lab.declare(goal)
    for letter, value in {"f": math.nan, "e": 1.0, "d": math.nan, "c": 1.0, "b": 1.0, "a": math.nan}.items():
        lab.run(letter, loss=value)
    assert lab.board(limit=limit) == "bceadf"


@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("deleted", ["", "f", "fedc", "abcdf"])
def test_those_recorded_last_lead_whichever_are_deleted(lab: Lab, deleted: str, limit: int) -> None:
    for time, letter in enumerate("abcdef"):
        lab.run(letter, loss=1.0, at=time)
    for letter in deleted:
        lab.change(letter, deleted_at=1)
    assert lab.board(limit=limit) == "".join(letter for letter in "fedcba" if letter not in deleted)


def test_the_latest_value_counts_and_not_the_best_one(lab: Lab) -> None:
    lab.declare("max")
    lab.run("a", loss=0.5)
    metrics.append(lab.conn, [(lab.make("b"), lab.experiment, {LOSS: [Point(1, 1, 0.9), Point(2, 2, 0.1)]})])
    standings = reports.leaderboard(lab.conn, lab.actor, lab.experiment_id, LOSS, 10, None).items
    assert [(standing.run_id[0], standing.metric_value) for standing in standings] == [("a", 0.5), ("b", 0.1)]


def test_a_standing_tells_of_the_run(lab: Lab) -> None:
    lab.run("a", loss=math.nan)
    lab.change("a", started_at=5, status="finished")
    (standing,) = reports.leaderboard(lab.conn, lab.actor, lab.experiment_id, LOSS, 10, None).items
    assert math.isnan(standing.metric_value)
    assert standing._replace(metric_value=0.0) == ("a" * 32, "run a", 0.0, 5, "finished")


def test_deleted_runs_other_scopes_and_other_experiments_are_left_out(lab: Lab) -> None:
    lab.run("a", loss=1.0)
    lab.run("b", loss=2.0)
    lab.run("c", MetricScope.VAL, loss=3.0)
    lab.run("d", accuracy=3.0)
    lab.change("b", deleted_at=1)
    Lab(lab.conn, lab.actor, experiment=2).run("e", loss=4.0)
    assert lab.board() == "a"
    assert lab.board(VAL_LOSS) == "c"


def test_a_metric_that_nobody_logged_has_an_empty_board_and_no_best_run(lab: Lab) -> None:
    assert lab.board(Name(MetricScope.NONE, "never")) == ""
    with pytest.raises(NotFound):
        lab.best(Name(MetricScope.NONE, "never"))


def test_nans_alone_have_no_best_run(lab: Lab) -> None:
    lab.run("a", loss=math.nan)
    with pytest.raises(NotFound):
        lab.best()


def test_a_token_belongs_to_one_board(lab: Lab) -> None:
    lab.run("a", loss=1.0)
    lab.run("b", loss=2.0)
    token = reports.leaderboard(lab.conn, lab.actor, lab.experiment_id, LOSS, 1, None).next_token
    lab.declare("min")
    with pytest.raises(Invalid, match="another query"):
        reports.leaderboard(lab.conn, lab.actor, lab.experiment_id, LOSS, 1, token)


def test_what_others_track_does_not_exist(lab: Lab) -> None:
    lab.run("a", loss=1.0)
    stranger = make_actor(lab.conn, "two")
    with pytest.raises(NotFound, match="experiment"):
        reports.leaderboard(lab.conn, stranger, lab.experiment_id, LOSS, 10, None)
    with pytest.raises(NotFound, match="experiment"):
        reports.best_run(lab.conn, stranger, lab.experiment_id, LOSS)
    with pytest.raises(NotFound, match="project"):
        reports.dashboard(lab.conn, stranger, lab.actor.project_id, None, None)


# The dashboard


def test_an_empty_project_has_nothing_to_show(conn: Connection, actor: Actor) -> None:
    found = reports.dashboard(conn, actor, actor.project_id, None, None)
    assert found == (actor.project_id, "one", 0, 0, None, None, None, None)


def test_a_dashboard_counts_what_is_active(lab: Lab) -> None:
    for letter, status in zip("abcdef", ["finished", "finished", "failed", "killed", "running", "queued"], strict=True):
        lab.make(letter, status=status)
    lab.make("9", status="failed", deleted_at=1)
    gone = Lab(lab.conn, lab.actor, experiment=2)
    lab.conn.execute(update(t.experiments).where(t.experiments.c.id == gone.experiment).values(deleted_at=1))
    Lab(lab.conn, make_actor(lab.conn, "two"), experiment=3).make("8", status="failed")
    found = lab.dashboard()
    assert (found.experiments_count, found.runs_count, found.success_rate_pct) == (1, 6, 50.0)


def test_without_a_run_that_ended_there_is_no_success_rate(lab: Lab) -> None:
    lab.make("a", status="running")
    assert lab.dashboard().success_rate_pct is None


@pytest.mark.parametrize(
    ("seconds", "median"), [([3], 3.0), ([4, 1], 2.5), ([9, 1, 4], 4.0), ([1, 9, 5, 4], 4.5), ([0.25], 0.25)]
)
def test_the_median_is_of_finished_runs_with_both_times(lab: Lab, seconds: list[float], median: float) -> None:
    for number, duration in enumerate(seconds):
        lab.make(str(number), status="finished", started_at=1000, finished_at=1000 + int(duration * 1000))
    lab.make("a", status="failed", started_at=1000, finished_at=99_000_000)
    lab.make("b", status="finished", started_at=1000)
    lab.make("c", status="finished", finished_at=1000)
    lab.make("d", status="finished", started_at=1000, finished_at=99_000_000, deleted_at=1)
    assert lab.dashboard().median_train_seconds == median


def test_times_at_the_ends_of_64_bits_have_a_median_too(lab: Lab) -> None:
    lab.make("a", status="finished", started_at=-(2**63), finished_at=2**63 - 1)
    assert lab.dashboard().median_train_seconds == pytest.approx(2**64 / 1000)


def test_the_best_run_is_the_best_of_all_experiments(lab: Lab) -> None:
    lab.declare("min")
    lab.run("a", loss=0.5)
    lab.run("b", loss=math.nan)
    other = Lab(lab.conn, lab.actor, experiment=2)
    other.run("c", loss=0.2)
    other.run("d", loss=0.1)
    other.change("d", deleted_at=1)
    found = lab.dashboard()
    assert (found.best_metric_value, found.best_run_id) == (0.2, "c" * 32)


def test_the_metric_of_a_dashboard_is_the_declared_one_that_most_runs_have(lab: Lab) -> None:
    lab.declare("max", "auc")
    lab.declare("max", "f1")
    lab.run("a", f1=0.1, auc=0.2, undeclared=9.0)
    lab.run("b", f1=math.nan, auc=0.3, undeclared=9.0)
    lab.run("c", f1=0.5, undeclared=9.0)
    assert lab.dashboard().best_metric_value == 0.3  # two and two: by key
    Lab(lab.conn, lab.actor, experiment=2).run("d", f1=0.4)
    assert lab.dashboard().best_metric_value == 0.5
    for letter in "cd":
        lab.change(letter, deleted_at=1)
    assert lab.dashboard().best_metric_value == 0.3


def test_the_metric_of_a_dashboard_can_be_chosen(lab: Lab) -> None:
    lab.declare("max", "auc")
    lab.run("a", auc=0.9, loss=0.2)
    lab.run("b", MetricScope.VAL, auc=0.8, loss=0.1)
    assert lab.dashboard("loss").best_metric_value == 0.2
    assert lab.dashboard("loss", MetricScope.VAL).best_metric_value == 0.1
    assert lab.dashboard(None, MetricScope.VAL).best_metric_value == 0.8
    assert lab.dashboard("never").best_run_id is None

"""The audit log: what it says of a change, who sees it, and that no entry can be changed unseen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select, text

from native_api.core import api_tokens, audit, clock, datasets, db, experiments, orgs, projects, runs, users
from native_api.core import tables as t
from native_api.core.access import Actor, OrgRole, Scope
from native_api.core.audit import Broken, Entry
from native_api.core.errors import Invalid
from native_api.core.runs import NewRun
from native_api.core.users import NewUser
from tests.conftest import fresh_postgres, make_actor

ADMINISTRATOR = Actor("operator", "", {}, Scope.ADMIN, is_administrator=True)


def entries(conn: Connection, actor: Actor, **filters: Any) -> list[Entry]:
    """What the actor sees of the log, after what was gathered is written; the oldest first."""
    audit.write(conn)
    return list(reversed(audit.page(conn, actor, 1000, None, **filters).items))


def said(entry: Entry) -> tuple[str, str, Any, Any]:
    """What an entry says: of which table, what was done, and the columns before and after."""
    old, new = (json.loads(data) if data else None for data in (entry.old_data, entry.new_data))
    return entry.table_name, entry.operation, old, new


# What an entry says


def test_a_new_row_is_told_whole_with_who_and_when(conn: Connection, actor: Actor) -> None:
    before = clock.now()
    made = datasets.create(conn, actor, actor.project_id, "d", description="for all")
    (entry,) = entries(conn, actor)
    table, operation, old, new = said(entry)
    assert (table, operation, old) == ("datasets", "I", None)
    assert new.items() >= {"dataset_id": made.dataset_id, "name": "d", "description": "for all"}.items()
    assert (entry.row_pk, entry.changed_by) == (made.dataset_id, actor.user_id)
    assert before <= entry.changed_at <= clock.now()


def test_a_change_is_told_with_the_columns_that_differ(conn: Connection, actor: Actor) -> None:
    made = datasets.create(conn, actor, actor.project_id, "d", description="old")
    datasets.change(conn, actor, made.dataset_id, {"name": "d", "description": "new"})
    datasets.change(conn, actor, made.dataset_id, {"description": "new"})  # nothing
    _, changed = entries(conn, actor)
    assert said(changed) == ("datasets", "U", {"description": "old"}, {"description": "new"})


def test_a_row_that_is_gone_is_told_as_it_was(conn: Connection, actor: Actor) -> None:
    made = datasets.create(conn, actor, actor.project_id, "d")
    datasets.delete(conn, actor, made.dataset_id)
    added, gone = entries(conn, actor)
    assert said(gone)[:2] == ("datasets", "D")
    assert (said(gone)[2]["name"], said(gone)[3]) == ("d", None)
    assert gone.row_pk == added.row_pk


def test_runs_and_experiments_are_told_by_their_public_ids(conn: Connection, actor: Actor) -> None:
    experiment = experiments.create(conn, actor, actor.project_id, "e", artifact_root="mlflow-artifacts:/")
    run = runs.create(conn, actor, NewRun(experiment, run_name="r"))
    runs.change(conn, actor, run.info.run_id, {"status": "failed"})
    runs.delete(conn, actor, run.info.run_id)
    told = entries(conn, actor)
    assert {(entry.table_name, entry.operation) for entry in told} >= {
        ("experiments", "I"),
        ("runs", "I"),
        ("runs", "U"),
    }
    assert all(len(entry.row_pk) == 32 for entry in told)
    for entry in told:
        for data in filter(None, (entry.old_data, entry.new_data)):
            assert not {"id", "revision"} & json.loads(data).keys()
    of_run = [said(entry)[2:] for entry in entries(conn, actor, table_name="runs", row_pk=run.info.run_id)]
    assert of_run[1] == ({"status": "running"}, {"status": "failed"})
    assert of_run[2][0] == {"deleted_at": None}


def test_no_entry_holds_a_secret(conn: Connection) -> None:
    user = users.register(conn, NewUser("somebody@example.org", "Somebody", "$argon2id$one"))
    oneself = Actor(user.user_id, "", {}, Scope.ADMIN)
    users.change(conn, oneself, user.user_id, {"password_hash": "$argon2id$two", "full_name": "Other"})
    token = api_tokens.create(conn, oneself, user.user_id, "mine", Scope.READ, None)[1]
    told = entries(conn, oneself)
    assert said(told[0])[3]["password_hash"] == "(secret)"
    assert said(told[1])[2:] == (
        {"full_name": "Somebody", "password_hash": "(secret)"},
        {"full_name": "Other", "password_hash": "(secret)"},
    )
    assert [entry.table_name for entry in told] == ["users", "users", "api_tokens"]
    everything = repr(conn.execute(select(t.audit_log)).all())
    digest = conn.scalars(select(t.api_tokens.c.digest)).one()
    for secret in ("argon2id", token, digest):
        assert secret not in everything


# In the transaction of the change


def test_what_a_savepoint_took_back_was_not_done(conn: Connection, actor: Actor) -> None:
    datasets.create(conn, actor, actor.project_id, "kept")
    savepoint = conn.begin_nested()
    datasets.create(conn, actor, actor.project_id, "lost")
    savepoint.rollback()
    with conn.begin_nested():
        datasets.create(conn, actor, actor.project_id, "kept too")
    assert [said(entry)[3]["name"] for entry in entries(conn, actor)] == ["kept", "kept too"]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of this test alone, with tables and nothing in them."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'audit.db'}"
    else:
        url = fresh_postgres(request.getfixturevalue("postgres_url"), "audit")
    engine = db.create_writer(db.parse_url(url))
    t.metadata.create_all(engine)
    engine.dispose()
    return url


@pytest.fixture
def own(url: str) -> Iterator[Engine]:
    """An engine to a database of this test alone."""
    engine = db.create_writer(db.parse_url(url), 2)
    yield engine
    engine.dispose()


def test_nothing_is_committed_before_its_entries_are_written(own: Engine) -> None:
    with pytest.raises(RuntimeError, match="before its audit entries are written"), own.begin() as conn:
        users.register(conn, NewUser("a@example.org", "a"))
    with own.connect() as conn:
        assert conn.execute(select(t.users)).all() == conn.execute(select(t.audit_log)).all() == []
    with audit.transaction(own) as conn:
        users.register(conn, NewUser("a@example.org", "a"))
    with own.connect() as conn:
        assert len(conn.execute(select(t.audit_log)).all()) == 1


def test_what_was_rolled_back_is_not_told(own: Engine) -> None:
    def fail() -> None:
        with audit.transaction(own) as conn:
            users.register(conn, NewUser("a@example.org", "a"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with audit.transaction(own) as conn:
        users.register(conn, NewUser("b@example.org", "b"))
    with own.connect() as conn:
        (entry,) = conn.execute(select(t.audit_log)).all()
        assert "b@example.org" in entry.new_data
        assert audit.verify(conn) == (1, None)


# The chain


def write(engine: Engine, numbers: range) -> None:
    """A transaction for each number, with two entries in it."""
    for number in numbers:
        with audit.transaction(engine) as conn:
            for half in "ab":
                users.register(conn, NewUser(f"{number}{half}@example.org", f"{number}"))


def test_a_log_that_nobody_touched_holds(own: Engine) -> None:
    with own.connect() as conn:
        assert audit.verify(conn) == (0, None)
    write(own, range(3))
    with own.connect() as conn:
        assert audit.verify(conn) == (6, None)
        ids = list(conn.scalars(select(t.audit_log.c.audit_id).order_by(t.audit_log.c.audit_id)))
        assert ids == [1, 2, 3, 4, 5, 6]


def test_a_log_that_grows_meanwhile_holds(url: str, own: Engine) -> None:
    write(own, range(2))
    reader = db.create_reader(db.parse_url(url), 1)
    with reader.connect() as conn:
        assert audit.verify(conn) == (4, None)
        write(own, range(2, 4))
        assert audit.verify(conn) == (4, None)
    with reader.connect() as conn:
        assert audit.verify(conn) == (8, None)
    reader.dispose()


TAMPERED: dict[str, tuple[int, str]] = {
    "UPDATE audit_log SET new_data = replace(new_data, '1a@', 'me@') WHERE audit_id = 3": (3, "not what was written"),
    "UPDATE audit_log SET changed_by = NULL WHERE audit_id = 3": (3, "not what was written"),
    "UPDATE audit_log SET changed_at = changed_at + 1 WHERE audit_id = 3": (3, "not what was written"),
    "UPDATE audit_log SET operation = 'U' WHERE audit_id = 1": (1, "not what was written"),
    "UPDATE audit_log SET table_name = 'runs' WHERE audit_id = 6": (6, "not what was written"),
    "UPDATE audit_log SET row_pk = 'x' WHERE audit_id = 2": (2, "not what was written"),
    "UPDATE audit_log SET old_data = '{}' WHERE audit_id = 2": (2, "not what was written"),
    "UPDATE audit_log SET org_id = 'x' WHERE audit_id = 2": (2, "not what was written"),
    "UPDATE audit_log SET project_id = 'x' WHERE audit_id = 2": (2, "not what was written"),
    "UPDATE audit_log SET row_hash = 'x' WHERE audit_id = 4": (4, "not what was written"),
    "DELETE FROM audit_log WHERE audit_id = 4": (4, "missing"),
    "DELETE FROM audit_log WHERE audit_id = 1": (1, "missing"),
    "DELETE FROM audit_log WHERE audit_id = 6": (6, "ends after entry 5, and should after entry 6"),
    "DELETE FROM audit_log": (1, "ends after entry 0, and should after entry 6"),
    "UPDATE audit_log SET audit_id = 7 WHERE audit_id = 6": (6, "missing"),
    "UPDATE audit_head SET last_id = 5": (7, "ends after entry 6, and should after entry 5"),
    "UPDATE audit_head SET last_hash = 'x'": (7, "ends after entry 6"),
    "DELETE FROM audit_head": (7, "ends after entry 6, and should after entry 0"),
}


@pytest.mark.parametrize("statement", TAMPERED)
def test_the_first_broken_entry_is_named(conn: Connection, statement: str) -> None:
    for number in range(3):
        for half in "ab":
            users.register(conn, NewUser(f"{number}{half}@example.org", f"{number}"))
        audit.write(conn)
    assert audit.verify(conn) == (6, None)
    conn.execute(text(statement))
    held, broken = audit.verify(conn)
    audit_id, words = TAMPERED[statement]
    assert broken is not None
    assert (held, broken.audit_id) == (audit_id - 1, audit_id)
    assert words in broken.reason


def test_two_entries_in_each_other_s_place_are_found(conn: Connection) -> None:
    for number in range(3):
        users.register(conn, NewUser(f"{number}@example.org", f"{number}"))
    audit.write(conn)
    for old, new in ((1, 9), (2, 1), (9, 2)):
        conn.execute(text(f"UPDATE audit_log SET audit_id = {new} WHERE audit_id = {old}"))
    broken = audit.verify(conn)[1]
    assert isinstance(broken, Broken)
    assert broken.audit_id == 1


def test_several_processes_keep_one_chain(url: str) -> None:
    """As many engines, each with connections of its own, as different processes have."""
    engines = [db.create_writer(db.parse_url(url)) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        started = [pool.submit(write, engine, range(n * 20, n * 20 + 20)) for n, engine in enumerate(engines)]
        for done in started:
            done.result()
    with engines[0].connect() as conn:
        assert audit.verify(conn) == (160, None)
        assert len(conn.execute(select(t.users)).all()) == 160
    for engine in engines:
        engine.dispose()


# Who sees what


@pytest.fixture
def happened(conn: Connection, actor: Actor) -> dict[str, str]:
    """What happened in two organisations with a project each, and on the server itself: by a word, the row's key."""
    stranger = make_actor(conn, "two")
    found = {}
    for name, who in (("mine", actor), ("theirs", stranger)):
        found[f"in a project: {name}"] = datasets.create(conn, who, who.project_id, "d").dataset_id
        org = orgs.create(conn, who, f"org of {name}")
        found[f"organisation: {name}"] = org.org_id
        admin = Actor(who.user_id, "", {}, Scope.ADMIN, orgs={org.org_id: OrgRole.OWNER})
        project = projects.create(conn, admin, org.org_id, f"project of {name}")
        found[f"project: {name}"] = project.project_id
    found["user"] = users.register(conn, NewUser("new@example.org", "New")).user_id
    audit.write(conn)
    return found


def seen(conn: Connection, actor: Actor, happened: Mapping[str, str]) -> set[str]:
    shown = {entry.row_pk for entry in entries(conn, actor)}
    return {word for word, key in happened.items() if key in shown}


Who = Callable[[Actor, Mapping[str, str]], Actor]

SEES: dict[str, tuple[Who, set[str]]] = {
    "a member of a project": (
        lambda actor, of: Actor("u", "", {actor.project_id: Scope.READ}, Scope.READ),
        {"in a project: mine"},
    ),
    "a member of an organisation": (
        lambda actor, of: Actor("u", "", {}, Scope.READ, orgs={of["organisation: mine"]: OrgRole.VIEWER}),
        {"organisation: mine"},
    ),
    "an owner of an organisation, with its projects in view": (
        lambda actor, of: Actor(
            "u", "", {of["project: mine"]: Scope.ADMIN}, Scope.ADMIN, {of["organisation: mine"]: OrgRole.OWNER}
        ),
        {"organisation: mine", "project: mine"},
    ),
    "a user": (lambda actor, of: Actor(of["user"], "", {}, Scope.READ), {"user"}),
    "somebody without any role": (lambda actor, of: Actor("u", "", {}, Scope.ADMIN), set()),
    "nobody": (lambda actor, of: Actor("", "", {}), set()),
    "an administrator of the server": (lambda actor, of: ADMINISTRATOR, {"user"}),
}


@pytest.mark.parametrize("who", SEES)
def test_each_sees_what_is_theirs(conn: Connection, actor: Actor, happened: dict[str, str], who: str) -> None:
    asking, expected = SEES[who]
    assert seen(conn, asking(actor, happened), happened) == expected


# Pages and filters


@pytest.fixture
def six(conn: Connection, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Six entries, one each millisecond from 1000 on: of three datasets, made and then renamed."""
    times = iter(range(1000, 2000))
    monkeypatch.setattr(clock, "now", lambda: 0)
    made = [datasets.create(conn, actor, actor.project_id, name) for name in "abc"]
    db.pending(conn).changes[:] = [change._replace(changed_at=next(times)) for change in db.pending(conn).changes]
    audit.write(conn)
    for dataset in made:
        datasets.change(conn, actor, dataset.dataset_id, {"name": f"{dataset.name}2"})
    db.pending(conn).changes[:] = [change._replace(changed_at=next(times)) for change in db.pending(conn).changes]
    audit.write(conn)
    return list(conn.scalars(select(t.audit_log.c.audit_id).order_by(t.audit_log.c.audit_id)))


def test_pages_go_from_the_newest_to_the_oldest(conn: Connection, actor: Actor, six: list[int]) -> None:
    found: list[int] = []
    token = None
    for _ in range(3):
        page = audit.page(conn, actor, 2, token)
        found += [entry.audit_id for entry in page.items]
        token = page.next_token
        datasets.create(conn, actor, actor.project_id, f"meanwhile {len(found)}")
        audit.write(conn)
    assert found == six[::-1]
    assert token is None


def test_filters_choose(conn: Connection, actor: Actor, six: list[int]) -> None:
    def times(**filters: Any) -> list[int]:
        return [entry.changed_at for entry in entries(conn, actor, **filters)]

    everything = list(range(1000, 1006))
    assert times() == times(table_name="datasets") == times(changed_by=actor.user_id) == times(since=1000) == everything
    first = entries(conn, actor)[0].row_pk
    assert times(row_pk=first) == [1000, 1003]
    assert times(since=1003) == [1003, 1004, 1005]
    assert times(row_pk=first, since=1001) == [1003]
    assert times(table_name="runs") == times(changed_by="other") == times(row_pk="other") == times(since=1006) == []


def test_a_token_belongs_to_its_filters(conn: Connection, actor: Actor, six: list[int]) -> None:
    token = audit.page(conn, actor, 2, None).next_token
    with pytest.raises(Invalid, match="another query"):
        audit.page(conn, actor, 2, token, table_name="datasets")

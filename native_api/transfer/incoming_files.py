"""Artifacts on their way in: copied from where a source keeps them to the place of their run or model here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select

from native_api.core import artifacts, db
from native_api.core import tables as t
from native_api.core.artifacts import Arrival
from native_api.core.blobs import Store, safe_key
from native_api.core.errors import Invalid, Problem
from native_api.core.places import InRun, Place, proxied_key
from native_api.core.runs import below
from native_api.transfer import marks
from native_api.transfer.incoming_experiments import Home
from native_api.transfer.intake import FILES, Intake
from native_api.transfer.marks import Mark
from native_api.transfer.records import Files, LoggedModel, Run

NOUN = "files"

Owner = Run | LoggedModel


def places(intake: Intake, owners: Sequence[Owner], homes: Mapping[str, Home]) -> dict[str, str]:
    """Where the artifact roots of these runs or logged models come to be here; nothing if their files stay."""
    if intake.artifact_root is None:
        return {}
    return {
        owner.artifact_uri.rstrip("/"): place_of(owner, homes[owner.experiment].location)
        for owner in owners
        if owner.experiment in homes
    }


def place_of(owner: Owner, location: str) -> str:
    """The artifact root of a run or a logged model in an experiment that keeps its own there."""
    kind = "" if isinstance(owner, Run) else "models/"
    return below(location, f"{kind}{name_of(owner)}/artifacts")


def copy(intake: Intake, store: Store, files: Files, owners: Sequence[Owner]) -> int:
    """Copy the files of these runs or logged models, unless they are the same as the last time; how many were copied.

    What cannot be read, or has no place here, is reported and left out.
    """
    with intake.transaction() as conn:
        roots = _roots(conn, intake, owners)
        known = marks.read(conn, intake.source(conn), FILES, [name_of(owner) for owner in owners])
    copied = 0
    for owner in owners:
        root = roots.get(name_of(owner))
        if root is None:
            continue
        try:
            copied += _copy(intake, store, files, owner, root, known.get(name_of(owner)))
        except (Problem, OSError) as error:
            intake.problems.append(f"The files of {name_of(owner)} at {owner.artifact_uri} are left out: {error}")
    return copied


def name_of(owner: Owner) -> str:
    """The id of a run or of a logged model."""
    return owner.run_id if isinstance(owner, Run) else owner.model_id


def _roots(conn: Connection, intake: Intake, owners: Sequence[Owner]) -> dict[str, Place]:
    """Where each of them keeps its files here, of those that keep them in this server's store."""
    r, m, e = t.runs.c, t.logged_models.c, t.experiments.c
    names = [name_of(owner) for owner in owners]
    of_runs = select(r.run_id, r.artifact_uri, r.experiment_id, r.id).join(t.experiments, e.id == r.experiment_id)
    of_models = select(m.model_id, m.artifact_uri, m.experiment_id).join(t.experiments, e.id == m.experiment_id)
    found: dict[str, Place] = {}
    for run_id, uri, experiment, number in conn.execute(
        of_runs.where(db.among(conn, r.run_id, names), e.project_id == intake.project_id)
    ):
        key = proxied_key(uri)
        if key is not None:
            found[run_id] = Place(key, experiment, intake.project_id, InRun(number, run_id, uri, ""))
    for model_id, uri, experiment in conn.execute(
        of_models.where(db.among(conn, m.model_id, names), e.project_id == intake.project_id)
    ):
        key = proxied_key(uri)
        if key is not None:
            found[model_id] = Place(key, experiment, intake.project_id, None)
    return found


def _copy(intake: Intake, store: Store, files: Files, owner: Owner, root: Place, mark: Mark | None) -> int:
    there = sorted(files.below(owner.artifact_uri))
    seen = marks.fingerprint(there)
    count = intake.count(NOUN)
    if mark is not None and mark.fingerprint == seen and not intake.again:
        count.unchanged += len(there)
        return 0
    arrivals = []
    for path, _ in there:
        try:
            key = f"{root.key}/{safe_key(path)}"
        except Invalid:
            intake.problems.append(f"The file {path!r} of {name_of(owner)} is left out: no artifact can have this name")
            continue
        upload = store.open_upload(key)
        try:
            for block in files.read(owner.artifact_uri, path):
                upload.write([block])
            size, sha256, _ = upload.finish()
        finally:
            upload.abort()
        run = root.run and InRun(root.run.id, root.run.run_id, root.run.uri, path)
        arrivals.append(Arrival(intake.actor, Place(key, root.experiment, root.project_id, run), size, sha256))
    count.created += len(arrivals)
    with intake.transaction() as conn:
        artifacts.record_all(conn, arrivals)
        marks.put(conn, intake.source(conn), FILES, [(name_of(owner), Mark(root.key, seen))])
    return len(arrivals)

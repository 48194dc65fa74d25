"""Runs: create, get, update, delete, restore, and what becomes of them with their experiment."""

from compat_tests.comparison.call import Call, Json, experiment, get, post, run

UNKNOWN = "0" * 32
INT64_MAX = 2**63 - 1


def create(name: str, body: Json) -> Call:
    return post(f"create run: {name}", "runs/create", body)


def here(**fields: Json) -> dict[str, Json]:
    return {"experiment_id": "{experiment:runs}"} | fields


def tags(**values: Json) -> list[Json]:
    return [{"key": f"mlflow.{key}", "value": value} for key, value in values.items()]


CREATE = [
    experiment("of runs", "runs"),
    post(
        "create run",
        "runs/create",
        here(
            user_id="ant",
            run_name="first",
            start_time=1_600_000_000_000,
            tags=[{"key": "team", "value": "red"}, *tags(user="ant", parentRunId=UNKNOWN), {"key": "e", "value": ""}],
        ),
        keep={"run:first": "run.info.run_id"},
    ),
    get("get run", "runs/get", {"run_id": "{run:first}"}),
    post("create run: bare", "runs/create", here(), keep={"run:bare": "run.info.run_id"}),
    get("get the bare run", "runs/get", {"run_id": "{run:bare}"}),
    create("name by tag", here(tags=tags(runName="by tag"))),
    create("name twice, the same", here(run_name="same", tags=tags(runName="same"))),
    create("name twice, different", here(run_name="one", tags=tags(runName="other"))),
    create("empty name", here(run_name="")),
    create("empty name, name by tag", here(run_name="", tags=tags(runName="by tag"))),
    create("blank name", here(run_name="  ")),
    create("number as name", here(run_name=5)),
    create("unicode name", here(run_name="实验 ☃ 🐘 'quoted' \"too\" 100% a/b")),
    create("name of 250", here(run_name="n" * 250)),
    create("note by tag", here(run_name="note", tags=tags(**{"note.content": "What *this* is"}))),
    create(
        "commit by tag", here(run_name="commit", tags=tags(**{"source.git.commit": "abc123", "source.name": "a.py"}))
    ),
    create("no experiment", {"run_name": "no experiment"}),
    create("empty experiment", {"experiment_id": "", "run_name": "empty experiment"}),
    create("unknown experiment", {"experiment_id": "987654321"}),
    create("experiment of letters", {"experiment_id": "abc"}),
    create("experiment by number", {"experiment_id": 987654321}),
    create("default experiment", {"experiment_id": "0", "run_name": "default"}),
    create("no body", b""),
    create("null fields", here(run_name=None, user_id=None, start_time=None, tags=None)),
    create("unknown fields", here(run_name="unknown", end_time=5, status="FINISHED", source_version="x", colour="red")),
    create("camelCase", {"experimentId": "{experiment:runs}", "runName": "camel", "userId": "bee", "startTime": 7}),
    *(
        create(f"start {start!r}", here(run_name="start", start_time=start))
        for start in [0, -1, "1600000000000", 1.5e12, "1.7e+12", 1.5, "1.5", "", "now", INT64_MAX, INT64_MAX + 1, [1]]
    ),
    create("start 1e400", b'{"experiment_id": "{experiment:runs}", "start_time": 1e400}'),
    create("number as user", here(run_name="user", user_id=7)),
    create("tag twice", here(run_name="twice", tags=[{"key": "a", "value": "1"}, {"key": "a", "value": "2"}])),
    create("tag without value", here(run_name="tag", tags=[{"key": "a"}])),
    create("tag without key", here(run_name="tag", tags=[{"value": "a"}])),
    create("bad tag key", here(run_name="tag", tags=[{"key": "a*b", "value": "1"}])),
    create("tag key of 251", here(run_name="tag", tags=[{"key": "k" * 251, "value": "1"}])),
    create("tag value of 8000", here(run_name="tag", tags=[{"key": "a", "value": "v" * 8000}])),
    create("number as tag value", here(run_name="tag", tags=[{"key": "a", "value": 1}])),
    create("tags as a map", here(run_name="tag", tags={"a": "1"})),
    post("create run for the UI", "/ajax-api/2.0/mlflow/runs/create", here(run_name="ui", start_time=1)),
]

GET = [
    get("get run by run_uuid", "runs/get", {"run_uuid": "{run:first}"}),
    get("get run by both ids", "runs/get", {"run_uuid": "{run:first}", "run_id": "{run:first}"}),
    get("get run by two ids", "runs/get", {"run_uuid": "{run:bare}", "run_id": "{run:first}"}),
    get("get run for the UI", "/ajax-api/2.0/mlflow/runs/get", {"run_id": "{run:first}"}),
    get("get run in a body", "runs/get", {}, {"run_id": "{run:first}"}),
    get("get run: no id", "runs/get"),
    get("get run: empty id", "runs/get", {"run_id": ""}),
    get("get run: unknown", "runs/get", {"run_id": UNKNOWN}),
    get("get run: odd id", "runs/get", {"run_id": "no such/run"}),
    get("get run: long id", "runs/get", {"run_id": "a" * 300}),
    get("get run: camelCase", "runs/get", {"runId": "{run:first}"}),
    get("get run: capitals", "runs/get", {"run_id": "ABCDEFABCDEFABCDEFABCDEFABCDEFAB"}),
]


def update(name: str, **fields: Json) -> list[Call]:
    """A change to a fresh run that has a status and an end."""
    tag = f"updated, {name}"
    ended = {"run_id": f"{{run:{tag}}}", "status": "FINISHED", "end_time": 2000}
    return [
        run(tag, "runs"),
        post(f"end run: {name}", "runs/update", ended),
        post(f"update run: {name}", "runs/update", {"run_id": f"{{run:{tag}}}"} | fields),
    ]


UPDATES: dict[str, dict[str, Json]] = {
    "nothing": {},
    "empty name": {"run_name": ""},
    "null fields": {"run_name": None, "status": None, "end_time": None},
    "running again": {"status": "RUNNING"},
    "status by number": {"status": 4},
    "status by number as text": {"status": "5"},
    "unknown status": {"status": "DONE"},
    "status in small letters": {"status": "failed"},
    "unknown status number": {"status": 9},
    "status zero": {"status": 0},
    "scheduled": {"status": "SCHEDULED"},
    "end as text": {"end_time": "1600000002000"},
    "end as float": {"end_time": 1.6e12},
    "end zero": {"end_time": 0},
    "end negative": {"end_time": -5},
    "end as words": {"end_time": "now"},
    "end with a fraction": {"end_time": 1.5},
    "number as name": {"run_name": 5},
    "camelCase": {"endTime": 77, "runName": "camel"},
    "name of 250": {"run_name": "n" * 250},
}
UPDATE = [
    post(
        "update run: everything",
        "runs/update",
        {"run_id": "{run:first}", "status": "FINISHED", "end_time": 1_600_000_001_000, "run_name": "second"},
    ),
    get("get the updated", "runs/get", {"run_id": "{run:first}"}),
    *(call for name, fields in UPDATES.items() for call in update(name, **fields)),
    get("get the renamed to nothing", "runs/get", {"run_id": "{run:updated, empty name}"}),
    post("update run by run_uuid", "runs/update", {"run_uuid": "{run:first}", "status": "FAILED"}),
    post("update run: no id", "runs/update", {"status": "FAILED"}),
    post("update run: unknown", "runs/update", {"run_id": UNKNOWN, "status": "FAILED"}),
    get("get the updated again", "runs/get", {"run_id": "{run:first}"}),
]

DELETED = {"run_id": "{run:deleted}"}
LATE_WRITES: list[tuple[str, str, dict[str, Json]]] = [
    ("log metric", "runs/log-metric", {"key": "m", "value": 1, "timestamp": 1}),
    ("log param", "runs/log-parameter", {"key": "p", "value": "1"}),
    ("log batch", "runs/log-batch", {"params": [{"key": "p", "value": "1"}]}),
    ("log empty batch", "runs/log-batch", {}),
    ("set tag", "runs/set-tag", {"key": "t", "value": "1"}),
    ("delete tag", "runs/delete-tag", {"key": "mlflow.runName"}),
    ("update", "runs/update", {"status": "FINISHED"}),
    ("update nothing", "runs/update", {}),
    ("log inputs", "runs/log-inputs", {"datasets": []}),
    ("log outputs", "runs/outputs", {"models": [{"model_id": "m-1", "step": 1}]}),
    ("log model", "runs/log-model", {"model_json": "{}"}),
]

DELETE = [
    run("deleted", "runs"),
    post("delete run", "runs/delete", DELETED),
    post("delete run: again", "runs/delete", DELETED),
    get("get the deleted run", "runs/get", DELETED),
    *(post(f"{name} in a deleted run", path, DELETED | fields) for name, path, fields in LATE_WRITES),
    get("list files of a deleted run", "artifacts/list", DELETED),
    get("history of a deleted run", "metrics/get-history", DELETED | {"metric_key": "m"}),
    post("restore run", "runs/restore", DELETED),
    post("restore run: again", "runs/restore", DELETED),
    get("get the restored run", "runs/get", DELETED),
    *(
        post(f"{verb} run: {name}", f"runs/{verb}", body)
        for verb in ("delete", "restore")
        for name, body in [
            ("no id", {}),
            ("empty id", {"run_id": ""}),
            ("unknown", {"run_id": UNKNOWN}),
            ("number", {"run_id": 5}),
            ("run_uuid", {"run_uuid": "{run:deleted}"}),
        ]
    ),
]

CASCADE = [
    experiment("of a cascade", "cascade"),
    run("kept", "cascade"),
    run("gone", "cascade"),
    post("delete one of two", "runs/delete", {"run_id": "{run:gone}"}),
    post("delete their experiment", "experiments/delete", {"experiment_id": "{experiment:cascade}"}),
    get("the kept is deleted too", "runs/get", {"run_id": "{run:kept}"}),
    post("create run in a deleted experiment", "runs/create", {"experiment_id": "{experiment:cascade}"}),
    post("search a deleted experiment", "runs/search", {"experiment_ids": ["{experiment:cascade}"]}),
    post(
        "search a deleted experiment for deleted runs",
        "runs/search",
        {"experiment_ids": ["{experiment:cascade}"], "run_view_type": "DELETED_ONLY", "order_by": ["run_name"]},
    ),
    post("restore a run of a deleted experiment", "runs/restore", {"run_id": "{run:kept}"}),
    get("get a restored run of a deleted experiment", "runs/get", {"run_id": "{run:kept}"}),
    post(
        "tag a restored run of a deleted experiment", "runs/set-tag", {"run_id": "{run:kept}", "key": "a", "value": "1"}
    ),
    post("restore their experiment", "experiments/restore", {"experiment_id": "{experiment:cascade}"}),
    get("the kept is back", "runs/get", {"run_id": "{run:kept}"}),
    get("the gone is back too", "runs/get", {"run_id": "{run:gone}"}),
]

RUNS = CREATE + GET + UPDATE + DELETE + CASCADE

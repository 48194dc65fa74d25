"""Logging to a run: metrics, params, tags, batches, models."""

import json

from compat_tests.comparison.call import Call, Json, experiment, get, post, run, short

UNKNOWN = "0" * 32
INT64_MAX = 2**63 - 1
BAD_KEYS = ["", "a//b", "/a", "a/", "./a", "../a", "a/../b", ".", "..a", "a*b", "a@b", "(a)", "a\nb", "a'b", "k" * 251]
GOOD_KEYS = [
    "a",
    "A",
    "a/b",
    "a b",
    " a",
    "ünï",
    "实验",
    "a.b-c_d",
    "a:b",
    "...",
    "a..b",
    "val/acc",
    "-",
    "_",
    "k" * 250,
]


def look(name: str, tag: str) -> Call:
    return get(f"look at {name}", "runs/get", {"run_id": f"{{run:{tag}}}"})


def history(name: str, tag: str, key: str) -> Call:
    return get(f"history of {name}", "metrics/get-history", {"run_id": f"{{run:{tag}}}", "metric_key": key})


def metric(name: str, **fields: Json) -> Call:
    body = {"run_id": "{run:metrics}", "key": "m", "value": 0.5, "timestamp": 10, "step": 1}
    return post(f"log metric: {name}", "runs/log-metric", given(body | fields))


def given(body: dict[str, Json]) -> dict[str, Json]:
    """What is to be sent: a field that is `...` is left out."""
    return {key: value for key, value in body.items() if value is not ...}


def bare(token: str) -> list[Call]:
    """A metric whose value is no JSON, to a run of its own, and what became of it."""
    body = f'{{"run_id": "{{run:bare {token}}}", "key": "m", "value": {token}, "timestamp": 10, "step": 1}}'
    return [
        run(f"bare {token}", "log"),
        post(f"log metric: bare {token}", "runs/log-metric", body.encode()),
        history(f"bare {token}", f"bare {token}", "m"),
    ]


METRICS = [
    experiment("of logging", "log"),
    run("metrics", "log"),
    metric("plain"),
    metric("again"),
    metric("integer", value=3, step=2),
    metric("no step", step=..., value=7),
    metric("null step", step=None, value=8),
    *(
        metric(f"value {value!r}", key="value", value=value, step=step)
        for step, value in enumerate(
            [
                "NaN",
                "Infinity",
                "-Infinity",
                "inf",
                "3.25",
                "1e3",
                "1e400",
                -0.0,
                1e308,
                5e-324,
                True,
                "",
                "abc",
                None,
                ...,
            ]
        )
    ),
    *(
        metric(f"step {step!r}", key="step", step=step)
        for step in [0, -1, "5", 5.0, "5.0", 1e3, "1e3", "1.5", "x", "", INT64_MAX, -INT64_MAX - 1, str(INT64_MAX - 1)]
    ),
    *(
        metric(f"timestamp {time!r}", key="timestamp", timestamp=time)
        for time in [0, -1, "1600000000000", 1.6e12, "1.6e+12", "x", None, ..., INT64_MAX]
    ),
    *(metric(f"key {short(key)}", key=key) for key in GOOD_KEYS + BAD_KEYS),
    metric("no key", key=...),
    metric("number as key", key=5),
    metric("by run_uuid", run_id=..., run_uuid="{run:metrics}", key="uuid"),
    metric("no run", run_id=...),
    metric("empty run", run_id=""),
    metric("unknown run", run_id=UNKNOWN),
    metric("odd run", run_id="no such run"),
    metric("unknown fields", key="unknown", colour="red"),
    post("log metric: no body", "runs/log-metric", b""),
    post("log metric: a list", "runs/log-metric", []),
    post(
        "log metric for the UI",
        "/ajax-api/2.0/mlflow/runs/log-metric",
        {"run_id": "{run:metrics}", "key": "ui", "value": 1, "timestamp": 1},
    ),
    look("the metrics", "metrics"),
    history("plain points", "metrics", "m"),
    history("odd values", "metrics", "value"),
    history("odd steps", "metrics", "step"),
    history("odd timestamps", "metrics", "timestamp"),
    # What one of the two accepts, or reads as something else, goes to a run that nobody looks at.
    run("odd metrics", "log"),
    *(
        metric(f"value {short(repr(value))}", run_id="{run:odd metrics}", value=value)
        for value in [[1], {}, "nan", 10**400]
    ),
    *(metric(f"step {step!r}", run_id="{run:odd metrics}", step=step) for step in [1.5, True, INT64_MAX + 1]),
    *(metric(f"timestamp {time!r}", run_id="{run:odd metrics}", timestamp=time) for time in [1.5, True, INT64_MAX + 1]),
    metric("camelCase", run_id=..., runId="{run:odd metrics}"),
    metric("dataset without digest", run_id="{run:odd metrics}", dataset_name="d"),
    *(call for token in ["NaN", "Infinity", "-Infinity", "1e400"] for call in bare(token)),
]


def param(name: str, **fields: Json) -> Call:
    body = {"run_id": "{run:params}", "key": "p", "value": "1"}
    return post(f"log param: {name}", "runs/log-parameter", given(body | fields))


PARAMS = [
    run("params", "log"),
    param("plain"),
    param("again"),
    param("another value"),
    param("changed", value="2"),
    param("changed to empty", value=""),
    param("no value", key="none", value=...),
    param("null value", key="null", value=None),
    param("empty value", key="empty", value=""),
    param("number", key="number", value=5),
    param("list", key="list", value=["a"]),
    param("boolean", key="boolean", value=True),
    param("of 6000", key="6000", value="v" * 6000),
    param("of 6001", key="6001", value="v" * 6001),
    param("of 6001 again, cut the same", key="6001", value="v" * 6000 + "w"),
    param("unicode", key="unicode", value="实验 ☃ 🐘 'quoted' \"too\"\n\ttab"),
    *(param(f"key {short(key)}", key=key) for key in GOOD_KEYS + BAD_KEYS),
    param("no key", key=...),
    param("by run_uuid", run_id=..., run_uuid="{run:params}", key="uuid"),
    param("no run", run_id=...),
    param("unknown run", run_id=UNKNOWN),
    look("the params", "params"),
]


def tag(name: str, **fields: Json) -> Call:
    body = {"run_id": "{run:tags}", "key": "t", "value": "1"}
    return post(f"set tag: {name}", "runs/set-tag", given(body | fields))


def untag(name: str, **fields: Json) -> Call:
    body = {"run_id": "{run:tags}", "key": "t"}
    return post(f"delete tag: {name}", "runs/delete-tag", given(body | fields))


TAGS = [
    run("tags", "log"),
    tag("plain"),
    tag("changed", value="2"),
    tag("no value", key="none", value=...),
    tag("null value", key="null", value=None),
    tag("empty value", key="empty", value=""),
    tag("number", key="number", value=5),
    tag("of 8000", key="8000", value="v" * 8000),
    tag("of 8001", key="8001", value="v" * 8001),
    *(tag(f"key {short(key)}", key=key) for key in GOOD_KEYS + BAD_KEYS),
    tag("no key", key=...),
    tag("by run_uuid", run_id=..., run_uuid="{run:tags}", key="uuid"),
    tag("no run", run_id=...),
    tag("unknown run", run_id=UNKNOWN),
    tag("run name", key="mlflow.runName", value="named by tag"),
    tag("note", key="mlflow.note.content", value="What *this* is"),
    tag("commit", key="mlflow.source.git.commit", value="abc123"),
    tag("user", key="mlflow.user", value="bee"),
    look("the tags", "tags"),
    tag("empty run name", key="mlflow.runName", value=""),
    look("the run of an empty name", "tags"),
    tag("empty note", key="mlflow.note.content", value=""),
    untag("plain"),
    untag("again"),
    untag("note", key="mlflow.note.content"),
    untag("note again", key="mlflow.note.content"),
    untag("commit", key="mlflow.source.git.commit"),
    untag("user", key="mlflow.user"),
    untag("never set", key="never"),
    untag("no key", key=...),
    untag("empty key", key=""),
    untag("no run", run_id=...),
    untag("by run_uuid", run_id=..., run_uuid="{run:tags}", key="none"),
    untag("unknown run", run_id=UNKNOWN),
    look("the tags that are left", "tags"),
]


def batch(name: str, **fields: Json) -> Call:
    return post(f"log batch: {name}", "runs/log-batch", given({"run_id": "{run:batch}"} | fields))


def point(key: str, value: Json = 1, timestamp: Json = 10, step: Json = 0) -> Json:
    return {"key": key, "value": value, "timestamp": timestamp, "step": step}


def pair(key: Json, value: Json = "1") -> Json:
    return {"key": key, "value": value}


BATCHES = [
    run("batch", "log"),
    batch("nothing"),
    batch("empty lists", metrics=[], params=[], tags=[]),
    batch("one of each", metrics=[point("m")], params=[pair("p")], tags=[pair("t")]),
    batch("the same again", metrics=[point("m")], params=[pair("p")], tags=[pair("t")]),
    batch("null lists", metrics=None, params=None, tags=None),
    batch("latest by step", metrics=[point("step", 1, 30, 1), point("step", 2, 20, 3), point("step", 3, 40, 2)]),
    batch("latest by time", metrics=[point("time", 1, 30, 1), point("time", 2, 50, 1), point("time", 3, 40, 1)]),
    batch("latest by value", metrics=[point("value", 1, 30, 1), point("value", 3, 30, 1), point("value", 2, 30, 1)]),
    batch("latest with NaN", metrics=[point("nan", -1, 30, 1), point("nan", "NaN", 30, 1), point("nan", -2, 30, 1)]),
    batch("NaN against more", metrics=[point("nan2", 1, 30, 1), point("nan2", "NaN", 30, 1)]),
    batch("NaN against infinity", metrics=[point("nan3", "-Infinity", 30, 1), point("nan3", "NaN", 30, 1)]),
    batch("repeated points", metrics=[point("twice", 1, 30, 1)] * 3),
    batch("numbers as text", metrics=[point("text", "0.25", "30", "1")]),
    batch("run name by tag", tags=[pair("mlflow.runName", "named by batch")]),
    batch("tag twice", tags=[pair("twice", "1"), pair("twice", "2")]),
    batch("param twice", params=[pair("twice", "1"), pair("twice", "2")]),
    batch("param twice, the same", params=[pair("twice", "1"), pair("twice", "1")]),
    batch("changed param", params=[pair("new1"), pair("p", "2")], metrics=[point("new1")], tags=[pair("new1")]),
    batch("long param", params=[pair("long", "v" * 6001)]),
    batch("long tag", tags=[pair("long", "v" * 8001)]),
    batch("param without value", params=[{"key": "none"}]),
    batch("tag without value", tags=[{"key": "none"}]),
    *(
        batch(f"{kind} {name}", **{kind: [entry]})
        for kind in ("metrics", "params", "tags")
        for name, entry in [
            ("without key", {"value": "1", "timestamp": 1}),
            ("with an empty key", {"key": "", "value": "1", "timestamp": 1}),
            ("with a null key", {"key": None, "value": "1", "timestamp": 1}),
            ("with a number as key", {"key": 5, "value": "1", "timestamp": 1}),
            ("with a bad key", {"key": "a*b", "value": "1", "timestamp": 1}),
            ("with a key of 251", {"key": "k" * 251, "value": "1", "timestamp": 1}),
            ("as text", "a"),
            ("as null", None),
            ("as list", []),
        ]
    ),
    *(batch(f"{kind} as a map", **{kind: {"key": "a", "value": "1"}}) for kind in ("metrics", "params", "tags")),
    batch("metric without value", metrics=[{"key": "m", "timestamp": 1}]),
    batch("metric without timestamp", metrics=[point("ok"), {"key": "m", "value": 1}]),
    batch("metric with a negative timestamp", metrics=[point("m", timestamp=-1)]),
    batch("metric with a word as value", metrics=[point("m", "high")]),
    batch("metric with a fraction of a step", metrics=[point("m", step=0.5)]),
    batch("metric without step", metrics=[{"key": "no step", "value": 1, "timestamp": 1}]),
    batch("metric with a boolean", metrics=[point("boolean", True)]),
    batch("1000 metrics", metrics=[point(f"m{i}", i) for i in range(1000)]),
    batch("1001 metrics", metrics=[point(f"n{i}", i) for i in range(1001)]),
    batch("100 params", params=[pair(f"p{i}") for i in range(100)]),
    batch("101 params", params=[pair(f"q{i}") for i in range(101)]),
    batch("100 tags", tags=[pair(f"t{i}") for i in range(100)]),
    batch("101 tags", tags=[pair(f"u{i}") for i in range(101)]),
    batch("1001 together", metrics=[point(f"n{i}") for i in range(950)], params=[pair(f"q{i}") for i in range(51)]),
    batch("1000 together", metrics=[point(f"o{i}") for i in range(950)], params=[pair(f"r{i}") for i in range(50)]),
    batch("no run", run_id=...),
    batch("by run_uuid", run_id=..., run_uuid="{run:batch}"),
    batch("unknown run", run_id=UNKNOWN),
    batch("unknown run with points", run_id=UNKNOWN, metrics=[point("m")]),
    batch("odd run", run_id="no such run"),
    batch("run of 257", run_id="a" * 257),
    batch("unknown fields", colour="red", metrics=[{"key": "colour", "value": 1, "timestamp": 1, "colour": "red"}]),
    post("log batch: no body", "runs/log-batch", b""),
    post("log batch: not JSON", "runs/log-batch", b"{"),
    post("log batch: twice encoded", "runs/log-batch", json.dumps({"run_id": "x", "metrics": []})),
    post("log batch: text/plain", "runs/log-batch", {"run_id": "x"}, headers={"Content-Type": "text/plain"}),
    look("the batches", "batch"),
    history("latest by step", "batch", "step"),
    history("latest by value", "batch", "value"),
    history("latest with NaN", "batch", "nan"),
    history("repeated points", "batch", "twice"),
]


def model(name: str, **fields: Json) -> Call:
    return post(f"log model: {name}", "runs/log-model", given({"run_id": "{run:model}"} | fields))


MODEL: dict[str, Json] = {
    "artifact_path": "model",
    "flavors": {"sklearn": {"version": "1"}},
    "utc_time_created": "2024-01-01 00:00:00",
    "run_id": "r1",
    "model_uuid": "u1",
}
MORE: dict[str, Json] = {
    "artifact_path": "other",
    "mlflow_version": "2.22.5",
    "model_size_bytes": 5,
    "signature": {"inputs": '[{"name": "x", "type": "long"}]', "outputs": None, "params": None},
}

MODELS = [
    run("model", "log"),
    model("first", model_json=json.dumps(MODEL)),
    model("second", model_json=json.dumps(MODEL | MORE)),
    *(
        model(f"no {key}", model_json=json.dumps({k: v for k, v in MODEL.items() if k != key}))
        for key in list(MODEL)[:4]
    ),
    model("not JSON", model_json="{"),
    model("a list", model_json="[]"),
    model("none"),
    model("empty", model_json=""),
    model("no run", run_id=..., model_json=json.dumps(MODEL)),
    model("unknown run", run_id=UNKNOWN, model_json=json.dumps(MODEL)),
    look("the models", "model"),
]

LOG = METRICS + PARAMS + TAGS + BATCHES + MODELS

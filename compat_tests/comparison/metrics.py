"""Metric histories: whole, by pages, of many runs, and sampled."""

from compat_tests.comparison.call import Call, Query, experiment, get, post, run, to_the_end

UNKNOWN = "0" * 32
BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"


def log(tag: str, points: list[tuple[float | str, int, int]]) -> Call:
    metrics = [{"key": "m", "value": value, "timestamp": time, "step": step} for value, time, step in points]
    return post(f"log points of {tag}", "runs/log-batch", {"run_id": f"{{run:{tag}}}", "metrics": [*metrics]})


POINTS = [
    experiment("of histories", "histories"),
    *(run(tag, "histories") for tag in ("long", "long too", "spike", "shuffled", "empty", "two", "one", "nan")),
    log("long", [(i / 7, 1000 + i, i) for i in range(100)]),
    log("spike", [(9 if i == 37 else -9 if i == 53 else i / 100, 1000 + i, i) for i in range(100)]),
    log("long too", [(i, 1000 + i // 3, i // 2) for i in range(40)]),
    log(
        "shuffled",
        [(3, 30, 1), (1, 30, 1), (2, 10, 5), ("NaN", 20, 2), ("NaN", 30, 1), ("Infinity", 5, -3), ("-Infinity", 5, 9)],
    ),
    log("two", [(1, 1, 1), (2, 2, 2)]),
    log("one", [(1, 1, 1)]),
    log("nan", [("NaN", 1, 1)]),
]


def history(name: str, **query: str) -> Call:
    return get(f"history: {name}", "metrics/get-history", {"run_id": "{run:long}", "metric_key": "m"} | query)


HISTORY = [
    history("whole"),
    history("shuffled", run_id="{run:shuffled}"),
    history("empty", run_id="{run:empty}"),
    *(to_the_end(history(f"by {size}", max_results=size)) for size in ("7", "50", "100", "101")),
    to_the_end(history("shuffled by 2", run_id="{run:shuffled}", max_results="2")),
    *(
        history(f"max_results {size}", max_results=size)
        for size in ["0", "-1", "1.0", "2.5", "x", "", "99999999999", "50000"]
    ),
    history("unknown key", metric_key="never"),
    history("empty key", metric_key=""),
    history("unknown run", run_id=UNKNOWN),
    history("odd run", run_id="no such run"),
    history("bad token", page_token="nonsense"),
    history("bad token with max_results", page_token="nonsense", max_results="5"),
    history("empty token", page_token="", max_results="1000"),
    get("history: no key", "metrics/get-history", {"run_id": "{run:long}"}),
    get("history: no run", "metrics/get-history", {"metric_key": "m"}),
    get("history: run_uuid", "metrics/get-history", {"run_uuid": "{run:two}", "metric_key": "m"}),
    get("history: in a body", "metrics/get-history", {}, {"run_id": "{run:two}", "metric_key": "m"}),
    get("history for the UI", "/ajax-api/2.0/mlflow/metrics/get-history", {"run_id": "{run:two}", "metric_key": "m"}),
]


def bulk(name: str, query: Query) -> Call:
    return get(f"bulk: {name}", BULK, query)


HISTORIES = [
    bulk("one run", {"run_id": "{run:two}", "metric_key": "m"}),
    bulk("three runs", {"run_id": ["{run:two}", "{run:one}", "{run:empty}"], "metric_key": "m"}),
    bulk("NaN", {"run_id": "{run:nan}", "metric_key": "m"}),
    bulk("limit", {"run_id": "{run:long}", "metric_key": "m", "max_results": "3"}),
    bulk("limit of 25001", {"run_id": "{run:two}", "metric_key": "m", "max_results": "25001"}),
    bulk("limit of 0", {"run_id": "{run:two}", "metric_key": "m", "max_results": "0"}),
    bulk("limit of words", {"run_id": "{run:two}", "metric_key": "m", "max_results": "x"}),
    bulk("unknown run", {"run_id": UNKNOWN, "metric_key": "m"}),
    bulk("unknown key", {"run_id": "{run:two}", "metric_key": "never"}),
    bulk("no run", {"metric_key": "m"}),
    bulk("no key", {"run_id": "{run:two}"}),
    bulk("101 runs", {"run_id": [f"{i:032x}" for i in range(101)], "metric_key": "m"}),
    bulk("100 runs", {"run_id": [f"{i:032x}" for i in range(100)], "metric_key": "m"}),
    get("bulk: not for the UI", "metrics/get-history-bulk", {"run_id": "{run:two}", "metric_key": "m"}),
]


def sampled(name: str, path: str = "metrics/get-history-bulk-interval", **query: str | list[str]) -> Call:
    return get(f"sampled: {name}", path, {"run_ids": "{run:long}", "metric_key": "m"} | query)


INTERVALS = [
    sampled("whole"),
    *(sampled(f"{size} points", max_results=size) for size in ("1", "2", "3", "7", "10", "33", "99", "100", "101")),
    *(
        sampled(f"{size} points of ties", run_ids="{run:long too}", max_results=size)
        for size in ("1", "2", "3", "9", "39")
    ),
    *(
        sampled(f"{size} points shuffled", run_ids="{run:shuffled}", max_results=size)
        for size in ("1", "2", "3", "6", "7")
    ),
    sampled("5 points of a spike", run_ids="{run:spike}", max_results="5"),
    sampled("two runs", run_ids=["{run:long}", "{run:two}"], max_results="4"),
    sampled("three runs in another order", run_ids=["{run:two}", "{run:empty}", "{run:one}"]),
    sampled("one run twice", run_ids=["{run:two}", "{run:two}"]),
    sampled("steps 10 to 20", start_step="10", end_step="20"),
    sampled("steps 10 to 20, 3 points", start_step="10", end_step="20", max_results="3"),
    sampled(
        "steps of two runs", run_ids=["{run:long}", "{run:long too}"], start_step="5", end_step="8", max_results="2"
    ),
    sampled("negative steps", run_ids="{run:shuffled}", start_step="-5", end_step="1"),
    sampled("steps nobody logged", start_step="1000", end_step="2000"),
    sampled("one step", start_step="10", end_step="10"),
    sampled("steps backwards", start_step="20", end_step="10"),
    sampled("only a start", start_step="10"),
    sampled("only an end", end_step="10"),
    sampled("words as steps", start_step="a", end_step="b"),
    *(sampled(f"max_results {size}", max_results=size) for size in ("0", "-1", "2500", "2501", "x", "1.5", "")),
    sampled("unknown run", run_ids=UNKNOWN),
    sampled("unknown run and a known one", run_ids=[UNKNOWN, "{run:two}"]),
    sampled("unknown key", metric_key="never"),
    sampled("empty key", metric_key=""),
    sampled("empty run", run_ids=""),
    sampled("101 runs", run_ids=[f"{i:032x}" for i in range(101)]),
    get("sampled: no run", "metrics/get-history-bulk-interval", {"metric_key": "m"}),
    get("sampled: no key", "metrics/get-history-bulk-interval", {"run_ids": "{run:two}"}),
    get("sampled: run_id", "metrics/get-history-bulk-interval", {"run_id": "{run:two}", "metric_key": "m"}),
    sampled("for the UI", "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval", run_ids="{run:two}"),
    sampled("by its old path", "/api/2.11/mlflow/metrics/get-history-bulk-interval", run_ids="{run:two}"),
]

METRICS = POINTS + HISTORY + HISTORIES + INTERVALS

"""Datasets that go into runs, models that come out of them."""

from compat_tests.comparison.call import Call, Json, experiment, get, post, run

UNKNOWN = "0" * 32


def dataset(name: str, digest: str = "d1", **more: Json) -> dict[str, Json]:
    return {"name": name, "digest": digest, "source_type": "local", "source": '{"uri": "x"}'} | more


def used(dataset: dict[str, Json], *tags: tuple[str, str]) -> dict[str, Json]:
    return {"dataset": dataset, "tags": [{"key": key, "value": value} for key, value in tags]}


def log(name: str, *datasets: Json, run_id: str = "{run:inputs}", **more: Json) -> Call:
    return post(f"log inputs: {name}", "runs/log-inputs", {"run_id": run_id, "datasets": list(datasets)} | more)


TRAIN = ("mlflow.data.context", "train")
EVAL = ("mlflow.data.context", "eval")

LOG_INPUTS = [
    experiment("of inputs", "inputs"),
    run("inputs", "inputs"),
    log("one", used(dataset("a", schema='{"columns": []}', profile='{"rows": 3}'), TRAIN, ("note", "ü n"))),
    log("the same again", used(dataset("a", schema='{"columns": []}', profile='{"rows": 3}'), TRAIN, ("note", "ü n"))),
    log("other tags", used(dataset("a"), EVAL)),
    log("other digest and other name", used(dataset("a", "d2"), EVAL), used(dataset("b"))),
    log("no tags field", {"dataset": dataset("c")}),
    log("the same twice", used(dataset("d"), TRAIN), used(dataset("d"), EVAL)),
    log("none"),
    log("a tag without value", {"dataset": dataset("f"), "tags": [{"key": "a"}]}),
    log("a tag key of 256", used(dataset("g"), ("k" * 256, "a"))),
    log("a tag value of 501", used(dataset("g"), ("a", "v" * 501))),
    log("name of 501", used(dataset("n" * 501))),
    log("digest of 37", used(dataset("g", "d" * 37))),
    log("source of 65536", used(dataset("g", source="s" * 65_536))),
    log("datasets as a map", datasets=dataset("g")),
    log("null datasets", datasets=None),
    log("unknown run", used(dataset("a")), run_id=UNKNOWN),
    log("odd run", used(dataset("a")), run_id="no such run"),
    post("log inputs: no run", "runs/log-inputs", {"datasets": [used(dataset("a"))]}),
    post("log inputs: run_uuid", "runs/log-inputs", {"run_uuid": "{run:inputs}", "datasets": [used(dataset("a"))]}),
    post("log inputs: no body", "runs/log-inputs", b""),
    get("look at the inputs", "runs/get", {"run_id": "{run:inputs}"}),
    run("other inputs", "inputs", 2000),
    log("of another run", used(dataset("a"), EVAL), run_id="{run:other inputs}"),
    get("look at the other inputs", "runs/get", {"run_id": "{run:other inputs}"}),
    post("search for inputs", "runs/search", {"experiment_ids": ["{experiment:inputs}"]}),
]

ODD = "{run:odd inputs}"
ODD_INPUTS = [
    experiment("of odd inputs", "odd inputs"),
    run("odd inputs", "odd inputs"),
    log("a tag twice", used(dataset("e"), ("a", "1"), ("a", "2")), run_id=ODD),
    log("a tag without key", {"dataset": dataset("f"), "tags": [{"value": "a"}]}, run_id=ODD),
    log("an empty tag key", used(dataset("g"), ("", "a")), run_id=ODD),
    log("no dataset", {"tags": []}, run_id=ODD),
    log("a number as name", used(dataset("g") | {"name": 5}), run_id=ODD),
    *(
        log(f"no {field}", used({k: v for k, v in dataset("h").items() if k != field}), run_id=ODD)
        for field in dataset("")
    ),
    log("empty name", used(dataset("")), run_id=ODD),
    run("model inputs", "odd inputs"),
    log("a model", models=[{"model_id": "m-" + "1" * 32}], run_id="{run:model inputs}"),
    get("look at the model inputs", "runs/get", {"run_id": "{run:model inputs}"}),
]


def outputs(name: str, body: Json) -> Call:
    return post(f"log outputs: {name}", "runs/outputs", body)


OUTPUTS = [
    run("outputs", "inputs"),
    outputs("one", {"run_id": "{run:outputs}", "models": [{"model_id": "m-" + "1" * 32, "step": 3}]}),
    outputs("no step", {"run_id": "{run:outputs}", "models": [{"model_id": "m-" + "2" * 32}]}),
    outputs("no models", {"run_id": "{run:outputs}"}),
    outputs("empty models", {"run_id": "{run:outputs}", "models": []}),
    outputs("no run", {"models": [{"model_id": "m-1"}]}),
    outputs("unknown run", {"run_id": UNKNOWN, "models": [{"model_id": "m-1"}]}),
    outputs("no body", b""),
    get("look at the outputs", "runs/get", {"run_id": "{run:outputs}"}),
    outputs("models as text", {"run_id": ODD, "models": ["m"]}),
    outputs("no model_id", {"run_id": ODD, "models": [{"step": 1}]}),
]


def summaries(name: str, body: Json) -> Call:
    return post(f"search datasets: {name}", "/ajax-api/2.0/mlflow/experiments/search-datasets", body)


SUMMARIES = [
    summaries("of one", {"experiment_ids": ["{experiment:inputs}"]}),
    summaries("of two", {"experiment_ids": ["{experiment:inputs}", "0"]}),
    summaries("of an unknown", {"experiment_ids": ["987654321"]}),
    summaries("of none", {"experiment_ids": []}),
    summaries("of nothing", {}),
    summaries("of 20", {"experiment_ids": ["0"] * 20}),
    summaries("of 21", {"experiment_ids": [str(i) for i in range(21)]}),
    summaries("of letters", {"experiment_ids": ["abc"]}),
    summaries("of text", {"experiment_ids": "0"}),
    summaries("no body", b""),
    post("search datasets without the UI", "experiments/search-datasets", {"experiment_ids": ["{experiment:inputs}"]}),
]

INPUTS = LOG_INPUTS + ODD_INPUTS + OUTPUTS + SUMMARIES

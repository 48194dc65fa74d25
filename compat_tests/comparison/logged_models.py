"""Logged models: made, finished, labelled, measured, deleted."""

from compat_tests.comparison.call import Call, Json, delete, experiment, get, patch, post, run, short

EXPERIMENT: dict[str, Json] = {"experiment_id": "{experiment:models}"}
ANT = "logged-models/{model:ant}"
UNKNOWN = "logged-models/m-" + "0" * 32


def pairs(**values: str) -> list[Json]:
    return [{"key": key, "value": value} for key, value in values.items()]


def model(tag: str, of: str = "models", **fields: Json) -> Call:
    """Makes the model that later calls name `{model:tag}`."""
    body = {"experiment_id": f"{{experiment:{of}}}", "name": tag} | fields
    return post(f"make model {tag}", "logged-models", body, keep={f"model:{tag}": "model.info.model_id"})


def create(name: str, body: Json) -> Call:
    return post(f"create model: {name}", "logged-models", body)


NAMES = [
    None,
    "",
    " ",
    "ü n",
    "a_b-c",
    "a/b",
    "a:b",
    "a.b",
    "a%b",
    'a"b',
    "a'b",
    "a\nb",
    "a\0b",
    "n" * 500,
    "n" * 501,
    5,
]

CREATE = [
    experiment("of models", "models"),
    run("of models", "models"),
    model(
        "ant",
        model_type="T1",
        source_run_id="{run:of models}",
        params=pairs(lr="0.1", net="resnet"),
        tags=pairs(team="red"),
    ),
    model("plain"),
    *(create(f"name {short(str(name))}", EXPERIMENT | {"name": name}) for name in NAMES),
    create("no name", EXPERIMENT),
    create("a second of a name", EXPERIMENT | {"name": "ant"}),
    create("of an unknown run", EXPERIMENT | {"name": "a", "source_run_id": "1" * 32, "model_type": ""}),
    create("run of 33", EXPERIMENT | {"name": "a", "source_run_id": "1" * 33}),
    create("type of 501", EXPERIMENT | {"name": "a", "model_type": "t" * 501}),
    create("param without value", EXPERIMENT | {"name": "a", "params": [{"key": "p"}]}),
    create("param without key", EXPERIMENT | {"name": "a", "params": [{"value": "p"}]}),
    create("param twice", EXPERIMENT | {"name": "a", "params": [*pairs(p="1"), *pairs(p="1")]}),
    create("odd param", EXPERIMENT | {"name": "a", "params": [{"key": "a*/../(b)", "value": "v" * 7000}]}),
    create("params as text", EXPERIMENT | {"params": "x"}),
    create("many params", EXPERIMENT | {"name": "a", "params": pairs(**{f"p{i}": "v" for i in range(300)})}),
    create("tag without value", EXPERIMENT | {"name": "a", "tags": [{"key": "t"}]}),
    create("tag twice", EXPERIMENT | {"name": "a", "tags": [*pairs(t="1"), *pairs(t="2")]}),
    create("long tag", EXPERIMENT | {"name": "a", "tags": [{"key": "k" * 255, "value": "v" * 100_000}]}),
    create("no experiment", {"name": "a"}),
    create("unknown experiment", {"experiment_id": "987654321", "name": "a"}),
    create("experiment of letters", {"experiment_id": "abc"}),
    create("no body", b""),
]

ONE = [
    get("get model", ANT),
    get("get model for the UI", "/ajax-api/2.0/mlflow/logged-models/{model:ant}"),
    get("get a plain model", "logged-models/{model:plain}"),
    get("get model: unknown", UNKNOWN),
    get("get model: odd", "logged-models/nope"),
    get("get model: search", "logged-models/search"),
    get("list models", "logged-models"),
]


def finalize(name: str, body: Json, path: str = ANT) -> Call:
    return patch(f"finalize: {name}", path, body)


ITSELF: dict[str, Json] = {"model_id": "{model:ant}"}

FINALIZE = [
    *(
        finalize(f"status {status!r}", ITSELF | {"status": status})
        for status in [
            *("LOGGED_MODEL_READY", "LOGGED_MODEL_PENDING", "LOGGED_MODEL_UPLOAD_FAILED"),
            *("LOGGED_MODEL_STATUS_UNSPECIFIED", 0, 1, "1", 3.0, 2, 9, "READY", None),
        ]
    ),
    finalize("no status", ITSELF),
    finalize("no model_id", {"status": 2}),
    finalize("another model_id", {"model_id": "{model:plain}", "status": 2}),
    finalize("unknown", {"model_id": "m-" + "0" * 32, "status": 2}, UNKNOWN),
    finalize("no body", b""),
    finalize("ready in the end", ITSELF | {"status": "LOGGED_MODEL_READY"}),
]


def put_tags(name: str, body: Json, path: str = ANT) -> Call:
    return patch(f"tags of a model: {name}", f"{path}/tags", body)


def drop_tag(key: str, path: str = ANT, name: str = "") -> Call:
    return delete(f"delete tag of a model: {name or key}", f"{path}/tags/{key}")


def add_params(name: str, body: Json, path: str = ANT) -> Call:
    return post(f"params of a model: {name}", f"{path}/params", body)


PARTS = [
    put_tags("one", {"tags": pairs(a="1")}),
    put_tags("another value", {"tags": pairs(a="2", team="blue")}),
    put_tags("twice", {"tags": [*pairs(b="1"), *pairs(b="2")]}),
    put_tags("none", {"tags": []}),
    put_tags("nothing", {}),
    put_tags("no body", b""),
    put_tags("no value", {"tags": [{"key": "c"}]}),
    put_tags("no key", {"tags": [{"value": "c"}]}),
    put_tags("odd key", {"tags": [{"key": "a@*..", "value": "x"}]}),
    put_tags("as text", {"tags": "x"}),
    put_tags("unknown model", {"tags": pairs(a="1")}, UNKNOWN),
    drop_tag("c"),
    drop_tag("c", name="c again"),
    drop_tag("nope"),
    drop_tag("a", UNKNOWN, "of an unknown model"),
    put_tags("with a slash", {"tags": [{"key": "d/e", "value": "x"}]}),
    drop_tag("d/e"),
    add_params("one", ITSELF | {"params": pairs(p="1")}),
    add_params("the same again", ITSELF | {"params": pairs(p="1")}),
    add_params("another value", ITSELF | {"params": pairs(p="2")}),
    add_params("one of two is there", ITSELF | {"params": pairs(q="1", p="3")}),
    add_params("none", ITSELF),
    add_params("no model_id", {"params": pairs(r="1")}),
    add_params("no value", ITSELF | {"params": [{"key": "s"}]}),
    add_params("unknown model", {"model_id": "m-" + "0" * 32, "params": pairs(p="1")}, UNKNOWN),
    get("look at the model's parts", ANT),
]

BEE = "logged-models/{model:bee}"
DELETE = [
    model("bee", model_type="T2"),
    delete("delete model", BEE, {"model_id": "{model:bee}"}),
    delete("delete model again", BEE),
    delete("delete model: unknown", UNKNOWN),
    get("get a deleted model", BEE),
    *(
        get(f"get a deleted model: allow_deleted {word}", BEE, {"allow_deleted": word})
        for word in ["true", "TRUE", "false", "1"]
    ),
    patch("finalize a deleted model", BEE, {"model_id": "{model:bee}", "status": 2}),
    put_tags("deleted model", {"tags": pairs(a="1")}, BEE),
    add_params("deleted model", {"model_id": "{model:bee}", "params": pairs(a="1")}, BEE),
    get("look at the deleted model", BEE, {"allow_deleted": "true"}),
]


def log(name: str, **fields: Json) -> Call:
    body: dict[str, Json] = {"run_id": "{run:of models}", "key": "acc", "value": 0.5, "timestamp": 1, "step": 1}
    return post(f"log metric of a model: {name}", "runs/log-metric", body | ITSELF | fields)


def batch(name: str, *metrics: dict[str, Json]) -> Call:
    points = [{"value": 1, "timestamp": 1} | metric for metric in metrics]
    return post(f"log batch of a model: {name}", "runs/log-batch", {"run_id": "{run:of models}", "metrics": points})


ON_TRAIN: dict[str, Json] = {"dataset_name": "train", "dataset_digest": "1"}

METRICS = [
    log("one"),
    log("the same again"),
    log("on a dataset", **ON_TRAIN, timestamp=2),
    log("dataset without digest", dataset_name="train", timestamp=3),
    log("digest without dataset", dataset_digest="1", timestamp=3),
    log("dataset without a model", **ON_TRAIN, model_id=None, timestamp=4),
    log("empty model_id", model_id="", timestamp=5),
    log("infinity", key="inf", value="-Infinity"),
    log("NaN", key="nan", value="NaN"),
    log("unknown model", key="lost", model_id="m-" + "0" * 32),
    log("odd model", key="lost", model_id="nope"),
    log("deleted model", model_id="{model:bee}", timestamp=6),
    log("another value of the same moment", key="twice", timestamp=1),
    log("another value of the same moment, the other", key="twice", timestamp=1, value=0.75),
    batch("of one and of none", {"key": "b"} | ITSELF | ON_TRAIN, {"key": "c"}),
    batch("the same again", {"key": "b"} | ITSELF | ON_TRAIN, {"key": "c"}),
    batch("with a run_id", {"key": "d", "run_id": "{run:of models}"} | ITSELF),
    batch("val/acc", {"key": "val/acc"} | ITSELF),
    batch("half a dataset", {"key": "e", "dataset_name": "train"} | ITSELF),
    batch("unknown model", {"key": "f", "model_id": "m-" + "0" * 32}),
    get("look at the model's metrics", ANT),
    get("look at the deleted model's metrics", BEE, {"allow_deleted": "true"}),
    get("history of a model's metric", "metrics/get-history", {"run_id": "{run:of models}", "metric_key": "acc"}),
]

MAKER: dict[str, Json] = {"run_id": "{run:maker}"}
RUNS = [
    run("maker", "models"),
    post("outputs: a model", "runs/outputs", MAKER | {"models": [ITSELF | {"step": 2}, {"model_id": "{model:plain}"}]}),
    post("outputs: a model again", "runs/outputs", MAKER | {"models": [ITSELF | {"step": 2}]}),
    post(
        "search for the maker",
        "runs/search",
        {"experiment_ids": ["{experiment:models}"], "filter": "run_name = 'maker'"},
    ),
    post("inputs: models", "runs/log-inputs", MAKER | {"models": [ITSELF, ITSELF, {"model_id": "{model:bee}"}]}),
    post("inputs: models again", "runs/log-inputs", MAKER | {"models": [ITSELF]}),
    get("look at the maker", "runs/get", {"run_id": "{run:maker}"}),
]

PLACES = [
    post(
        "make an experiment with a query",
        "experiments/create",
        {"name": "models elsewhere", "artifact_location": "s3://bucket/x/?a=1"},
        keep={"experiment:elsewhere": "experiment_id"},
    ),
    model("far away", "elsewhere"),
]

LOGGED_MODELS = CREATE + ONE + FINALIZE + PARTS + DELETE + METRICS + RUNS + PLACES

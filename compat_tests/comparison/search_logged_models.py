"""Searching logged models: the whole grammar, datasets, orders, pages."""

from compat_tests.comparison.call import Call, Json, delete, experiment, get, patch, post, run, short, to_the_end
from compat_tests.comparison.logged_models import ON_TRAIN, create, model, pairs

ON_TEST: dict[str, Json] = {"dataset_name": "test", "dataset_digest": "2"}
OF_ZOO: dict[str, Json] = {"experiment_ids": ["{experiment:zoo of models}"]}


def animal(
    name: str, *metrics: dict[str, Json], ends: str = "", of: str = "zoo of models", **fields: Json
) -> list[Call]:
    """A model with points of metrics, finished if it says how."""
    tag = f"{{model:{name}}}"
    moment: dict[str, Json] = {"run_id": "{run:keeper}", "model_id": tag, "timestamp": 1, "step": 1}
    made = [model(name, of, **fields)]
    for number, metric in enumerate(metrics):
        made.append(post(f"log {number} of model {name}", "runs/log-metric", moment | metric))
    if ends:
        made.append(patch(f"end model {name}", f"logged-models/{tag}", {"model_id": tag, "status": ends}))
    return made


ZOO = [
    experiment("of a zoo of models", "zoo of models"),
    experiment("of another zoo of models", "other zoo"),
    run("keeper", "zoo of models"),
    *animal(
        "cat",
        {"key": "acc", "value": 0.5},
        {"key": "acc", "value": 0.9, "timestamp": 2} | ON_TRAIN,
        model_type="T1",
        source_run_id="{run:keeper}",
        params=pairs(lr="0.1"),
        tags=pairs(team="red"),
    ),
    *animal(
        "dog",
        {"key": "acc", "value": 0.7, "timestamp": 5} | ON_TRAIN,
        {"key": "acc", "value": 0.2, "timestamp": 3, "step": 9} | ON_TEST,
        ends="LOGGED_MODEL_READY",
        model_type="t1",
        params=pairs(lr="0.01"),
        tags=pairs(team="Red"),
    ),
    *animal(
        "elk",
        {"key": "acc", "value": 0.1} | ON_TEST,
        ends="LOGGED_MODEL_UPLOAD_FAILED",
        tags=[{"key": "x y", "value": "1"}],
    ),
    *animal("fox", {"key": "loss", "value": 1}, params=pairs(lr="0.1")),
    *animal("Gnu_x"),
    *animal("hen", {"key": "acc", "value": 1}),
    delete("delete the hen", "logged-models/{model:hen}"),
    *animal("ibis", of="other zoo"),
]


def search(name: str, **fields: Json) -> Call:
    return post(f"models {name}", "logged-models/search", OF_ZOO | fields)


def where(text: str, **fields: Json) -> Call:
    return search(f"where {short(text)}", filter=text, **fields)


COMPARED = [
    *("= 'cat'", "!= 'cat'", "LIKE 'c%'", "LIKE '%_x'", "like 'C%'", "ILIKE 'C%'", "IN ('cat', 'dog')", "in ('cat')"),
    *("NOT IN ('cat', 'dog')", "not in ('cat',)", "> 'a'", "== 'cat'", "<> 'cat'", "IS NULL", '= "cat"', "= cat"),
    *(
        "= 'a''b'",
        "= 'a\\'b'",
        "= 'a%b'",
        "= 'ünï 😀'",
        "= 'a;b'",
        "= 'a(b)'",
        "= 'se\ng'",
        "= 'it's'",
        "= '",
        "= ''",
        "IN ()",
    ),
    *("BETWEEN 'a' AND 'b'", "RLIKE 'a'", "= 1", ""),
]

WHERE = [
    *(where(f"name {what}") for what in COMPARED),
    where("attributes.name = 'cat'"),
    where("attribute.name = 'cat'"),
    where("`name` = 'cat'"),
    where("attributes.`name` = 'cat'"),
    where("Name = 'cat'"),
    where("'cat' = name"),
    where("foo = 'cat'"),
    where("foo > 1"),
    where("name = 'cat' AND model_type = 'T1'"),
    where("name = 'cat' and model_type = 'x'"),
    where("name = 'cat' model_type = 'T1'"),
    where("name = 'cat' AND"),
    where("AND"),
    where("name = 'cat' OR name = 'dog'"),
    where("NOT name = 'cat'"),
    where("(name = 'cat')"),
    where("name = 'cat'; name = 'dog'"),
    where("name = 'cat' -- x"),
    where(" "),
    where("model_type = ''"),
    where("model_type != 'T1'"),
    where("model_type ILIKE 't1'"),
    where("model_id = '{model:cat}'"),
    where("model_id IN ('{model:cat}', '{model:ibis}')"),
    where("source_run_id = '{run:keeper}'"),
    where("source_run_id != 'x'"),
    where("experiment_id = '{experiment:zoo of models}'"),
    where("experiment_id = {experiment:zoo of models}"),
    where("experiment_id != '{experiment:zoo of models}'"),
    where("artifact_location LIKE '%/models/%'"),
    where("status_message = 'x'"),
    *(where(f"status {what}") for what in ["= '2'", "= 2", "!= '2'", "IN ('1', '2')", "LIKE '2'", "= 'READY'"]),
    where("status = 'LOGGED_MODEL_READY'"),
    *(
        where(f"{name} > {than}")
        for name in ["creation_timestamp", "creation_time", "creation_timestamp_ms", "last_updated_timestamp"]
        for than in ["0", "99999999999999"]
    ),
    where("last_updated_timestamp_ms > 1.5"),
    where("attributes.creation_timestamp_ms > 1e3"),
    where("creation_timestamp > '0'"),
    where("creation_timestamp > x"),
    where("creation_timestamp LIKE '1%'"),
    where("creation_timestamp < 99999999999999999999999"),
    *(
        where(f"metrics.acc {what}")
        for what in ["> 0.6", "= 0.2", "!= 0.5", ">= 0.9", "< 0.3", "<= 0.1", "> -1", "> 1e300", "> '0.6'", "LIKE '1'"]
    ),
    where("metrics.acc IN (1)"),
    where("metrics.`acc` > 0.6"),
    where("metric.acc > 0"),
    where("metrics.nope > 0"),
    where("metrics.acc > 0.6 AND metrics.acc < 0.6"),
    where("metrics.acc > 0.6 AND metrics.loss > 0"),
    where("metrics.`val/acc` > 0"),
    where("metrics.val/acc > 0"),
    where("metrics > 0"),
    *(
        where(f"params.lr {what}")
        for what in ["= '0.1'", "= 0.1", "!= '0.1'", "LIKE '0.0%'", "IN ('0.1', '5')", "NOT IN ('0.1')", "> '0'"]
    ),
    where("param.lr = '0.1'"),
    where("params.nope = 'x'"),
    where("tags.team = 'red'"),
    where("tags.team != 'red'"),
    where("tags.team ILIKE 'RED'"),
    where("tags.`x y` = '1'"),
    where("tags.a-b = '2'"),
    where("tags.x y = '1'"),
    where("tag.team = 'red'"),
    where("dataset.name = 'train'"),
    where("tags.mlflow.x = 'a'"),
]


def on(name: str, *datasets: Json, **fields: Json) -> Call:
    return search(f"on {name}", datasets=list(datasets), **fields)


DATASETS = [
    on("train", ON_TRAIN),
    on("another digest", ON_TRAIN | {"dataset_digest": "2"}),
    on("train or test", ON_TRAIN, ON_TEST),
    on("any train", {"dataset_name": "train"}),
    on("no name", {"dataset_digest": "1"}),
    on("an empty name", {"dataset_name": ""}),
    on("nothing"),
    on("train, better than 0.8", ON_TRAIN, filter="metrics.acc > 0.8"),
    on("train, worse than 0.3", ON_TRAIN, filter="metrics.acc < 0.3"),
    on("train, another metric", ON_TRAIN, filter="metrics.loss > 0"),
    on("train, by name", ON_TRAIN, filter="name = 'dog'"),
    search("on text", datasets="x"),
]


def by(*fields: Json, **more: Json) -> Call:
    orders = [{"field_name": field} if isinstance(field, str) else field for field in fields]
    return search(f"by {short(', '.join(map(str, fields)))}", order_by=orders, **more)


def down(field: str, **dataset: Json) -> Json:
    return {"field_name": field, "ascending": False} | dataset


ORDER = [
    *(by(field) for field in ["name", "creation_timestamp", "creation_time", "creation_timestamp_ms", "model_type"]),
    *(by(field) for field in ["last_updated_timestamp", "last_updated_timestamp_ms", "source_run_id", "status"]),
    *(by(field) for field in ["status_message", "experiment_id", "metrics.acc", "metrics.loss", "metrics.nope"]),
    *(by(field) for field in ["foo", "Name", "attributes.name", "metric.acc", "params.lr", "tags.team", ""]),
    *(by(down(field)) for field in ["name", "model_type", "status", "creation_timestamp", "metrics.acc"]),
    by({"field_name": "metrics.acc", **ON_TRAIN}),
    by(down("metrics.acc", dataset_name="train")),
    by(down("metrics.acc", dataset_digest="2")),
    by(down("metrics.acc", dataset_name="train", dataset_digest="nope")),
    by("status", "name"),
    by("name", down("name")),
    by("metrics.acc", "metrics.loss"),
    by(down("metrics.acc", dataset_name="test"), "metrics.acc"),
    by({}),
    by({"fieldName": "name"}),
    search("by text", order_by="name"),
    search("by a list of texts", order_by=["name"]),
]

PAGES = [
    *(search(f"at most {size!r}", max_results=size) for size in [1, 5, 6, 0, "2", 2.0, None, 100_000, -1, "x"]),
    to_the_end(search("in pages of 2", max_results=2)),
    to_the_end(search("in pages of 1 by metric", max_results=1, order_by=[down("metrics.acc")])),
    to_the_end(
        search(
            "in pages of 2 by metric on a dataset", max_results=2, order_by=[{"field_name": "metrics.acc", **ON_TEST}]
        )
    ),
    to_the_end(search("in pages of 1 where", max_results=1, filter="params.lr LIKE '0%'")),
    post(
        "models: first page",
        "logged-models/search",
        {"experiment_ids": ["{experiment:zoo of models}"], "max_results": 3},
        keep={"token:models": "next_page_token"},
    ),
    search("of the second page", max_results=3, page_token="{token:models}"),
    search("of the second page, smaller", max_results=1, page_token="{token:models}"),
    search("with the token of another filter", page_token="{token:models}", filter="name != 'x'"),
    search("with the token of another order", page_token="{token:models}", order_by=[{"field_name": "name"}]),
    search(
        "with the token of another experiment", page_token="{token:models}", experiment_ids=["{experiment:other zoo}"]
    ),
    search("with an empty token", page_token=""),
    *(search(f"with token {token!r}", page_token=token) for token in ["x", "bnVsbA==", "é", 5]),
    search("of two experiments", experiment_ids=["{experiment:other zoo}", "{experiment:zoo of models}"]),
    search("of one twice", experiment_ids=["{experiment:zoo of models}"] * 2),
    search("of no experiment", experiment_ids=[]),
    search("of an unknown experiment", experiment_ids=["987654321"]),
    search("of letters", experiment_ids=["x"]),
    search("of numbers", experiment_ids=[987654321]),
    search("of text", experiment_ids="987654321"),
    search("where 5", filter=5),
    post("models of nothing", "logged-models/search", {}),
    post("models: no body", "logged-models/search", b""),
    post(
        "models for the UI",
        "/ajax-api/2.0/mlflow/logged-models/search",
        {"experiment_ids": ["{experiment:zoo of models}"]},
    ),
]

GONE = [
    post("delete the zoo of models", "experiments/delete", {"experiment_id": "{experiment:zoo of models}"}),
    create("in a deleted experiment", {"experiment_id": "{experiment:zoo of models}", "name": "a"}),
    get("get a model of a deleted experiment", "logged-models/{model:cat}"),
    patch(
        "finalize a model of a deleted experiment",
        "logged-models/{model:cat}",
        {"model_id": "{model:cat}", "status": 2},
    ),
    search("of a deleted experiment"),
]

SEARCH_LOGGED_MODELS = ZOO + WHERE + DATASETS + ORDER + PAGES + GONE

"""The model registry: registered models, versions, stages, aliases, tags, sources, searches, prompts."""

from compat_tests.comparison.call import Call, Json, delete, experiment, get, patch, post, run, short, to_the_end

PROMPT = {"key": "mlflow.prompt.is_prompt", "value": "true"}
NOT_PROMPT = "tag.`mlflow.prompt.is_prompt` != 'true'"
S3 = "s3://bucket/model"


def model(name: str, **fields: Json) -> Call:
    """Makes a registered model that is called like this."""
    return post(f"make model {name}", "registered-models/create", {"name": name} | fields)


def version(name: str, number: int, source: str = S3, **fields: Json) -> Call:
    """Makes the version with this number."""
    body = {"name": name, "source": source} | fields
    return post(f"make version {name} {number}", "model-versions/create", body)


def see(when: str, name: str) -> Call:
    return get(f"see model {name}: {when}", "registered-models/get", {"name": name})


def see_version(when: str, name: str, number: int) -> Call:
    query = {"name": name, "version": str(number)}
    return get(f"see version {name} {number}: {when}", "model-versions/get", query)


# Registered models


def create(what: str, body: Json) -> Call:
    return post(f"create registered model: {what}", "registered-models/create", body)


CREATE = [
    create("plain", {"name": "plain"}),
    see("plain", "plain"),
    create(
        "everything",
        {
            "name": "full",
            "description": "all of it",
            "tags": [{"key": "b", "value": "2"}, {"key": "a", "value": "1"}, {"key": "b", "value": "3"}],
            "deployment_job_id": "7",
        },
    ),
    see("everything", "full"),
    create("name taken", {"name": "plain"}),
    create("name taken, with the tag of prompts", {"name": "plain", "tags": [PROMPT]}),
    create("other case", {"name": "Plain"}),
    create("empty description", {"name": "empty description", "description": ""}),
    *(create(f"name {short(str(name))}", {"name": name}) for name in [5, ["x"], None, "", "  ", "a/b", "a:b", "a b*ü"]),
    *(create(f"name {short(name)}", {"name": name}) for name in [".", "..", "..a", ".a", "a.", "n" * 256, "n" * 257]),
    create("no name", {}),
    create("tag without value", {"name": "no tag value", "tags": [{"key": "a"}]}),
    create("tag without key", {"name": "no tag key", "tags": [{"value": "a"}]}),
    create("bad tag key", {"name": "bad tag key", "tags": [{"key": "a*b", "value": "1"}]}),
    create("tag key of 251", {"name": "long key", "tags": [{"key": "k" * 251, "value": "1"}]}),
    create("tag value of 100,000", {"name": "long value", "tags": [{"key": "k", "value": "v" * 100_000}]}),
    create("tag value of 100,001", {"name": "longer value", "tags": [{"key": "k", "value": "v" * 100_001}]}),
    create("number as tag value", {"name": "number value", "tags": [{"key": "a", "value": 1}]}),
    create("tags as a map", {"name": "map", "tags": {"a": "1"}}),
    create("number as description", {"name": "number description", "description": 5}),
    get("get registered model: unknown", "registered-models/get", {"name": "never"}),
    get("get registered model: no name", "registered-models/get"),
    get("get registered model: bad name", "registered-models/get", {"name": "a/b"}),
    get("get registered model: in a body", "registered-models/get", {}, {"name": "plain"}),
]

CHANGE = [
    model("changed", description="before", tags=[{"key": "k", "value": "v"}]),
    version("changed", 1),
    version("changed", 2),
    patch("update registered model", "registered-models/update", {"name": "changed", "description": "after"}),
    see("updated", "changed"),
    patch("update registered model: no description", "registered-models/update", {"name": "changed"}),
    see("without description", "changed"),
    patch(
        "update registered model: null description",
        "registered-models/update",
        {"name": "changed", "description": None},
    ),
    patch("update registered model: unknown", "registered-models/update", {"name": "never", "description": "x"}),
    patch("update registered model: no name", "registered-models/update", {"description": "x"}),
    patch("update registered model: number", "registered-models/update", {"name": "changed", "description": 5}),
    post("rename registered model", "registered-models/rename", {"name": "changed", "new_name": "renamed model"}),
    see("under its old name", "changed"),
    see("under its new name", "renamed model"),
    see_version("of the renamed", "renamed model", 2),
    post(
        "rename registered model: to itself",
        "registered-models/rename",
        {"name": "renamed model", "new_name": "renamed model"},
    ),
    post("rename registered model: taken", "registered-models/rename", {"name": "renamed model", "new_name": "plain"}),
    post("rename registered model: unknown", "registered-models/rename", {"name": "never", "new_name": "x"}),
    *(
        post(
            f"rename registered model: {new!r}", "registered-models/rename", {"name": "renamed model", "new_name": new}
        )
        for new in ["", " ", "a/b", "..", None]
    ),
    post("set model tag", "registered-models/set-tag", {"name": "renamed model", "key": "team", "value": "a"}),
    post("set model tag: again", "registered-models/set-tag", {"name": "renamed model", "key": "team", "value": "b"}),
    post("set model tag: no value", "registered-models/set-tag", {"name": "renamed model", "key": "empty"}),
    post("set model tag: no key", "registered-models/set-tag", {"name": "renamed model", "value": "b"}),
    post("set model tag: bad key", "registered-models/set-tag", {"name": "renamed model", "key": "a//b", "value": ""}),
    post("set model tag: unknown", "registered-models/set-tag", {"name": "never", "key": "k", "value": "v"}),
    post("set model tag: number", "registered-models/set-tag", {"name": "renamed model", "key": "k", "value": 5}),
    see("with tags", "renamed model"),
    delete("delete registered model tag", "registered-models/delete-tag", {"name": "renamed model", "key": "team"}),
    delete(
        "delete registered model tag: again", "registered-models/delete-tag", {"name": "renamed model", "key": "team"}
    ),
    delete("delete registered model tag: no key", "registered-models/delete-tag", {"name": "renamed model"}),
    delete(
        "delete registered model tag: bad key", "registered-models/delete-tag", {"name": "renamed model", "key": "a*"}
    ),
    delete("delete registered model tag: unknown", "registered-models/delete-tag", {"name": "never", "key": "k"}),
    see("with fewer tags", "renamed model"),
    model("goes"),
    version("goes", 1, tags=[{"key": "a", "value": "1"}]),
    post("alias of what goes", "registered-models/alias", {"name": "goes", "alias": "best", "version": "1"}),
    delete("delete registered model", "registered-models/delete", {"name": "goes"}),
    see("gone", "goes"),
    see_version("gone", "goes", 1),
    delete("delete registered model: again", "registered-models/delete", {"name": "goes"}),
    delete("delete registered model: no name", "registered-models/delete", {}),
    post("make what went", "registered-models/create", {"name": "goes"}),
    post("make a version of it", "model-versions/create", {"name": "goes", "source": S3}),
]

# Versions

NUMBERED = {"name": "numbered", "version": "1"}


def make(what: str, body: Json) -> Call:
    return post(f"create version: {what}", "model-versions/create", body)


VERSIONS = [
    model("numbered"),
    make("plain", {"name": "numbered", "source": S3}),
    make(
        "everything",
        {
            "name": "numbered",
            "source": S3,
            "run_id": "f" * 32,
            "run_link": "https://host/run",
            "description": "second",
            "tags": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}, {"key": "a", "value": "3"}],
        },
    ),
    see_version("everything", "numbered", 2),
    see("with versions", "numbered"),
    make("unknown model", {"name": "never", "source": S3}),
    make("no name", {"source": S3}),
    make("no source", {"name": "numbered"}),
    make("empty source", {"name": "numbered", "source": ""}),
    make("number as source", {"name": "numbered", "source": 5}),
    make("number as run", {"name": "numbered", "source": S3, "run_id": 5}),
    make("bad tag key", {"name": "numbered", "source": S3, "tags": [{"key": "a*", "value": "1"}]}),
    make("tag without value", {"name": "numbered", "source": S3, "tags": [{"key": "a"}]}),
    make("unknown logged model", {"name": "numbered", "source": S3, "model_id": "m-" + "0" * 32}),
    get("get version: not a number", "model-versions/get", {"name": "numbered", "version": "one"}),
    get("get version: a fraction", "model-versions/get", {"name": "numbered", "version": "1.0"}),
    get("get version: with spaces", "model-versions/get", {"name": "numbered", "version": " 1 "}),
    get("get version: negative", "model-versions/get", {"name": "numbered", "version": "-1"}),
    get("get version: unknown", "model-versions/get", {"name": "numbered", "version": "99"}),
    get("get version: of no model", "model-versions/get", {"name": "never", "version": "1"}),
    get("get version: no version", "model-versions/get", {"name": "numbered"}),
    get("get version: no name", "model-versions/get", {"version": "1"}),
    get("get version: number in a body", "model-versions/get", {}, {"name": "numbered", "version": 1}),
    patch("update version", "model-versions/update", NUMBERED | {"description": "first"}),
    see_version("described", "numbered", 1),
    patch("update version: empty", "model-versions/update", NUMBERED | {"description": ""}),
    patch("update version: no description", "model-versions/update", NUMBERED),
    see_version("not described", "numbered", 1),
    patch("update version: unknown", "model-versions/update", {"name": "numbered", "version": "99"}),
    patch("update version: no version", "model-versions/update", {"name": "numbered", "description": "x"}),
    patch("update version: number", "model-versions/update", {"name": "numbered", "version": 1}),
    get("download uri", "model-versions/get-download-uri", NUMBERED),
    get("download uri: unknown", "model-versions/get-download-uri", {"name": "numbered", "version": "99"}),
    get("download uri: nothing", "model-versions/get-download-uri"),
    post("set version tag", "model-versions/set-tag", NUMBERED | {"key": "k", "value": "v"}),
    post("set version tag: again", "model-versions/set-tag", NUMBERED | {"key": "k", "value": "w"}),
    post("set version tag: no value", "model-versions/set-tag", NUMBERED | {"key": "empty"}),
    post("set version tag: no key", "model-versions/set-tag", NUMBERED | {"value": "v"}),
    post("set version tag: bad key", "model-versions/set-tag", NUMBERED | {"key": "/k", "value": "v"}),
    post("set version tag: long", "model-versions/set-tag", NUMBERED | {"key": "k", "value": "v" * 100_001}),
    post("set version tag: unknown", "model-versions/set-tag", NUMBERED | {"version": "99", "key": "k"}),
    see_version("with tags", "numbered", 1),
    delete("delete version tag", "model-versions/delete-tag", NUMBERED | {"key": "k"}),
    delete("delete version tag: again", "model-versions/delete-tag", NUMBERED | {"key": "k"}),
    delete("delete version tag: unknown", "model-versions/delete-tag", NUMBERED | {"version": "99", "key": "k"}),
    delete("delete version tag: no key", "model-versions/delete-tag", NUMBERED),
    see_version("with fewer tags", "numbered", 1),
    version("numbered", 3),
    delete("delete version", "model-versions/delete", {"name": "numbered", "version": "3"}),
    delete("delete version: again", "model-versions/delete", {"name": "numbered", "version": "3"}),
    delete("delete version: no number", "model-versions/delete", {"name": "numbered", "version": "x"}),
    delete("delete version: nothing", "model-versions/delete", {}),
    get("download uri: deleted", "model-versions/get-download-uri", {"name": "numbered", "version": "3"}),
    see("after a deletion", "numbered"),
    version("numbered", 4),
    get("search versions: none that is deleted", "model-versions/search", {"filter": "name = 'numbered'"}),
]

# Stages and aliases


def move(what: str, number: Json, stage: Json, **fields: Json) -> Call:
    body = {"name": "staged", "version": number, "stage": stage} | fields
    return post(f"move version: {what}", "model-versions/transition-stage", body)


def latest(what: str, **fields: Json) -> list[Call]:
    query = {"name": "staged"} | fields
    return [
        get(f"latest versions: {what}", "registered-models/get-latest-versions", query),  # type: ignore[arg-type]
        post(f"latest versions, posted: {what}", "registered-models/get-latest-versions", query),
    ]


STAGES = [
    model("staged"),
    *latest("no version"),
    *(version("staged", number) for number in range(1, 6)),
    move("to staging", "1", "Staging"),
    move("any case", "2", "pRoDuCtIoN"),
    move("a second to staging", "3", "staging"),
    see("in stages", "staged"),
    *latest("all"),
    *latest("of one stage", stages=["Staging"]),
    *latest("of two stages", stages=["production", "NONE"]),
    *latest("of an empty stage", stages=["Archived"]),
    *latest("of no stage", stages=["Nowhere"]),
    *latest("of no model", name="never"),
    move("archiving others", "4", "Staging", archive_existing_versions=True),
    see_version("archived", "staged", 1),
    see_version("archived", "staged", 3),
    see_version("untouched", "staged", 2),
    move("archiving nothing", "4", "Staging", archive_existing_versions=True),
    move("not archiving others", "5", "Staging", archive_existing_versions=False),
    *latest("of two in a stage", stages=["Staging"]),
    move("back", "5", "None"),
    move("archiving for none", "5", "None", archive_existing_versions=True),
    move("archiving for the archive", "5", "Archived", archive_existing_versions=True),
    move("flag as text", "5", "None", archive_existing_versions="FALSE"),
    move("flag as nonsense", "5", "None", archive_existing_versions="maybe"),
    move("nowhere", "5", "Nowhere"),
    move("deleted", "5", "Deleted_Internal"),
    move("no stage", "5", None),
    move("unknown version", "99", "Staging"),
    move("number as version", 5, "Staging"),
    get("search versions: in stages", "model-versions/search", {"filter": "name = 'staged'"}),
]


def alias(what: str, name: Json, number: Json = "1", of: str = "aliased") -> Call:
    return post(f"set alias: {what}", "registered-models/alias", {"name": of, "alias": name, "version": number})


def by_alias(what: str, name: str, of: str = "aliased") -> Call:
    return get(f"get by alias: {what}", "registered-models/alias", {"name": of, "alias": name})


ALIASES = [
    model("aliased"),
    by_alias("latest of nothing", "latest"),
    version("aliased", 1),
    version("aliased", 2, tags=[{"key": "a", "value": "1"}]),
    alias("plain", "best"),
    by_alias("plain", "best"),
    alias("moved", "best", "2"),
    alias("a second", "also-best_2", "2"),
    by_alias("moved", "best"),
    see("with aliases", "aliased"),
    see_version("with aliases", "aliased", 2),
    see_version("without aliases", "aliased", 1),
    get("latest versions: with aliases", "registered-models/get-latest-versions", {"name": "aliased"}),
    get("search versions: with aliases", "model-versions/search", {"filter": "name = 'aliased'"}),
    get("search models: with aliases", "registered-models/search", {"filter": "name = 'aliased'"}),
    by_alias("latest", "latest"),
    by_alias("latest in capitals", "LATEST"),
    by_alias("unknown", "never"),
    by_alias("other case", "BEST"),
    by_alias("of no model", "best", "never"),
    by_alias("of a version's form", "v1"),
    by_alias("bad", "a b"),
    *(alias(f"{name!r}", name) for name in ["latest", "Latest", "v1", "V22", "v1x", "1", "a b", "a.b", "", None, 5]),
    *(alias(f"of {length}", "x" * length) for length in [255, 256]),
    alias("unknown version", "best", "99"),
    alias("no number", "best", "x"),
    alias("number as version", "best", 1),
    alias("unknown model", "best", "1", "never"),
    delete("delete alias", "registered-models/alias", {"name": "aliased", "alias": "best"}),
    delete("delete alias: again", "registered-models/alias", {"name": "aliased", "alias": "best"}),
    delete("delete alias: bad", "registered-models/alias", {"name": "aliased", "alias": "a b"}),
    delete("delete alias: unknown model", "registered-models/alias", {"name": "never", "alias": "best"}),
    delete("delete alias: none", "registered-models/alias", {"name": "aliased"}),
    delete("delete version with an alias", "model-versions/delete", {"name": "aliased", "version": "2"}),
    see("after its version went", "aliased"),
    by_alias("of what went", "also-best_2"),
]

# Sources

ROOT = "mlflow-artifacts:/{experiment:registry}/{run:registry}/artifacts"
OTHER = "mlflow-artifacts:/{experiment:registry}/{run:other}/artifacts"


def source(text: str, what: str | None = None, **fields: Json) -> Call:
    body = {"name": "sourced", "source": text} | fields
    return post(f"source {what or short(text)}", "model-versions/create", body)


OF_RUN: dict[str, Json] = {"run_id": "{run:registry}"}
LOCAL: dict[str, Json] = {"run_id": "{run:local}"}
SOURCES = [
    model("sourced"),
    experiment("registry", "registry"),
    run("registry", "registry"),
    run("other", "registry"),
    source(f"{ROOT}/model", "below its run", **OF_RUN),
    source(ROOT, "of its run", **OF_RUN),
    source(f"{ROOT}/model", "of no run"),
    source(f"{ROOT}/model", "of an empty run", run_id=""),
    source(f"{ROOT}/model", "of an unknown run", run_id="0" * 32),
    source(f"{OTHER}/model", "below another run", **OF_RUN),
    source(f"{ROOT}x/model", "beside its run", **OF_RUN),
    *(
        source(f"{ROOT}/{path}", f"below its run: {path}", **OF_RUN)
        for path in ["../x", "%2e%2e/x", "%252e%252e/x", "a%00b", "./x", "a//b", "a%20b", "a/"]
    ),
    source("mlflow-artifacts://host:5000/x", "on a host", **OF_RUN),
    source("http://host/api/2.0/mlflow-artifacts/artifacts/x", "behind a proxy", **OF_RUN),
    source("runs:/{run:registry}/model", "runs:/R", **OF_RUN),
    source("runs:/{run:registry}/model", "runs:/R of no run"),
    source("runs:/{run:registry}/model", "runs:/R of another run", run_id="{run:other}"),
    source("runs:/{run:registry}/../x", "runs:/R/..", **OF_RUN),
    source("runs://host/{run:registry}/x", "runs://host/R", **OF_RUN),
    *(
        source(path, short(path), **OF_RUN)
        for path in ["/etc/passwd", "file:///etc/passwd", "relative/path", "dummy-source", "/"]
    ),
    source("/etc/passwd", "/etc/passwd of no run"),
    post(
        "make local experiment",
        "experiments/create",
        {"name": "local registry", "artifact_location": "/srv/registry"},
        keep={"experiment:local": "experiment_id"},
    ),
    run("local", "local"),
    source("/srv/registry/{run:local}/artifacts/model", "in its run's folder", **LOCAL),
    source("file:///srv/registry/{run:local}/artifacts/model", "in its run's folder, as a URI", **LOCAL),
    source("/srv/registry/{run:local}/artifacts/../x", "in and out of its run's folder", **LOCAL),
    source("/srv/registry/{run:local}", "around its run's folder", **LOCAL),
    *(source(uri) for uri in ["s3://bucket/a/b", "gs://bucket/a", "dbfs:/a/b", "wasbs://c@host/a", "s3://bucket"]),
    *(
        source(uri)
        for uri in ["s3://bucket/../a", "s3://bucket/a%2e%2e", "s3://bucket/%2e%2e/a", "s3:a/b", "s3://b/./a"]
    ),
    source("models:/m-" + "1" * 32, "models:/m-1"),
    source("models:/m-" + "1" * 32, "models:/m-1 of its run", **OF_RUN),
    source("models:/m-" + "1" * 32, "models:/m-1 of another", model_id="m-" + "2" * 32),
    source("models:/m-" + "1" * 32, "models:/m-1 of itself, unknown", model_id="m-" + "1" * 32),
    source("models://host/m-" + "1" * 32, "models://host/m-1", model_id="m-" + "1" * 32),
    source("runs:/{run:registry}/model", "runs:/R of an unknown model", model_id="m-" + "1" * 32),
    source(f"{ROOT}/model", "of an unknown model", model_id="m-" + "1" * 32),
    version("full", 1, "s3://bucket/full", run_id="e" * 32),
    post("alias of full", "registered-models/alias", {"name": "full", "alias": "best", "version": "1"}),
    source("models:/full/1"),
    source("models:/full/1", "models:/full/1 of its run", run_id="e" * 32),
    source("models:/full/1", "models:/full/1 of another run", run_id="d" * 32),
    source("models:/full/1", "models:/full/1 of an empty run", run_id=""),
    source("models:/full/1", "models:/full/1 of an empty model", model_id=""),
    source("models:/full/1", "models:/full/1 of a model", model_id="m-" + "1" * 32),
    source("models:/full@best"),
    source("models:/full/latest"),
    source("models:/full/None"),
    source("models:/full/Production"),
    source("models:/full/99"),
    source("models:/full@never"),
    source("models:/full/a/b"),
    source("models:/full/"),
    source("models:/"),
    source("models:/never/1"),
    source("models://host/full/1"),
    to_the_end(
        get(
            "search versions: copies",
            "model-versions/search",
            {"filter": "source_path LIKE 'models:/full/%'", "max_results": "2", "order_by": ["version_number ASC"]},
        )
    ),
    get("download uri: below a run", "model-versions/get-download-uri", {"name": "sourced", "version": "1"}),
    *(source(uri) for uri in ["http://host/a", "hdfs://host/a", "ftp://host/a", "sftp://host/a"]),
]

# Logged models

LOGGED = "mlflow-artifacts:/{experiment:registry}/models/{model:registered}/artifacts"
OF_MODEL: dict[str, Json] = {"model_id": "{model:registered}"}


def logged_model(tag: str, **fields: Json) -> Call:
    """Makes the logged model that later calls name `{model:tag}`."""
    body = {"experiment_id": "{experiment:registry}", "name": tag} | fields
    keep = {f"model:{tag}": "model.info.model_id"}
    return post(f"make logged model {tag}", "logged-models", body, keep=keep)


def of_logged(what: str, source: str, **fields: Json) -> Call:
    return post(f"version {what}", "model-versions/create", {"name": "of logged models", "source": source} | fields)


LOGGED_MODELS = [
    model("of logged models"),
    logged_model("registered", source_run_id="{run:registry}"),
    logged_model("another"),
    of_logged("of a logged model", "models:/{model:registered}", **OF_MODEL),
    of_logged("of a logged model and another run", "models:/{model:registered}", run_id="r", **OF_MODEL),
    of_logged("of a logged model's folder", f"{LOGGED}/model", **OF_MODEL),
    of_logged("of a logged model, elsewhere", S3, **OF_MODEL),
    of_logged("of a logged model that is not named", "models:/{model:registered}"),
    of_logged("of another logged model", "models:/{model:registered}", model_id="{model:another}"),
    of_logged("of another logged model's folder", LOGGED, model_id="{model:another}"),
    of_logged("beside a logged model's folder", f"{LOGGED}x", **OF_MODEL),
    of_logged("above a logged model's folder", f"{LOGGED}/../x", **OF_MODEL),
    of_logged("of the run of a logged model", "runs:/{run:registry}/x", **OF_RUN, **OF_MODEL),
    of_logged("of the folder of a run of a logged model", f"{ROOT}/x", **OF_RUN, **OF_MODEL),
    of_logged("of a copy", "models:/of logged models/1"),
    of_logged("of a copy, with its run", "models:/of logged models/1", **OF_RUN),
    of_logged("of a copy, with another run", "models:/of logged models/1", run_id="{run:other}"),
    *(
        get(f"download uri: {number} of logged models", "model-versions/get-download-uri", query)
        for number in ["1", "3", "4", "5"]
        for query in [{"name": "of logged models", "version": number}]
    ),
    get("search versions: of logged models", "model-versions/search", {"filter": "name = 'of logged models'"}),
    get("logged model with versions", "logged-models/{model:registered}"),
    get("logged model without versions", "logged-models/{model:another}"),
    delete("delete the logged model", "logged-models/{model:registered}"),
    of_logged("of a deleted logged model", S3, **OF_MODEL),
    get(
        "download uri: of a deleted logged model",
        "model-versions/get-download-uri",
        {"name": "of logged models", "version": "1"},
    ),
]

# Prompts

TEXT = {"key": "mlflow.prompt.text", "value": "Hello {{name}}"}
PROMPTS = [
    model("greeting", tags=[PROMPT, {"key": "team", "value": "red"}]),
    create("name taken by a prompt", {"name": "greeting"}),
    create("name of a prompt taken", {"name": "greeting", "tags": [PROMPT]}),
    version("greeting", 1, "dummy-source", tags=[PROMPT, TEXT]),
    version("greeting", 2, "prompt-template", tags=[PROMPT, TEXT], description="second"),
    post(
        "prompt with a source",
        "model-versions/create",
        {"name": "greeting", "source": "s3://bucket/x", "tags": [PROMPT, TEXT]},
    ),
    post(
        "prompt that is none",
        "model-versions/create",
        {"name": "greeting", "source": "dummy-source", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "false"}]},
    ),
    see("prompt", "greeting"),
    source("models:/greeting/1"),
    post("alias of a prompt", "registered-models/alias", {"name": "greeting", "alias": "live", "version": "2"}),
    by_alias("of a prompt", "live", "greeting"),
    by_alias("latest of a prompt", "latest", "greeting"),
    post("set tag of a prompt", "registered-models/set-tag", {"name": "greeting", "key": "k", "value": "v"}),
    post(
        "set tag of its version",
        "model-versions/set-tag",
        {"name": "greeting", "version": "1", "key": "k", "value": "v"},
    ),
    see_version("of a prompt", "greeting", 1),
]

# Searches

FOUND = [
    model("search a", tags=[{"key": "team", "value": "red"}, {"key": "k", "value": "1"}]),
    model("Search b", tags=[{"key": "team", "value": "blue"}]),
    model("search c", description="no tags"),
    version("search a", 1, "s3://search/one", run_id="a" * 32, tags=[{"key": "k", "value": "1"}]),
    version("Search b", 1, "s3://search/two", run_id="b" * 32, tags=[{"key": "k", "value": "2"}]),
    version("search a", 2, "s3://search/Three", tags=[{"key": "k", "value": "2"}, {"key": "l", "value": "1"}]),
    version("search c", 1, "gs://search/four", run_id="a" * 32),
    patch("change search a", "model-versions/update", {"name": "search a", "version": "1", "description": "x"}),
]

MODEL_FILTERS = [
    "name = 'search a'",
    'name = "search a"',
    "name = 'SEARCH A'",
    "name != 'search a' AND name ILIKE 'search%'",
    "name LIKE 'search%'",
    "name ILIKE 'SEARCH _'",
    "name ilike 'search %' and name like '%a'",
    "name IN ('search a', 'search c', 'never')",
    "name NOT IN ('search a') AND name LIKE 'search%'",
    "name IN ()",
    "name IN ('search a',)",
    "attribute.name = 'search a'",
    "attributes.name = 'search a'",
    "`name` = 'search a'",
    "name > 'a'",
    "name = search",
    "name = 5",
    "name",
    "= 'a'",
    "name = 'search a' OR name = 'search c'",
    "NOT name = 'search a' AND name ILIKE 'search%'",
    "name = 'search a'; name = 'search c'",
    "tags.team = 'red'",
    "tag.team = 'red'",
    "tags.team != 'red'",
    "tags.team LIKE '%e%' AND name ILIKE 'search%'",
    "tags.team ILIKE 'RED'",
    "tags.team = 'red' AND tags.k = '1'",
    "tags.team = 'red' AND tags.k = '2'",
    "tags.team != 'blue' AND tags.team LIKE 'r%'",
    "tags.team IN ('red')",
    "tags.team > 'a'",
    "tags.team = red",
    "tags.`team` = 'red'",
    "tags.\"team\" = 'red'",
    "tags.team IS NULL",
    "tags.team IS NOT NULL",
    "param.a = 'b'",
    "description = 'no tags'",
    "timestamp > 0",
    "last_updated_timestamp > 0",
    "version_number = 1",
    f"{NOT_PROMPT} AND name ILIKE 'search%'",
    f"{NOT_PROMPT} AND tags.team = 'red'",
    "tags.`mlflow.prompt.is_prompt` = 'true'",
    "tags.`mlflow.prompt.is_prompt` = 'TRUE'",
    "tags.`mlflow.prompt.is_prompt` != 'false'",
    "tags.`mlflow.prompt.is_prompt` = 'false' AND name LIKE 'search%'",
    "tags.`mlflow.prompt.is_prompt` LIKE 't%' AND name LIKE 'search%'",
    "tags.`mlflow.prompt.is_prompt` = 'true' AND tags.team = 'red'",
    "tags.`mlflow.prompt.is_prompt` = 'true' AND name = 'search a'",
    "name LIKE 'gree%'",
]
MODEL_ORDERS: list[list[str]] = [
    [],
    ["name"],
    ["name ASC"],
    ["name DESC"],
    ["name desc"],
    ["timestamp"],
    ["timestamp DESC"],
    ["last_updated_timestamp DESC"],
    ["last_updated_timestamp", "name DESC"],
    ["timestamp", "last_updated_timestamp"],
    ["name", "name"],
    ["creation_timestamp"],
    ["version_number"],
    ["tags.team"],
    ["name up"],
    [""],
    ["attribute.name"],
    ["`name`"],
]
VERSION_FILTERS = [
    "name = 'search a'",
    "name ILIKE 'search%'",
    "name IN ('search a', 'Search b')",
    "name NOT IN ('search a') AND name ILIKE 'search%'",
    f"run_id = '{'a' * 32}'",
    f"run_id != '{'a' * 32}' AND name ILIKE 'search%'",
    f"run_id IN ('{'a' * 32}', '{'b' * 32}')",
    f"run_id NOT IN ('{'a' * 32}') AND name ILIKE 'search%'",
    "run_id = '' AND name ILIKE 'search%'",
    f"run_id LIKE '{'a' * 10}%'",
    "run_id IN ()",
    "source_path = 's3://search/one'",
    "source_path LIKE 's3://search/%'",
    "source_path ILIKE '%/three'",
    "source_path IN ('s3://search/one')",
    "version_number = 2 AND name = 'search a'",
    "version_number = '2' AND name = 'search a'",
    "version_number > 1 AND name = 'search a'",
    "version_number >= 1 AND version_number < 2 AND name = 'search a'",
    "version_number != 1 AND name = 'search a'",
    "version_number = -1",
    "version_number = 1.0",
    "version_number = 'one'",
    "version_number LIKE '1'",
    "version_number IN ('1')",
    "attribute.version_number = 1 AND name = 'search c'",
    "tags.k = '2'",
    "tags.k != '2' AND name ILIKE 'search%'",
    "tags.k = '2' AND tags.l = '1'",
    "tags.k LIKE '_' AND name ILIKE 'search%'",
    "tags.k IS NULL",
    "tags.k > '1'",
    "current_stage = 'None'",
    "stage = 'None'",
    "user_id = 'a'",
    "aliases = 'best'",
    "creation_timestamp > 0",
    "name = 'greeting'",
    f"name = 'greeting' AND {NOT_PROMPT}",
    "name = 'greeting' AND tags.`mlflow.prompt.is_prompt` = 'true'",
    "name = 'greeting' AND tags.`mlflow.prompt.is_prompt` != 'false'",
    "name = 'search a' OR name = 'search c'",
    "name = 5",
]
VERSION_ORDERS: list[list[str]] = [
    [],
    ["name"],
    ["name DESC", "version_number"],
    ["version_number DESC"],
    ["version_number", "name DESC"],
    ["creation_timestamp"],
    ["creation_timestamp DESC"],
    ["last_updated_timestamp"],
    ["last_updated_timestamp DESC", "name", "version_number"],
    ["name", "name"],
    ["run_id"],
    ["timestamp"],
    ["tags.k"],
    ["attribute.name"],
]
ABOUT = "name ILIKE 'search _'"


def search(noun: str, what: str, **query: str | list[str]) -> Call:
    return get(f"search {noun}: {what}", f"{noun}/search", query)


PAGES = [
    *(
        to_the_end(search(noun, f"pages of {size}", filter=ABOUT, max_results=size))
        for noun in ["registered-models", "model-versions"]
        for size in ["1", "2", "3", "4"]
    ),
    *(
        search(noun, f"max_results {size!r}", filter=ABOUT, max_results=size)
        for noun in ["registered-models", "model-versions"]
        for size in ["1000", "1001", "200000", "200001", "0", "-1", "x", "1.5", ""]
    ),
    *(
        search(noun, f"token {token!r}", filter=ABOUT, page_token=token)
        for noun in ["registered-models", "model-versions"]
        for token in ["nonsense", "", "bnVsbA=="]
    ),
    get("search models: posted", "registered-models/search", {}, {"filter": ABOUT, "max_results": 2}),
    get("search models: order as text", "registered-models/search", {}, {"filter": ABOUT, "order_by": "name"}),
]
SEARCHES = [
    *(search("registered-models", f"where {text}", filter=text) for text in MODEL_FILTERS),
    *(search("registered-models", f"by {order}", filter=ABOUT, order_by=order) for order in MODEL_ORDERS),
    *(search("model-versions", f"where {text}", filter=text) for text in VERSION_FILTERS),
    *(search("model-versions", f"by {order}", filter=ABOUT, order_by=order) for order in VERSION_ORDERS),
    *PAGES,
]

REGISTRY = CREATE + CHANGE + VERSIONS + STAGES + ALIASES + SOURCES + LOGGED_MODELS + PROMPTS + FOUND + SEARCHES

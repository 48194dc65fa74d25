"""Where our answers are meant to differ from MLflow's: why, what each of the two says, and to which calls."""

import json
from dataclasses import dataclass

BAD = "400 INVALID_PARAMETER_VALUE"
CRASH = "500 INTERNAL_ERROR"
MISSING = "404 RESOURCE_DOES_NOT_EXIST"
NO_ENDPOINT = "404 ENDPOINT_NOT_FOUND"
SQL_ERROR = "400 BAD_REQUEST"


@dataclass(frozen=True)
class Difference:
    reason: str
    stock: str
    """The gist of what MLflow answers to each of the calls, or its status."""
    ours: str
    """The same of what we answer."""
    calls: tuple[str, ...]


def server_info(gateway: str, presigned: str, workspaces: str = "false") -> str:
    return (
        f'200 {{"features_enabled": {{"gateway": {gateway}}}, "multipart_downloads_enabled": false, '
        f'"multipart_uploads_enabled": false, "presigned_upload_model_id_supported": {presigned}, '
        f'"presigned_upload_run_id_supported": {presigned}, "store_type": "SqlStore", '
        f'"trace_archival_enabled": false, "workspaces_enabled": {workspaces}}}'
    )


def deep_file(path: str) -> str:
    return (
        f'200 {{"files": [{{"file_size": 256, "is_dir": false, "path": "{path}/c.bin"}}], '
        '"root_uri": "mlflow-artifacts:/{experiment:files}/{run:files}/artifacts"}'
    )


ERRORS = [
    Difference(
        "a mistake of the caller is no failure of the server: clients repeat a 500 for minutes",
        CRASH,
        BAD,
        (
            *(f"create experiment: {body} as body" for body in ["a list", "a number", "text"]),
            "get experiment: beyond 64 bits",
            "search experiments: max_results [2]",
            "search experiments: token 'bnVsbA=='",
            "search runs: token 'bnVsbA=='",
            "search runs: token 'é'",
            *(f"create run: start {start}" for start in ["[1]", "1e400"]),
            *(f"log metric: {what}" for what in ["a list", "value '[1]'", "value '{}'"]),
            *(
                f"log batch: {kind} as {it}"
                for kind in ["metrics", "params", "tags"]
                for it in ["text", "null", "list"]
            ),
            *(f"log batch: {body}" for body in ["no body", "not JSON"]),
            "log model: a list",
            "bulk: limit of words",
            *(f"put {name}" for name in ["'dir'", "'a.txt/b.txt'", "304 characters"]),
            "runs by metrics.acc ASC, metrics.acc DESC",
            "runs by start_time, start_time",
            "runs by tags.team ASC, tag.team ASC",
        ),
    ),
    Difference("the same, of a deleted experiment", "500 INVALID_STATE", BAD, ("rename a deleted one",)),
    Difference(
        "the same, where it is plain what is meant: null is absent, too large is infinite, a leading slash is nothing",
        CRASH,
        "200",
        (
            "log batch: null lists",
            "search runs: max_results None",
            "search experiments: view []",
            "log metric: value 401 characters",
            "experiments where creation_time > 9999999999999999999999",
            "runs where start_time < 99999999999999999999",
            "put '/etc/x.txt'",
            "put '%2Fetc/x.txt'",
        ),
    ),
    Difference(
        "a client takes a 405 for an INTERNAL_ERROR and does not fall back",
        "405 INTERNAL_ERROR",
        NO_ENDPOINT,
        (
            *(f"{method} what is posted" for method in ["get", "put", "delete"]),
            "post what is gotten",
            "get a search of runs",
            "post to health",
            "post a file",
        ),
    ),
    Difference("a redirect would turn a POST into a GET", "308", NO_ENDPOINT, ("a slash too many in between",)),
    Difference(
        "MLflow shows what its database said",
        SQL_ERROR,
        BAD,
        ("create run: tag twice", "create run: empty experiment", "log outputs: no model_id", "open no path"),
    ),
    Difference("the same: a name is taken", SQL_ERROR, "400 RESOURCE_ALREADY_EXISTS", ("rename to a name in use",)),
    Difference(
        "a tag twice is no experiment twice", "400 RESOURCE_ALREADY_EXISTS", BAD, ("create experiment: tag twice",)
    ),
    Difference(
        "MLflow's proxy forgets the error code",
        "400 INTERNAL_ERROR",
        BAD,
        ("put 'dir/'", "put into nothing", "fetch dir", "fetch dir/"),
    ),
    Difference(
        "run_uuid means nothing here, so run_id is missing; MLflow looks for a run ''",
        MISSING,
        BAD,
        ("delete run: run_uuid", "restore run: run_uuid", "delete tag: by run_uuid", "open no run"),
    ),
    Difference("the root is no file; MLflow knows no such endpoint", NO_ENDPOINT, MISSING, ("delete the root",)),
]

STRICTER = [
    Difference(
        "a value of the wrong type is refused; MLflow drops it silently, with all fields after it",
        "200",
        BAD,
        (
            "create experiment: number as tag value",
            "search experiments: order of numbers",
            *(f"create run: start {start}" for start in ["1.5", "9223372036854775808"]),
            *(f"create run: number as {field}" for field in ["user", "tag value"]),
            "create run: tags as a map",
            "update run: end with a fraction",
            *(f"log metric: {field} 1.5" for field in ["step", "timestamp"]),
            *(f"log metric: {field} 9223372036854775808" for field in ["step", "timestamp"]),
            *(f"log batch: metric with a {what}" for what in ["word as value", "fraction of a step"]),
            "log inputs: a number as name",
            "log outputs: models as text",
            *(f"history: max_results {size}" for size in ["2.5", "x", "", "99999999999"]),
            *(f"bulk: limit of {size}" for size in ["25001", "0"]),
            "search runs: max_results 2.5",
            "search runs: number as token",
            "search runs: a list",
        ),
    ),
    Difference(
        "MLflow stores empty names, which nobody can ask for",
        "200",
        BAD,
        (
            *(f"log inputs: {what}" for what in ["no dataset", "no name", "no digest", "empty name"]),
            *(f"log inputs: {what}" for what in ["a tag without key", "an empty tag key"]),
            "create run: tag without key",
        ),
    ),
    Difference(
        "PostgreSQL keeps no NUL, and a key has 250 characters everywhere",
        "200",
        BAD,
        ("create experiment: a NUL", "create run: tag key of 251"),
    ),
    Difference("parameters are no part of a path", "200", BAD, ("create experiment: location with params",)),
    Difference(
        "such a path is unsafe on one system or another",
        "200",
        BAD,
        (
            *(f"put '{name}'" for name in ["..%5Cx.txt", "C%3A%5Cx.txt", "a%00b.txt"]),
            *(f"list the path {path!r}" for path in ["..\\x", "a\0b", "#"]),
        ),
    ),
    Difference("the same, of a file that is not there", MISSING, BAD, ("fetch a%00b.txt",)),
    Difference(
        "a key must be named, and a list has commas",
        "200 {}",
        BAD,
        (
            "experiments where tags. = 'x'",
            "runs where metrics. = 0.5",
            "runs where run_id IN ('{run:ant}' '{run:cat}')",
        ),
    ),
    Difference("a key must be named", "200 ibis, hen, gnu, fox, elk, dog, cat, bee, ant", BAD, ("runs by metrics.",)),
]

WIDER = [
    Difference(
        "there is no reason to serve them to the UI only",
        NO_ENDPOINT,
        "200",
        ("search datasets without the UI", "bulk: not for the UI"),
    ),
    Difference("clients of 1.x ask here", NO_ENDPOINT, "200", ("an API of the past",)),
    Difference("this server never opens a location", BAD, "200", ("create experiment: location of a host",)),
    Difference("the last of two equal tags counts, as in a batch", SQL_ERROR, "200", ("log inputs: a tag twice",)),
    Difference(
        "a run without an experiment belongs to the default one",
        SQL_ERROR,
        "200",
        ("create run: no experiment", "create run: no body"),
    ),
    Difference(
        "an id may be written as a number",
        BAD,
        MISSING,
        (
            "rename by number",
            "delete experiment: a number",
            "restore experiment: a number",
            "create run: experiment by number",
        ),
    ),
    Difference(
        "camelCase also where a field is required", BAD, "200", ("rename in camelCase", "log metric: camelCase")
    ),
    Difference(
        "an unknown number is ignored, as an unknown name is",
        BAD,
        "200",
        ("update run: unknown status number", "update run: status zero"),
    ),
    Difference("what is not there lists as nothing", BAD, "200 {}", ("list proxied 'file:///etc'",)),
    *(
        Difference("a superset of MLflow's grammar", BAD, f"200 {found}", calls)
        for found, calls in [
            (
                "zoo cat",
                (
                    "experiments where name like 'zoo c%'",
                    "experiments where name ilike 'zoo C%'",
                    "experiments where (name = 'zoo cat')",
                    "experiments where name = 'a' OR name = 'zoo cat'",
                ),
            ),
            ("zoo bumblebee, zoo Ant, zoo cat, zoo dog, zoo elk", ("experiments where NOT name = 'a'",)),
            ("elk", ("runs where metrics.acc IS NULL", "runs where metrics.acc is null")),
            ("ant, bee, cat, dog, fox, gnu, hen, ibis", ("runs where metrics.acc IS NOT NULL",)),
            ("ant, cat", ("runs where metrics.acc = 0.5 OR status = 'FAILED'",)),
            ("ant, bee, dog, elk, fox, gnu, hen, ibis", ("runs where NOT status = 'FAILED'",)),
            ("cat", ("runs where (status = 'FAILED')", "runs where (metrics.acc = 0.5) AND (status = 'FAILED')")),
            ("ant, bee, cat, dog, elk, fox, gnu, hen, ibis", ("runs where  ", "runs by attributes.`Run name` ASC")),
            ("fox, bee, cat, ant, gnu, hen, ibis, dog, elk", ("runs by   metrics.acc   DESC  ",)),
        ]
    ),
]

TRUER = [
    Difference(
        "no gateway and no presigned addresses here",
        server_info("true", "true"),
        server_info("false", "false"),
        ("server-info for the UI",),
    ),
    Difference(
        "the same; and workspaces are there without a switch: a client that names none works in `default`",
        server_info("true", "true"),
        server_info("false", "false", "true"),
        ("server-info",),
    ),
    *(
        Difference(
            "MLflow stores zeros for a number that is no JSON", "200 0.0 at 0", ours, (f"history of bare {token}",)
        )
        for token, ours in [
            ("NaN", "200 NaN at 1"),
            ("Infinity", "200 1.7976931348623157e+308 at 1"),
            ("-Infinity", "200 -1.7976931348623157e+308 at 1"),
            ("1e400", "200 1.7976931348623157e+308 at 1"),
        ]
    ),
    Difference("a bare NaN is no JSON", "200 bare NaN at 1", "200 NaN at 1", ("bulk: NaN",)),
    Difference(
        "a sample keeps the extremes",
        "200 0.0 at 0, 0.2 at 20, 0.4 at 40, 0.6 at 60, 0.99 at 99",
        "200 0.0 at 0, 9.0 at 37, -9.0 at 53, 0.6 at 60, 0.99 at 99",
        ("sampled: 5 points of a spike",),
    ),
    Difference(
        "a run is sampled once",
        "200 1.0 at 1, 2.0 at 2, 1.0 at 1, 2.0 at 2",
        "200 1.0 at 1, 2.0 at 2",
        ("sampled: one run twice",),
    ),
    Difference("infinity is more than any number", "200 {}", "200 fox", ("runs where metrics.acc >= 1e400",)),
    Difference(
        "infinity is kept, and is not the largest number that it is shown as",
        "200 fox",
        "200 {}",
        ("runs where metrics.acc = 1.7976931348623157e308",),
    ),
    *(
        Difference(
            "a path is given in its shortest form", deep_file(path), deep_file("dir/deep"), (f"list the path '{path}'",)
        )
        for path in ["dir//deep", "dir/deep/."]
    ),
]


def told_versions(numbers: list[int] | list[str]) -> str:
    entries = json.dumps([{"name": "of logged models", "version": number} for number in numbers])
    return f"200 registered, LOGGED_MODEL_PENDING, mlflow.modelVersions {entries}"


REGISTRY = [
    Difference(
        "the number of a version is text everywhere else, and clients add it as such",
        told_versions([1, 2, 3, 4]),
        told_versions(["1", "2", "3", "4"]),
        ("logged model with versions",),
    ),
    Difference(
        "a mistake of the caller is no failure of the server",
        CRASH,
        BAD,
        (
            "move version: archiving for none",
            "move version: archiving for the archive",
            *(f"search registered-models: where tags.team IS {null}" for null in ["NULL", "NOT NULL"]),
            "search model-versions: where tags.k IS NULL",
            "search registered-models: by ['timestamp', 'last_updated_timestamp']",
            *(f"search {noun}: by ['name', 'name']" for noun in ["registered-models", "model-versions"]),
            *(f"search {noun}: token 'bnVsbA=='" for noun in ["registered-models", "model-versions"]),
        ),
    ),
    Difference(
        "nor is what is not there",
        CRASH,
        MISSING,
        ("source models:/m-1 of itself, unknown", "source 'models:/full/Production'"),
    ),
    Difference(
        "a page of nothing never ends",
        "200",
        BAD,
        tuple(f"search registered-models: max_results '{n}'" for n in [0, -1]),
    ),
    Difference(
        "a name has 256 characters, as in MLflow's own tables, which SQLite does not mind",
        "200",
        BAD,
        ("create registered model: name 257 characters",),
    ),
    Difference(
        "a value of the wrong type is refused; MLflow drops it silently",
        "200",
        BAD,
        ("create registered model: number as tag value",),
    ),
    Difference("MLflow's client for R writes flags as text", BAD, "200", ("move version: flag as text",)),
    Difference(
        "this server never opens a location",
        BAD,
        "200",
        tuple(f"source '{scheme}://host/a'" for scheme in ["http", "hdfs", "ftp", "sftp"]),
    ),
    *(
        Difference("a superset of MLflow's grammar", BAD, f"200 {found}", calls)
        for found, calls in [
            ("search a", ("search registered-models: where `name` = 'search a'",)),
            ("search a, search c", ("search registered-models: where name = 'search a' OR name = 'search c'",)),
            (
                "Search b, search c",
                ("search registered-models: where NOT name = 'search a' AND name ILIKE 'search%'",),
            ),
            (
                "search a 1, search c 1, search a 2",
                ("search model-versions: where name = 'search a' OR name = 'search c'",),
            ),
            (
                "Search b, search a, search c",
                tuple(f"search registered-models: by ['{name}']" for name in ["attribute.name", "`name`"]),
            ),
        ]
    ),
]

ANT_TAGS, ANT_PARAMS = "a 2, a@*.. x, b 2", "lr 0.1, net resnet"
ANT_METRICS = "acc 0.5, acc 0.5, b 1.0, d 1.0, inf -1.7976931348623157e+308"
ALL_IN_ZOO = "200 Gnu_x, fox, elk, dog, cat"


def models_where(*texts: str) -> tuple[str, ...]:
    return tuple(f"models where {text!r}" for text in texts)


LOGGED_MODELS = [
    Difference(
        "a mistake of the caller is no failure of the server",
        CRASH,
        BAD,
        (
            *models_where("Name = 'cat'", "'cat' = name", "foo = 'cat'"),
            *models_where("creation_timestamp > '0'", "creation_timestamp > x", "metrics.acc > '0.6'"),
            *(f"models with token '{token}'" for token in ["x", "bnVsbA=="]),
        ),
    ),
    Difference("no page has a negative length", '200 {"next_page_token": "{token}"}', BAD, ("models at most -1",)),
    Difference("a client takes a 405 for an INTERNAL_ERROR", "405 INTERNAL_ERROR", NO_ENDPOINT, ("list models",)),
    Difference(
        "MLflow shows what its database said",
        SQL_ERROR,
        BAD,
        (
            *("create model: param twice", "create model: tag twice"),
            *("params of a model: another value", "params of a model: one of two is there"),
        ),
    ),
    Difference(
        "the same: there is no such model",
        SQL_ERROR,
        MISSING,
        (
            *(f"log metric of a model: {what} model" for what in ["unknown", "odd"]),
            "log batch of a model: unknown model",
        ),
    ),
    Difference(
        "what is there is there: a client repeats a call whose answer was lost",
        SQL_ERROR,
        "200 {}",
        (
            "params of a model: the same again",
            "outputs: a model again",
        ),
    ),
    Difference(
        "MLflow's own limits, which SQLite does not keep, and no NUL",
        "200",
        BAD,
        (
            *("create model: name 501 characters", "create model: run of 33", "create model: type of 501"),
            r"create model: name 'a\x00b'",
        ),
    ),
    Difference("a key must be named", "200", BAD, ("create model: param without key", "tags of a model: no key")),
    Difference(
        "MLflow stores `unspecified` for a status that it does not know",
        "200",
        BAD,
        ("finalize: status 9", "finalize: status 'READY'"),
    ),
    Difference(
        "the path names the model, and the body need not",
        BAD,
        "200",
        ("finalize: no model_id", "params of a model: no model_id"),
    ),
    Difference(
        "the same: MLflow changes the one in the body",
        "200 plain, LOGGED_MODEL_READY",
        "200 ant, LOGGED_MODEL_READY, team red, lr 0.1, net resnet",
        ("finalize: another model_id",),
    ),
    Difference(
        "what the calls above left",
        f"200 ant, LOGGED_MODEL_READY,  c, {ANT_TAGS}, d/e x, team blue, {ANT_PARAMS}, p 1, s ",
        f"200 ant, LOGGED_MODEL_READY, {ANT_TAGS}, team blue, {ANT_PARAMS}, p 1, r 1, s ",
        ("look at the model's parts",),
    ),
    Difference(
        "the same; and a NaN is no zero",
        f"200 ant, LOGGED_MODEL_READY,  c, {ANT_TAGS}, d/e x, team blue, {ANT_PARAMS}, p 1, s , {ANT_METRICS}, "
        "nan 0.0, twice 0.5, val/acc 1.0",
        f"200 ant, LOGGED_MODEL_READY, {ANT_TAGS}, team blue, {ANT_PARAMS}, p 1, r 1, s , {ANT_METRICS}, "
        "nan NaN, twice 0.5, twice 0.75, val/acc 1.0",
        ("look at the model's metrics",),
    ),
    Difference("an id may be written as a number", BAD, "200 {}", ("models of numbers",)),
    Difference("a tag whose key has a slash can be deleted", NO_ENDPOINT, "200 {}", ("delete tag of a model: d/e",)),
    Difference(
        "MLflow keeps one point of a run and a moment",
        SQL_ERROR,
        "200 {}",
        ("log metric of a model: another value of the same moment, the other",),
    ),
    Difference(
        "a dataset without a digest is any of that name; MLflow finds none",
        "200 {}",
        "200 dog, cat",
        ("models on any train",),
    ),
    Difference(
        "a status has a name", "200 {}", "200 dog", models_where("status = 'READY'", "status = 'LOGGED_MODEL_READY'")
    ),
    Difference("double quotes quote, too", "200 {}", "200 cat", models_where('name = "cat"')),
    Difference("a text is quoted", "200 cat", BAD, models_where("name = cat")),
    Difference("a list holds something", "200 {}", BAD, models_where("name IN ()")),
    *(
        Difference("a superset of MLflow's grammar", BAD, found, models_where(*texts))
        for found, texts in [
            ("200 cat", ("attribute.name = 'cat'", "(name = 'cat')")),
            ("200 dog, cat", ("name = 'cat' OR name = 'dog'",)),
            ("200 Gnu_x, fox, elk, dog", ("NOT name = 'cat'",)),
            (ALL_IN_ZOO, (" ",)),
        ]
    ),
]

FILES_OF_MODELS = [
    Difference(
        "a request without its path is an invalid one, as everywhere else",
        "400 BAD_REQUEST",
        BAD,
        ("model's file: no path", "version's file: no path"),
    ),
]

DIFFERENCES = ERRORS + STRICTER + WIDER + TRUER + LOGGED_MODELS + REGISTRY + FILES_OF_MODELS

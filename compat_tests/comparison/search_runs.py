"""Searching runs: the whole grammar, orders, pages, views."""

from compat_tests.comparison.call import Call, Json, experiment, get, post, run, short, to_the_end

ACTIVE: dict[str, Json] = {"experiment_ids": ["{experiment:zoo}"], "order_by": ["start_time ASC"]}


def pairs(**values: str) -> list[Json]:
    return [{"key": key, "value": value} for key, value in values.items()]


def animal(
    name: str,
    start: int,
    status: str = "RUNNING",
    metrics: dict[str, Json] | None = None,
    params: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
    data: tuple[str, str, str] | None = None,
) -> list[Call]:
    """A run with metrics and all, ended unless it is running, that used a dataset (name, digest, context)."""
    run_id = f"{{run:{name}}}"
    points: list[Json] = [{"key": k, "value": v, "timestamp": 5, "step": 1} for k, v in (metrics or {}).items()]
    body = {"run_id": run_id, "metrics": points, "params": pairs(**(params or {})), "tags": pairs(**(tags or {}))}
    made = [run(name, "zoo", start, user_id=f"{name} keeper"), post(f"log {name}", "runs/log-batch", body)]
    if status != "RUNNING":
        ended: Json = {"run_id": run_id, "status": status, "end_time": start + 100}
        made.append(post(f"end {name}", "runs/update", ended))
    if data:
        dataset: Json = {"name": data[0], "digest": data[1], "source_type": "local", "source": "x"}
        used: Json = [{"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": data[2]}]}]
        made.append(post(f"log inputs of {name}", "runs/log-inputs", {"run_id": run_id, "datasets": used}))
    return made


ZOO = [
    experiment("of a zoo", "zoo"),
    *animal(
        "ant", 1000, "FINISHED", {"acc": 0.5, "a b": 1}, {"lr": "0.1", "net": "resnet"}, {"team": "red", "x-y": "1"}
    ),
    *animal(
        "bee",
        2000,
        "FINISHED",
        {"acc": 0.9},
        {"lr": "0.01", "net": "ResNet"},
        {"team": "Red"},
        ("mnist", "d1", "train"),
    ),
    *animal("cat", 3000, "FAILED", {"acc": 0.5}, {"lr": "0.1", "a/b": "x"}, {"team": "blue"}, ("Mnist", "d2", "eval")),
    *animal("dog", 4000, "RUNNING", {"acc": "NaN"}, {"net": "vgg"}, {}, ("iris", "d1", "train")),
    *animal("elk", 5000, "KILLED", {}, {}, {"team": ""}),
    *animal("fox", 6000, "FINISHED", {"acc": "Infinity"}, {"lr": "10"}, {"team": "it's", "mlflow.user": "me"}),
    *animal("gnu", 7000, "FINISHED", {"acc": -1e-9}, {"lr": "100%"}, {"team": 'say "hi"'}),
    *animal("hen", 8000, "SCHEDULED", {"acc": "-Infinity"}, {"lr": ""}, {"team": "100_"}),
    *animal("ibis", 9000, "FINISHED", {"acc": "NaN"}, {"lr": "É"}, {"team": "é"}),
    *animal("jay", 9500),
    post("delete the jay", "runs/delete", {"run_id": "{run:jay}"}),
    post(
        "a second dataset for the bee",
        "runs/log-inputs",
        {
            "run_id": "{run:bee}",
            "datasets": [{"dataset": {"name": "iris", "digest": "d9", "source_type": "l", "source": "x"}}],
        },
    ),
    experiment("of another zoo", "zoo2"),
    run("koi", "zoo2", 500),
]


def where(text: str) -> Call:
    return post(f"runs where {text}", "runs/search", ACTIVE | {"filter": text})


COMPARATORS = ["=", "!=", ">", ">=", "<", "<=", "LIKE", "ILIKE"]
LISTS = ["IN ('ant', 'FAILED', 'iris', 'd1')", "NOT IN ('ant', 'FAILED', 'iris', 'd1')", "IN ()", "IN (1, 2)"]
NULLS = ["IS NULL", "IS NOT NULL", "is null", "IS NOT 5"]
KEYS = [
    ("metrics.acc", "0.5"),
    ("params.lr", "'0.1'"),
    ("tags.team", "'red'"),
    ("attributes.run_id", "'{run:cat}'"),
    ("run_name", "'cat'"),
    ("attributes.status", "'FINISHED'"),
    ("artifact_uri", "'%artifacts'"),
    ("user_id", "'cat keeper'"),
    ("start_time", "3000"),
    ("attributes.end_time", "3100"),
    ("dataset.name", "'mnist'"),
    ("datasets.digest", "'d1'"),
    ("dataset.context", "'train'"),
]

GRAMMAR = [
    *(where(f"{key} {comparator} {value}") for key, value in KEYS for comparator in COMPARATORS),
    *(where(f"{key} {rest}") for key, _ in KEYS for rest in LISTS + NULLS),
    *(
        where(text)
        for text in [
            "",
            " ",
            # aliases and spellings of entities
            "metric.acc = 0.5",
            "metric.`acc` = 0.5",
            'metric."acc" = 0.5',
            "`metrics`.acc = 0.5",
            "Metrics.acc = 0.5",
            "metrics.`a b` = 1",
            'metrics."a b" = 1',
            "metrics.a b = 1",
            "metrics.'acc' = 0.5",
            "parameter.lr = '0.1'",
            "parameters.lr = '0.1'",
            "param.lr = '0.1'",
            "params.`a/b` = 'x'",
            "params.a/b = 'x'",
            "tag.team = 'red'",
            "tags.`x-y` = '1'",
            "tags.x-y = '1'",
            "tags.mlflow.user = 'me'",
            "tags.`mlflow.user` = 'me'",
            "tags.mlflow.runName = 'cat'",
            "attribute.status = 'FAILED'",
            "attr.status = 'FAILED'",
            "run.status = 'FAILED'",
            "status = 'FAILED'",
            "status = 'failed'",
            "status LIKE 'f%'",
            "status ILIKE 'f%'",
            "status = 'NONE'",
            'status = "FAILED"',
            "`status` = 'FAILED'",
            "attributes.`status` = 'FAILED'",
            "run_name LIKE 'c%'",
            "`run name` = 'cat'",
            "attributes.`Run name` = 'cat'",
            "`Run Name` = 'cat'",
            "Created > 3000",
            "attributes.created > 3000",
            "Start_time > 3000",
            # keys nobody has, or may not ask for
            "attributes.lifecycle_stage = 'active'",
            "experiment_id = '1'",
            "attributes.colour = 'red'",
            "colour.red = 'x'",
            "metrics.never = 1",
            "metrics.never != 1",
            "params.never != 'x'",
            "params.never IS NULL",
            "tags.never IS NOT NULL",
            # numbers
            "metrics.acc = .5",
            "metrics.acc = 5e-1",
            "metrics.acc > -1",
            "metrics.acc > - 1",
            "metrics.acc > +0.1",
            "metrics.acc >0.5",
            "metrics.acc>0.5",
            "metrics.acc = '0.5'",
            "metrics.acc = 'NaN'",
            "metrics.acc = NaN",
            "metrics.acc = Infinity",
            "metrics.acc > 1e308",
            "metrics.acc >= 1e400",
            "metrics.acc = 1.7976931348623157e308",
            "metrics.acc < -1e308",
            "metrics.acc = abc",
            "metrics.acc = 0x10",
            "metrics.acc = 1_000",
            "start_time > 3000.5",
            "start_time > 3e3",
            "start_time = '3000'",
            "start_time > -1",
            "start_time < 99999999999999999999",
            "end_time = 0",
            # texts
            'params.lr = "0.1"',
            "params.lr = 0.1",
            "params.lr = abc",
            "params.lr = `0.1`",
            "params.lr = ''",
            "params.lr = '100%'",
            "params.lr LIKE '100%'",
            "params.lr LIKE '0._'",
            "params.lr LIKE ''",
            "params.lr LIKE '%'",
            "params.lr LIKE '\\%'",
            "params.lr LIKE '100\\%'",
            "params.net LIKE 'Res%'",
            "params.net ILIKE 'RES%'",
            "params.net ILIKE '%ES%'",
            "params.lr ILIKE 'É'",
            "params.lr LIKE 'É'",
            "tags.team = 'é'",
            "tags.team = ''",
            "tags.team = 'it''s'",
            'tags.team = "it\'s"',
            "tags.team = 'it\\'s'",
            "tags.team = 'say \"hi\"'",
            "tags.team LIKE '100_'",
            "tags.team LIKE '%[a-z]%'",
            "tags.team LIKE 're*'",
            "tags.team = 'red '",
            "tags.team = ' red'",
            "tags.team = ' ; '",
            "tags.team = 'a AND b'",
            "tags.team = '--'",
            # lists
            "run_id IN ('{run:ant}', '{run:cat}')",
            "run_id NOT IN ('{run:ant}', '{run:cat}')",
            "run_id IN ('{run:ant}',)",
            "run_id in ('{run:ant}')",
            "run_id IN '{run:ant}'",
            "run_id IN ('{run:ant}' '{run:cat}')",
            'run_id IN ("{run:ant}")',
            "attributes.run_id IN ('{run:ant}') AND status = 'FINISHED'",
            "dataset.name NOT IN ('mnist')",
            "dataset.digest IN ('d2', 'd9')",
            "dataset.name = 'iris' AND dataset.context = 'train'",
            "dataset.name = 'mnist' AND dataset.name = 'iris'",
            "dataset.name LIKE 'M%'",
            "dataset.name ILIKE 'm%'",
            "dataset.colour = 'x'",
            "dataset = 'mnist'",
            "datasets.`name` = 'mnist'",
            # joined
            "metrics.acc > 0 AND params.lr = '0.1'",
            "metrics.acc > 0 and params.lr = '0.1' And tags.team = 'blue'",
            "metrics.acc >= 0.5 AND metrics.acc < 0.9",
            "params.lr = '0.1' AND params.net = 'resnet'",
            "params.lr = '0.1' AND params.lr != '0.1'",
            "tags.team IS NULL AND params.net IS NOT NULL",
            "  metrics.acc   =   0.5  ",
            "metrics.acc = 0.5\nAND status = 'FAILED'",
            "metrics.acc = 0.5\tAND\tstatus = 'FAILED'",
            "metrics.acc = 0.5 AND",
            "AND metrics.acc = 0.5",
            "metrics.acc = 0.5 AND AND status = 'FAILED'",
            "metrics.acc = 0.5 status = 'FAILED'",
            "metrics.acc = 0.5, status = 'FAILED'",
            "metrics.acc = 0.5 OR status = 'FAILED'",
            "NOT status = 'FAILED'",
            "(status = 'FAILED')",
            "(metrics.acc = 0.5) AND (status = 'FAILED')",
            "((metrics.acc = 0.5)",
            "start_time BETWEEN 1 AND 2",
            "status NOT LIKE 'F%'",
            "status = 'FAILED'; status = 'FINISHED'",
            "status = 'FAILED';",
            "status = 'FAILED' -- comment",
            "status = 'FAILED' /* comment */",
            # nonsense
            "metrics.acc",
            "metrics",
            "metrics.acc =",
            "= 0.5",
            "0.5 = metrics.acc",
            "'cat' = run_name",
            "metrics.acc = metrics.acc",
            "metrics.acc == 0.5",
            "metrics.acc <> 0.5",
            "metrics.acc ~ 0.5",
            "metrics.acc = 0.5 0.6",
            "metrics. = 0.5",
            ".acc = 0.5",
            "metrics..acc = 0.5",
            "metrics.acc.x = 0.5",
            "params.lr = '0.1",
            "params.lr = 0.1'",
            "params.`lr = '0.1'",
            "* = 1",
            "SELECT * FROM runs",
            "1=1",
            "' OR 1=1 --",
            "params.lr = '0.1' UNION SELECT 1",
            "params.lr LIKE 5",
            "status > 'A'",
            "run_name = 5",
            "tags.team IS",
            "tags.team IS NOT",
            "tags.team NULL",
            "🐘 = 'x'",
            "tags.`🐘` IS NULL",
        ]
    ),
]


def ordered(*order: str) -> Call:
    return post(
        f"runs by {', '.join(order)}", "runs/search", {"experiment_ids": ["{experiment:zoo}"], "order_by": [*order]}
    )


ORDERS = [
    *(
        ordered(f"{key}{direction}")
        for key in [
            "metrics.acc",
            "params.lr",
            "tags.team",
            "start_time",
            "end_time",
            "status",
            "run_name",
            "user_id",
            "metrics.never",
            "tags.`mlflow.user`",
        ]
        for direction in ["", " ASC", " DESC"]
    ),
    *(
        ordered(*order)
        for order in [
            ("metric.acc desc",),
            ("metrics.`a b` ASC",),
            ('metrics."a b" ASC',),
            ("parameters.net DESC",),
            ("attributes.status ASC", "attributes.start_time DESC"),
            ("attribute.start_time ASC",),
            ("`start_time` ASC",),
            ("attributes.created ASC",),
            ("Created DESC",),
            ("attributes.`Run name` ASC",),
            ("run.start_time ASC",),
            ("metrics.acc DESC", "start_time ASC"),
            ("params.lr ASC", "params.net DESC", "tags.team ASC"),
            ("params.lr ASC", "metrics.acc ASC", "end_time DESC"),
            ("  metrics.acc   DESC  ",),
            ("dataset.name",),
            ("attributes.experiment_id",),
            ("attributes.lifecycle_stage",),
            ("colour.red",),
            ("acc",),
            ("metrics.acc UP",),
            ("metrics.acc ASC DESC",),
            ("metrics.acc NULLS LAST",),
            ("metrics.acc, start_time",),
            ("metrics.acc = 1",),
            ("metrics",),
            ("metrics.",),
            ("",),
            ("ASC",),
            ("metrics.acc; DROP TABLE runs",),
            ("metrics.acc ASC", "metrics.acc DESC"),
            ("start_time", "start_time"),
            ("tags.team ASC", "tag.team ASC"),
        ]
    ),
    post("runs by a text", "runs/search", {"experiment_ids": ["{experiment:zoo}"], "order_by": "start_time"}),
    post("runs by numbers", "runs/search", {"experiment_ids": ["{experiment:zoo}"], "order_by": [1]}),
    post("runs by null", "runs/search", {"experiment_ids": ["{experiment:zoo}"], "order_by": None}),
]


def search(name: str, **fields: Json) -> Call:
    return post(f"search runs: {name}", "runs/search", ACTIVE | fields)


BOTH: Json = ["{experiment:zoo}", "{experiment:zoo2}"]

PAGES = [
    search("all"),
    *(
        to_the_end(search(f"by {size} {' and '.join(order)}", max_results=size, order_by=[*order]))
        for size in (1, 2, 4)
        for order in [
            ("metrics.acc ASC",),
            ("metrics.acc DESC",),
            ("params.lr ASC", "start_time ASC"),
            ("tags.team DESC",),
            ("end_time ASC",),
            ("status DESC", "metrics.acc ASC"),
        ]
    ),
    to_the_end(search("by 3 as it comes", max_results=3, order_by=[])),
    to_the_end(search("by 2 of a filter", max_results=2, filter="params.lr LIKE '%1%'")),
    to_the_end(search("by 9, all of them", max_results=9)),
    to_the_end(search("by 8, one left", max_results=8)),
    *(search(f"max_results {size!r}", max_results=size) for size in [0, -1, 50_000, 50_001, "2", 2.0, 2.5, "x", None]),
    search("max_results beyond 32 bits", max_results=2**31),
    *(
        search(f"token {short(token)}", page_token=token)
        for token in ["nonsense", "eyJvZmZzZXQiOiAwfQ==", "eyJvZmZzZXQiOiAteH0=", "bnVsbA==", "[]", "é"]
    ),
    search("empty token", page_token=""),
    search("number as token", page_token=5),
    *(
        search(f"view {view!r}", run_view_type=view)
        for view in ["ACTIVE_ONLY", "DELETED_ONLY", "ALL", 1, 2, 3, 4, "all", "NONE", None, "2", True]
    ),
    search("two experiments", experiment_ids=BOTH),
    to_the_end(search("two experiments by 3", experiment_ids=BOTH, max_results=3)),
    search(
        "the same experiment twice", experiment_ids=["{experiment:zoo}", "{experiment:zoo}"], filter="run_name = 'cat'"
    ),
    search("no experiments", experiment_ids=[]),
    search("null experiments", experiment_ids=None),
    search("unknown experiment", experiment_ids=["987654321"]),
    search("unknown and known", experiment_ids=["987654321", "{experiment:zoo2}"]),
    search("experiment of letters", experiment_ids=["abc"]),
    search("empty experiment", experiment_ids=[""]),
    search("number as experiment", experiment_ids=[987654321]),
    search("experiments as text", experiment_ids="0"),
    search("bad filter and no experiments", experiment_ids=[], filter="nonsense"),
    search("number as filter", filter=5),
    search("null filter", filter=None),
    search("camelCase", experiment_ids=None, experimentIds=["{experiment:zoo2}"], maxResults=1, runViewType="ALL"),
    search("unknown fields", colour="red", run_ids=["x"]),
    post("search runs: no body", "runs/search", b""),
    post("search runs: a list", "runs/search", []),
    post("search runs for the UI", "/ajax-api/2.0/mlflow/runs/search", {"experiment_ids": ["{experiment:zoo2}"]}),
    get("get a found run", "runs/get", {"run_id": "{run:bee}"}),
]

SEARCH_RUNS = ZOO + GRAMMAR + ORDERS + PAGES

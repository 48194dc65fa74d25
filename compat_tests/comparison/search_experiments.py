"""Searching experiments: filters, orders, pages, views."""

from compat_tests.comparison.call import Call, Json, get, post, short, to_the_end

ZOO = "name LIKE 'zoo %'"


def search(name: str, **fields: Json) -> Call:
    return post(f"search experiments: {name}", "experiments/search", {"max_results": 100, "filter": ZOO} | fields)


def where(text: str) -> Call:
    """A filter that may stand beside the one for the zoo."""
    body = {"max_results": 100, "filter": f"{ZOO} AND {text}", "order_by": ["experiment_id ASC"]}
    return post(f"experiments where {text}", "experiments/search", body)


def alone(text: str) -> Call:
    return post(f"experiments where only {text}", "experiments/search", {"max_results": 100, "filter": text})


def animal(name: str, **tags: str) -> Call:
    body = {"name": f"zoo {name}", "tags": [{"key": key, "value": value} for key, value in tags.items()]}
    return post(f"make experiment {name}", "experiments/create", body, keep={f"experiment:{name}": "experiment_id"})


SEARCH_EXPERIMENTS = [
    animal("bee", legs="6", team="red"),
    animal("Ant", legs="6"),
    animal("cat", legs="4", team="Red"),
    animal("dog"),
    animal("elk", team="it's"),
    animal("fox", legs="4"),
    post("delete the fox", "experiments/delete", {"experiment_id": "{experiment:fox}"}),
    post("rename the bee", "experiments/update", {"experiment_id": "{experiment:bee}", "new_name": "zoo bumblebee"}),
    search("as it comes"),
    post("search experiments: no max_results", "experiments/search", {"filter": ZOO}),
    post("search experiments: no body", "experiments/search", b""),
    *(search(f"max_results {size!r}", max_results=size) for size in [0, -1, 50_000, 50_001, "2", 2.0, "2.0", 2.5, "x"]),
    *(search(f"max_results {size!r}", max_results=size) for size in [[2], "", "2e0", 2**63, 1e300]),
    *(
        search(f"view {view!r}", view_type=view)
        for view in ["ACTIVE_ONLY", "DELETED_ONLY", "ALL", 1, 2, 3, 4, "active_only", "NONE", None, "2", 2.0, True, []]
    ),
    *(
        to_the_end(search(f"by {size} {order}", max_results=size, order_by=[order]))
        for size in (1, 2, 5)
        for order in ("name DESC", "experiment_id ASC")
    ),
    to_the_end(search("by 2", max_results=2)),
    *(
        search(f"token {short(token)}", page_token=token)
        for token in ["nonsense", "eyJvZmZzZXQiOiAwfQ==", "eyJvZmZzZXQiOiAteH0=", "bnVsbA==", "[]"]
    ),
    search("empty token", page_token=""),
    search("null token", page_token=None),
    *(
        search(f"order {' , '.join(order)}", order_by=list(order))
        for order in [
            ("name",),
            ("name ASC",),
            ("name DESC",),
            ("name desc",),
            ("attribute.name",),
            ("`name`",),
            ("experiment_id",),
            ("experiment_id DESC",),
            ("creation_time ASC",),
            ("creation_time DESC",),
            ("last_update_time ASC",),
            ("last_update_time DESC", "name ASC"),
            ("name ASC", "name DESC"),
            ("tags.legs",),
            ("attributes.name",),
            ("colour",),
            ("lifecycle_stage",),
            ("name UP",),
            ("name ASC NULLS LAST",),
            ("name, experiment_id",),
            ("",),
        ]
    ),
    search("order as text", order_by="name"),
    search("order of numbers", order_by=[5]),
    search("no order", order_by=[]),
    search("null order", order_by=None),
    *(
        where(f"{key} {comparator} {value}")
        for key, value in [
            ("name", "'zoo cat'"),
            ("attribute.name", "'zoo CAT'"),
            ("tags.team", "'red'"),
            ("tag.legs", "'6'"),
            ("creation_time", "1000"),
            ("last_update_time", "99999999999999"),
        ]
        for comparator in ["=", "!=", ">", ">=", "<", "<=", "LIKE", "ILIKE"]
    ),
    *(
        where(f"{key} {rest}")
        for key in ["name", "experiment_id", "tags.team", "creation_time"]
        for rest in ["IN ('a', 'b')", "NOT IN ('a')", "IS NULL", "IS NOT NULL"]
    ),
    *(
        where(text)
        for text in [
            "experiment_id = '{experiment:cat}'",
            "experiment_id != '{experiment:cat}'",
            "experiment_id IN ('{experiment:cat}', '{experiment:dog}', '987654321')",
            "experiment_id NOT IN ('{experiment:cat}', '{experiment:dog}')",
            "experiment_id IN ('{experiment:cat}',)",
            "experiment_id > '0'",
            "experiment_id LIKE '%'",
            "experiment_id = {experiment:cat}",
            "experiment_id IN ()",
            "experiment_id IN (1, 2)",
            "experiment_id = 'abc'",
            "name LIKE '%e%'",
            "name LIKE 'zoo ___'",
            "name LIKE 'ZOO%'",
            "name ILIKE 'ZOO%'",
            "name LIKE 'cat'",
            "name like 'zoo c%'",
            "name ilike 'zoo C%'",
            'name = "zoo cat"',
            "`name` = 'zoo cat'",
            "attribute.`name` = 'zoo cat'",
            "name = zoo",
            "name = 5",
            "name == 'zoo cat'",
            "name <> 'zoo cat'",
            "'zoo cat' = name",
            "name",
            "name =",
            "name = 'unclosed",
            "creation_time > 1.5",
            "creation_time > -1",
            "creation_time > '1000'",
            "creation_time > 1e3",
            "creation_time > 9999999999999999999999",
            "attributes.name = 'zoo cat'",
            "attr.name = 'zoo cat'",
            "lifecycle_stage = 'active'",
            "artifact_location LIKE '%'",
            "colour = 'red'",
            "metrics.acc > 1",
            'tags.team = "it\'s"',
            "tags.`team` = 'red' AND tags.legs = '6'",
            "tags.\"team\" = 'red'",
            "tags.team = 'red' AND tags.team = 'Red'",
            "tags.mlflow.note.content IS NULL",
            "tags. = 'x'",
            "tags = 'x'",
            "name = 'a' OR name = 'zoo cat'",
            "NOT name = 'a'",
            "(name = 'zoo cat')",
            "name = 'a'; name = 'b'",
            "name = 'zoo cat' -- comment",
        ]
    ),
    *(
        alone(text)
        for text in [
            "AND name = 'zoo cat'",
            "name = 'zoo cat' AND",
            "name = 'zoo cat' and name != 'x'",
            "%",
            "' OR 1=1",
            ";",
        ]
    ),
    search("filter as number", filter=5),
    search("filter as list", filter=["name = 'x'"]),
    get("get a search of experiments", "experiments/search", {"max_results": "100", "filter": ZOO}),
    to_the_end(
        get(
            "get a search of experiments: all fields",
            "experiments/search",
            {"max_results": "2", "filter": ZOO, "view_type": "ALL", "order_by": ["name DESC", "experiment_id ASC"]},
        )
    ),
    get(
        "get a search of experiments: one order",
        "experiments/search",
        {"max_results": "9", "filter": ZOO, "order_by": "name"},
    ),
    get("get a search of experiments: no max_results", "experiments/search", {"filter": ZOO}),
    get("get a search of experiments: bad max_results", "experiments/search", {"filter": ZOO, "max_results": "many"}),
    get(
        "get a search of experiments: bad view",
        "experiments/search",
        {"filter": ZOO, "max_results": "9", "view_type": "NO"},
    ),
    get("get a search of experiments: no query", "experiments/search"),
    get(
        "get a search of experiments for the UI",
        "/ajax-api/2.0/mlflow/experiments/search",
        {"max_results": "9", "filter": ZOO, "view_type": "DELETED_ONLY"},
    ),
]

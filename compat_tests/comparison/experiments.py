"""Experiments: create, get, update, delete, restore, tags."""

import json

from compat_tests.comparison.call import Call, Json, experiment, get, post, short

A_KEY_TOO_LONG = "k" * 251
PLAIN = {"experiment_id": "{experiment:plain}"}
UNKNOWN = {"experiment_id": "987654321"}


def create(name: str, body: Json, **headers: str) -> Call:
    """A creation nobody comes back to."""
    sent = {key.replace("_", "-"): value for key, value in headers.items()}
    return post(f"create experiment: {name}", "experiments/create", body, headers=sent)


CREATE = [
    post("create experiment", "experiments/create", {"name": "plain"}, keep={"experiment:plain": "experiment_id"}),
    get("get it", "experiments/get", PLAIN),
    post(
        "create experiment: everything",
        "experiments/create",
        {
            "name": "full",
            "artifact_location": "s3://bucket/dir",
            "tags": [
                {"key": "b", "value": "2"},
                {"key": "a", "value": "1"},
                {"key": "mlflow.note.content", "value": "#"},
            ],
        },
        keep={"experiment:full": "experiment_id"},
    ),
    get("get everything", "experiments/get", {"experiment_id": "{experiment:full}"}),
    create("taken name", {"name": "plain"}),
    create("no name", {}),
    create("null name", {"name": None}),
    create("empty name", {"name": ""}),
    create("blank name", {"name": "  "}),
    create("number as name", {"name": 5}),
    create("list as name", {"name": ["x"]}),
    create("name of 500", {"name": "n" * 500}),
    create("name of 501", {"name": "n" * 501}),
    create("unicode name", {"name": "实验 ☃ 🐘 'quoted' \"too\" 100% a/b"}),
    create("unknown field", {"name": "unknown field", "colour": "red", "nested": {"a": [1]}}),
    create("null fields", {"name": "null fields", "artifact_location": None, "tags": None}),
    create("camelCase", {"name": "camelCase", "artifactLocation": "s3://camel/case"}),
    create(
        "both spellings", {"name": "both", "artifactLocation": "s3://camel/case", "artifact_location": "s3://snake"}
    ),
    create("empty location", {"name": "empty location", "artifact_location": ""}),
    create("location with a fragment", {"name": "fragment", "artifact_location": "s3://bucket/a#b"}),
    create("location with params", {"name": "params", "artifact_location": "s3://bucket/a;b"}),
    create("location of runs", {"name": "runs", "artifact_location": "runs:/abc/x"}),
    create("location of 2049", {"name": "long", "artifact_location": "s3://bucket/" + "x" * 2037}),
    create("location of a host", {"name": "host", "artifact_location": "hdfs://host:8020/dir"}),
    create("location with dots", {"name": "dots", "artifact_location": "mlflow-artifacts:/a/../../b"}),
    create("number as location", {"name": "number", "artifact_location": 7}),
    create("tag twice", {"name": "tag twice", "tags": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}),
    create("tag without value", {"name": "no tag value", "tags": [{"key": "a"}]}),
    create("tag without key", {"name": "no tag key", "tags": [{"value": "a"}]}),
    create("tag with an empty key", {"name": "empty key", "tags": [{"key": "", "value": "a"}]}),
    create("bad tag key", {"name": "bad key", "tags": [{"key": "a*b", "value": "1"}]}),
    create("tag key of 251", {"name": "long key", "tags": [{"key": A_KEY_TOO_LONG, "value": "1"}]}),
    create("tag value of 20001", {"name": "long value", "tags": [{"key": "a", "value": "v" * 20_001}]}),
    create("number as tag value", {"name": "number value", "tags": [{"key": "a", "value": 1}]}),
    create("tags as a map", {"name": "map", "tags": {"a": "1"}}),
    create("tags as text", {"name": "text", "tags": "a=1"}),
    create("list of text as tags", {"name": "texts", "tags": ["a"]}),
    create("body twice encoded", json.dumps({"name": "twice encoded"})),
    create("charset in the content type", {"name": "charset"}, Content_Type="application/json; charset=utf-8"),
    create("text/plain", {"name": "text/plain"}, Content_Type="text/plain"),
    create("form", b"name=form", Content_Type="application/x-www-form-urlencoded"),
    create("no content type", {"name": "no content type"}, Content_Type=""),
    create("no body", None, Content_Type="application/json"),
    create("empty body", b""),
    create("cut off body", b'{"name": "cut'),
    create("not JSON", b"hello"),
    create("not UTF-8", b'{"name": "\xff\xfe"}'),
    create("a list as body", ["name"]),
    create("a number as body", 5),
    create("null as body", b"null"),
    create("text as body", "hello"),
    create("a trailing comma", b'{"name": "trailing comma",}'),
    create("the same field twice", b'{"name": "first of two", "name": "second of two"}'),
    create("a lone surrogate", b'{"name": "\\ud800"}'),
    create("a NUL", b'{"name": "a\\u0000b"}'),
    post("create experiment for the UI", "/ajax-api/2.0/mlflow/experiments/create", {"name": "from the UI"}),
]

GET = [
    get("get experiment: no id", "experiments/get"),
    get("get experiment: empty id", "experiments/get", {"experiment_id": ""}),
    get("get experiment: unknown id", "experiments/get", UNKNOWN),
    get("get experiment: no number", "experiments/get", {"experiment_id": "abc"}),
    get("get experiment: negative", "experiments/get", {"experiment_id": "-1"}),
    get("get experiment: fraction", "experiments/get", {"experiment_id": "1.5"}),
    get("get experiment: beyond 64 bits", "experiments/get", {"experiment_id": "9" * 25}),
    get("get experiment: camelCase in the query", "experiments/get", {"experimentId": "0"}),
    get("get experiment: unknown name in the query", "experiments/get", {"experiment_id": "0", "colour": "red"}),
    get("get experiment: in a body", "experiments/get", {}, {"experiment_id": "0"}),
    get("get experiment by name", "experiments/get-by-name", {"experiment_name": "plain"}),
    get("get experiment by name: unknown", "experiments/get-by-name", {"experiment_name": "never"}),
    get("get experiment by name: other case", "experiments/get-by-name", {"experiment_name": "PLAIN"}),
    get("get experiment by name: none", "experiments/get-by-name"),
    get("get experiment by name: empty", "experiments/get-by-name", {"experiment_name": ""}),
    get("get experiment by name: tag twice", "experiments/get-by-name", {"experiment_name": "tag twice"}),
    get("get experiment by name: no tag value", "experiments/get-by-name", {"experiment_name": "no tag value"}),
    get("get experiment by name: camelCase", "experiments/get-by-name", {"experiment_name": "camelCase"}),
    get("get experiment by name: empty location", "experiments/get-by-name", {"experiment_name": "empty location"}),
    get(
        "get experiment by name: unicode",
        "experiments/get-by-name",
        {"experiment_name": "实验 ☃ 🐘 'quoted' \"too\" 100% a/b"},
    ),
]

UPDATE = [
    experiment("to rename", "renamed"),
    post("rename", "experiments/update", {"experiment_id": "{experiment:renamed}", "new_name": "ünï renamed"}),
    get("get the renamed", "experiments/get", {"experiment_id": "{experiment:renamed}"}),
    get("get the old name", "experiments/get-by-name", {"experiment_name": "to rename"}),
    post(
        "rename to itself", "experiments/update", {"experiment_id": "{experiment:renamed}", "new_name": "ünï renamed"}
    ),
    post(
        "rename to a name in use", "experiments/update", {"experiment_id": "{experiment:renamed}", "new_name": "plain"}
    ),
    post("rename to nothing", "experiments/update", {"experiment_id": "{experiment:renamed}"}),
    post("rename to an empty name", "experiments/update", {"experiment_id": "{experiment:renamed}", "new_name": ""}),
    post("rename to 501", "experiments/update", {"experiment_id": "{experiment:renamed}", "new_name": "n" * 501}),
    post("rename to a number", "experiments/update", {"experiment_id": "{experiment:renamed}", "new_name": 5}),
    post("rename nothing", "experiments/update", {"new_name": "x"}),
    post("rename an unknown", "experiments/update", UNKNOWN | {"new_name": "x"}),
    post("rename no number", "experiments/update", {"experiment_id": "abc", "new_name": "x"}),
    post("rename by number", "experiments/update", {"experiment_id": 987654321, "new_name": "x"}),
    post(
        "rename in camelCase", "experiments/update", {"experimentId": "{experiment:renamed}", "newName": "in camelCase"}
    ),
]

LIFE = [
    experiment("to delete", "deleted"),
    post("delete experiment", "experiments/delete", {"experiment_id": "{experiment:deleted}"}),
    get("get the deleted", "experiments/get", {"experiment_id": "{experiment:deleted}"}),
    get("get the deleted by name", "experiments/get-by-name", {"experiment_name": "to delete"}),
    post("delete experiment: again", "experiments/delete", {"experiment_id": "{experiment:deleted}"}),
    create("name of a deleted one", {"name": "to delete"}),
    post("rename a deleted one", "experiments/update", {"experiment_id": "{experiment:deleted}", "new_name": "x"}),
    post("tag a deleted one", "experiments/set-experiment-tag", {"experiment_id": "{experiment:deleted}", "key": "a"}),
    post(
        "untag a deleted one",
        "experiments/delete-experiment-tag",
        {"experiment_id": "{experiment:deleted}", "key": "a"},
    ),
    post("restore experiment", "experiments/restore", {"experiment_id": "{experiment:deleted}"}),
    get("get the restored", "experiments/get", {"experiment_id": "{experiment:deleted}"}),
    post("restore experiment: again", "experiments/restore", {"experiment_id": "{experiment:deleted}"}),
    *(
        post(f"{verb} experiment: {name}", f"experiments/{verb}", body)
        for verb in ("delete", "restore")
        for name, body in [
            ("no id", {}),
            ("empty id", {"experiment_id": ""}),
            ("unknown id", UNKNOWN),
            ("no number", {"experiment_id": "abc"}),
            ("a number", {"experiment_id": 987654321}),
        ]
    ),
]


def set_tag(name: str, **fields: Json) -> Call:
    return post(f"tag experiment: {name}", "experiments/set-experiment-tag", PLAIN | fields)


def delete_tag(name: str, body: Json) -> Call:
    return post(f"untag experiment: {name}", "experiments/delete-experiment-tag", body)


TAGS = [
    set_tag("new", key="a", value="1"),
    set_tag("again", key="a", value="2"),
    set_tag("no value", key="b"),
    set_tag("empty value", key="c", value=""),
    set_tag("null value", key="d", value=None),
    set_tag("note", key="mlflow.note.content", value="What *this* is"),
    set_tag("value of 20000", key="long", value="v" * 20_000),
    set_tag("value of 20001", key="longer", value="v" * 20_001),
    set_tag("key of 250", key="k" * 250, value="1"),
    set_tag("key of 251", key=A_KEY_TOO_LONG, value="1"),
    set_tag("number", key="e", value=5),
    set_tag("no key", value="1"),
    set_tag("empty key", key="", value="1"),
    *(
        set_tag(f"key {short(key)}", key=key, value="1")
        for key in ["a//b", "/a", "a/", "../a", "a*b", "a\nb", "ü n:ï/x.y-z"]
    ),
    post("tag experiment: unknown", "experiments/set-experiment-tag", UNKNOWN | {"key": "a", "value": "1"}),
    post("tag experiment: no id", "experiments/set-experiment-tag", {"key": "a", "value": "1"}),
    post(
        "tag experiment: no number", "experiments/set-experiment-tag", {"experiment_id": "x", "key": "a", "value": "1"}
    ),
    get("get the tagged", "experiments/get", PLAIN),
    delete_tag("one", PLAIN | {"key": "a"}),
    delete_tag("note", PLAIN | {"key": "mlflow.note.content"}),
    delete_tag("again", PLAIN | {"key": "a"}),
    delete_tag("no key", PLAIN),
    delete_tag("empty key", PLAIN | {"key": ""}),
    delete_tag("no id", {"key": "a"}),
    delete_tag("unknown", UNKNOWN | {"key": "a"}),
    delete_tag("no number", {"experiment_id": "x", "key": "a"}),
    get("get the untagged", "experiments/get", PLAIN),
]

EXPERIMENTS = CREATE + GET + UPDATE + LIFE + TAGS

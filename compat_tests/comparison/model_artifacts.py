"""Artifacts past the server, uploads of the UI, and the files of logged models and model versions."""

from compat_tests.comparison.artifacts import HOME, PROXY, RUN, UNKNOWN
from compat_tests.comparison.call import Call, Json, Query, experiment, get, post, run

MPU, PRESIGNED = "/api/2.0/mlflow-artifacts/mpu", "/api/2.0/mlflow-artifacts/presigned"
UPLOAD = "/ajax-api/2.0/mlflow/upload-artifact"
MODEL = "{model:filed}"
MODEL_HOME = f"{{experiment:filed}}/models/{MODEL}/artifacts"
OF_MODEL = f"logged-models/{MODEL}/artifacts"
UI_OF_MODEL = f"/ajax-api/2.0/mlflow/{OF_MODEL}"
VERSION = {"name": "filed model", "version": "1"}
SENDS_JSON = {"Content-Type": "application/json"}
PART = {"part_number": 1, "etag": "e", "url": "http://localhost/x"}
TWO_MEGABYTES = b"0123456789abcdef" * 65536 * 2


def multipart(verb: str, name: str, body: Json, folder: str = HOME) -> Call:
    return post(f"{verb} parts: {name}", f"{MPU}/{verb}/{folder}", body, headers=SENDS_JSON)


def presign(way: str, name: str, body: Json) -> Call:
    return post(f"presign {way}: {name}", f"artifacts/presigned-{way}-url", body)


def upload(name: str, query: Query, body: bytes) -> Call:
    return Call(f"upload {name}", "POST", UPLOAD, query, body, {"Content-Type": "text/plain"})


def models_folder(name: str, query: Query) -> Call:
    return get(f"model's folder: {name}", f"{OF_MODEL}/directories", query)


def models_file(name: str, query: Query, **headers: str) -> Call:
    return get(f"model's file: {name}", f"{UI_OF_MODEL}/files", query, headers=headers)


def versions_file(name: str, query: Query) -> Call:
    return get(f"version's file: {name}", "/model-versions/get-artifact", query)


ADDRESSES = [
    multipart("create", "a file", {"path": "/home/me/large.bin", "num_parts": 2}),
    multipart("create", "one part", {"path": "large.bin"}),
    multipart("create", "no path", {"num_parts": 2}),
    multipart("create", "words for a number", {"path": "a", "num_parts": "many"}),
    multipart("create", "what is outside", {"path": "a", "num_parts": 1}, "%2e%2e/x"),
    multipart("complete", "a file", {"path": "large.bin", "upload_id": "u", "parts": [PART]}),
    multipart("complete", "no parts", {"path": "large.bin", "upload_id": "u"}),
    multipart("complete", "no path", {"upload_id": "u", "parts": [PART]}),
    multipart("abort", "a file", {"path": "large.bin", "upload_id": "u"}),
    multipart("abort", "no path", {"upload_id": "u"}),
    multipart("abort", "what is outside", {"path": "a", "upload_id": "u"}, "..%2F..%2Fx"),
    get("presigned", f"{PRESIGNED}/{HOME}/a.txt"),
    get("presigned: what is outside", f"{PRESIGNED}/%2e%2e/a.txt"),
    get("presigned for the UI", f"/ajax-api/2.0/mlflow-artifacts/presigned/{HOME}/a.txt"),
    *(
        presign(way, name, body)
        for way in ("upload", "download")
        for name, body in [
            ("a file", RUN | {"path": "a.txt"}),
            ("with an expiration", RUN | {"path": "a.txt", "expiration": 60}),
            ("no path", RUN),
            ("what is outside", RUN | {"path": "../../a.txt"}),
            ("an unknown run", {"run_id": UNKNOWN, "path": "a.txt"}),
            ("no run", {"path": "a.txt"}),
            ("words for a number", RUN | {"path": "a.txt", "expiration": "soon"}),
        ]
    ),
    presign("upload", "a run and a model", RUN | {"model_id": "m-1", "path": "a.txt"}),
    presign("upload", "an unknown model", {"model_id": "m-1", "path": "a.txt"}),
    presign("download", "too long", RUN | {"path": "a.txt", "expiration": 604801}),
    presign("download", "no time at all", RUN | {"path": "a.txt", "expiration": 0}),
]

UPLOADS = [
    upload("a note", {"run_uuid": "{run:notes}", "path": "notes/a.txt"}, b"a note"),
    upload("over it", {"run_uuid": "{run:notes}", "path": "notes/a.txt"}, b"another"),
    upload("at the root", {"run_uuid": "{run:notes}", "path": "b c.txt"}, b"b"),
    upload("2 MiB", {"run_uuid": "{run:notes}", "path": "large.bin"}, TWO_MEGABYTES),
    upload("nothing", {"run_uuid": "{run:notes}", "path": "c.txt"}, b""),
    upload("no path", {"run_uuid": "{run:notes}"}, b"x"),
    upload("an empty path", {"run_uuid": "{run:notes}", "path": ""}, b"x"),
    upload("no run", {"path": "a.txt"}, b"x"),
    upload("an unknown run", {"run_uuid": UNKNOWN, "path": "a.txt"}, b"x"),
    upload("outside", {"run_uuid": "{run:notes}", "path": "../../a.txt"}, b"x"),
    upload("absolute", {"run_uuid": "{run:notes}", "path": "/etc/a.txt"}, b"x"),
    upload("12 MiB", {"run_uuid": "{run:notes}", "path": "huge.bin"}, TWO_MEGABYTES * 6),
    get("list what was uploaded", "artifacts/list", {"run_id": "{run:notes}"}),
    get("list the notes", "artifacts/list", {"run_id": "{run:notes}", "path": "notes"}),
    get("open the note", "/get-artifact", {"run_id": "{run:notes}", "path": "notes/a.txt"}),
]

FILES_OF_MODELS = [
    experiment("of a model with files", "filed"),
    post(
        "make the model that has files",
        "logged-models",
        {"experiment_id": "{experiment:filed}", "name": "filed"},
        keep={"model:filed": "model.info.model_id"},
    ),
    models_folder("before there is anything", {}),
    Call("put a model's file", "PUT", f"{PROXY}/{MODEL_HOME}/MLmodel", body=b"flavors:\n"),
    Call("put a model's deep file", "PUT", f"{PROXY}/{MODEL_HOME}/data/model.bin", body=bytes(range(256))),
    get("list a model's files on the proxy", PROXY, {"path": MODEL_HOME}),
    get("fetch a model's file from the proxy", f"{PROXY}/{MODEL_HOME}/MLmodel"),
    models_folder("all", {}),
    models_folder("a folder", {"artifact_directory_path": "data"}),
    models_folder("a file", {"artifact_directory_path": "MLmodel"}),
    models_folder("what is missing", {"artifact_directory_path": "none"}),
    models_folder("what is outside", {"artifact_directory_path": "../.."}),
    models_folder("an absolute path", {"artifact_directory_path": "/etc"}),
    get("an unknown model's folder", "logged-models/m-0/artifacts/directories"),
    models_file("a file", {"artifact_file_path": "MLmodel"}),
    models_file("a deep file", {"artifact_file_path": "data/model.bin"}),
    models_file("a part", {"artifact_file_path": "data/model.bin"}, Range="bytes=10-19"),
    models_file("a folder", {"artifact_file_path": "data"}),
    models_file("what is missing", {"artifact_file_path": "none"}),
    models_file("what is outside", {"artifact_file_path": "../../x"}),
    models_file("no path", {}),
    get(
        "an unknown model's file",
        "/ajax-api/2.0/mlflow/logged-models/m-0/artifacts/files",
        {"artifact_file_path": "MLmodel"},
    ),
    presign("upload", "a model's file", {"model_id": MODEL, "path": "a.txt"}),
    post("make the registered model that has files", "registered-models/create", {"name": "filed model"}),
    post(
        "make the version that has files",
        "model-versions/create",
        {"name": "filed model", "source": f"models:/{MODEL}", "model_id": MODEL},
    ),
    versions_file("a file", VERSION | {"path": "MLmodel"}),
    versions_file("a deep file", VERSION | {"path": "data/model.bin"}),
    versions_file("what is missing", VERSION | {"path": "none"}),
    versions_file("what is outside", VERSION | {"path": "../../x"}),
    versions_file("a folder", VERSION | {"path": "data"}),
    versions_file("no path", VERSION),
    versions_file("another version", VERSION | {"version": "2", "path": "MLmodel"}),
    versions_file("no number", VERSION | {"version": "x", "path": "MLmodel"}),
    versions_file("another model", VERSION | {"name": "none", "path": "MLmodel"}),
]

MODEL_ARTIFACTS = [
    experiment("of notes", "notes"),
    run("notes", "notes"),
    *ADDRESSES,
    *UPLOADS,
]

"""Files of runs, through the proxy and as the UI sees them."""

from compat_tests.comparison.call import Call, Json, Query, experiment, get, run, short

PROXY = "/api/2.0/mlflow-artifacts/artifacts"
HOME = "{experiment:files}/{run:files}/artifacts"
ODD = "{experiment:files}/{run:odd files}/artifacts"
RUN = {"run_id": "{run:files}"}
UNKNOWN = "0" * 32


def put(path: str, content: bytes, home: str = HOME, **headers: str) -> Call:
    sent = {key.replace("_", "-"): value for key, value in headers.items()}
    return Call(f"put {short(path)}", "PUT", f"{PROXY}/{home}/{path}", body=content, headers=sent)


def fetch(path: str, **headers: str) -> Call:
    sent = {key.replace("_", "-"): value for key, value in headers.items()}
    named = "".join(f" with {key}: {value}" for key, value in sent.items())
    return get(f"fetch {path}{named}", f"{PROXY}/{HOME}/{path}", headers=sent)


def proxied(path: str) -> Call:
    return get(f"list proxied {path!r}", PROXY, {"path": path})


def delete(path: str) -> Call:
    return Call(f"delete {path}", "DELETE", f"{PROXY}/{HOME}/{path}")


def listed(name: str, query: Query, body: Json = None) -> Call:
    return get(f"list {name}", "artifacts/list", query, body)


def opened(name: str, query: Query, **headers: str) -> Call:
    return get(f"open {name}", "/get-artifact", query, headers=headers)


ARTIFACTS = [
    experiment("of files", "files"),
    run("files", "files"),
    run("odd files", "files"),
    listed("before there is anything", RUN),
    get("list proxied before there is anything", PROXY, {"path": HOME}),
    put("a.txt", b"hello"),
    put("dir/b.json", b'{"b": 1}', Content_Type="application/json"),
    put("dir/deep/c.bin", bytes(range(256))),
    put("dir/page.html", b"<p>page</p>", Content_Type="text/html"),
    put("dir/table.csv", b"a,b\n1,2\n"),
    put("dir/picture.png", b"\x89PNG"),
    put("dir/model.pkl", b"\x80"),
    put("dir/MLmodel", b"flavors:\n"),
    put("empty.txt", b""),
    put("a%20b.txt", b"spaced"),
    put("%C3%BCn%C3%AF.txt", "ünï".encode()),
    put("1+1.txt", b"plus"),
    put("100%25.txt", b"percent"),
    put("it's.txt", b"quoted"),
    put("semi%3Bcolon.txt", b";"),
    put("dir/../a.txt", b"escape within"),
    put("../../x.txt", b"escape"),
    put("%2e%2e/x.txt", b"escape"),
    put("%252e%252e/x.txt", b"escape twice encoded"),
    put("..%2Fx.txt", b"escape"),
    put("..%5Cx.txt", b"escape", ODD),
    put("/etc/x.txt", b"absolute", ODD),
    put("%2Fetc/x.txt", b"absolute", ODD),
    put("C%3A%5Cx.txt", b"windows", ODD),
    put("a%00b.txt", b"nul", ODD),
    put("a%23b.txt", b"fragment"),
    put("dir/", b"a folder"),
    put("dir", b"over a folder"),
    put("a.txt/b.txt", b"under a file"),
    put("n" * 300 + ".txt", b"long name"),
    Call("put into nothing", "PUT", f"{PROXY}/", body=b"x"),
    Call("put for the UI", "PUT", f"/ajax-api/2.0/mlflow-artifacts/artifacts/{HOME}/ui.txt", body=b"ui"),
    Call("post a file", "POST", f"{PROXY}/{HOME}/a.txt", body=b"x"),
    proxied(HOME),
    proxied(f"{HOME}/dir"),
    proxied(f"{HOME}/dir/"),
    proxied(f"{HOME}/a.txt"),
    proxied(f"{HOME}/missing"),
    proxied("{experiment:files}/{run:files}"),
    proxied(f"{HOME}/../artifacts"),
    proxied("../.."),
    proxied("/etc"),
    proxied("%2e%2e"),
    proxied("file:///etc"),
    fetch("a.txt"),
    fetch("dir/b.json"),
    fetch("dir/deep/c.bin"),
    fetch("dir/page.html"),
    fetch("dir/table.csv"),
    fetch("dir/picture.png"),
    fetch("dir/model.pkl"),
    fetch("dir/MLmodel"),
    fetch("empty.txt"),
    fetch("a%20b.txt"),
    fetch("%C3%BCn%C3%AF.txt"),
    fetch("1+1.txt"),
    fetch("100%25.txt"),
    fetch("it's.txt"),
    fetch("semi%3Bcolon.txt"),
    fetch("ui.txt"),
    fetch("missing.txt"),
    fetch("dir"),
    fetch("dir/"),
    fetch("../../x.txt"),
    fetch("%2e%2e/%2e%2e/x.txt"),
    fetch("%252e%252e/x.txt"),
    fetch("a%00b.txt"),
    fetch("dir/deep/c.bin", Range="bytes=10-19"),
    fetch("dir/deep/c.bin", Range="bytes=250-"),
    fetch("dir/deep/c.bin", Range="bytes=-6"),
    fetch("dir/deep/c.bin", Range="bytes=300-"),
    get("fetch for the UI", f"/ajax-api/2.0/mlflow-artifacts/artifacts/{HOME}/a.txt"),
    listed("the run", RUN),
    listed("the run for run_uuid", {"run_uuid": "{run:files}"}),
    listed("the run in a body", {}, {"run_id": "{run:files}"}),
    listed("a folder", RUN | {"path": "dir"}),
    listed("a folder with a slash", RUN | {"path": "dir/"}),
    listed("a deep folder", RUN | {"path": "dir/deep"}),
    listed("a file", RUN | {"path": "a.txt"}),
    listed("a file with a space", RUN | {"path": "a b.txt"}),
    listed("what is missing", RUN | {"path": "missing"}),
    listed("an empty path", RUN | {"path": ""}),
    *(
        listed(f"the path {path!r}", RUN | {"path": path})
        for path in ["..", "../..", "/etc", "dir/..", "%2e%2e", "..\\x", "C:\\", "a\0b", "#", "dir/deep/.", "dir//deep"]
    ),
    listed("no run", {}),
    listed("an unknown run", {"run_id": UNKNOWN}),
    listed("an odd run", {"run_id": "no such run"}),
    get("list for the UI", "/ajax-api/2.0/mlflow/artifacts/list", RUN | {"path": "dir"}),
    opened("a file", RUN | {"path": "a.txt"}),
    opened("a file by run_uuid", {"run_uuid": "{run:files}", "path": "a.txt"}),
    opened("a page", RUN | {"path": "dir/page.html"}),
    opened("a picture", RUN | {"path": "dir/picture.png"}),
    opened("a table", RUN | {"path": "dir/table.csv"}),
    opened("a file of an odd name", RUN | {"path": "ünï.txt"}),
    opened("a part", RUN | {"path": "dir/deep/c.bin"}, Range="bytes=10-19"),
    opened("a folder", RUN | {"path": "dir"}),
    opened("what is missing", RUN | {"path": "missing.txt"}),
    opened("what is outside", RUN | {"path": "../../x"}),
    opened("an absolute path", RUN | {"path": "/etc/passwd"}),
    opened("an empty path", RUN | {"path": ""}),
    opened("no path", RUN),
    opened("no run", {"path": "a.txt"}),
    opened("an unknown run", {"run_id": UNKNOWN, "path": "a.txt"}),
    delete("a.txt"),
    delete("a.txt/again"),
    delete("dir"),
    delete("missing"),
    delete("../../x"),
    delete("%2e%2e/x"),
    get("fetch the deleted", f"{PROXY}/{HOME}/dir/b.json"),
    listed("what is left", RUN),
    Call("delete the root", "DELETE", f"{PROXY}/"),
]

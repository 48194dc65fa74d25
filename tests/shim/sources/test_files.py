from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from native_api.core import stores
from native_api.core.errors import Invalid, Unavailable
from native_api.transfer.records import Files
from shim.sources import files as files_module
from shim.sources.connection import Connection
from shim.sources.files import open_files
from tests import s3

RUN = "a" * 32


@pytest.fixture
def kept(folder: Path) -> Path:
    """An `mlruns` folder with two files of a run, a link that leads out, and a file outside."""
    root = folder / "mlruns" / "7" / RUN / "artifacts"
    (root / "model").mkdir(parents=True)
    (root / "model" / "käse 1.txt").write_bytes(b"one")
    (root / "two").write_bytes(b"")
    (folder / "secret").write_bytes(b"secret")
    (root / "link").symlink_to(folder / "secret")
    (root / "model" / "up").symlink_to(folder)
    return folder / "mlruns"


def content(files: Files, root: str) -> dict[str, bytes]:
    """All below a root; a listing's sizes are right."""
    found = {path: (size, b"".join(files.read(root, path))) for path, size in files.below(root)}
    assert all(size == len(data) for size, data in found.values())
    return {path: data for path, (_, data) in found.items()}


WANTED = {"model/käse 1.txt": b"one", "two": b""}


def test_local_paths_and_uris(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = open_files("sqlite:///mlflow.db", None)
    root = kept / "7" / RUN / "artifacts"
    assert content(files, str(root)) == content(files, root.as_uri()) == WANTED
    monkeypatch.chdir(kept.parent)
    assert content(files, f"./mlruns/7/{RUN}/artifacts") == WANTED
    assert content(open_files("sqlite:///mlflow.db", str(kept)), f"7/{RUN}/artifacts") == WANTED


def test_a_folder_that_was_moved(kept: Path) -> None:
    files = open_files(str(kept), None)
    assert content(files, f"file:///gone/mlruns/7/{RUN}/artifacts") == WANTED
    model = kept / "7/models/m-1/artifacts"
    model.mkdir(parents=True)
    (model / "MLmodel").write_bytes(b"model")
    assert content(files, "/gone/7/models/m-1/artifacts") == {"MLmodel": b"model"}
    assert files.below("/gone/8/other/artifacts") == []
    (kept / ".trash").mkdir()
    (kept / "7").rename(kept / ".trash" / "7")
    assert content(files, f"{kept}/7/{RUN}/artifacts") == WANTED
    with pytest.raises(Invalid):
        files.below("/gone/../../secret")


def test_what_a_server_kept_is_where_the_caller_says(kept: Path) -> None:
    root = f"mlflow-artifacts:/7/{RUN}/artifacts"
    assert content(open_files("sqlite:///mlflow.db", str(kept)), root) == WANTED
    with pytest.raises(Unavailable, match="--artifacts-from"):
        open_files("sqlite:///mlflow.db", None).below(root)


def test_buckets(kept: Path, s3_server: s3.S3) -> None:
    bucket = s3_server.new_bucket()
    store = stores.open_store(f"s3://{bucket}/old")
    for path, data in WANTED.items():
        store.put(f"7/{RUN}/artifacts/{path}", [data])
    assert content(open_files("sqlite:///mlflow.db", None), f"s3://{bucket}/old/7/{RUN}/artifacts") == WANTED
    from_bucket = open_files("sqlite:///mlflow.db", f"s3://{bucket}/old")
    assert content(from_bucket, f"mlflow-artifacts:/7/{RUN}/artifacts") == WANTED


def test_a_running_server(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = "/api/2.0/mlflow-artifacts/artifacts"

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == prefix:
            folder = kept / request.url.params["path"]
            listed = [
                {"path": entry.name, "is_dir": entry.is_dir(), "file_size": str(entry.stat().st_size)}
                for entry in folder.iterdir()
                if not entry.is_symlink()
            ]
            return httpx.Response(200, json={"files": listed})
        return httpx.Response(200, content=(kept / request.url.path.removeprefix(f"{prefix}/")).read_bytes())

    transport = httpx.MockTransport(handle)
    monkeypatch.setattr(files_module, "Connection", lambda url, workspace: Connection(url, workspace, transport))
    files = open_files("http://mlflow:5000", None)
    assert content(files, f"mlflow-artifacts:/7/{RUN}/artifacts") == WANTED


@pytest.mark.parametrize("path", ["../../../secret", "/etc/passwd", "a/../../x", "a\0b"])
def test_no_path_leads_out(kept: Path, path: str) -> None:
    with pytest.raises(Invalid):
        open_files(str(kept), None).read(str(kept / "7"), path)


@pytest.mark.parametrize("root", ["dbfs:/x", "hdfs://x/y", "https://host/x"])
def test_places_that_cannot_be_read(root: str) -> None:
    with pytest.raises(Unavailable):
        open_files("sqlite:///mlflow.db", None).below(root)


def test_what_is_no_place(folder: Path) -> None:
    with pytest.raises(Invalid):
        open_files("sqlite:///mlflow.db", str(folder / "none"))
    assert not (folder / "none").exists()

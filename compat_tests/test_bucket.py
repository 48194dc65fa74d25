"""The real client and a server with its artifacts in a bucket: large files go past it and come back the same."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from compat_tests import processes

pytestmark = pytest.mark.skipif(not find_spec("moto"), reason="there is no S3 server here")

MEGABYTE = 1024 * 1024
PART = 5 * MEGABYTE
"""The least that S3 takes."""


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with processes.running("sqlite-s3", tmp_path_factory.mktemp("bucket")) as server:
        yield server.uri


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the client sends through `requests`: method and host, as it comes."""
    sent: list[tuple[str, str]] = []
    send = requests.Session.send

    def noted(session: requests.Session, request: requests.PreparedRequest, **options: object) -> requests.Response:
        sent.append((str(request.method), urlsplit(str(request.url)).netloc))
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", noted)
    return sent


@pytest.mark.parametrize("size", [1000, 2 * PART + 1000])
def test_a_large_file_goes_past_the_server(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, addresses: list[tuple[str, str]], size: int
) -> None:
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", str(2 * PART))
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", str(PART))
    client = MlflowClient(uri)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    run_id = client.create_run("0").info.run_id
    content, server = os.urandom(size), urlsplit(uri).netloc
    (tmp_path / "ü b.bin").write_bytes(content)
    client.log_artifact(run_id, str(tmp_path / "ü b.bin"), "deep")
    puts = [host for method, host in addresses if method == "PUT"]
    if size < PART:
        assert puts == [server]
    else:
        assert len(puts) == 3
        assert server not in puts
    assert [(file.path, file.file_size) for file in client.list_artifacts(run_id, "deep")] == [("deep/ü b.bin", size)]
    addresses.clear()
    (tmp_path / "back").mkdir()
    back = download_artifacts(run_id=run_id, artifact_path="deep", dst_path=str(tmp_path / "back"), tracking_uri=uri)
    assert (Path(back) / "ü b.bin").read_bytes() == content
    assert any(host != server for _, host in addresses)

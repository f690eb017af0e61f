"""Fetching a model: each scheme, each way to fail, and nothing half-done."""

from __future__ import annotations

import base64
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead_runtime.repository import errors, transfer
from fairlead_runtime.repository.fetch import fetch

BODY = b"\x08\x08onnx" * 1000
DIGEST = "sha256:" + hashlib.sha256(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """A model store with every mood that the tests need."""

    failures = 0

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        given = self.headers.get("Authorization")
        if path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/model.onnx")
            self.end_headers()
            return
        if path == "/private" and given not in ("Bearer abc", _basic("me", "pw")):
            self.send_error(401)
            return
        if path == "/flaky" and Handler.failures > 0:
            Handler.failures -= 1
            self.send_error(503)
            return
        if path == "/missing":
            self.send_error(404)
            return
        if path == "/down":
            self.send_error(500)
            return
        body = b"<!DOCTYPE html><html></html>" if path == "/page" else BODY
        if path.startswith("/big"):
            body = b"\x08" * ((1 << 20) + 1)
        self.send_response(200)
        size = len(body) * 2 if path == "/cut" else len(body)
        if not path.endswith("unsized"):
            self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def store() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_FIRST_PAUSE_S", 0.001)


@pytest.mark.parametrize("path", ["model.onnx", "redirect", "unsized", "model.onnx?signature=a"])
def test_http_gives_the_bytes_and_their_digest(store: str, tmp_path: Path, path: str) -> None:
    done = fetch(f"{store}/{path}", tmp_path)
    assert (done.digest, done.size_bytes) == (DIGEST, len(BODY))
    assert (tmp_path / "model.onnx").read_bytes() == BODY
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


def test_an_unsteady_server_is_asked_again(store: str, tmp_path: Path) -> None:
    Handler.failures = 2
    assert fetch(f"{store}/flaky", tmp_path).digest == DIGEST


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("missing", errors.SourceNotFoundError),
        ("private", errors.DownloadRefusedError),
        ("down", errors.DownloadFailedError),
        ("cut", errors.DownloadFailedError),
        ("page", errors.InvalidModelError),
    ],
)
def test_a_failed_download_says_why_and_leaves_nothing(
    store: str, tmp_path: Path, path: str, expected: type[errors.FetchError]
) -> None:
    with pytest.raises(expected):
        fetch(f"{store}/{path}", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_server_is_a_failed_download(tmp_path: Path) -> None:
    with pytest.raises(errors.DownloadFailedError, match="cannot be downloaded"):
        fetch("http://127.0.0.1:9/model.onnx", tmp_path)


@pytest.mark.parametrize(
    "keys", [{"token": "abc\n"}, {"username": "me", "password": "pw"}], ids=["bearer", "basic"]
)
def test_credentials_come_from_the_secret(store: str, tmp_path: Path, keys: dict[str, str]) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    for name, value in keys.items():
        (secret / name).write_text(value)
    assert fetch(f"{store}/private", tmp_path / "out", secret_dir=secret).digest == DIGEST


def test_a_signature_in_the_query_is_not_shown(store: str, tmp_path: Path) -> None:
    with pytest.raises(errors.SourceNotFoundError) as refused:
        fetch(f"{store}/missing?signature=hidden", tmp_path)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize("path", ["big", "big-unsized"])
def test_a_model_over_the_limit_is_refused(store: str, tmp_path: Path, path: str) -> None:
    with pytest.raises(errors.ModelTooLargeError, match="maxSizeMiB"):
        fetch(f"{store}/{path}", tmp_path, max_size_mib=1)
    assert list(tmp_path.iterdir()) == []


def test_other_bytes_than_pinned_are_refused(store: str, tmp_path: Path) -> None:
    with pytest.raises(errors.DigestMismatchError, match=DIGEST):
        fetch(f"{store}/model.onnx", tmp_path, pinned="sha256:" + "0" * 64)


def test_other_bytes_than_the_first_pod_found_are_refused(store: str, tmp_path: Path) -> None:
    with pytest.raises(errors.ModelChangedInPlaceError):
        fetch(f"{store}/model.onnx", tmp_path, resolved="sha256:" + "0" * 64)


def test_a_configmap_key_is_read_through_its_links(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "..data_1").mkdir(parents=True)
    (source / "..data_1" / "fraud.onnx").write_bytes(BODY)
    (source / "..data").symlink_to("..data_1")
    (source / "fraud.onnx").symlink_to("..data/fraud.onnx")
    done = fetch("configmap://models/fraud.onnx", tmp_path / "out", source_dir=source)
    assert done.digest == DIGEST


def test_a_missing_key_names_the_keys_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(BODY)
    with pytest.raises(errors.SourceNotFoundError, match=r"there are: other\.onnx"):
        fetch("configmap://models/fraud.onnx", tmp_path / "out", source_dir=tmp_path)


def test_a_folder_comes_with_everything_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "claim" / "fraud" / "7"
    (folder / "sub").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(BODY)
    (folder / "model.onnx.data").write_bytes(b"weights")
    (folder / "sub" / "profile.json").write_text("{}")
    (folder / ".hidden").write_text("")
    fetch("pvc://models/fraud/7", tmp_path / "out", source_dir=tmp_path / "claim")
    found = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*")}
    assert found == {"model.onnx", "model.onnx.data", "sub", "sub/profile.json"}


def test_a_link_out_of_the_claim_is_refused(tmp_path: Path) -> None:
    (tmp_path / "claim").mkdir()
    (tmp_path / "claim" / "model.onnx").symlink_to("/etc/hostname")
    with pytest.raises(errors.SourceNotFoundError, match="leads out"):
        fetch("pvc://models/model.onnx", tmp_path / "out", source_dir=tmp_path / "claim")


def test_a_file_in_the_image_is_copied(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(BODY)
    assert fetch(f"file://{tmp_path}/m.onnx", tmp_path / "out").digest == DIGEST


def test_an_unknown_scheme_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(errors.UnsupportedSchemeError, match=r"configmap://.*s3://"):
        fetch("gopher://models/m.onnx", tmp_path)


def test_a_second_fetch_replaces_the_first_in_whole(store: str, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"old")
    (tmp_path / "model.onnx.data").write_bytes(b"old")
    fetch(f"{store}/model.onnx", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize(
    "uri", ["s3://bucket", "s3://bucket/", "s3:///key", "gs://b//key", "az://c/a/../key"]
)
def test_an_object_needs_a_bucket_and_a_plain_key(tmp_path: Path, uri: str) -> None:
    with pytest.raises(errors.UnsupportedSchemeError, match="bucket/key"):
        fetch(uri, tmp_path)


def test_what_a_killed_fetch_left_is_cleared_before_the_next(store: str, tmp_path: Path) -> None:
    (tmp_path / ".fetch-killed").mkdir()
    (tmp_path / ".fetch-killed" / "model.onnx").write_bytes(b"half")
    with pytest.raises(errors.SourceNotFoundError):
        fetch(f"{store}/missing", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_fetches_into_one_directory_do_not_mix(store: str, tmp_path: Path) -> None:
    second: list[Exception] = []

    def meanwhile(*_: object) -> None:
        try:
            fetch(f"{store}/model.onnx", tmp_path)
        except errors.FetchError as error:
            second.append(error)

    assert fetch(f"{store}/model.onnx", tmp_path, progress=meanwhile).digest == DIGEST
    assert "another fetch" in str(second[0])


def test_a_failed_fetch_leaves_the_model_that_was_there(store: str, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"old")
    with pytest.raises(errors.SourceNotFoundError):
        fetch(f"{store}/missing", tmp_path)
    assert (tmp_path / "model.onnx").read_bytes() == b"old"

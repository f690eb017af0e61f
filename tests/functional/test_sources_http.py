"""Models from an HTTP server that stalls, truncates, redirects and fails, by the command."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cluster.controlplane import free_ports
from tests import models
from tests.command import Ended, runtime
from tests.webstore import Request, WebStore, part, status, whole

OLD, NEW = np.random.default_rng(1).bytes(1 << 20), np.random.default_rng(2).bytes(1 << 20)
HALF = len(OLD) // 2
PATH = "/fraud/model.onnx"


@pytest.fixture
def store() -> Iterator[WebStore]:
    server = WebStore()
    yield server
    server.close()


def fetch(store: WebStore, tmp_path: Path, *flags: str, path: str = PATH) -> Ended:
    return runtime(
        "fetch", store.url + path, tmp_path / "out", *flags,
        env={"FAIRLEAD_TERMINATION_LOG": str(tmp_path / "report")},
    )  # fmt: skip


def fetched(tmp_path: Path) -> bytes:
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.onnx"]
    return (tmp_path / "out" / "model.onnx").read_bytes()


def reason(tmp_path: Path) -> str:
    assert list((tmp_path / "out").iterdir()) == []
    return str(json.loads((tmp_path / "report").read_text())["reason"])


def ranges(store: WebStore) -> list[tuple[str | None, str | None]]:
    """Return what was asked for of the model."""
    asked = [headers for path, headers in store.asked if path == PATH]
    return [(headers.get("Range"), headers.get("If-Range")) for headers in asked]


def test_a_truncated_answer_is_taken_up_where_it_ended(store: WebStore, tmp_path: Path) -> None:
    store.answers[PATH] = [part(OLD, HALF), part(OLD, HALF + 99), whole(OLD)]
    done = fetch(store, tmp_path)
    assert done.status == 0, done.err
    assert fetched(tmp_path) == OLD
    assert ranges(store) == [
        (None, None),
        (f"bytes={HALF}-", '"1"'),
        (f"bytes={HALF + 99}-", '"1"'),
    ]


def test_a_stalled_answer_is_given_up_and_taken_up(store: WebStore, tmp_path: Path) -> None:
    store.answers[PATH] = [part(OLD, HALF, stall=True), whole(OLD)]
    done = fetch(store, tmp_path, "--stall-timeout-s", "0.3")
    assert done.status == 0, done.err
    assert fetched(tmp_path) == OLD
    assert ranges(store)[1] == (f"bytes={HALF}-", '"1"')
    assert "nothing came for too long" in done.err


def test_a_trickle_is_a_stall(store: WebStore, tmp_path: Path) -> None:
    def trickle(request: Request) -> None:
        request.head(200, ETag='"1"', Content_Length=len(OLD))
        for byte in OLD[:600]:
            request.wfile.write(bytes([byte]))
            time.sleep(0.05)

    store.answers[PATH] = [trickle, whole(OLD)]
    done = fetch(store, tmp_path, "--stall-timeout-s", "0.4")
    assert done.status == 0, done.err
    assert fetched(tmp_path) == OLD
    assert "bytes came in" in done.err


def test_a_changed_file_is_begun_anew(store: WebStore, tmp_path: Path) -> None:
    store.answers[PATH] = [part(OLD, HALF), whole(NEW, tag='"2"')]
    assert fetch(store, tmp_path).status == 0
    assert fetched(tmp_path) == NEW


@pytest.mark.parametrize("tag", ['"2"', None], ids=["another-tag", "no-tag"])
def test_a_part_that_may_be_of_another_file_is_not_glued(
    store: WebStore, tmp_path: Path, tag: str | None
) -> None:
    """A server, or a cache in between, that does not know If-Range."""
    store.answers[PATH] = [part(OLD, HALF), part(NEW, len(NEW), tag=tag), whole(NEW, tag='"2"')]
    done = fetch(store, tmp_path)
    assert done.status == 0, done.err
    assert fetched(tmp_path) == NEW
    assert ranges(store)[2] == (None, None)
    assert "changed while it was downloaded" in done.err


def test_without_a_tag_nothing_is_taken_up(store: WebStore, tmp_path: Path) -> None:
    store.answers[PATH] = [part(OLD, HALF, tag=None), whole(NEW)]
    assert fetch(store, tmp_path).status == 0
    assert fetched(tmp_path) == NEW
    assert ranges(store)[1] == (None, None)


def test_a_file_that_became_shorter_is_begun_anew(store: WebStore, tmp_path: Path) -> None:
    store.answers[PATH] = [part(OLD, HALF), status(416), whole(NEW[:1000], tag='"2"')]
    assert fetch(store, tmp_path).status == 0
    assert fetched(tmp_path) == NEW[:1000]


def test_an_answer_in_chunks_that_breaks_off_is_noticed(store: WebStore, tmp_path: Path) -> None:
    def chunked(request: Request) -> None:
        request.head(200, ETag='"1"', Transfer_Encoding="chunked")
        request.wfile.write(b"%x\r\n%s\r\n" % (HALF, OLD[:HALF]))
        request.hang_up()

    store.answers[PATH] = [chunked, whole(OLD)]
    assert fetch(store, tmp_path).status == 0
    assert fetched(tmp_path) == OLD


def test_a_server_that_fails_for_a_while_is_asked_again(store: WebStore, tmp_path: Path) -> None:
    busy = status(503, Retry_After="1")
    store.answers[PATH] = [status(500), busy, lambda request: request.hang_up(), whole(OLD)]
    done = fetch(store, tmp_path)
    assert done.status == 0, done.err
    assert fetched(tmp_path) == OLD
    assert done.err.count("trying again") == 3


def test_a_server_that_goes_on_failing_is_given_up(store: WebStore, tmp_path: Path) -> None:
    store.answers[PATH] = [status(500)]
    done = fetch(store, tmp_path, "--retries", "2")
    assert (done.status, reason(tmp_path)) == (1, "DownloadFailed")
    assert len(store.asked) == 3
    assert done.err.splitlines()[-1].endswith(f"{store.url}{PATH} answers 500")


@pytest.mark.parametrize(
    ("code", "expected"),
    [(400, "DownloadFailed"), (401, "DownloadRefused"), (404, "SourceNotFound")],
)
def test_what_cannot_get_better_is_asked_once(
    store: WebStore, tmp_path: Path, code: int, expected: str
) -> None:
    store.answers[PATH] = [status(code)]
    done = fetch(store, tmp_path)
    assert (done.status, reason(tmp_path), len(store.asked)) == (1, expected, 1)


def test_redirects_are_followed_but_credentials_stay_behind(
    store: WebStore, tmp_path: Path
) -> None:
    other = WebStore()
    try:
        store.answers["/old"] = [status(302, Location=PATH)]
        store.answers[PATH] = [status(307, Location=f"{other.url}/elsewhere")]
        other.answers["/elsewhere"] = [part(OLD, HALF), whole(OLD)]
        (tmp_path / "secret").mkdir()
        (tmp_path / "secret" / "token").write_text("hidden")
        done = fetch(store, tmp_path, "--secret-dir", str(tmp_path / "secret"), path="/old")
    finally:
        other.close()
    assert done.status == 0, done.err
    assert fetched(tmp_path) == OLD
    assert {headers.get("Authorization") for _, headers in store.asked} == {"Bearer hidden"}
    assert {headers.get("Authorization") for _, headers in other.asked} == {None}
    assert other.asked[1][1]["Range"] == f"bytes={HALF}-"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["address", "name"])
def test_a_redirect_to_a_private_address_is_refused_where_that_is_wished(
    store: WebStore, tmp_path: Path, host: str
) -> None:
    """A name is judged by the address that it is connected to, whatever a resolver said before."""
    store.answers["/old"] = [
        status(302, Location=f"http://{host}:{store.server_port}{PATH}"),
    ]
    store.answers[PATH] = [whole(OLD)]
    done = fetch(store, tmp_path, "--private-redirects", "deny", path="/old")
    assert (done.status, reason(tmp_path)) == (1, "DownloadFailed")
    assert "is redirected to 127.0.0.1" in done.err
    assert [path for path, _ in store.asked] == ["/old"]
    assert fetch(store, tmp_path, "--private-redirects", "allow", path="/old").status == 0
    assert fetched(tmp_path) == OLD


def test_the_uri_itself_may_be_private(store: WebStore, tmp_path: Path) -> None:
    store.answers[PATH] = [part(OLD, HALF), whole(OLD)]
    done = fetch(store, tmp_path, "--private-redirects", "deny")
    assert done.status == 0, done.err
    assert fetched(tmp_path) == OLD


def test_a_proxy_is_asked_for_names_but_not_for_private_addresses(
    store: WebStore, tmp_path: Path
) -> None:
    """The store plays the proxy: it is asked for whole URLs."""
    store.answers["http://models.example/old"] = [status(302, Location="http://10.0.0.1/m")]
    store.answers["http://models.example/new"] = [status(302, Location="http://cdn.example/m")]
    store.answers["http://cdn.example/m"] = [whole(OLD)]
    for path, expected in (("old", 1), ("new", 0)):
        done = runtime(
            "fetch", f"http://models.example/{path}", tmp_path / "out",
            "--private-redirects", "deny", env={"http_proxy": store.url, "no_proxy": ""},
        )  # fmt: skip
        assert done.status == expected, done.err
    assert "http://10.0.0.1/m" not in [path for path, _ in store.asked]
    assert fetched(tmp_path) == OLD


@pytest.mark.parametrize("goal", [PATH, "ftp://127.0.0.1/m.onnx", "file:///etc/hostname"])
def test_a_redirect_in_a_circle_or_out_of_http_fails(
    store: WebStore, tmp_path: Path, goal: str
) -> None:
    store.answers[PATH] = [status(302, Location=goal)]
    done = fetch(store, tmp_path, "--retries", "0")
    assert (done.status, reason(tmp_path)) == (1, "DownloadFailed")
    assert "Traceback" not in done.err


def test_other_bytes_and_too_many_blame_the_model(store: WebStore, tmp_path: Path) -> None:
    store.answers[PATH] = [whole(OLD + b"x")]
    assert fetch(store, tmp_path, "--digest", "sha256:" + "0" * 64).status == 2
    assert reason(tmp_path) == "DigestMismatch"
    assert fetch(store, tmp_path, "--max-size-mib", "1").status == 2
    assert reason(tmp_path) == "ModelTooLarge"


def test_a_pinned_digest_and_json_for_scripts(store: WebStore, tmp_path: Path) -> None:
    store.answers[PATH] = [whole(OLD)]
    digest = "sha256:" + hashlib.sha256(OLD).hexdigest()
    done = fetch(store, tmp_path, "--digest", digest, "--output", "json")
    assert done.json == {
        "digest": digest,
        "size_bytes": len(OLD),
        "path": str(tmp_path / "out" / "model.onnx"),
    }


@pytest.mark.parametrize("signal", ["kill", "terminate"])
def test_after_an_end_in_a_download_the_restart_has_a_whole_model(
    store: WebStore, tmp_path: Path, signal: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "model.onnx").write_bytes(b"from before")
    store.answers[PATH] = [part(OLD, HALF, stall=True), whole(NEW)]
    command = [sys.executable, "-m", "fairlead_runtime.cli", "fetch", store.url + PATH, str(out)]
    with subprocess.Popen(command) as process:
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size for path in out.glob(".fetch-*/model.onnx")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        getattr(process, signal)()
    assert (out / "model.onnx").read_bytes() == b"from before"
    if signal == "terminate":
        assert process.returncode == 143
        assert [path.name for path in out.iterdir()] == ["model.onnx"]
    assert fetch(store, tmp_path).status == 0
    assert fetched(tmp_path) == NEW


def test_serve_of_a_uri_ends_as_fetch_does(store: WebStore, tmp_path: Path) -> None:
    store.answers[PATH] = [whole(OLD)]
    env = {
        "FAIRLEAD_DIGEST": "sha256:" + "0" * 64,
        "FAIRLEAD_TERMINATION_LOG": str(tmp_path / "report"),
        "TMPDIR": str(tmp_path),
    }
    done = runtime("serve", store.url + PATH, env=env)
    assert done.status == 2
    assert json.loads((tmp_path / "report").read_text())["reason"] == "DigestMismatch"
    assert list(tmp_path.glob("fairlead-model-*")) == []


def test_serve_of_a_uri_serves_what_it_fetched(store: WebStore, tmp_path: Path) -> None:
    import httpx

    model = models.classifier(tmp_path / "m.onnx").read_bytes()
    store.answers[PATH] = [part(model, 100), whole(model)]
    port = free_ports(1)[0]
    command = [
        sys.executable, "-m", "fairlead_runtime.cli", "serve", store.url + PATH,
        "--host", "127.0.0.1", "--http-port", str(port), "--grpc-port", "0",
    ]  # fmt: skip
    with subprocess.Popen(command) as process:
        deadline = time.monotonic() + 60
        while True:
            assert time.monotonic() < deadline
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.02)
        answer = httpx.post(f"http://127.0.0.1:{port}/predict", json={"features": [1, 2, 3]})
        process.terminate()
    assert answer.status_code == 200
    assert process.returncode == 0


def test_a_profile_beside_the_model_comes_along_and_another_only_where_it_is_asked_for(
    store: WebStore, tmp_path: Path
) -> None:
    def profile() -> str:
        return (tmp_path / "out" / "profile.json").read_text()

    folder = PATH.rpartition("/")[0]
    store.answers[PATH] = [whole(OLD)]
    store.answers[f"{folder}/profile.json"] = [whole(b'{"beside": 1}')]
    store.answers["/other.json"] = [whole(b'{"other": 1}')]
    assert fetch(store, tmp_path, path=f"{PATH}?signature=abc").status == 0
    assert profile() == '{"beside": 1}'
    assert fetch(store, tmp_path, "--profile-uri", f"{store.url}/other.json").status == 0
    assert profile() == '{"other": 1}'
    done = fetch(store, tmp_path, "--profile-uri", f"{store.url}/gone.json")
    assert done.status == 0
    found = {path.name: path.read_text(errors="replace") for path in (tmp_path / "out").iterdir()}
    assert found.keys() == {"model.onnx", "profile.problem"}
    assert found["profile.problem"].startswith("SourceNotFound: ")
    assert "gone.json" in done.err

"""Models from a real S3 server (MinIO), over good lines and bad ones."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from cluster import pki
from cluster.controlplane import free_ports
from tests import models
from tests.badline import BadLine, Cut
from tests.command import Ended, runtime
from tests.minio import PASSWORD, Minio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # the first run builds MinIO
MIB = 1 << 20


def noise(seed: int, mib: int = 8) -> bytes:
    """Return bytes of which no two pieces are the same."""
    return np.random.default_rng(seed).bytes(mib * MIB)


OLD, NEW = noise(1), noise(2)


def digest(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Minio]:
    minio = Minio(tmp_path_factory.mktemp("minio"))
    yield minio
    minio.stop()


@pytest.fixture
def line(store: Minio) -> Iterator[BadLine]:
    bad = BadLine(store.port)
    yield bad
    bad.close()


def fetch(uri: str, out: Path, secret: Path | None, *flags: str) -> Ended:
    where = [] if secret is None else ["--secret-dir", str(secret)]
    report = out.with_name("report")
    done = runtime("fetch", uri, out, *where, *flags, env={"FAIRLEAD_TERMINATION_LOG": str(report)})
    assert PASSWORD not in done.out + done.err + report.read_text()
    return done


def command(uri: str, out: Path, secret: Path) -> list[str]:
    first = [sys.executable, "-m", "fairlead_runtime.cli", "fetch", uri, str(out)]
    return [*first, "--secret-dir", str(secret)]


def reason(out: Path) -> str:
    return str(json.loads(out.with_name("report").read_text())["reason"])


def test_an_object_comes_whole_with_its_digest(store: Minio, tmp_path: Path) -> None:
    store.put("one/fraud.onnx", OLD)
    done = fetch(
        "s3://models/one/fraud.onnx", tmp_path / "out", store.secret(tmp_path / "secret"),
        "--output", "json", "--digest", digest(OLD),
    )  # fmt: skip
    assert done.status == 0, done.err
    assert done.json == {
        "digest": digest(OLD),
        "size_bytes": len(OLD),
        "path": str(tmp_path / "out" / "model.onnx"),
    }
    assert (tmp_path / "out" / "model.onnx").read_bytes() == OLD


def test_keys_with_spaces_signs_and_other_scripts_are_found(store: Minio, tmp_path: Path) -> None:
    key = "odd/größe 50% #1+2?/modèle=1.onnx"
    store.put(key, b"\x08model")
    done = fetch(f"s3://models/{key}", tmp_path / "out", store.secret(tmp_path / "secret"))
    assert done.status == 0, done.err
    assert (tmp_path / "out" / "model.onnx").read_bytes() == b"\x08model"


@pytest.mark.parametrize("uri", ["s3://models/folder/7", "s3://models/folder/7/"])
def test_a_folder_comes_with_all_that_is_in_it(store: Minio, tmp_path: Path, uri: str) -> None:
    model = models.outside(tmp_path / "source" / "model.onnx")
    weights = model.with_name("model.onnx.data")
    store.put("folder/7/model.onnx", model.read_bytes())
    store.put("folder/7/model.onnx.data", weights.read_bytes())
    store.put("folder/7/extra/profile.json", b"{}")
    store.put("folder/7/.hidden", b"")
    store.put("folder/77/model.onnx", b"another")
    out = tmp_path / "out"
    assert fetch(uri, out, store.secret(tmp_path / "secret")).status == 0
    found = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert found == {"model.onnx", "model.onnx.data", "extra/profile.json"}
    assert (out / "model.onnx.data").read_bytes() == weights.read_bytes()
    assert runtime("inspect", out).status == 0


def test_the_weights_beside_an_object_come_along(store: Minio, tmp_path: Path) -> None:
    store.put("beside/fraud.onnx", b"\x08graph")
    store.put("beside/fraud.onnx.data", b"weights")
    out = tmp_path / "out"
    done = fetch("s3://models/beside/fraud.onnx", out, store.secret(tmp_path / "secret"))
    assert done.status == 0, done.err
    assert (out / "fraud.onnx.data").read_bytes() == b"weights"


def test_a_folder_without_a_model_names_what_is_there(store: Minio, tmp_path: Path) -> None:
    store.put("empty/readme.txt", b"x")
    out = tmp_path / "out"
    assert fetch("s3://models/empty/", out, store.secret(tmp_path / "secret")).status == 1
    assert reason(out) == "SourceNotFound"
    assert "there are: readme.txt" in out.with_name("report").read_text()


@pytest.mark.parametrize(
    ("keys", "uri", "status", "expected"),
    [
        ({}, "s3://models/no/such.onnx", 1, "SourceNotFound"),
        ({}, "s3://nobucket/m.onnx", 1, "SourceNotFound"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "s3://models/one/fraud.onnx", 1, "DownloadRefused"),
        ({"anonymous": "true"}, "s3://models/one/fraud.onnx", 1, "DownloadRefused"),
        ({"AWS_ENDPOINT_URL": "nonsense"}, "s3://models/m.onnx", 1, "DownloadFailed"),
    ],
    ids=["key", "bucket", "wrong-key", "anonymous", "endpoint"],
)
def test_each_way_to_fail_has_its_reason(
    store: Minio, tmp_path: Path, keys: dict[str, str], uri: str, status: int, expected: str
) -> None:
    store.put("one/fraud.onnx", OLD)
    out = tmp_path / "out"
    done = fetch(uri, out, store.secret(tmp_path / "secret", **keys), "--retries", "0")
    assert (done.status, reason(out)) == (status, expected)
    assert done.err.count("\n") == 1, done.err
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [("http://127.0.0.1:9", "is refused"), ("http://no-such-host.invalid", "is not known")],
)
def test_a_server_that_is_not_there_is_said_to_be_so(
    store: Minio, tmp_path: Path, endpoint: str, expected: str
) -> None:
    secret = store.secret(tmp_path / "secret", endpoint=endpoint)
    done = fetch("s3://models/m.onnx", tmp_path / "out", secret, "--retries", "0")
    assert done.status == 1
    assert f"{expected}: check the endpoint" in done.err


def test_too_large_and_other_bytes_blame_the_model(store: Minio, tmp_path: Path) -> None:
    store.put("one/fraud.onnx", OLD)
    secret, uri = store.secret(tmp_path / "secret"), "s3://models/one/fraud.onnx"
    assert fetch(uri, tmp_path / "out", secret, "--max-size-mib", "7").status == 2
    assert reason(tmp_path / "out") == "ModelTooLarge"
    assert fetch(uri, tmp_path / "out", secret, "--digest", digest(NEW)).status == 2
    assert reason(tmp_path / "out") == "DigestMismatch"


def test_broken_connections_are_taken_up_where_they_broke(
    store: Minio, line: BadLine, tmp_path: Path
) -> None:
    store.put("broken.onnx", OLD)
    line.cuts = [Cut(3 * MIB), Cut(2 * MIB)]
    secret = store.secret(tmp_path / "secret", endpoint=line.endpoint)
    done = fetch("s3://models/broken.onnx", tmp_path / "out", secret)
    assert done.status == 0, done.err
    assert (tmp_path / "out" / "model.onnx").read_bytes() == OLD
    starts = [int(each.removeprefix("bytes=").removesuffix("-")) for each in line.ranges()]
    assert len(starts) == 2
    assert 2 * MIB < starts[0] < starts[1] < 5 * MIB + 65536


def test_a_stalled_connection_is_given_up_and_taken_up(
    store: Minio, line: BadLine, tmp_path: Path
) -> None:
    store.put("stalled.onnx", OLD)
    line.cuts = [Cut(3 * MIB, stall=True)]
    secret = store.secret(tmp_path / "secret", endpoint=line.endpoint)
    done = fetch("s3://models/stalled.onnx", tmp_path / "out", secret, "--stall-timeout-s", "1")
    assert done.status == 0, done.err
    assert (tmp_path / "out" / "model.onnx").read_bytes() == OLD
    assert len(line.ranges()) == 1


@pytest.mark.parametrize("folder", [False, True], ids=["object", "folder"])
def test_a_model_that_is_replaced_meanwhile_comes_new_and_whole(
    store: Minio, line: BadLine, tmp_path: Path, folder: bool
) -> None:
    """In a folder the graph comes first, so that the old graph would stand by the new weights."""
    name = "weights.data" if folder else "model.onnx"
    store.put("replaced/model.onnx", b"\x08old graph" if folder else OLD)
    if folder:
        store.put(f"replaced/{name}", OLD)

    def replace() -> None:
        store.put(f"replaced/{name}", NEW)
        if folder:
            store.put("replaced/model.onnx", b"\x08new graph")

    line.cuts = [Cut(3 * MIB, then=replace)]
    secret = store.secret(tmp_path / "secret", endpoint=line.endpoint)
    uri = "s3://models/replaced/" if folder else "s3://models/replaced/model.onnx"
    done = fetch(uri, tmp_path / "out", secret)
    assert done.status == 0, done.err
    assert (tmp_path / "out" / name).read_bytes() == NEW
    if folder:
        assert (tmp_path / "out" / "model.onnx").read_bytes() == b"\x08new graph"


def test_a_server_that_is_down_for_a_moment_is_waited_for(
    store: Minio, line: BadLine, tmp_path: Path
) -> None:
    store.put("down.onnx", OLD)

    gone = threading.Event()

    def stop() -> None:
        store.stop()
        gone.set()

    line.cuts = [Cut(3 * MIB, then=stop)]
    out = tmp_path / "out"
    secret = store.secret(tmp_path / "secret", endpoint=line.endpoint)
    with subprocess.Popen(command("s3://models/down.onnx", out, secret)) as process:
        assert gone.wait(60)
        store.start()
        assert process.wait(60) == 0
    assert (out / "model.onnx").read_bytes() == OLD


def test_after_a_kill_in_a_download_the_restart_has_a_whole_model(
    store: Minio, line: BadLine, tmp_path: Path
) -> None:
    store.put("killed.onnx", OLD)
    out = tmp_path / "out"
    secret = store.secret(tmp_path / "secret", endpoint=line.endpoint)
    line.cuts = [Cut(5 * MIB, stall=True)]
    with subprocess.Popen(command("s3://models/killed.onnx", out, secret)) as process:
        wait_for(lambda: any(path.stat().st_size > MIB for path in out.glob(".fetch-*/*")))
        process.kill()
    assert not (out / "model.onnx").exists()
    done = fetch("s3://models/killed.onnx", out, secret)
    assert done.status == 0, done.err
    assert [path.name for path in out.iterdir()] == ["model.onnx"]
    assert (out / "model.onnx").read_bytes() == OLD


def test_serve_fetches_a_uri_and_answers(store: Minio, tmp_path: Path) -> None:
    model = models.classifier(tmp_path / "m.onnx")
    store.put("serve/model.onnx", model.read_bytes())
    port = free_ports(1)[0]
    (tmp_path / "tmp").mkdir()
    env = {
        **os.environ,
        "FAIRLEAD_SECRET_DIR": str(store.secret(tmp_path / "secret")),
        "TMPDIR": str(tmp_path / "tmp"),
    }
    server = [
        sys.executable, "-m", "fairlead_runtime.cli", "serve", "s3://models/serve/",
        "--host", "127.0.0.1", "--http-port", str(port), "--grpc-port", "0",
    ]  # fmt: skip
    with subprocess.Popen(server, env=env) as process:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: healthy(url))
        answer = httpx.post(f"{url}/predict", json={"features": [1, 2, 3]})
        process.terminate()
    assert answer.status_code == 200
    assert process.returncode == 0
    assert list((tmp_path / "tmp").glob("fairlead-*")) == []


def test_an_authority_of_ones_own_is_a_key_of_the_secret(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    pki.authority(folder)
    pki.certificate(folder, "public", "/CN=minio", names=("IP:127.0.0.1",), server=True)
    (folder / "public.key").rename(folder / "private.key")
    store = Minio(tmp_path / "minio", certificates=folder)
    try:
        store.put("tls.onnx", OLD)
        secret, out = store.secret(tmp_path / "secret"), tmp_path / "out"
        refused = fetch("s3://models/tls.onnx", out, secret, "--retries", "0")
        assert refused.status == 1
        assert "ca.crt" in refused.err
        (secret / "ca.crt").write_text((folder / "ca.crt").read_text())
        done = fetch("s3://models/tls.onnx", out, secret)
        assert done.status == 0, done.err
        assert (out / "model.onnx").read_bytes() == OLD
    finally:
        store.stop()


def healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_profile_beside_an_object_or_elsewhere_comes_along(store: Minio, tmp_path: Path) -> None:
    secret, out = store.secret(tmp_path / "secret"), tmp_path / "out"
    store.put("watched/fraud.onnx", b"\x08graph")
    store.put("watched/profile.json", b'{"beside": 1}')
    store.put("profiles/fraud.json", b'{"other": 1}')
    uri = "s3://models/watched/fraud.onnx"
    assert fetch(uri, out, secret).status == 0
    assert (out / "profile.json").read_bytes() == b'{"beside": 1}'
    assert fetch(uri, out, secret, "--profile-uri", "s3://models/profiles/fraud.json").status == 0
    assert (out / "profile.json").read_bytes() == b'{"other": 1}'
    assert fetch(uri, out, secret, "--profile-uri", "s3://models/profiles").status == 0
    assert not (out / "profile.json").exists()
    assert (out / "profile.problem").read_text().startswith("SourceNotFound: ")


def test_golden_examples_in_a_bucket_are_reproduced(store: Minio, tmp_path: Path) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    golden = {"inputs": {"x": [[0.0, 0.0, 0.0]]}, "outputs": {"probabilities": [[0.5, 0.5]]}}
    store.put("golden/examples.json", json.dumps(golden).encode())
    where = ("--examples", "s3://models/golden/examples.json")
    secret = ("--secret-dir", str(store.secret(tmp_path / "secret")))
    done = runtime("validate", model, "--round-runs", "5", *where, *secret)
    assert done.status == 0, done.err
    assert "1 rows reproduced in probabilities" in done.out
    golden["outputs"]["probabilities"] = [[0.4, 0.6]]
    store.put("golden/examples.json", json.dumps(golden).encode())
    assert runtime("validate", model, "--round-runs", "5", *where, *secret).status == 2

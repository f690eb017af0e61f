"""Models from Google Cloud Storage's and Azure's protocols: see `tests.gcs` and `tests.azurite`."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cluster.pki import openssl
from tests import azurite, models
from tests.azurite import Azurite
from tests.badline import BadLine, Cut
from tests.command import Ended, runtime
from tests.gcs import Gcs
from tests.webstore import WebStore, status

# The first run builds the one and installs the other.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
MIB = 1 << 20
Store = Gcs | Azurite
OLD, NEW = (np.random.default_rng(seed).bytes(8 * MIB) for seed in (1, 2))
_LACKS = azurite.missing()
_STORES = [Gcs, pytest.param(Azurite, marks=pytest.mark.skipif(bool(_LACKS), reason=_LACKS))]


@pytest.fixture(scope="module", params=_STORES, ids=["gs", "az"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    started: Store = request.param(tmp_path_factory.mktemp("store"))
    yield started
    started.stop()


@pytest.fixture
def line(store: Store) -> Iterator[BadLine]:
    bad = BadLine(store.port)
    yield bad
    bad.close()


def fetch(uri: str, out: Path, secret: Path, *flags: str) -> Ended:
    report = {"FAIRLEAD_TERMINATION_LOG": str(out.with_name("report"))}
    done = runtime("fetch", uri, out, "--secret-dir", secret, *flags, env=report)
    assert azurite.KEY not in done.out + done.err + out.with_name("report").read_text()
    return done


def reason(out: Path) -> str:
    return str(json.loads(out.with_name("report").read_text())["reason"])


def test_an_object_comes_whole_with_what_lies_beside_it(store: Store, tmp_path: Path) -> None:
    store.put("one/fraud.onnx", OLD)
    store.put("one/fraud.onnx.data", b"weights")
    store.put("one/profile.json", b"{}")
    uri, out = f"{store.scheme}://models/one/fraud.onnx", tmp_path / "out"
    digest = "sha256:" + hashlib.sha256(OLD).hexdigest()
    done = fetch(uri, out, store.secret(tmp_path / "s"), "--digest", digest, "--output", "json")
    assert done.status == 0, done.err
    assert done.json["digest"] == digest
    assert (out / "model.onnx").read_bytes() == OLD
    assert (out / "fraud.onnx.data").read_bytes() == b"weights"
    assert (out / "profile.json").read_bytes() == b"{}"


@pytest.mark.parametrize("end", ["", "/"], ids=["", "slash"])
def test_a_folder_comes_with_all_that_is_in_it(store: Store, tmp_path: Path, end: str) -> None:
    model = models.outside(tmp_path / "source" / "model.onnx")
    weights = model.with_name("model.onnx.data").read_bytes()
    store.put("folder/7/model.onnx", model.read_bytes())
    store.put("folder/7/model.onnx.data", weights)
    store.put("folder/7/extra/notes.json", b"{}")
    store.put("folder/77/model.onnx", b"another")
    out = tmp_path / "out"
    done = fetch(f"{store.scheme}://models/folder/7{end}", out, store.secret(tmp_path / "s"))
    assert done.status == 0, done.err
    found = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert found == {"model.onnx", "model.onnx.data", "extra/notes.json"}
    assert (out / "model.onnx.data").read_bytes() == weights
    assert runtime("inspect", out).status == 0


def test_broken_connections_are_taken_up_where_they_broke(
    store: Store, line: BadLine, tmp_path: Path
) -> None:
    store.put("broken.onnx", OLD)
    line.cuts = [Cut(3 * MIB), Cut(2 * MIB)]
    secret, out = store.secret(tmp_path / "s", port=line.port), tmp_path / "out"
    done = fetch(f"{store.scheme}://models/broken.onnx", out, secret)
    assert done.status == 0, done.err
    assert (out / "model.onnx").read_bytes() == OLD
    starts = [int(each.removeprefix("bytes=").removesuffix("-")) for each in line.ranges()]
    assert len(starts) == 2
    assert 2 * MIB < starts[0] < starts[1] < 5 * MIB + 65536


def test_a_model_that_is_replaced_meanwhile_comes_new_and_whole(
    store: Store, line: BadLine, tmp_path: Path
) -> None:
    store.put("replaced.onnx", OLD)
    line.cuts = [Cut(3 * MIB, then=lambda: store.put("replaced.onnx", NEW))]
    secret, out = store.secret(tmp_path / "s", port=line.port), tmp_path / "out"
    done = fetch(f"{store.scheme}://models/replaced.onnx", out, secret)
    assert done.status == 0, done.err
    assert (out / "model.onnx").read_bytes() == NEW


@pytest.mark.parametrize("key", ["no/such.onnx", "no/such/"])
def test_what_is_not_there_is_said_to_be_so(store: Store, tmp_path: Path, key: str) -> None:
    out = tmp_path / "out"
    secret = store.secret(tmp_path / "s")
    done = fetch(f"{store.scheme}://models/{key}", out, secret, "--retries", "0")
    assert (done.status, reason(out)) == (1, "SourceNotFound")
    assert done.err.count("\n") == 1
    assert list(out.iterdir()) == []


@pytest.mark.skipif(bool(_LACKS), reason=_LACKS)
@pytest.mark.parametrize("how", ["wrong-key", "anonymous", "container"])
def test_azurite_refuses_who_may_not_read(tmp_path: Path, how: str) -> None:
    store, out = Azurite(tmp_path / "store"), tmp_path / "out"
    try:
        store.put("one.onnx", b"\x08model")
        secret = store.secret(tmp_path / "s")
        container = "models"
        if how == "wrong-key":
            wrong = base64.b64encode(bytes(64)).decode()
            (secret / "AZURE_STORAGE_ACCOUNT_KEY").write_text(wrong)
        elif how == "anonymous":
            (secret / "AZURE_STORAGE_ACCOUNT_KEY").unlink()
            (secret / "anonymous").write_text("true")
        else:
            container = "nothing"
        done = fetch(f"az://{container}/one.onnx", out, secret, "--retries", "0")
    finally:
        store.stop()
    wanted = "SourceNotFound" if how == "container" else "DownloadRefused"
    assert (done.status, reason(out)) == (1, wanted)
    assert done.err.count("\n") == 1
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("code", [401, 403])
def test_a_gcs_that_refuses_is_asked_once(tmp_path: Path, code: int) -> None:
    """fake-gcs-server refuses nobody; this is the status alone, not all that Google sends."""
    store, out = WebStore(), tmp_path / "out"
    store.answers["/models/one%2Eonnx"] = [status(code)]
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "endpoint").write_text(store.url)
    (tmp_path / "s" / "anonymous").write_text("true")
    try:
        done = fetch("gs://models/one.onnx", out, tmp_path / "s")
    finally:
        store.close()
    assert (done.status, reason(out)) == (1, "DownloadRefused")
    assert "spec.model.secretName" in done.err
    assert [path for path, _ in store.asked] == ["/models/one%2Eonnx"]


def test_a_service_account_signs_its_requests_to_gcs(tmp_path: Path) -> None:
    """The server takes any signature, so it is checked here, by the public key."""
    openssl("genpkey", "-algorithm", "RSA", "-out", "key.pem", cwd=tmp_path)
    openssl("pkey", "-in", "key.pem", "-pubout", "-out", "public.pem", cwd=tmp_path)
    account = {
        "type": "service_account",
        "client_email": "reader@models.example",
        "private_key_id": "one",
        "private_key": (tmp_path / "key.pem").read_text(),
    }
    store = Gcs(tmp_path / "store")
    line = BadLine(store.port)
    try:
        store.put("one.onnx", b"\x08model")
        keys = {"service_account.json": json.dumps(account)}
        secret = store.secret(tmp_path / "s", port=line.port, **keys)
        done = fetch("gs://models/one.onnx", tmp_path / "out", secret)
        heads = list(line.heads)
    finally:
        line.close()
        store.stop()
    assert done.status == 0, done.err
    assert "PRIVATE KEY" not in done.out + done.err
    tokens = {
        text.partition(":")[2].strip().removeprefix("Bearer ")
        for head in heads
        for text in head.splitlines()
        if text.lower().startswith("authorization:")
    }
    assert tokens
    for token in tokens:
        signed, _, signature = token.rpartition(".")
        claims = json.loads(_decoded(signed.partition(".")[2]))
        assert claims["iss"] == "reader@models.example"
        (tmp_path / "signature").write_bytes(_decoded(signature))
        (tmp_path / "signed").write_text(signed)
        openssl(
            "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "signed",
            cwd=tmp_path,
        )  # fmt: skip


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

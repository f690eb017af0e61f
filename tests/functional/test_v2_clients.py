"""The inference protocol over HTTP, by clients that others wrote: Triton's and curl."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests import models
from tests.runtimes import Served, served
from tests.tensors import KINDS, TYPES, VALUES, Values, check


@pytest.fixture(scope="module", params=sorted(KINDS))
def runtime(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("echo")
    types = {name: kind for name, kind in TYPES.items() if name in KINDS[request.param]}
    model = models.echo(folder / "model.onnx", types)
    with served(model, folder / "log", "--grpc-port", "0", "--max-body-mib", "1") as started:
        yield started


@pytest.fixture
def values(client: Any) -> Values:
    """Return a row for each input of the model."""
    return {each["name"]: VALUES[each["name"]] for each in client.get_model_metadata("m")["inputs"]}


@pytest.fixture
def client(runtime: Served) -> Iterator[Any]:
    with triton.InferenceServerClient(f"127.0.0.1:{runtime.port}") as connected:
        yield connected


def inputs(values: Values, *, binary: bool) -> list[Any]:
    tensors = []
    for name, value in values.items():
        tensor = triton.InferInput(name, value.shape, name)
        # Triton's client has no JSON for 16-bit floats.
        tensor.set_data_from_numpy(value, binary_data=binary or name in ("FP16", "BF16"))
        tensors.append(tensor)
    return tensors


@pytest.mark.parametrize("sent", [True, False], ids=["raw_in", "json_in"])
@pytest.mark.parametrize("back", [True, False], ids=["raw_out", "json_out"])
def test_every_datatype_goes_both_ways(client: Any, values: Values, sent: bool, back: bool) -> None:
    outputs = [
        triton.InferRequestedOutput(f"{name}_out", binary_data=back or name in ("FP16", "BF16"))
        for name in values
    ]
    result = client.infer("m", inputs(values, binary=sent), outputs=outputs, request_id="a-1")
    check(result, values)
    assert result.get_response()["id"] == "a-1"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_bodies_are_packed_both_ways(client: Any, values: Values, coding: str) -> None:
    result = client.infer(
        "m",
        inputs(values, binary=True),
        request_compression_algorithm=coding,
        response_compression_algorithm=coding,
    )
    check(result, values)


def test_triton_sees_a_live_server_and_its_model(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("m")
    assert client.is_model_ready("m", "1")
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    metadata = client.get_model_metadata("m")
    assert all(each["datatype"] == each["name"] for each in metadata["inputs"])


def test_triton_raises_what_the_server_says(client: Any, values: Values) -> None:
    tensors = inputs(values, binary=True)
    with pytest.raises(InferenceServerException, match="inputs: missing: BOOL"):
        client.infer("m", tensors[1:])
    with pytest.raises(InferenceServerException, match="model 'other' is not served here"):
        client.infer("other", tensors)


def test_rows_must_be_as_many_in_each_input(client: Any, values: Values) -> None:
    tensors = inputs(values, binary=True)
    tensors[0].set_shape([2, 2])
    tensors[0].set_data_from_numpy(np.zeros((2, 2), bool))
    with pytest.raises(InferenceServerException, match="BOOL has 2 rows, but UINT8 has 1"):
        client.infer("m", tensors)


def curl(*words: str, body: bytes = b"") -> tuple[int, dict[str, Any]]:
    """Ask with curl and return the status and the JSON."""
    command = ["curl", "-sS", "--max-time", "20", "-w", "\n%{http_code}", *words]
    answer = subprocess.run(command, input=body, capture_output=True, check=True).stdout
    text, _, status = answer.rpartition(b"\n")
    return int(status), json.loads(text)


@pytest.fixture(scope="module")
def picker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("pick")
    model = models.pick(folder / "model.onnx")
    flags = ("--grpc-port", "0", "--max-body-mib", "1")
    with served(model, folder / "log", *flags) as started:
        yield f"http://127.0.0.1:{started.port}/v2/models/m/infer"


def test_curl_sends_json_gzip_and_bare_tensors(picker: str) -> None:
    tensor = {"name": "index", "datatype": "INT64", "shape": [2], "data": [4, 1]}
    body = json.dumps({"id": "c", "inputs": [tensor]}).encode()
    plain = curl(picker, "--data-binary", "@-", body=body)
    coded = curl(
        picker, "-H", "content-encoding: gzip", "--data-binary", "@-", body=gzip.compress(body)
    )
    assert plain == coded
    assert plain[1]["outputs"][0]["data"] == [0.4, 0.1]
    bare = subprocess.run(
        ["curl", "-sS", picker, "-H", "Inference-Header-Content-Length: 0", "--data-binary", "@-"],
        input=np.asarray([4, 1]).tobytes(),
        capture_output=True,
        check=True,
    ).stdout
    assert bare.endswith(np.asarray([0.4, 0.1], np.float32).tobytes())


def test_an_answer_is_packed_only_for_who_names_one_coding(picker: str) -> None:
    tensor = {"name": "index", "datatype": "INT64", "shape": [1], "data": [0]}
    body = json.dumps({"inputs": [tensor]})
    for accepted, coding in (("gzip", "gzip"), ("gzip, deflate", None), ("br", None)):
        answer = httpx.post(picker, content=body, headers={"accept-encoding": accepted})
        assert answer.headers.get("content-encoding") == coding
        assert answer.json()["outputs"][0]["data"] == [0.0]


def test_errors_are_json_with_code_field_and_expectation(picker: str) -> None:
    tensor = {"name": "index", "datatype": "INT64", "shape": [1], "data": ["x"]}
    status, document = curl(
        picker, "--data-binary", "@-", body=json.dumps({"inputs": [tensor]}).encode()
    )
    assert status == 400
    assert document == {
        "error": "inputs[0].data[0]: must be integers, not 'x'",
        "code": "InvalidTensor",
        "field": "inputs[0].data[0]",
        "expected": "integers",
    }
    bomb = gzip.compress(bytes(100 << 20))
    assert len(bomb) < 1 << 20
    coded = ("-H", "content-encoding: gzip", "--data-binary", "@-")
    status, document = curl(picker, *coded, body=bomb)
    assert (status, document["code"]) == (413, "TooLarge")
    status, document = curl(picker, *coded, body=b"{}")
    assert (status, document["code"]) == (400, "InvalidEncoding")
    status, document = curl(picker, "-H", "Inference-Header-Content-Length: 9", "-d", "{}")
    assert (status, document["field"]) == (400, "inference-header-content-length")


def test_what_the_model_refuses_is_the_clients_fault(picker: str) -> None:
    tensor = {"name": "index", "datatype": "INT64", "shape": [1], "data": [5]}
    answer = httpx.post(picker, json={"inputs": [tensor]})
    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidTensor")
    assert "out of data bounds" in answer.json()["error"]


def test_the_trace_of_a_request_comes_back(picker: str) -> None:
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    assert httpx.get(picker, headers=trace).headers["traceparent"] == trace["traceparent"]


def test_a_time_limit_ends_in_504(tmp_path: Path) -> None:
    model = models.slow(tmp_path / "slow.onnx", rounds=300_000, size=64)
    with served(model, tmp_path / "log", "--grpc-port", "0") as started:
        url = f"http://127.0.0.1:{started.port}/predict"
        limit = {"x-request-timeout-ms": "50"}
        answer = httpx.post(url, json={"features": [0.1] * 64}, headers=limit, timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (504, "DeadlineExceeded")
        wrong = httpx.post(url, content=b"{}", headers={"x-request-timeout-ms": "soon"})
        assert (wrong.status_code, wrong.json()["field"]) == (400, "x-request-timeout-ms")

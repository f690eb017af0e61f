"""gRPC over real sockets, by clients that others wrote: Triton's, and gRPC's own."""

from __future__ import annotations

import concurrent.futures
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from cluster.controlplane import free_ports
from tests import models
from tests.runtimes import Served, served
from tests.tensors import KINDS, TYPES, VALUES, Values, check


class Grpc:
    """A runtime with its gRPC port."""

    def __init__(self, runtime: Served, port: int) -> None:
        self.runtime, self.address = runtime, f"127.0.0.1:{port}"


def begin(model: Path, folder: Path, *flags: str) -> Any:
    port = free_ports(1)[0]
    runtime = served(model, folder / "log", "--grpc-port", str(port), *flags)
    return runtime, port


@pytest.fixture(scope="module", params=sorted(KINDS))
def echo(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Grpc]:
    folder = tmp_path_factory.mktemp("echo")
    types = {name: kind for name, kind in TYPES.items() if name in KINDS[request.param]}
    block, port = begin(models.echo(folder / "model.onnx", types), folder)
    with block as runtime:
        yield Grpc(runtime, port)


@pytest.fixture(scope="module")
def picker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grpc]:
    folder = tmp_path_factory.mktemp("pick")
    block, port = begin(models.pick(folder / "model.onnx"), folder)
    with block as runtime:
        yield Grpc(runtime, port)


@pytest.fixture
def stub(picker: Grpc) -> Iterator[Any]:
    with grpc.insecure_channel(picker.address) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def tensors(values: Values) -> list[Any]:
    made = []
    for name, value in values.items():
        tensor = triton.InferInput(name, value.shape, name)
        tensor.set_data_from_numpy(value)
        made.append(tensor)
    return made


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"], ids=["plain", "gzip", "deflate"])
def test_triton_sends_and_gets_every_datatype(echo: Grpc, compression: str | None) -> None:
    with triton.InferenceServerClient(echo.address) as client:
        names = [each.name for each in client.get_model_metadata("m").inputs]
        values = {name: VALUES[name] for name in names}
        result = client.infer(
            "m", tensors(values), request_id="a-1", compression_algorithm=compression
        )
        check(result, values)
        assert result.get_response().id == "a-1"
        some = client.infer("m", tensors(values), outputs=[triton.InferRequestedOutput("INT8_out")])
        assert [each.name for each in some.get_response().outputs] == ["INT8_out"]


def test_triton_sees_a_live_server_and_its_model(picker: Grpc) -> None:
    with triton.InferenceServerClient(picker.address) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("m")
        assert client.is_model_ready("m", "1")
        assert client.get_server_metadata().name == "fairlead"
        metadata = client.get_model_metadata("m")
        assert [(i.name, i.datatype, list(i.shape)) for i in metadata.inputs] == [
            ("index", "INT64", [-1])
        ]


def index(*values: int) -> Any:
    request = service_pb2.ModelInferRequest(model_name="m")
    tensor = request.inputs.add(name="index", datatype="INT64", shape=[len(values)])
    tensor.contents.int64_contents.extend(values)
    return request


def test_numbers_in_are_answered_with_numbers(stub: Any) -> None:
    response = stub.ModelInfer(index(4, 1))
    assert response.model_version == "1"
    np.testing.assert_allclose(response.outputs[0].contents.fp32_contents, [0.4, 0.1])


def refusal(stub: Any, request: Any) -> tuple[grpc.StatusCode, dict[str, str]]:
    with pytest.raises(grpc.RpcError) as refused:
        stub.ModelInfer(request)
    error: Any = refused.value
    metadata = dict(error.trailing_metadata())
    document = json.loads(metadata["fairlead-error-bin"])
    assert document["error"] == error.details()
    return error.code(), document


def test_errors_have_a_status_and_the_json_of_http(stub: Any) -> None:
    other = index(1)
    other.model_name = "other"
    status, document = refusal(stub, other)
    assert (status, document["code"]) == (grpc.StatusCode.NOT_FOUND, "UnknownModel")
    few = index(1)
    few.inputs[0].shape[0] = 2
    status, document = refusal(stub, few)
    assert status is grpc.StatusCode.INVALID_ARGUMENT
    assert document["field"] == "inputs[0].contents.int64_contents"
    assert document["expected"] == "2 elements"
    status, document = refusal(stub, index(5))
    assert (status, document["code"]) == (grpc.StatusCode.INVALID_ARGUMENT, "InvalidTensor")


def test_an_arm_answers_to_the_name_of_the_address_that_it_shares(stub: Any) -> None:
    shared = [("x-fairlead-model", "ranker")]
    request = index(4)
    request.model_name = "ranker"
    response = stub.ModelInfer(request, metadata=shared)
    np.testing.assert_allclose(response.outputs[0].contents.fp32_contents, [0.4], rtol=1e-6)
    ready = service_pb2.ModelReadyRequest(name="ranker")
    assert stub.ModelReady(ready, metadata=shared).ready
    metadata = service_pb2.ModelMetadataRequest(name="ranker", version="1")
    assert stub.ModelMetadata(metadata, metadata=shared).name == "m"
    for name, told in (("ranker", []), ("other", shared)):
        request.model_name = name
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(request, metadata=told)
        error: Any = refused.value
        assert error.code() is grpc.StatusCode.NOT_FOUND


def test_a_message_that_is_none_is_the_clients_fault(picker: Grpc) -> None:
    with grpc.insecure_channel(picker.address) as channel:
        for method in ("ModelInfer", "ModelReady", "ModelMetadata"):
            call = channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
            with pytest.raises(grpc.RpcError) as refused:
                call(b"\xff\xff")
            error: Any = refused.value
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("message", "header", "wanted"),
    [
        ("", "h1", "h1"),
        ("m1", "h1", "m1"),
        ("m1", "", "m1"),
        ("\u00fc", "", "\u00fc"),
        ("", "", ""),
    ],
)
def test_the_id_is_the_messages_or_the_metadatas_and_comes_back_in_both(
    stub: Any, message: str, header: str, wanted: str
) -> None:
    request = index(1)
    request.id = message
    metadata = [("x-request-id", header)] if header else []
    response, call = stub.ModelInfer.with_call(request, metadata=metadata)
    assert response.id == wanted
    told = dict(call.initial_metadata()).get("x-request-id", "")
    assert told == (wanted if wanted.isascii() else "")


def test_the_trace_of_a_call_comes_back(stub: Any) -> None:
    trace = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    _, call = stub.ModelInfer.with_call(index(1), metadata=[trace])
    assert trace in [tuple(each) for each in call.trailing_metadata()]


def test_reflection_tells_of_services_and_messages(picker: Grpc) -> None:
    with grpc.insecure_channel(picker.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert set(database.get_services()) == {
            "inference.GRPCInferenceService",
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
        }
        pool = descriptor_pool.DescriptorPool(database)
        service = pool.FindServiceByName("inference.GRPCInferenceService")
        assert service.methods_by_name["ModelInfer"].input_type.fields_by_name["inputs"]
        with pytest.raises(KeyError):
            pool.FindServiceByName("inference.Nothing")


def test_health_follows_the_model_and_ends_with_it(tmp_path: Path) -> None:
    block, port = begin(models.pick(tmp_path / "model.onnx"), tmp_path)
    with block as runtime, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        check = health_pb2.HealthCheckRequest
        serving = health_pb2.HealthCheckResponse.SERVING
        for service in ("", "inference.GRPCInferenceService"):
            assert stub.Check(check(service=service)).status == serving
        with pytest.raises(grpc.RpcError) as unknown:
            stub.Check(check(service="other"))
        error: Any = unknown.value
        assert error.code() is grpc.StatusCode.NOT_FOUND
        watch = stub.Watch(check())
        assert next(watch).status == serving
        runtime.process.send_signal(signal.SIGTERM)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert runtime.process.wait(timeout=30) == 0


def test_a_call_in_flight_at_sigterm_is_answered(tmp_path: Path) -> None:
    model = models.slow(tmp_path / "slow.onnx", rounds=300_000, size=64)
    block, port = begin(model, tmp_path)
    with (
        block as runtime,
        triton.InferenceServerClient(f"127.0.0.1:{port}") as client,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        tensor = triton.InferInput("x", (1, 64), "FP32")
        tensor.set_data_from_numpy(np.full((1, 64), 0.1, np.float32))
        slow = pool.submit(client.infer, "m", [tensor])
        while runtime.metric("model_requests_in_flight") == 0:
            time.sleep(0.01)
        runtime.process.send_signal(signal.SIGTERM)
        assert slow.result(timeout=60).as_numpy("y").shape == (1, 64)
        assert runtime.process.wait(timeout=30) == 0


def test_a_calls_deadline_ends_it_and_its_wait(tmp_path: Path) -> None:
    model = models.slow(tmp_path / "slow.onnx", rounds=400_000, size=64)
    block, port = begin(model, tmp_path)
    with block as runtime, triton.InferenceServerClient(f"127.0.0.1:{port}") as client:
        tensor = triton.InferInput("x", (1, 64), "FP32")
        tensor.set_data_from_numpy(np.full((1, 64), 0.1, np.float32))
        with pytest.raises(InferenceServerException, match="DEADLINE_EXCEEDED"):
            client.infer("m", [tensor], client_timeout=0.1)
        with pytest.raises(InferenceServerException, match="the request's time limit passed"):
            client.infer("m", [tensor], timeout=50_000)
        deadline = time.monotonic() + 10
        while runtime.metric("model_requests_in_flight") and time.monotonic() < deadline:
            time.sleep(0.01)
        assert runtime.metric("model_requests_in_flight") == 0


def test_connections_age_and_no_call_fails_for_it(tmp_path: Path) -> None:
    flags = ("--max-connection-age-s", "0.2")
    block, port = begin(models.pick(tmp_path / "model.onnx"), tmp_path, *flags)
    with block as runtime, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        states: list[grpc.ChannelConnectivity] = []
        went = threading.Event()

        def changed(state: grpc.ChannelConnectivity) -> None:
            states.append(state)
            if states.count(grpc.ChannelConnectivity.READY) > 1:
                went.set()

        channel.subscribe(changed)
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        count = 0
        deadline = time.monotonic() + 30
        while not went.is_set() and time.monotonic() < deadline:
            stub.ModelInfer(index(1), wait_for_ready=True)
            count += 1
        assert went.is_set(), "the connection never ended"
        success = 'model_predictions_total{model_version="1",status="success"}'
        assert runtime.metric(success) == count


def test_no_grpc_means_no_grpc_in_memory(tmp_path: Path) -> None:
    model = models.pick(tmp_path / "model.onnx")
    with served(model, tmp_path / "log", "--grpc-port", "0") as runtime:
        assert "cygrpc" not in Path(f"/proc/{runtime.process.pid}/maps").read_text()


def test_a_taken_grpc_port_is_one_line_and_status_1(picker: Grpc, tmp_path: Path) -> None:
    model = models.pick(tmp_path / "model.onnx")
    taken = picker.address.rpartition(":")[2]
    with (
        pytest.raises(AssertionError, match=f"cannot listen on port {taken} for gRPC"),
        served(model, tmp_path / "log", "--grpc-port", taken),
    ):
        pass
    assert "Traceback" not in (tmp_path / "log").read_text()

"""Our messages are those of other implementations, and tensors pass through them unharmed."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from fairlead_runtime.grpc import convert
from fairlead_runtime.grpc.messages import HEALTH, INFERENCE, REFLECTION
from fairlead_runtime.protocol.errors import InvalidRequestError
from fairlead_runtime.protocol.types import InferResponse, Signature, TensorSpec

OURS_AND_THEIRS = [
    *((name, ours, service_pb2) for name, ours in INFERENCE.items()),
    *((name, ours, health_pb2) for name, ours in HEALTH.items()),
    *(
        (name, ours, reflection_pb2)
        for name, ours in REFLECTION["grpc.reflection.v1alpha.ServerReflection"].items()
    ),
]


def fields(descriptor: Any) -> dict[str, tuple[Any, ...]]:
    """Return what the wire format and the names of a message depend on."""
    return {
        field.name: (
            field.number,
            field.type,
            field.is_repeated,
            field.message_type.full_name if field.message_type else None,
            field.containing_oneof.name if field.containing_oneof else None,
        )
        for field in descriptor.fields
    }


@pytest.mark.parametrize(
    ("name", "ours", "theirs"), OURS_AND_THEIRS, ids=[name for name, _, _ in OURS_AND_THEIRS]
)
def test_messages_are_those_of_other_implementations(name: str, ours: Any, theirs: Any) -> None:
    for part in name.split("."):
        theirs = getattr(theirs, part)
    assert fields(ours.DESCRIPTOR) == fields(theirs.DESCRIPTOR)


def test_services_have_the_methods_of_other_implementations() -> None:
    for ours, theirs in (
        (INFERENCE["ServerLiveRequest"], service_pb2),
        (HEALTH["HealthCheckRequest"], health_pb2),
    ):
        for service in ours.DESCRIPTOR.file.services_by_name.values():
            known = theirs.DESCRIPTOR.services_by_name[service.name].methods_by_name
            for method in service.methods:
                same = known[method.name]
                assert method.input_type.full_name == same.input_type.full_name
                assert method.output_type.full_name == same.output_type.full_name
                assert method.server_streaming == same.server_streaming


def spec(name: str, datatype: str, shape: tuple[int, ...] = (-1, 2)) -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=shape)


CONTENTS: dict[str, tuple[str, list[Any]]] = {
    "BOOL": ("bool_contents", [True, False]),
    "INT8": ("int_contents", [-128, 127]),
    "INT16": ("int_contents", [-(2**15), 2**15 - 1]),
    "INT32": ("int_contents", [-(2**31), 2**31 - 1]),
    "INT64": ("int64_contents", [-(2**63), 2**63 - 1]),
    "UINT8": ("uint_contents", [0, 255]),
    "UINT16": ("uint_contents", [0, 65535]),
    "UINT32": ("uint_contents", [0, 2**32 - 1]),
    "UINT64": ("uint64_contents", [0, 2**64 - 1]),
    "FP32": ("fp32_contents", [0.5, float("inf")]),
    "FP64": ("fp64_contents", [0.1, -1e300]),
    "BYTES": ("bytes_contents", ["Zürich".encode(), b""]),
}


def request(datatype: str, **changes: Any) -> Any:
    message = INFERENCE["ModelInferRequest"](model_name="m", id="a")
    message.inputs.add(**{"name": "x", "datatype": datatype, "shape": [1, 2], **changes})
    return message


def parse(message: Any, signature: Signature) -> Any:
    return convert.parse_infer(message, signature, now=5.0, deadline=None)


@pytest.mark.parametrize("datatype", sorted(CONTENTS))
def test_typed_contents_come_back_as_typed_contents(datatype: str) -> None:
    field, values = CONTENTS[datatype]
    signature = Signature(inputs=(spec("x", datatype),), outputs=(spec("y", datatype),))
    message = request(datatype)
    getattr(message.inputs[0].contents, field).extend(values)
    call = parse(message, signature)
    answer = InferResponse(outputs={"y": call.infer.inputs["x"]})
    response = convert.render_infer(answer, signature, call, name="m", version="1")
    assert list(getattr(response.outputs[0].contents, field)) == values
    assert not response.raw_output_contents
    assert (response.id, response.outputs[0].datatype) == ("a", datatype)


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_sixteen_bit_floats_are_raw_always(datatype: str) -> None:
    signature = Signature(inputs=(spec("x", datatype),), outputs=(spec("y", datatype),))
    message = request(datatype)
    message.raw_input_contents.append(
        b"\x00\x3c\x00\xbc" if datatype == "FP16" else b"\x80?\x80\xbf"
    )
    call = parse(message, signature)
    np.testing.assert_array_equal(call.infer.inputs["x"], [[1.0, -1.0]])
    answer = InferResponse(outputs={"y": call.infer.inputs["x"]})
    response = convert.render_infer(answer, signature, call, name="m", version="1")
    assert list(response.raw_output_contents) == list(message.raw_input_contents)
    typed = request(datatype)
    typed.inputs[0].contents.fp32_contents.extend([1, -1])
    with pytest.raises(InvalidRequestError, match="use raw_input_contents"):
        parse(typed, signature)


def test_the_parameter_timeout_is_a_deadline() -> None:
    signature = Signature(inputs=(spec("x", "FP32"),), outputs=(spec("y", "FP32"),))
    message = request("FP32")
    message.raw_input_contents.append(bytes(8))
    message.parameters["timeout"].int64_param = 2_000_000
    assert parse(message, signature).infer.deadline == 7.0
    earlier = convert.parse_infer(message, signature, now=5.0, deadline=6.0)
    assert earlier.infer.deadline == 6.0


X = 'inputs { name: "x" datatype: "FP32" shape: 1 shape: 2 %s }'
RAW = 'raw_input_contents: "12345678"'
NUMBERS = X % "contents { fp32_contents: 1 fp32_contents: 2 }"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (X % "" + RAW + RAW, "raw_input_contents: has 2 tensors, but inputs has 1"),
        (
            X % "" + 'raw_input_contents: "1234567"',
            "raw_input_contents[0]: has 7 bytes, but FP32 of shape [1, 2] has 8",
        ),
        (NUMBERS + RAW, "inputs[0].contents: give either contents or raw_input_contents"),
        (
            X % "contents { fp64_contents: 1 }",
            "inputs[0].contents: must hold fp32_contents for FP32, not fp64_contents",
        ),
        (
            X % "contents { fp32_contents: 1 }",
            "inputs[0].contents.fp32_contents: has 1 elements, but shape [1, 2] has 2",
        ),
        (X.replace("shape: 1", "shape: -1") % "", "inputs[0].shape: must be 0 or more each"),
        (
            X.replace("shape: 1", f"shape: {2**62}") % "",
            "inputs[0].shape: shape [4611686018427387904, 2] is too large",
        ),
        (X.replace('"x"', '"z"') % "", "inputs[0].name: the model has no input 'z'; it has: x"),
        (X.replace("32", "64") % "", "inputs[0].datatype: must be FP32, not 'FP64'"),
        (X % "" + X % "" + RAW + RAW, "inputs[1].name: 'x' is there twice"),
        ("", "inputs: missing: x"),
        (
            NUMBERS + 'outputs { name: "z" }',
            "outputs[0].name: the model has no output 'z'; it has: y",
        ),
        (
            NUMBERS + 'outputs { name: "y" parameters '
            '{ key: "classification" value { int64_param: 2 } } }',
            "outputs[0].parameters.classification: is not supported",
        ),
    ],
)
def test_a_wrong_message_is_refused_by_field(text: str, message: str) -> None:
    signature = Signature(inputs=(spec("x", "FP32"),), outputs=(spec("y", "FP32"),))
    with pytest.raises(InvalidRequestError) as refused:
        parse(text_format.Parse(text, INFERENCE["ModelInferRequest"]()), signature)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(("datatype", "value"), [("INT8", 128), ("UINT16", 65536)])
def test_a_number_beyond_its_datatype_is_refused(datatype: str, value: int) -> None:
    signature = Signature(inputs=(spec("x", datatype),), outputs=(spec("y", datatype),))
    message = request(datatype)
    getattr(message.inputs[0].contents, CONTENTS[datatype][0]).extend([0, value])
    with pytest.raises(InvalidRequestError, match=f"{datatype} holds"):
        parse(message, signature)


@given(st.lists(st.text(), min_size=2, max_size=2))
def test_strings_survive_raw_contents(texts: list[str]) -> None:
    signature = Signature(inputs=(spec("x", "BYTES"),), outputs=(spec("y", "BYTES"),))
    message = request("BYTES")
    parts = [struct.pack("<I", len(text.encode())) + text.encode() for text in texts]
    message.raw_input_contents.append(b"".join(parts))
    call = parse(message, signature)
    assert call.infer.inputs["x"].tolist() == [texts]
    answer = InferResponse(outputs={"y": call.infer.inputs["x"]})
    response = convert.render_infer(answer, signature, call, name="m", version="1")
    assert list(response.raw_output_contents) == [b"".join(parts)]

"""Raw tensors, the binary tensor extension and content codings."""

from __future__ import annotations

import contextlib
import gzip
import json
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fairlead_runtime.protocol import answers, v2
from fairlead_runtime.protocol.coding import deflate, inflate
from fairlead_runtime.protocol.errors import InvalidRequestError, RequestError, TooLargeError
from fairlead_runtime.protocol.raw import from_raw, narrowed, to_raw, widened
from fairlead_runtime.protocol.types import DATATYPES, InferResponse, Signature, TensorSpec

NUMBERS = [name for name in DATATYPES if name not in ("BYTES", "BF16")]


def spec(name: str, datatype: str, shape: tuple[int, ...] = (-1, 2)) -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=shape)


MIXED = Signature(
    inputs=(spec("number", "FP32"), spec("word", "BYTES"), spec("yes", "BOOL")),
    outputs=(spec("half", "FP16"), spec("brain", "BF16"), spec("text", "BYTES")),
)
TWO_FLOATS = Signature(inputs=(spec("x", "FP32"),), outputs=(spec("y", "FP32"),))


@given(st.sampled_from(NUMBERS), st.data())
def test_every_array_survives_raw_bytes(datatype: str, data: st.DataObject) -> None:
    dtype = DATATYPES[datatype]
    array = data.draw(hnp.arrays(dtype, hnp.array_shapes(max_dims=3, max_side=4)))
    back = from_raw(to_raw(array, datatype), datatype, array.shape, "x")
    assert back.dtype == dtype
    assert back.tobytes() == array.tobytes()


@given(st.lists(st.text()))
def test_strings_survive_raw_bytes(texts: list[str]) -> None:
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    assert from_raw(to_raw(array, "BYTES"), "BYTES", (len(texts),), "x").tolist() == texts


@given(hnp.arrays(np.uint16, st.integers(1, 8)))
def test_every_bfloat16_survives_float32(bits: np.ndarray[Any, np.dtype[np.uint16]]) -> None:
    numbers = widened(bits)
    back = narrowed(numbers)
    finite = ~np.isnan(numbers)
    np.testing.assert_array_equal(back[finite], bits[finite])
    assert np.isnan(widened(back[~finite])).all()


def test_float32_becomes_the_nearest_bfloat16_and_halves_the_even_one() -> None:
    ulp = 2.0**-7  # of a bfloat16 in [1, 2)
    numbers = np.asarray(
        [1.0, 1 + 0.49 * ulp, 1 + 0.5 * ulp, 1 + 1.5 * ulp, 1 + 0.51 * ulp, 3.4e38, np.nan],
        dtype=np.float32,
    )
    rounded = widened(narrowed(numbers))
    np.testing.assert_array_equal(
        rounded, np.asarray([1, 1, 1, 1 + 2 * ulp, 1 + ulp, np.inf, np.nan], np.float32)
    )


@pytest.mark.parametrize(
    ("data", "datatype", "message"),
    [
        (b"1234567", "FP32", "x: has 7 bytes, but FP32 of shape [1, 2] has 8"),
        (b"\x00\x02", "BOOL", "x: a BOOL must be a byte of 0 or 1"),
        (b"\x01\x00\x00\x00a", "BYTES", "x: has 1 strings, but shape [1, 2] has 2"),
        (b"\x09\x00\x00\x00a", "BYTES", "x: string 0 has 9 bytes, but only 1 are left"),
        (b"\x01\x00\x00\x00\xff\x00\x00\x00\x00", "BYTES", "x: string 0 is not UTF-8"),
        (bytes(8) + b"?", "BYTES", "x: has 2 strings and more bytes behind them"),
        (b"\x00\x00", "BYTES", "x: has 0 strings and more bytes behind them"),
    ],
    ids=["short", "boolean", "few", "cut", "no_text", "more", "cut_length"],
)
def test_wrong_raw_bytes_are_refused(data: bytes, datatype: str, message: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        from_raw(data, datatype, (1, 2), "x")
    assert str(refused.value).startswith(message)


def word(text: str) -> bytes:
    return struct.pack("<I", len(text.encode())) + text.encode()


def mixed_request(**changes: Any) -> tuple[bytes, int]:
    """Return a body of JSON with two raw tensors and one in JSON, and the length of the JSON."""
    strings = word("Ulm") + word("Zürich")
    inputs: list[dict[str, Any]] = [
        {"name": "word", "datatype": "BYTES", "shape": [1, 2]},
        {"name": "number", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 2]},
        {"name": "yes", "datatype": "BOOL", "shape": [1, 2]},
    ]
    inputs[0]["parameters"] = {"binary_data_size": len(strings)}
    inputs[2]["parameters"] = {"binary_data_size": 2}
    head = json.dumps({"id": "a", "inputs": inputs, **changes}).encode()
    return head + strings + b"\x01\x00", len(head)


def test_json_and_raw_inputs_mix_in_one_request() -> None:
    body, length = mixed_request()
    asked = v2.parse_infer(body, MIXED, header_length=length)
    assert asked.infer.inputs["word"].tolist() == [["Ulm", "Zürich"]]
    assert asked.infer.inputs["number"].tolist() == [[0.5, 2.0]]
    assert asked.infer.inputs["yes"].tolist() == [[True, False]]
    assert all(array.flags.aligned for array in asked.infer.inputs.values())
    assert asked.raw == frozenset()


def test_raw_outputs_are_chosen_one_by_one_or_all_at_once() -> None:
    body, length = mixed_request(parameters={"binary_data_output": True})
    assert v2.parse_infer(body, MIXED, header_length=length).raw == {"half", "brain", "text"}
    outputs = [
        {"name": "half", "parameters": {"binary_data": False}},
        {"name": "text", "parameters": {"binary_data": True}},
        {"name": "brain"},
    ]
    body, length = mixed_request(outputs=outputs)
    asked = v2.parse_infer(body, MIXED, header_length=length)
    assert asked.raw == {"text"}
    assert asked.infer.outputs == ("half", "text", "brain")
    body, length = mixed_request(outputs=outputs, parameters={"binary_data_output": True})
    assert v2.parse_infer(body, MIXED, header_length=length).raw == {"text", "brain"}


def test_an_answer_holds_json_and_raw_outputs_in_order() -> None:
    texts = np.empty((1, 2), dtype=object)
    texts[:] = [["a", "ß"]]
    outputs: dict[str, Any] = {
        "half": np.asarray([[0.5, np.nan]], dtype=np.float16),
        "brain": np.asarray([[1.5, -2]], dtype=np.float32),
        "text": texts,
    }
    rendered = answers.render_infer(
        InferResponse(outputs=outputs),
        MIXED,
        identity="a",
        model_name="m",
        model_version="1",
        raw=frozenset({"half", "brain", "text"}),
    )
    document = json.loads(rendered.body[: rendered.header_length])
    assert [output["datatype"] for output in document["outputs"]] == ["FP16", "BF16", "BYTES"]
    sizes = [output["parameters"]["binary_data_size"] for output in document["outputs"]]
    assert sizes == [4, 4, 4 + 1 + 4 + 2]
    assert all("data" not in output for output in document["outputs"])
    rest = rendered.body[rendered.header_length :]
    assert rest == outputs["half"].tobytes() + b"\xc0\x3f\x00\xc0" + word("a") + word("ß")


def test_a_body_without_json_is_the_one_input() -> None:
    data = np.arange(6, dtype=np.float32)
    asked = v2.parse_infer(data.tobytes(), TWO_FLOATS, header_length=0)
    np.testing.assert_array_equal(asked.infer.inputs["x"], data.reshape(3, 2))
    assert asked.raw == {"y"}
    for body, signature in ((b"12345", TWO_FLOATS), (b"", MIXED)):
        with pytest.raises(InvalidRequestError, match=r"^body: "):
            v2.parse_infer(body, signature, header_length=0)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (-1, "inputs[0].parameters.binary_data_size: must be an integer of 0 or more"),
        ("8", "inputs[0].parameters.binary_data_size: must be an integer of 0 or more"),
        (True, "inputs[0].parameters.binary_data_size: must be an integer of 0 or more"),
        (9, "inputs[0].parameters.binary_data_size: is 9, but only 8 bytes are left"),
        (4, "inputs[0]: has 4 bytes, but FP32 of shape [1, 2] has 8"),
    ],
)
def test_a_wrong_size_of_raw_data_is_refused(size: object, message: str) -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2]}
    head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": size}}]}).encode()
    with pytest.raises(InvalidRequestError) as refused:
        v2.parse_infer(head + bytes(8), TWO_FLOATS, header_length=len(head))
    assert str(refused.value).startswith(message)


def test_raw_bytes_that_no_tensor_wants_are_refused() -> None:
    head = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}]}'
    with pytest.raises(InvalidRequestError, match=r"^body: 3 bytes are left behind the tensors"):
        v2.parse_infer(head + b"abc", TWO_FLOATS, header_length=len(head))


@given(st.binary(max_size=80), st.integers(0, 80))
def test_no_binary_body_breaks_the_parser(body: bytes, length: int) -> None:
    with contextlib.suppress(InvalidRequestError):
        v2.parse_infer(body, TWO_FLOATS, header_length=min(length, len(body)))


@given(st.binary(max_size=2000), st.sampled_from(["gzip", "deflate"]))
def test_codings_give_back_what_was_coded(body: bytes, coding: str) -> None:
    assert inflate(deflate(body, coding), coding, limit=2000) == body


def test_bare_deflate_and_several_gzip_members_are_read() -> None:
    bare = zlib.compressobj(wbits=-15)
    assert inflate(bare.compress(b"abc") + bare.flush(), "deflate", limit=3) == b"abc"
    members = gzip.compress(b"ab") + gzip.compress(b"c")
    assert inflate(members, "x-gzip", limit=3) == b"abc"


def test_a_bomb_is_refused_before_it_is_inflated() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    with pytest.raises(TooLargeError, match="once inflated, the body has more than 1000 bytes"):
        inflate(bomb, "gzip", limit=1000)
    with pytest.raises(TooLargeError):
        inflate(gzip.compress(bytes(600)) * 2, "gzip", limit=1000)


@pytest.mark.parametrize(
    ("body", "coding", "message"),
    [
        (b"no", "gzip", "body: is not gzip"),
        (gzip.compress(b"abc")[:-3], "gzip", "body: is not gzip: it ends too early"),
        (b"", "gzip", "body: is not gzip: it ends too early"),
        (gzip.compress(b"abc") + b"?", "gzip", "body: is not gzip"),
        (zlib.compress(b"abc") + b"?", "deflate", "body: is not deflate: more follows"),
        (b"abc", "br", "content-encoding: br is not supported; send gzip, deflate or none"),
    ],
    ids=["no_gzip", "cut", "empty", "gzip_and_more", "deflate_and_more", "unknown"],
)
def test_a_broken_coding_is_refused(body: bytes, coding: str, message: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        inflate(body, coding, limit=100)
    assert str(refused.value).startswith(message)
    assert refused.value.document()["code"] == "InvalidEncoding"


@given(st.binary(max_size=100), st.sampled_from(["gzip", "deflate", "zstd", ""]))
def test_no_bytes_break_the_codings(body: bytes, coding: str) -> None:
    with contextlib.suppress(RequestError):
        inflate(body, coding, limit=1000)

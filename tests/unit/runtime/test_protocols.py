"""The v2 protocol and the simple API: bytes in, tensors; tensors, bytes out."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_runtime.protocol import answers, simple, v2
from fairlead_runtime.protocol.answering import Answering, answering
from fairlead_runtime.protocol.errors import InvalidRequestError
from fairlead_runtime.protocol.types import InferResponse, Signature, TensorSpec


def spec(name: str, datatype: str = "FP32", shape: tuple[int, ...] = (-1, 3)) -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=shape)


CLASSIFIER = Signature(
    inputs=(spec("x"),),
    outputs=(spec("label", "INT64", (-1,)), spec("probabilities", "FP32", (-1, 2))),
)
REGRESSOR = Signature(inputs=(spec("x"),), outputs=(spec("y", "FP32", (-1, 1)),))
TWO_INPUTS = Signature(
    inputs=(spec("age", "INT64", (-1, 1)), spec("town", "BYTES", (-1, 1))),
    outputs=(spec("y", "FP32", (-1, 1)),),
)


def tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3], **changes}


def infer(document: object, signature: Signature = CLASSIFIER) -> Any:
    return v2.parse_infer(json.dumps(document).encode(), signature).infer


def rendered(array: np.ndarray[Any, Any]) -> Any:
    response, signature = InferResponse(outputs={"y": array}), REGRESSOR
    body = answers.render_infer(
        response, signature, identity="", model_name="m", model_version="1"
    ).body
    return json.loads(body)["outputs"][0]


def test_flat_and_nested_data_are_the_same() -> None:
    flat = infer({"inputs": [tensor(shape=[2, 3], data=[1, 2, 3, 4, 5, 6])]})
    nested = infer({"inputs": [tensor(shape=[2, 3], data=[[1, 2, 3], [4, 5, 6]])]})
    np.testing.assert_array_equal(flat.inputs["x"], nested.inputs["x"])
    assert flat.inputs["x"].shape == (2, 3)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "the body must be a JSON object"),
        ({}, "inputs: must be a list of tensors"),
        ({"inputs": []}, "inputs: missing: x"),
        ({"inputs": ["x"]}, "inputs[0]: must be an object"),
        ({"inputs": [tensor(name="q")]}, "inputs[0].name: the model has no input 'q'; it has: x"),
        ({"inputs": [tensor(datatype="FP64")]}, "inputs[0].datatype: must be FP32, not 'FP64'"),
        ({"inputs": [tensor(shape=[1, -3])]}, "inputs[0].shape: must be a list of integers"),
        ({"inputs": [tensor(shape=[1, 4])]}, "inputs[0].shape: shape [1, 4] does not fit [*, 3]"),
        ({"inputs": [tensor(shape=[2, 3])]}, "inputs[0].data: has 3 elements, but shape [2, 3]"),
        (
            {"inputs": [tensor(shape=[2, 3], data=[[1, 2], [3, 4], [5, 6]])]},
            "inputs[0].data: is nested as [3, 2], but its shape is [2, 3]",
        ),
        ({"inputs": [tensor(shape=[True, 3])]}, "inputs[0].shape: must be a list of integers"),
        ({"inputs": [tensor(shape=[1 << 60, 3])]}, "inputs[0].shape: shape [1152921504606846976"),
        ({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3]}]}, "inputs[0].data: is"),
        ({"inputs": [tensor(parameters=[])]}, "inputs[0].parameters: must be an object"),
        ({"inputs": [tensor(parameters={"a": {}})]}, "inputs[0].parameters.a: must be true or"),
        (
            {"inputs": [tensor(parameters={"binary_data_size": 12})]},
            "inputs[0].parameters.binary_data_size: needs the header Inference-Header-Content",
        ),
        ({"inputs": [tensor()], "parameters": 3}, "parameters: must be an object"),
        ({"inputs": [tensor()], "parameters": {"timeout": "1"}}, "parameters.timeout: must be a"),
        (
            {"inputs": [tensor()], "parameters": {"binary_data_output": 1}},
            "parameters.binary_data_output: must be true or false",
        ),
        ({"inputs": [tensor()], "outputs": {}}, "outputs: must be a list"),
        ({"inputs": [tensor()], "outputs": ["label"]}, "outputs[0]: must be an object"),
        (
            {"inputs": [tensor()], "outputs": [{"name": "label"}, {"name": "label"}]},
            "outputs[1].name: 'label' is there twice",
        ),
        (
            {
                "inputs": [tensor()],
                "outputs": [{"name": "label", "parameters": {"classification": 2}}],
            },
            "outputs[0].parameters.classification: is not supported",
        ),
        (
            {"inputs": [tensor(shape=[3, 1])]},
            "inputs[0].shape: shape [3, 1] does not fit [*, 3] of input x",
        ),
        ({"inputs": [tensor(), tensor()]}, "inputs[1].name: 'x' is there twice"),
        ({"inputs": [tensor(data=[1, None, 3])]}, "inputs[0].data[1]: must be numbers, not null"),
        ({"inputs": [tensor()], "outputs": [{"name": "z"}]}, "outputs[0].name: the model has no"),
        ({"inputs": [tensor()], "id": 7}, "id: must be a string"),
    ],
)
def test_a_wrong_infer_request_is_refused_by_field(document: object, message: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        infer(document)
    assert str(refused.value).startswith(message)
    assert refused.value.document()["code"].startswith("Invalid")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(b"", id="same"),
        pytest.param(b"\0" * 4, id="more"),
        pytest.param(None, id="less"),
    ],
)
def test_a_head_that_comes_again_with_raw_tensors_is_taken_as_it_was(change: bytes | None) -> None:
    parameters = {"timeout": 5_000_000, "binary_data_output": True}
    inputs = [tensor(data=None, parameters={"binary_data_size": 12})]
    head = json.dumps({"id": "a", "inputs": inputs, "parameters": parameters}).encode()

    def told(signature: Signature, numbers: list[float], change: bytes | None) -> object:
        data = np.array(numbers, np.float32).tobytes()
        data = data[:-4] if change is None else data + change
        try:
            call = v2.parse_infer(
                head + data, signature, header_length=len(head), now=3.0, deadline=100.0
            )
        except InvalidRequestError as error:
            return error.document()
        infer = call.infer
        arrays = {name: array.tolist() for name, array in infer.inputs.items()}
        return infer.id, arrays, infer.outputs, infer.deadline, call.raw

    v2._SEEN.clear()  # noqa: SLF001 - what is tested
    first = told(CLASSIFIER, [4, 5, 6], change)
    v2._SEEN.clear()  # noqa: SLF001
    ok = told(CLASSIFIER, [1, 2, 3], b"")
    assert ok == ("a", {"x": [[1, 2, 3]]}, None, 8.0, frozenset({"label", "probabilities"}))
    assert len(v2._SEEN) == 1  # noqa: SLF001
    assert told(CLASSIFIER, [4, 5, 6], change) == first
    other = told(REGRESSOR, [1, 2, 3], b"")
    assert isinstance(other, tuple)
    assert other[-1] == {"y"}
    for _ in range(200):  # however many heads there are, few are kept
        head = head.replace(b'"id"', b' "id"')
        told(CLASSIFIER, [1, 2, 3], b"")
    assert len(v2._SEEN) <= 64  # noqa: SLF001


def test_the_parameter_timeout_is_microseconds_and_the_earlier_limit_counts() -> None:
    body = json.dumps({"inputs": [tensor()], "parameters": {"timeout": 500_000}}).encode()
    assert v2.parse_infer(body, CLASSIFIER, now=10.0).infer.deadline == 10.5
    earlier = v2.parse_infer(body, CLASSIFIER, now=10.0, deadline=10.25)
    assert earlier.infer.deadline == 10.25
    none = json.dumps({"inputs": [tensor()]}).encode()
    assert v2.parse_infer(none, CLASSIFIER, now=10.0).infer.deadline is None


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_bytes_break_the_parsers(body: bytes) -> None:
    chosen = answering(CLASSIFIER)
    for parse in (
        lambda: v2.parse_infer(body, CLASSIFIER),
        lambda: simple.parse_predict(body, CLASSIFIER, chosen),
    ):
        with pytest.raises(InvalidRequestError):
            parse()


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["name", "data", "shape", "datatype", "x"]), inner)
    ),
    max_leaves=8,
)


@given(st.fixed_dictionaries({}, optional={"features": _json, "inputs": _json, "outputs": _json}))
def test_any_json_is_answered_or_refused_in_words(document: object) -> None:
    body = json.dumps(document).encode()
    chosen = answering(CLASSIFIER)
    for parse in (
        lambda: v2.parse_infer(body, CLASSIFIER),
        lambda: simple.parse_predict(body, CLASSIFIER, chosen),
    ):
        with contextlib.suppress(InvalidRequestError):
            parse()


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=2)


@given(st.lists(_scalars, max_size=5) | st.lists(st.floats(), max_size=3) | _json)
def test_one_row_of_numbers_is_read_the_short_way_as_it_is_the_long_way(features: object) -> None:
    body = json.dumps({"features": features}).encode().replace(b"Infinity", b"1e300")
    body = body.replace(b"NaN", b"1e39")
    short, long = answering(CLASSIFIER), replace(answering(CLASSIFIER), width=None)
    assert short.width == 3

    def told(chosen: Answering) -> object:
        try:
            asked = simple.parse_predict(body, CLASSIFIER, chosen)
        except InvalidRequestError as error:
            return error.document()
        array = asked.infer.inputs["x"]
        return asked.single, array.shape, array.dtype, array.tobytes()

    assert told(short) == told(long)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_float32_answers_are_read_back_exactly(values: list[float]) -> None:
    array = np.asarray(values, dtype=np.float32)
    read = np.asarray(rendered(array)["data"], dtype=np.float32)
    np.testing.assert_array_equal(read, array)


def test_nan_and_infinity_become_null() -> None:
    array = np.asarray([np.nan, np.inf, 1.0], dtype=np.float32)
    assert rendered(array)["data"] == [None, None, 1.0]


def predict(document: object, signature: Signature = CLASSIFIER) -> simple.PredictRequest:
    chosen = answering(signature)
    return simple.parse_predict(json.dumps(document).encode(), signature, chosen)


def answer(signature: Signature, outputs: dict[str, Any], *, single: bool) -> Any:
    body = simple.render_predict(
        InferResponse(outputs=outputs, seconds=0.0012345),
        answering(signature),
        single=single,
        request_id="r",
        model_version="7",
    )
    return json.loads(body)


def test_one_row_in_gives_one_prediction_out() -> None:
    asked = predict({"features": [1, 2, 3]})
    assert asked.single
    assert asked.infer.inputs["x"].shape == (1, 3)
    outputs = {
        "label": np.asarray([1]),
        "probabilities": np.asarray([[0.25, 0.75]], dtype=np.float32),
    }
    assert answer(CLASSIFIER, outputs, single=True) == {
        "prediction": 1,
        "probability": [0.25, 0.75],
        "request_id": "r",
        "model_version": "7",
        "latency_ms": 1.234,
    }


def test_rows_in_give_rows_out_even_where_it_is_one() -> None:
    asked = predict({"features": [[1, 2, 3]]})
    assert not asked.single
    outputs = {"y": np.asarray([[0.5]], dtype=np.float32)}
    assert answer(REGRESSOR, outputs, single=False)["prediction"] == [0.5]
    assert answer(REGRESSOR, outputs, single=True)["prediction"] == 0.5
    assert "probability" not in answer(REGRESSOR, outputs, single=True)


def test_probabilities_as_a_list_of_maps_are_shown() -> None:
    signature = Signature(
        inputs=(spec("x"),),
        outputs=(spec("output_label", "INT64", (-1,)), spec("output_probability", "BYTES", (-1,))),
    )
    outputs = {"output_label": np.asarray([1]), "output_probability": [{0: 0.25, 1: 0.75}]}
    shown = answer(signature, outputs, single=True)
    assert shown["prediction"] == 1
    assert shown["probability"] == {"0": 0.25, "1": 0.75}


def test_several_inputs_are_given_by_name() -> None:
    asked = predict({"inputs": {"age": [[33]], "town": [["Ulm"]]}}, TWO_INPUTS)
    assert asked.infer.inputs["age"].dtype == np.int64
    assert asked.infer.inputs["town"].tolist() == [["Ulm"]]
    single = predict({"inputs": {"age": 33, "town": "Ulm"}}, TWO_INPUTS)
    assert single.single


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "features: give either features or inputs"),
        ({"features": [1, 2]}, "features: shape [1, 2] does not fit [*, 3] of input x"),
        ({"features": []}, "features: has no rows"),
        ({"features": 3}, "features: must be a list"),
        ({"features": [1, 2, "c"]}, "features[2]: must be numbers, not 'c'"),
        ({"feature": [1, 2, 3]}, "feature: unknown field"),
        ({"features": [1, 2, 3], "request_id": 1}, "request_id: must be a string"),
        ({"inputs": {"y": [1]}}, "inputs.y: no such input; the model has: x"),
        ({"inputs": {}}, "inputs: missing: x"),
    ],
)
def test_a_wrong_predict_request_is_refused_by_field(document: object, message: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        predict(document)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    "body",
    [
        b'{"features": [1, 2, true]}',
        b'{"features": [1, 2, false]}',
        b'{"features": true}',
        b'{"inputs": {"x": [[1, false, 3]]}, "request_id": "u"}',
        b'{"request_id": "[", "features": [true, 2, 3]}',
    ],
)
def test_a_boolean_is_never_taken_for_a_number(body: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        simple.parse_predict(body, CLASSIFIER, answering(CLASSIFIER))

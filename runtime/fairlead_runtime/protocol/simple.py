"""The simple API, `/predict`: rows of features in, predictions out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from fairlead_runtime.protocol.answering import Answering
from fairlead_runtime.protocol.answers import keyed_by_text, plain
from fairlead_runtime.protocol.arrays import (
    check_shape,
    shape_text,
    to_array,
    to_row,
    wrong_tensor,
)
from fairlead_runtime.protocol.call import check_inputs
from fairlead_runtime.protocol.errors import InvalidRequestError
from fairlead_runtime.protocol.types import (
    Array,
    InferRequest,
    InferResponse,
    Signature,
    TensorSpec,
)
from fairlead_runtime.protocol.v2 import has_booleans, parse_json

_KNOWN = frozenset({"features", "inputs", "request_id"})


@dataclass(slots=True)  # frozen and by keyword would cost 0.4 us for each request
class PredictRequest:
    """One request of the simple API.

    Attributes:
        infer: The request to the model.
        single: True where the client sent one row without a batch around it, and so expects one
            prediction instead of a list.
    """

    infer: InferRequest
    single: bool


def parse_predict(
    body: bytes, signature: Signature, chosen: Answering, *, deadline: float | None = None
) -> PredictRequest:
    """Return the request that these bytes are.

    Raises:
        InvalidRequestError: They are none for this signature; the message names the field.
    """
    document, booleans = parse_json(body), has_booleans(body)
    features = document.get("features")
    if len(document) == 1 and features and chosen.width is not None and not booleans:
        row = to_row(features, chosen.width)  # the common case
        if row is not None:
            inputs = {signature.inputs[0].name: row}
            asked = InferRequest(inputs=inputs, outputs=chosen.outputs, deadline=deadline)
            return PredictRequest(asked, single=True)
    if not document.keys() <= _KNOWN:
        unknown = sorted(document.keys() - _KNOWN)
        message = "unknown field; a request has features or inputs, and request_id"
        raise InvalidRequestError(unknown[0], message, expected=", ".join(sorted(_KNOWN)))
    identity = document.get("request_id", "")
    if not isinstance(identity, str) or len(identity) > 256:
        message = "must be a string of at most 256 characters"
        raise InvalidRequestError("request_id", message, expected="a short string")
    if ("features" in document) == ("inputs" in document):
        message = "give either features or inputs"
        raise InvalidRequestError("features", message, expected="features or inputs")
    if "features" in document:
        if len(signature.inputs) != 1:
            names = ", ".join(spec.name for spec in signature.inputs)
            message = f"the model has several inputs: give them by name in inputs ({names})"
            raise InvalidRequestError("features", message, expected="inputs")
        spec = signature.inputs[0]
        array, single = _rows(document["features"], spec, "features", booleans=booleans)
        inputs = {spec.name: array}
    else:
        inputs, single = _named(document["inputs"], signature, booleans=booleans)
    outputs = chosen.outputs
    return PredictRequest(
        InferRequest(id=identity, inputs=inputs, outputs=outputs, deadline=deadline), single
    )


def _named(value: object, signature: Signature, *, booleans: bool) -> tuple[dict[str, Array], bool]:
    if not isinstance(value, dict):
        message = "must be an object from input name to data"
        raise InvalidRequestError("inputs", message, expected="an object")
    inputs: dict[str, Array] = {}
    singles: set[bool] = set()
    for name, data in value.items():
        spec = signature.input(name)
        if spec is None:
            known = ", ".join(each.name for each in signature.inputs)
            message = f"no such input; the model has: {known}"
            raise wrong_tensor(f"inputs.{name}", message, known)
        inputs[name], single = _rows(data, spec, f"inputs.{name}", booleans=booleans)
        singles.add(single)
    check_inputs(inputs, signature)
    if len(singles) > 1:
        message = "give one row for each input, or rows for each"
        raise wrong_tensor("inputs", message, "one row for each, or rows for each")
    return inputs, singles.pop()


def _rows(data: object, spec: TensorSpec, field: str, *, booleans: bool) -> tuple[Array, bool]:
    if data == []:
        raise wrong_tensor(field, "has no rows", "at least one row")
    if not isinstance(data, list) and any(size not in (-1, 1) for size in spec.shape[1:]):
        message = f"must be a list: the input's shape is {shape_text(spec)}"
        raise wrong_tensor(field, message, f"a list of shape {shape_text(spec)}")
    array = to_array(data, spec.datatype, field, booleans=booleans)
    rank = len(spec.shape)
    single = array.ndim == rank - 1
    if single:
        array = array[np.newaxis]
    elif rank == 2 and spec.shape[1] == 1 and array.ndim == 0:
        array, single = array.reshape(1, 1), True
    check_shape(array.shape, spec, field)
    return array, single


def render_predict(
    response: InferResponse,
    chosen: Answering,
    *,
    single: bool,
    request_id: str,
    model_version: str,
) -> bytes:
    """Return the bytes of an answer; `latency_ms` is the time in the model."""
    document: dict[str, Any] = {"prediction": _per_row(response, chosen.prediction, single)}
    if chosen.probability is not None:
        document["probability"] = _per_row(response, chosen.probability, single)
    document["request_id"] = request_id
    document["model_version"] = model_version
    document["latency_ms"] = round(response.seconds * 1e6) / 1000  # digits for round() cost more
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def _per_row(response: InferResponse, name: str, single: bool) -> Any:  # noqa: ANN401, FBT001 - JSON
    value = response.outputs[name]
    if single and type(value) is np.ndarray and value.size == 1 and value.ndim <= 2:
        number = value.flat[0]  # the common case, at a third of the cost
        if value.dtype.kind == "f":
            # numpy's own float is written with its own few digits, not a double's many.
            return np.float32(number) if value.dtype == np.float16 else number
        if value.dtype.kind in "biu":
            return number.item()
    if isinstance(value, list):
        rows = [keyed_by_text(item) for item in value]
        return rows[0] if single and rows else rows
    if value.ndim >= 2 and value.shape[-1] == 1:
        value = value.reshape(value.shape[:-1])
    if single and value.ndim and value.shape[0] == 1:
        value = value[0]
    if value.ndim == 0:
        # A float stays numpy's, which is written with its own few digits, not a double's many.
        return plain(value.reshape(1))[0] if value.dtype.kind == "f" else value.item()
    return plain(value) if value.dtype.kind not in "OSU" else value.tolist()

"""The Open Inference Protocol v2 in JSON: bytes to requests, answers to bytes.

The protocol: https://github.com/kserve/open-inference-protocol. Numbers are written with as many
digits as it takes to read the same value back; NaN and infinities, which JSON lacks, become null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from fairlead_runtime.protocol.arrays import checked_shape, size_of, to_array
from fairlead_runtime.protocol.errors import InvalidRequestError
from fairlead_runtime.protocol.types import (
    DATATYPES,
    Array,
    InferRequest,
    InferResponse,
    Signature,
    TensorSpec,
)

_NAMES = {dtype: name for name, dtype in DATATYPES.items()}


def parse_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a request's body.

    Raises:
        InvalidRequestError: It is none.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestError("", f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidRequestError("", "the body must be a JSON object")
    return document


def parse_infer(body: bytes, signature: Signature) -> InferRequest:
    """Return the request that these bytes are.

    Raises:
        InvalidRequestError: They are none for this signature; the message names the field.
    """
    document = parse_json(body)
    identity = document.get("id", "")
    if not isinstance(identity, str):
        raise InvalidRequestError("id", "must be a string")
    given = document.get("inputs")
    if not isinstance(given, list):
        raise InvalidRequestError("inputs", "must be a list of tensors")
    inputs: dict[str, Array] = {}
    for index, tensor in enumerate(given):
        name, array = _input(tensor, f"inputs[{index}]", signature)
        if name in inputs:
            raise InvalidRequestError(f"inputs[{index}].name", f"{name!r} is there twice")
        inputs[name] = array
    missing = [spec.name for spec in signature.inputs if spec.name not in inputs]
    if missing:
        raise InvalidRequestError("inputs", f"missing: {', '.join(missing)}")
    return InferRequest(
        id=identity, inputs=inputs, outputs=_wanted(document.get("outputs"), signature)
    )


def _input(tensor: object, field: str, signature: Signature) -> tuple[str, Array]:
    if not isinstance(tensor, dict):
        raise InvalidRequestError(field, "must be an object with name, shape, datatype and data")
    spec = signature.input(str(tensor.get("name")))
    if spec is None:
        known = ", ".join(each.name for each in signature.inputs)
        message = f"the model has no input {tensor.get('name')!r}; it has: {known}"
        raise InvalidRequestError(f"{field}.name", message)
    datatype = tensor.get("datatype")
    if datatype != spec.datatype:
        message = f"must be {spec.datatype}, not {datatype!r}"
        raise InvalidRequestError(f"{field}.datatype", message)
    shape = _shape(tensor.get("shape"), f"{field}.shape")
    if "data" not in tensor:
        raise InvalidRequestError(f"{field}.data", "is missing")
    array = to_array(tensor["data"], spec.datatype, f"{field}.data")
    if array.size != size_of(shape):
        message = f"has {array.size} elements, but shape {list(shape)} has {size_of(shape)}"
        raise InvalidRequestError(f"{field}.data", message)
    return spec.name, checked_shape(array.reshape(shape), spec, f"{field}.shape")


def _shape(value: object, field: str) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(
        isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in value
    ):
        raise InvalidRequestError(field, "must be a list of integers of 0 or more")
    return tuple(value)


def _wanted(value: object, signature: Signature) -> tuple[str, ...] | None:
    if value is None or value == []:
        return None
    if not isinstance(value, list):
        raise InvalidRequestError("outputs", "must be a list")
    known = {spec.name for spec in signature.outputs}
    names: list[str] = []
    for index, item in enumerate(value):
        name = item.get("name") if isinstance(item, dict) else None
        if name not in known:
            message = f"the model has no output {name!r}; it has: {', '.join(sorted(known))}"
            raise InvalidRequestError(f"outputs[{index}].name", message)
        names.append(str(name))
    return tuple(names)


def render_infer(
    response: InferResponse, *, identity: str, model_name: str, model_version: str
) -> bytes:
    """Return the bytes of an answer."""
    document: dict[str, Any] = {"model_name": model_name, "model_version": model_version}
    if identity:
        document["id"] = identity
    document["outputs"] = [_output(name, value) for name, value in response.outputs.items()]
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def _output(name: str, value: Array | list[Any]) -> dict[str, Any]:
    if isinstance(value, list):  # a list of maps: the protocol has no such tensor
        texts = [orjson.dumps(keyed_by_text(item)).decode() for item in value]
        return {"name": name, "datatype": "BYTES", "shape": [len(texts)], "data": texts}
    return {
        "name": name,
        "datatype": _NAMES.get(value.dtype, "BYTES"),
        "shape": list(value.shape),
        "data": plain(value.reshape(-1)),
    }


def keyed_by_text(item: object) -> object:
    """Return a map with its keys as text, as JSON needs them."""
    if isinstance(item, Mapping):
        return {str(key): value for key, value in item.items()}
    return item


def plain(array: Array) -> Any:  # noqa: ANN401 - an array or a list, for orjson
    """Return an array in a form that orjson writes: contiguous, and no 16-bit floats or objects."""
    if array.dtype.kind in "OSU":
        return [x.decode("utf-8", "replace") if isinstance(x, bytes) else x for x in array.tolist()]
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    return np.ascontiguousarray(array)


def render_model(name: str, version: str, signature: Signature, platform: str) -> bytes:
    """Return the bytes of a model's metadata."""
    return orjson.dumps(
        {
            "name": name,
            "versions": [version],
            "platform": platform,
            "inputs": [_tensor(spec) for spec in signature.inputs],
            "outputs": [_tensor(spec) for spec in signature.outputs],
        }
    )


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}

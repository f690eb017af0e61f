"""The Open Inference Protocol v2 over HTTP: from answers to bytes.

Numbers are written with as many digits as it takes to read the same value back; NaN and
infinities, which JSON lacks, become null. Raw bytes keep them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from fairlead_runtime.protocol.raw import to_raw
from fairlead_runtime.protocol.types import Array, InferResponse, Signature, TensorSpec

_WRITTEN_AS_THEY_ARE = frozenset("?bBhHiIlLqQfd")
"""numpy's characters of dtypes that orjson writes."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The bytes of an answer.

    Attributes:
        body: JSON, with the raw bytes of tensors behind it where some were asked for so.
        header_length: Bytes of the JSON where raw bytes follow, else None.
    """

    body: bytes
    header_length: int | None = None


def render_infer(
    response: InferResponse,
    signature: Signature,
    *,
    identity: str,
    model_name: str,
    model_version: str,
    raw: frozenset[str] = frozenset(),
) -> Rendered:
    """Return the bytes of an answer.

    Args:
        response: The model's answer.
        signature: What the model gives.
        identity: The request's id, sent back unless it is empty.
        model_name: The model's name.
        model_version: The model's version.
        raw: Names of the outputs that go behind the JSON as raw bytes.
    """
    document: dict[str, Any] = {"model_name": model_name, "model_version": model_version}
    if identity:
        document["id"] = identity
    parts: list[bytes] = []
    outputs: list[dict[str, Any]] = []
    for name, value in response.outputs.items():
        datatype, array = output_tensor(name, value, signature)
        output: dict[str, Any] = {"name": name, "datatype": datatype}
        output["shape"] = list(array.shape)
        if name in raw:
            part = to_raw(array, datatype)
            output["parameters"] = {"binary_data_size": len(part)}
            parts.append(part)
        else:
            output["data"] = plain(array.reshape(-1))
        outputs.append(output)
    document["outputs"] = outputs
    head = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    if not raw:
        return Rendered(head)
    return Rendered(b"".join((head, *parts)), len(head))


def output_tensor(name: str, value: Array | list[Any], signature: Signature) -> tuple[str, Array]:
    """Return an output's datatype and its array.

    A list of maps, which the protocol has no tensor for, becomes one string of JSON for each.
    """
    if isinstance(value, list):
        texts = np.empty(len(value), dtype=object)
        option = orjson.OPT_SERIALIZE_NUMPY  # of a sequence of tensors each is an array
        texts[:] = [orjson.dumps(keyed_by_text(item), option=option).decode() for item in value]
        return "BYTES", texts
    spec = signature.output(name)
    return spec.datatype if spec else "BYTES", value


def keyed_by_text(item: object) -> object:
    """Return a map with its keys as text, as JSON needs them."""
    if isinstance(item, Mapping):
        return {str(key): value for key, value in item.items()}
    return item


def plain(array: Array) -> Any:  # noqa: ANN401 - an array or a list, for orjson
    """Return an array in a form that orjson writes: contiguous, and no 16-bit floats or objects."""
    if array.dtype.char in _WRITTEN_AS_THEY_ARE:
        return np.ascontiguousarray(array)  # the common case, at half the cost
    if array.dtype.kind in "OSU":
        return [x.decode("utf-8", "replace") if isinstance(x, bytes) else x for x in array.tolist()]
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    return np.ascontiguousarray(array)


def render_model(
    name: str,
    version: str,
    signature: Signature,
    platform: str,
    properties: Mapping[str, str] | None = None,
) -> bytes:
    """Return the bytes of a model's metadata."""
    document: dict[str, Any] = {
        "name": name,
        "versions": [version],
        "platform": platform,
        "inputs": [_tensor(spec) for spec in signature.inputs],
        "outputs": [_tensor(spec) for spec in signature.outputs],
    }
    if properties:
        document["properties"] = properties
    return orjson.dumps(document)


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}

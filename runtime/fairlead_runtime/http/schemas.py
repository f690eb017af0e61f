"""JSON schemas of what a model takes and gives, from its signature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fairlead_runtime.protocol.errors import Code
from fairlead_runtime.protocol.types import DATATYPES, Signature, TensorSpec

Schema = dict[str, Any]
# What is nearer to the largest number than to infinity is still taken, and rounded down.
_BEYOND = {"FP16": 65520.0, "FP32": 2.0**128 - 2.0**103, "BF16": 2.0**128 - 2.0**103}
_MOST_SHOWN = 1 << 16  # elements; an example of more would only slow the page down


def value(datatype: str) -> Schema:
    """Return the schema of one element."""
    dtype = DATATYPES[datatype]
    if dtype.kind == "O":
        return {"type": "string"}
    if dtype.kind == "b":
        return {"type": "boolean"}
    if dtype.kind == "f":
        beyond = _BEYOND.get(datatype)
        if beyond is None:
            return {"type": "number"}
        return {"type": "number", "exclusiveMinimum": -beyond, "exclusiveMaximum": beyond}
    limits = np.iinfo(dtype)
    return {"type": "integer", "minimum": int(limits.min), "maximum": int(limits.max)}


def nested(datatype: str, shape: Sequence[int], *, least: int = 0) -> Schema:
    """Return the schema of nested lists; -1 is any length from `least`."""
    if not shape:
        return value(datatype)
    schema: Schema = {"type": "array", "items": nested(datatype, shape[1:], least=least)}
    size = shape[0]
    return {**schema, "minItems": least if size < 0 else size} | (
        {"maxItems": size} if size >= 0 else {}
    )


def rows(spec: TensorSpec) -> Schema:
    """Return the schema of an input in the simple API: a row, or rows."""
    inner = spec.shape[1:]
    some = nested(spec.datatype, spec.shape, least=1)
    if not spec.shape or spec.shape[0] not in (-1, 1):
        return some
    forms = [nested(spec.datatype, inner, least=1), some]
    if inner == (1,):
        forms.insert(0, value(spec.datatype))
    return {"anyOf": forms}


def predict_request(signature: Signature) -> Schema:
    """Return the schema of a request to the simple API."""
    named: Schema = {
        "type": "object",
        "description": "Data by input name: a row for each, or rows for each.",
        "properties": {spec.name: rows(spec) for spec in signature.inputs},
        "required": [spec.name for spec in signature.inputs],
        "additionalProperties": False,
    }
    schema: Schema = {
        "type": "object",
        "properties": {
            "request_id": {
                "type": "string",
                "maxLength": 256,
                "description": "Sent back with the answer; made up where it is missing.",
            },
            "inputs": named,
        },
        "additionalProperties": False,
    }
    if len(signature.inputs) == 1:
        schema["properties"]["features"] = rows(signature.inputs[0])
        schema["oneOf"] = [{"required": ["features"]}, {"required": ["inputs"]}]
    else:
        schema["required"] = ["inputs"]
    return schema


def predict_response(*, probability: bool) -> Schema:
    """Return the schema of an answer of the simple API."""
    properties: Schema = {
        "prediction": {"description": "One value for one row, or a list for rows."},
        "request_id": {"type": "string"},
        "model_version": {"type": "string"},
        "latency_ms": {"type": "number", "minimum": 0},
    }
    if probability:
        properties["probability"] = {"description": "As prediction: one for each class."}
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def infer_request(signature: Signature) -> Schema:
    """Return the schema of a request of the inference protocol, in JSON."""
    parameters = _parameters(binary_data_output={"type": "boolean"})
    names = [spec.name for spec in signature.outputs]
    return {
        "type": "object",
        "properties": {
            "id": {"type": ["string", "null"]},
            "parameters": parameters,
            "inputs": {
                "type": "array",
                "minItems": len(signature.inputs),
                "maxItems": len(signature.inputs),
                "items": {"oneOf": [_tensor(spec) for spec in signature.inputs]},
            },
            "outputs": {
                "type": ["array", "null"],
                "uniqueItems": True,
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"enum": names},
                        "parameters": _parameters(
                            binary_data={"type": "boolean"}, classification={"const": 0}
                        ),
                    },
                    "required": ["name"],
                },
            },
        },
        "required": ["inputs"],
    }


def infer_response() -> Schema:
    """Return the schema of an answer of the inference protocol, in JSON."""
    output = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "datatype": {"enum": sorted(DATATYPES)},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "data": {"type": "array"},
            "parameters": {"type": "object"},
        },
        "required": ["name", "datatype", "shape"],
    }
    return {
        "type": "object",
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": output},
        },
        "required": ["model_name", "model_version", "outputs"],
    }


def error() -> Schema:
    """Return the schema of an error."""
    text = {"type": "string"}
    return {
        "type": "object",
        "properties": {
            "error": {**text, "description": "What went wrong, for people."},
            "code": {"enum": [str(code) for code in Code]},
            "field": {**text, "description": "Which part of the request is to blame."},
            "expected": {**text, "description": "What should have been there."},
        },
        "required": ["error", "code"],
        "additionalProperties": False,
    }


def predict_example(signature: Signature) -> Schema | None:
    """Return a request to the simple API that the model takes; None for a very large one."""
    if _elements(signature) > _MOST_SHOWN:
        return None
    if len(signature.inputs) == 1:
        spec = signature.inputs[0]
        return {"features": _zeros(spec.datatype, spec.shape[1:])}
    return {"inputs": {s.name: _zeros(s.datatype, s.shape) for s in signature.inputs}}


def infer_example(signature: Signature) -> Schema | None:
    """Return a request of the inference protocol that the model takes; None for a large one."""
    if _elements(signature) > _MOST_SHOWN:
        return None
    tensors: list[Schema] = []
    for spec in signature.inputs:
        shape = [max(size, 1) if size < 0 else size for size in spec.shape]
        data = _zeros(spec.datatype, [math.prod(shape)])
        tensor = {"name": spec.name, "datatype": spec.datatype, "shape": shape, "data": data}
        tensors.append(tensor)
    return {"inputs": tensors}


def _tensor(spec: TensorSpec) -> Schema:
    sizes = [
        {"type": "integer", "minimum": 0, "maximum": 1 << 20} if size < 0 else {"const": size}
        for size in spec.shape
    ]
    rank = len(sizes)
    shape: Schema = {"type": "array", "minItems": rank, "maxItems": rank, "items": False}
    if sizes:
        shape["prefixItems"] = sizes
    flat = nested(spec.datatype, (-1,))
    return {
        "type": "object",
        "properties": {
            "name": {"const": spec.name},
            "datatype": {"const": spec.datatype},
            "shape": shape,
            "data": flat if rank < 2 else {"anyOf": [flat, nested(spec.datatype, spec.shape)]},
            "parameters": _parameters(binary_data_size=False),
        },
        "required": ["name", "datatype", "shape", "data"],
    }


def _parameters(**known: Schema | bool) -> Schema:
    """Return the schema of parameters: those that mean something here, and any others."""
    scalars = {"type": ["boolean", "number", "string"]}
    return {"type": ["object", "null"], "properties": known, "additionalProperties": scalars}


def _elements(signature: Signature) -> int:
    return sum(math.prod(max(size, 1) for size in spec.shape) for spec in signature.inputs)


def _zeros(datatype: str, shape: Sequence[int]) -> Any:  # noqa: ANN401 - nested lists
    if not shape:
        return {"O": "", "b": False, "f": 0.5}.get(DATATYPES[datatype].kind, 0)
    inner = _zeros(datatype, shape[1:])
    return [inner] * (1 if shape[0] < 0 else shape[0])

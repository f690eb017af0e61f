"""The Open Inference Protocol v2 over HTTP: from bytes to requests.

The protocol: https://github.com/kserve/open-inference-protocol, with the binary tensor extension:
a body is JSON, and behind it the raw bytes of tensors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from fairlead_runtime.protocol.arrays import (
    check_shape,
    shape_text,
    size_of,
    to_array,
    wrong_tensor,
)
from fairlead_runtime.protocol.call import (
    InferCall,
    Parameters,
    check_datatype,
    check_inputs,
    check_plain,
    deadline_of,
    find_input,
    find_output,
    flag,
    parameters,
)
from fairlead_runtime.protocol.errors import Code, InvalidRequestError
from fairlead_runtime.protocol.raw import from_raw
from fairlead_runtime.protocol.types import (
    DATATYPES,
    Array,
    InferRequest,
    Signature,
    TensorSpec,
)

_RAW_SIZE = "binary_data_size"


@dataclass(slots=True)
class _Rest:
    """The raw bytes behind the JSON, handed out tensor by tensor."""

    data: memoryview
    at: int = 0
    taken: list[int] = field(default_factory=list)

    def take(self, size: object, field: str) -> memoryview:
        if type(size) is not int or size < 0:
            raise wrong_tensor(field, "must be an integer of 0 or more", "a number of bytes")
        left = len(self.data) - self.at
        if size > left:
            message = f"is {size}, but only {left} bytes are left of the body"
            raise wrong_tensor(field, message, f"at most {left}")
        self.at += size
        self.taken.append(size)
        return self.data[self.at - size : self.at]

    def check_end(self) -> None:
        if self.at != len(self.data):
            more = len(self.data) - self.at
            message = f"{more} bytes are left behind the tensors: each needs {_RAW_SIZE}"
            raise wrong_tensor("body", message, f"{self.at} bytes behind the JSON")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a JSON head said of which each tensor is raw: all but their numbers."""

    signature: Signature
    identity: str
    shapes: list[tuple[str, tuple[int, ...]]]
    sizes: list[int]
    outputs: tuple[str, ...] | None
    raw: frozenset[str]
    options: Parameters


# Clients of raw tensors mostly send the same head again. What is wrong is never here.
_SEEN: dict[bytes, _Seen] = {}
_MOST_SEEN, _MOST_SEEN_BYTES = 64, 2048


def parse_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a request's body.

    Raises:
        InvalidRequestError: It is none.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        message = f"the body is not JSON: {error}"
        raise InvalidRequestError(
            "", message, expected="a JSON object", code=Code.INVALID_JSON
        ) from None
    if not isinstance(document, dict):
        raise InvalidRequestError(
            "", "the body must be a JSON object", expected="a JSON object", code=Code.INVALID_JSON
        )
    return document


def has_booleans(body: bytes) -> bool:
    """Return whether lists in JSON may hold true or false, without a look at each element.

    A single letter is found forty times as fast as a word, and mostly is not there.
    """
    at = max(body.find(b"["), 0)
    return (body.find(b"u", at) >= 0 and body.find(b"true", at) >= 0) or (
        body.find(b"l", at) >= 0 and body.find(b"false", at) >= 0
    )


def parse_infer(
    body: bytes,
    signature: Signature,
    *,
    header_length: int | None = None,
    now: float = 0.0,
    deadline: float | None = None,
) -> InferCall:
    """Return the request that these bytes are.

    Args:
        body: JSON, and raw tensors behind it where `header_length` says so.
        signature: What the model takes and gives.
        header_length: Bytes of the JSON; None where the body is all JSON, 0 where the body is the
            one input of the model and nothing else.
        now: The monotonic clock.
        deadline: From the request's header, if any.

    Raises:
        InvalidRequestError: They are none for this signature; the error names the field.
    """
    if header_length == 0:
        return _bare(body, signature, deadline)
    rest, head = None, body
    if header_length is not None:
        head, rest = body[:header_length], _Rest(memoryview(body)[header_length:])
        seen = _SEEN.get(head)
        if seen is not None and seen.signature is signature:
            return _as_before(seen, rest, now, deadline)
    document, booleans = parse_json(head), has_booleans(head)
    identity = document.get("id")
    if identity is None:
        identity = ""
    if not isinstance(identity, str):
        raise InvalidRequestError("id", "must be a string", expected="a string")
    given = document.get("inputs")
    if not isinstance(given, list):
        raise InvalidRequestError("inputs", "must be a list of tensors", expected="a list")
    inputs: dict[str, Array] = {}
    for index, tensor in enumerate(given):
        name, array = _input(tensor, f"inputs[{index}]", signature, rest, booleans=booleans)
        if name in inputs:
            raise wrong_tensor(f"inputs[{index}].name", f"{name!r} is there twice")
        inputs[name] = array
    check_inputs(inputs, signature)
    if rest is not None:
        rest.check_end()
    asked = document.get("parameters")
    options: Parameters = {} if asked is None else parameters(asked, "parameters")
    outputs, raw = _wanted(document.get("outputs"), signature, options)
    if rest is not None and len(rest.taken) == len(inputs) and len(head) <= _MOST_SEEN_BYTES:
        if len(_SEEN) >= _MOST_SEEN:
            _SEEN.clear()
        shapes = [(name, array.shape) for name, array in inputs.items()]
        _SEEN[head] = _Seen(signature, identity, shapes, rest.taken, outputs, raw, options)
    return InferCall(
        infer=InferRequest(
            id=identity,
            inputs=inputs,
            outputs=outputs,
            deadline=deadline_of(options, now, deadline),
        ),
        raw=raw,
    )


def _as_before(seen: _Seen, rest: _Rest, now: float, deadline: float | None) -> InferCall:
    inputs: dict[str, Array] = {}
    for index, ((name, shape), size) in enumerate(zip(seen.shapes, seen.sizes, strict=True)):
        spec = seen.signature.input(name)
        datatype = spec.datatype if spec is not None else ""
        where = f"inputs[{index}]"
        data = rest.take(size, f"{where}.parameters.{_RAW_SIZE}")
        inputs[name] = from_raw(data, datatype, shape, where)
    rest.check_end()
    return InferCall(
        infer=InferRequest(
            id=seen.identity,
            inputs=inputs,
            outputs=seen.outputs,
            deadline=deadline_of(seen.options, now, deadline),
        ),
        raw=seen.raw,
    )


def _bare(body: bytes, signature: Signature, deadline: float | None) -> InferCall:
    """Return the request whose body is the model's one input: at most one size is left open."""
    spec = signature.inputs[0] if len(signature.inputs) == 1 else None
    if spec is None or spec.datatype == "BYTES" or sum(size < 0 for size in spec.shape) > 1:
        message = "a body without JSON needs a model of one input, with one size left open at most"
        raise InvalidRequestError("body", message, expected="JSON before the tensors")
    width = 2 if spec.datatype == "BF16" else DATATYPES[spec.datatype].itemsize
    known = width
    for size in spec.shape:
        known *= max(size, 1) if size < 0 else size
    shape = [len(body) // known if size < 0 and known else max(size, 0) for size in spec.shape]
    array = from_raw(body, spec.datatype, shape, "body")
    raw = frozenset(each.name for each in signature.outputs)
    return InferCall(infer=InferRequest(inputs={spec.name: array}, deadline=deadline), raw=raw)


def _input(
    tensor: object, field: str, signature: Signature, rest: _Rest | None, *, booleans: bool
) -> tuple[str, Array]:
    if not isinstance(tensor, dict):
        message = "must be an object with name, shape, datatype and data"
        raise wrong_tensor(field, message, "an object")
    spec = find_input(tensor.get("name"), signature, f"{field}.name")
    check_datatype(tensor.get("datatype"), spec, f"{field}.datatype")
    datatype = spec.datatype
    shape = _shape(tensor.get("shape"), spec, f"{field}.shape")
    asked = tensor.get("parameters")
    options: Parameters = {} if asked is None else parameters(asked, f"{field}.parameters")
    size = options.get(_RAW_SIZE)
    if size is not None:
        where = f"{field}.parameters.{_RAW_SIZE}"
        if rest is None:
            message = "needs the header Inference-Header-Content-Length"
            raise wrong_tensor(where, message, "the header Inference-Header-Content-Length")
        if tensor.get("data") is not None:
            raise wrong_tensor(f"{field}.data", f"give either data or {_RAW_SIZE}")
        array = from_raw(rest.take(size, where), datatype, shape, field)
    elif tensor.get("data") is not None:
        where = f"{field}.data"
        array = to_array(tensor["data"], datatype, where, booleans=booleans)
        array = _shaped(array, shape, where)
    else:
        raise wrong_tensor(f"{field}.data", "is missing", f"a list of {datatype}")
    return spec.name, array


def _shaped(array: Array, shape: tuple[int, ...], field: str) -> Array:
    """Return an array, as it is nested in JSON, in its tensor's own shape."""
    if array.shape == shape:
        return array
    size = size_of(shape)
    if array.size != size:
        message = f"has {array.size} elements, but shape {list(shape)} has {size}"
        raise wrong_tensor(field, message, f"{size} elements")
    if array.ndim > 1:
        message = f"is nested as {list(array.shape)}, but its shape is {list(shape)}"
        raise wrong_tensor(field, message, f"a flat list, or lists as in {list(shape)}")
    return array.reshape(shape)


def _shape(value: object, spec: TensorSpec, field: str) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(_is_size(size) for size in value):
        raise wrong_tensor(field, "must be a list of integers of 0 or more", shape_text(spec))
    shape = tuple(map(int, value))
    check_shape(shape, spec, field)
    return shape


def _is_size(size: object) -> bool:
    if type(size) is int:
        return size >= 0
    return type(size) is float and size >= 0 and size.is_integer()


def _wanted(
    value: object, signature: Signature, options: Parameters
) -> tuple[tuple[str, ...] | None, frozenset[str]]:
    """Return the outputs that are asked for, and those of them that are to come as raw bytes."""
    all_raw = flag(options, "binary_data_output", "parameters")
    if value is None or value == []:
        if not all_raw:
            return None, frozenset()
        return None, frozenset(spec.name for spec in signature.outputs)
    if not isinstance(value, list):
        raise InvalidRequestError("outputs", "must be a list", expected="a list")
    names: list[str] = []
    raw: set[str] = set()
    for index, item in enumerate(value):
        where = f"outputs[{index}]"
        if not isinstance(item, dict):
            raise wrong_tensor(where, "must be an object with a name", "an object")
        name = find_output(item.get("name"), names, signature, f"{where}.name")
        asked = item.get("parameters")
        its = {} if asked is None else parameters(asked, f"{where}.parameters")
        check_plain(its, f"{where}.parameters")
        if flag(its, "binary_data", f"{where}.parameters", otherwise=all_raw):
            raw.add(name)
        names.append(name)
    return tuple(names), frozenset(raw)

"""Between the messages of gRPC and the tensors of the data plane."""

from __future__ import annotations

from typing import Any

import numpy as np

from fairlead_runtime.grpc.messages import INFERENCE
from fairlead_runtime.protocol.answers import output_tensor
from fairlead_runtime.protocol.arrays import check_shape, shape_text, size_of, wrong_tensor
from fairlead_runtime.protocol.call import (
    InferCall,
    Parameters,
    check_datatype,
    check_inputs,
    check_plain,
    deadline_of,
    find_input,
    find_output,
)
from fairlead_runtime.protocol.raw import from_raw, to_raw
from fairlead_runtime.protocol.types import (
    DATATYPES,
    Array,
    InferRequest,
    InferResponse,
    Signature,
    TensorSpec,
)

Message = Any  # protobuf's classes are made at run time
_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
_WIDE = {"int_contents": np.int64, "uint_contents": np.int64}
_Request = INFERENCE["ModelInferRequest"]
_Response = INFERENCE["ModelInferResponse"]


def parse_infer(
    request: Message, signature: Signature, *, now: float, deadline: float | None
) -> InferCall:
    """Return the request that a ModelInferRequest is.

    Args:
        request: The message.
        signature: What the model takes and gives.
        now: The monotonic clock.
        deadline: The call's own, if any.

    Raises:
        InvalidRequestError: It is none for this signature; the error names the field.
    """
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        message = f"has {len(raw)} tensors, but inputs has {len(request.inputs)}"
        raise wrong_tensor("raw_input_contents", message, f"{len(request.inputs)} tensors")
    inputs: dict[str, Array] = {}
    for index, tensor in enumerate(request.inputs):
        field = f"inputs[{index}]"
        spec = find_input(tensor.name, signature, f"{field}.name")
        if spec.name in inputs:
            raise wrong_tensor(f"{field}.name", f"{spec.name!r} is there twice")
        check_datatype(tensor.datatype, spec, f"{field}.datatype")
        shape = tuple(tensor.shape)
        if min(shape, default=0) < 0:
            raise wrong_tensor(f"{field}.shape", "must be 0 or more each", shape_text(spec))
        check_shape(shape, spec, f"{field}.shape")
        if raw:
            if tensor.HasField("contents"):
                message = "give either contents or raw_input_contents"
                raise wrong_tensor(f"{field}.contents", message, "no contents")
            where = f"raw_input_contents[{index}]"
            inputs[spec.name] = from_raw(raw[index], spec.datatype, shape, where)
        else:
            inputs[spec.name] = _typed(tensor.contents, spec, shape, f"{field}.contents")
    check_inputs(inputs, signature)
    options = _parameters(request.parameters) if request.parameters else {}
    return InferCall(
        infer=InferRequest(
            id=request.id,
            inputs=inputs,
            outputs=_wanted(request.outputs, signature) if request.outputs else None,
            deadline=deadline_of(options, now, deadline) if options else deadline,
        ),
        # An answer is as its request: raw, or in numbers.
        raw=frozenset(spec.name for spec in signature.outputs) if raw else frozenset(),
    )


def render_infer(
    answer: InferResponse, signature: Signature, call: InferCall, *, name: str, version: str
) -> Message:
    """Return a model's answer as a ModelInferResponse."""
    response = _Response(model_name=name, model_version=version, id=call.infer.id)
    tensors = [
        (key, *output_tensor(key, value, signature)) for key, value in answer.outputs.items()
    ]
    # 16-bit floats have no field of numbers, and a response is raw as a whole or not at all.
    raw = bool(call.raw) or any(datatype not in _CONTENTS for _, datatype, _ in tensors)
    for key, datatype, array in tensors:
        output = response.outputs.add(name=key, datatype=datatype, shape=array.shape)
        if raw:
            response.raw_output_contents.append(to_raw(array, datatype))
        else:
            values = array.reshape(-1).tolist()
            if datatype == "BYTES":
                values = [
                    item if isinstance(item, bytes) else str(item).encode() for item in values
                ]
            getattr(output.contents, _CONTENTS[datatype]).extend(values)
    return response


def render_model(name: str, version: str, signature: Signature, platform: str) -> Message:
    """Return a model's metadata as a ModelMetadataResponse."""
    response = INFERENCE["ModelMetadataResponse"](name=name, versions=[version], platform=platform)
    for specs, tensors in (
        (signature.inputs, response.inputs),
        (signature.outputs, response.outputs),
    ):
        for spec in specs:
            tensors.add(name=spec.name, datatype=spec.datatype, shape=spec.shape)
    return response


def _typed(contents: Message, spec: TensorSpec, shape: tuple[int, ...], field: str) -> Array:
    name = _CONTENTS.get(spec.datatype)
    if name is None:
        message = f"{spec.datatype} has no numbers in this protocol: use raw_input_contents"
        raise wrong_tensor(field, message, "raw_input_contents")
    for other, _ in contents.ListFields():
        if other.name != name:
            message = f"must hold {name} for {spec.datatype}, not {other.name}"
            raise wrong_tensor(field, message, name)
    values = getattr(contents, name)
    size = size_of(shape)
    if len(values) != size:
        message = f"has {len(values)} elements, but shape {list(shape)} has {size}"
        raise wrong_tensor(f"{field}.{name}", message, f"{size} elements")
    dtype = DATATYPES[spec.datatype]
    if spec.datatype == "BYTES":
        array = np.empty(size, dtype=object)
        array[:] = [_text(value, f"{field}.{name}[{at}]") for at, value in enumerate(values)]
        return array.reshape(shape)
    array = np.array(values, dtype=_WIDE.get(name, dtype)).reshape(shape)
    if array.dtype != dtype:
        limits = np.iinfo(dtype)
        if array.size and (array.min() < limits.min or array.max() > limits.max):
            span = f"{limits.min} to {limits.max}"
            raise wrong_tensor(f"{field}.{name}", f"{spec.datatype} holds {span}", span)
        array = array.astype(dtype)
    return array


def _text(value: bytes, field: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise wrong_tensor(field, "is not UTF-8", "UTF-8") from None


def _parameters(values: Message) -> Parameters:
    given = ((key, value, value.WhichOneof("parameter_choice")) for key, value in values.items())
    return {key: getattr(value, kind) for key, value, kind in given if kind}


def _wanted(outputs: Message, signature: Signature) -> tuple[str, ...]:
    names: list[str] = []
    for index, output in enumerate(outputs):
        where = f"outputs[{index}]"
        names.append(find_output(output.name, names, signature, f"{where}.name"))
        if output.parameters:
            check_plain(_parameters(output.parameters), f"{where}.parameters")
    return tuple(names)

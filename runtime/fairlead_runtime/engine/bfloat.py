"""Runs a model that takes or gives bfloat16, which numpy does not know."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnxruntime as ort

from fairlead_runtime.protocol.raw import narrowed, widened
from fairlead_runtime.protocol.types import Array

_ONNX_BFLOAT16 = 16


def run(
    session: ort.InferenceSession,
    names: list[str],
    inputs: Mapping[str, Array],
    narrow: Collection[str],
    options: ort.RunOptions,
) -> list[Any]:
    """Return the outputs of these names.

    Args:
        session: The model.
        names: Outputs that are wanted.
        inputs: Arrays by input name; float32 where the model wants bfloat16.
        narrow: Names of those inputs.
        options: Of the run.
    """
    values = {
        name: value
        if name in narrow
        else ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value))
        for name, value in fed(inputs, narrow).items()
    }
    return [_array(value) for value in session.run_with_ort_values(names, values, options)]


def fed(inputs: Mapping[str, Array], narrow: Collection[str]) -> dict[str, Any]:
    """Return inputs as a session takes them that gives no bfloat16 back.

    Args:
        inputs: Arrays by input name; float32 where the model wants bfloat16.
        narrow: Names of those inputs.
    """
    return {
        name: ort.OrtValue.ortvalue_from_numpy_with_onnx_type(narrowed(array), _ONNX_BFLOAT16)
        if name in narrow
        else array
        for name, array in inputs.items()
    }


def _array(value: Any) -> Any:  # noqa: ANN401 - onnxruntime's OrtValue
    if value.data_type() != "tensor(bfloat16)":
        return value.numpy()
    shape = value.shape()
    # The copy is taken while `value` still owns the memory.
    bits = ctypes.string_at(value.data_ptr(), 2 * math.prod(shape))
    return widened(np.frombuffer(bits, dtype=np.uint16).reshape(shape))

"""A row of every datatype of the inference protocol, at its limits where it has any."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from onnx import TensorProto

TYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BF16": TensorProto.BFLOAT16,
    "BYTES": TensorProto.STRING,
}
Values = dict[str, np.ndarray[Any, Any]]
VALUES: Values = {
    "BOOL": np.asarray([[True, False]]),
    "UINT8": np.asarray([[0, 255]], np.uint8),
    "UINT16": np.asarray([[0, 65535]], np.uint16),
    "UINT32": np.asarray([[0, 2**32 - 1]], np.uint32),
    "UINT64": np.asarray([[0, 2**64 - 1]], np.uint64),
    "INT8": np.asarray([[-128, 127]], np.int8),
    "INT16": np.asarray([[-(2**15), 2**15 - 1]], np.int16),
    "INT32": np.asarray([[-(2**31), 2**31 - 1]], np.int32),
    "INT64": np.asarray([[-(2**63), 2**63 - 1]], np.int64),
    "FP16": np.asarray([[0.5, 65504]], np.float16),
    "FP32": np.asarray([[0.1, -3.4e38]], np.float32),
    "FP64": np.asarray([[0.1, 1e300]], np.float64),
    "BF16": np.asarray([[1.5, -3.0]], ml_dtypes.bfloat16),
    "BYTES": np.asarray([["Zürich", ""]], object),
}


# No model has both: onnxruntime could not be given their values in one call.
KINDS = {"numbers": TYPES.keys() - {"BYTES"}, "strings": TYPES.keys() - {"BF16"}}


def check(result: Any, values: Values) -> None:
    """Assert that one of Triton's results has these values, each under its input's name."""
    for name, value in values.items():
        got = result.as_numpy(f"{name}_out")
        if name == "BYTES":
            got = np.asarray([[x.decode() if isinstance(x, bytes) else x for x in got[0]]], object)
        np.testing.assert_array_equal(got, value)

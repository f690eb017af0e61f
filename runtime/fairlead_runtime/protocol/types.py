"""Tensors, signatures, requests and answers: what all protocols are translated to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

DATATYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BF16": np.dtype(np.float32),
    "BYTES": np.dtype(np.object_),
}
"""Datatypes of the Open Inference Protocol v2 and the numpy dtype of each inside the server.

BYTES holds `str`. numpy has no bfloat16: a BF16 tensor is float32 inside, and has 16 bits a number
only on the wire and in the model.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output of a model.

    Attributes:
        name: Its name in the model.
        datatype: Its datatype in the protocol's words.
        shape: Its dimensions; -1 where any size will do.
        rows: What the model calls its first dimension; inputs that call it the same need the same
            number of rows. Empty where it has no name.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    rows: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a model takes and gives."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    _inputs: dict[str, TensorSpec] = field(init=False, repr=False, compare=False)
    _outputs: dict[str, TensorSpec] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_inputs", {spec.name: spec for spec in self.inputs})
        object.__setattr__(self, "_outputs", {spec.name: spec for spec in self.outputs})

    def input(self, name: str) -> TensorSpec | None:
        """Return the input of this name."""
        return self._inputs.get(name)

    def output(self, name: str) -> TensorSpec | None:
        """Return the output of this name."""
        return self._outputs.get(name)


@dataclass(slots=True, kw_only=True)  # frozen would cost 0.3 us: it is made for each request
class InferRequest:
    """One request to a model.

    Attributes:
        id: The client's id; empty where it gave none.
        inputs: Arrays by input name, each with the dtype and rank that the model wants.
        outputs: Names of the outputs that are wanted; None for all.
        deadline: When nobody waits for the answer any more, in seconds of the monotonic clock;
            None where the client set no limit.
        trace: The span of the request, its tracer's own; None where nobody traces it.
    """

    inputs: Mapping[str, Array]
    id: str = ""
    outputs: tuple[str, ...] | None = None
    deadline: float | None = None
    trace: Any = None


@dataclass(slots=True, kw_only=True)  # frozen would cost 0.3 us: it is made for each request
class InferResponse:
    """The model's answer.

    Attributes:
        outputs: Arrays by output name. An output that is no tensor (a list of maps from class to
            probability) is a Python list.
        seconds: Time in the model.
    """

    outputs: Mapping[str, Array | list[Any]]
    seconds: float = 0.0

"""An answered prediction as a CloudEvent in JSON, for the prediction log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson

from fairlead_runtime.dataplane.aside import Seen
from fairlead_runtime.protocol.answers import output_tensor, plain
from fairlead_runtime.protocol.types import Array, Signature

TYPE = "dev.fairlead.prediction.v1"
"""The event's type; its data does not change without another number."""
MOST_VALUES = 4096
"""Values of a tensor that are written; of a larger one only name, datatype and shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """What is left out of the log, for it may be personal.

    Attributes:
        tensors: Inputs and outputs of which no value is written.
        columns: Of others, the positions on the last axis that are written as null.
    """

    tensors: frozenset[str] = frozenset()
    columns: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def parse(cls, words: Sequence[str]) -> Redaction:
        """Return what `NAME` and `NAME[COLUMN]` ask for.

        Raises:
            ValueError: A column is none; the message says which.
        """
        tensors: set[str] = set()
        columns: dict[str, tuple[int, ...]] = {}
        for word in words:
            name, bracket, rest = word.partition("[")
            if not bracket:
                tensors.add(name)
                continue
            number = rest.removesuffix("]")
            if not name or not rest.endswith("]") or not number.isdigit():
                raise ValueError(f"{word!r} is neither NAME nor NAME[COLUMN]")
            columns[name] = (*columns.get(name, ()), int(number))
        return cls(tensors=frozenset(tensors), columns=columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What an event tells.

    Attributes:
        model_name: The model's name.
        model_version: Its version.
        inputs: Inputs, and the unit that the router picked the arm by, are written too.
        redaction: What is left out all the same.
    """

    model_name: str
    model_version: str
    inputs: bool
    redaction: Redaction


def event(seen: Seen, signature: Signature, style: Style, identity: str) -> bytes:
    """Return one line of JSON without its line end.

    Args:
        seen: The answer.
        signature: The model's.
        style: What is told.
        identity: The event's own id. The request's is in the data: clients repeat theirs.
    """
    data: dict[str, Any] = {
        "model_name": style.model_name,
        "model_version": style.model_version,
        "request_id": seen.request_id,
        "protocol": seen.protocol,
        "latency_ms": round(seen.latency_s * 1000, 3),
    }
    told = {"variant": seen.variant, "experiment": seen.experiment}
    if style.inputs:
        told["unit"] = seen.unit
        data["inputs"] = [
            _tensor(name, _datatype(name, signature), array, style.redaction)
            for name, array in seen.request.inputs.items()
        ]
    data |= {name: value for name, value in told.items() if value}
    data["outputs"] = [
        _tensor(name, *output_tensor(name, value, signature), style.redaction)
        for name, value in seen.response.outputs.items()
    ]
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": identity,
        "source": f"/v2/models/{style.model_name}/versions/{style.model_version}",
        "type": TYPE,
        "time": datetime.fromtimestamp(seen.time_s, UTC).isoformat(timespec="microseconds"),
        "datacontenttype": "application/json",
        "data": data,
    }
    if seen.traceparent:
        document["traceparent"] = seen.traceparent
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def _datatype(name: str, signature: Signature) -> str:
    spec = signature.input(name)
    return spec.datatype if spec else ""


def _tensor(name: str, datatype: str, array: Array, redaction: Redaction) -> dict[str, Any]:
    tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(array.shape)}
    if name in redaction.tensors:
        tensor["redacted"] = True
    elif array.size > MOST_VALUES:
        tensor["omitted"] = "too large"
    else:
        hidden = [c for c in redaction.columns.get(name, ()) if c < _width(array)]
        tensor["data"] = _without(array, hidden) if hidden else plain(array.reshape(-1))
    return tensor


def _width(array: Array) -> int:
    return array.shape[-1] if array.ndim else 0


def _without(array: Array, columns: list[int]) -> list[Any]:
    values = np.empty(array.shape, dtype=object)
    values[:] = array.astype(np.float64) if array.dtype.kind == "f" else array
    values[..., columns] = None
    flat: list[Any] = values.reshape(-1).tolist()
    return flat

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


class Events:
    """Makes events of the answers of one model; it has one caller.

    Args:
        signature: The model's.
        style: What is told.
    """

    def __init__(self, signature: Signature, style: Style) -> None:
        self._signature, self._style = signature, style
        source = f"/v2/models/{style.model_name}/versions/{style.model_version}"
        # What is the same in each is written once.
        head = {
            "specversion": "1.0",
            "source": source,
            "type": TYPE,
            "datacontenttype": "application/json",
        }
        data = {"model_name": style.model_name, "model_version": style.model_version}
        self._head, self._data = (orjson.dumps(each)[:-1] for each in (head, data))
        self._second, self._clock = -1, ""

    def event(self, seen: Seen, identity: str) -> bytes:
        """Return one line of JSON without its line end.

        Args:
            seen: The answer.
            identity: The event's own id. The request's is in the data: clients repeat theirs.
        """
        style, signature = self._style, self._signature
        data: dict[str, Any] = {
            "request_id": seen.request_id,
            "protocol": seen.protocol,
            "latency_ms": round(seen.latency_s * 1000, 3),
        }
        if variant := seen.variant:
            data["variant"] = variant
        if experiment := seen.experiment:
            data["experiment"] = experiment
        if style.inputs:
            if unit := seen.unit:
                data["unit"] = unit
            data["inputs"] = [
                _tensor(name, _datatype(name, signature), array, style.redaction)
                for name, array in seen.request.inputs.items()
            ]
        data["outputs"] = [
            _tensor(name, *output_tensor(name, value, signature), style.redaction)
            for name, value in seen.response.outputs.items()
        ]
        own = {"id": identity, "time": self._time(seen.time_s)}
        if traceparent := seen.traceparent:
            own["traceparent"] = traceparent
        return b"".join(
            (
                self._head,
                b",",
                orjson.dumps(own)[1:-1],
                b',"data":',
                self._data,
                b",",
                orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)[1:],
                b"}",
            )
        )

    def _time(self, time_s: float) -> str:
        second = int(time_s)
        if second != self._second:
            self._second = second
            self._clock = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._clock}.{int((time_s - second) * 1e6):06d}+00:00"


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

"""An answered prediction as a CloudEvent in JSON, for the prediction log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson

from fairlead_runtime.dataplane.aside import EXPERIMENT, VARIANT, Seen
from fairlead_runtime.protocol.answers import output_tensor, plain
from fairlead_runtime.protocol.types import Array, Signature

TYPE = "dev.fairlead.prediction.v1"
"""The event's type; its data does not change without another number."""
MOST_VALUES = 4096
"""Values of a tensor that are written; of a larger one only name, datatype and shape."""
_EVENT = (
    b'%b,"id":"%b","time":"%b"%b,"data":%b,"request_id":%b,"protocol":"%b","latency_ms":%.3f%b,'
    b'"outputs":[%b]}}'
)
_HEADERS = frozenset({b"traceparent", VARIANT, EXPERIMENT})


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
        self._tensors: dict[tuple[str, str], tuple[bytes, bool, tuple[int, ...]]] = {}
        self._second, self._clock = -1, b""

    def event(self, seen: Seen, identity: bytes) -> bytes:
        """Return one line of JSON without its line end.

        Args:
            seen: The answer.
            identity: The event's own id, of ASCII. The request's is in the data: clients repeat it.
        """
        # Put together from pieces: a document for orjson would take twice as long to make.
        signature, outputs = self._signature, seen.response.outputs
        own = told = b""
        if seen.has_any(_HEADERS):
            if traceparent := seen.traceparent:
                own = b',"traceparent":' + orjson.dumps(traceparent)
            if variant := seen.variant:
                told += b',"variant":' + orjson.dumps(variant)
            if experiment := seen.experiment:
                told += b',"experiment":' + orjson.dumps(experiment)
        if self._style.inputs:
            told += self._asked(seen)
        tensors = [self._tensor(k, *output_tensor(k, v, signature)) for k, v in outputs.items()]
        return _EVENT % (
            self._head,
            identity,
            self._time(seen.time_s),
            own,
            self._data,
            orjson.dumps(seen.request_id),
            seen.protocol.encode(),
            seen.latency_s * 1000,
            told,
            b",".join(tensors),
        )

    def _asked(self, seen: Seen) -> bytes:
        told = b""
        if unit := seen.unit:
            told = b',"unit":' + orjson.dumps(unit)
        signature, inputs = self._signature, seen.request.inputs
        tensors = [self._tensor(k, _datatype(k, signature), v) for k, v in inputs.items()]
        return b'%b,"inputs":[%b]' % (told, b",".join(tensors))

    def _tensor(self, name: str, datatype: str, array: Array) -> bytes:
        known = self._tensors.get((name, datatype))
        if known is None:
            known = self._tensors[name, datatype] = self._look(name, datatype)
        head, redacted, columns = known
        if redacted:
            rest = b'"redacted":true'
        elif array.size > MOST_VALUES:
            rest = b'"omitted":"too large"'
        else:
            if columns and array.ndim and min(columns) < array.shape[-1]:
                values: Any = _without(array, columns)
            else:
                values = plain(array.reshape(-1))
            rest = b'"data":' + orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
        return b'%b,"shape":%b,%b}' % (head, orjson.dumps(array.shape), rest)

    def _look(self, name: str, datatype: str) -> tuple[bytes, bool, tuple[int, ...]]:
        head = orjson.dumps({"name": name, "datatype": datatype})[:-1]
        redaction = self._style.redaction
        return head, name in redaction.tensors, redaction.columns.get(name, ())

    def _time(self, time_s: float) -> bytes:
        second, micros = divmod(int(time_s * 1e6), 1_000_000)
        if second != self._second:
            self._second = second
            self._clock = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
        return b"%b.%06d+00:00" % (self._clock, micros)


def _datatype(name: str, signature: Signature) -> str:
    spec = signature.input(name)
    return spec.datatype if spec else ""


def _without(array: Array, columns: tuple[int, ...]) -> list[Any]:
    values = np.empty(array.shape, dtype=object)
    values[:] = array.astype(np.float64) if array.dtype.kind == "f" else array
    values[..., [each for each in columns if each < array.shape[-1]]] = None
    flat: list[Any] = values.reshape(-1).tolist()
    return flat

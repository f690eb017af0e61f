"""Bodies of predictions: the same numbers in each way in which they are sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Kind(StrEnum):
    """Ways to send a prediction."""

    SIMPLE = "json"
    """`{"features": ...}`, as a hand-written server takes it."""
    V2 = "v2"
    """The Open Inference Protocol in JSON."""
    BINARY = "binary"
    """The Open Inference Protocol with the tensor in binary, in both directions."""


@dataclass(frozen=True)
class Body:
    """A body with its headers."""

    data: bytes
    headers: Mapping[str, str]


def rows(width: int, count: int) -> np.ndarray:
    """Return float32 [count, width]: short decimals, as real features often are."""
    row = [round(0.001 * (index * 37 % 1000) - 0.5, 4) for index in range(width)]
    return np.array([row] * count, np.float32)


def body(kind: Kind, width: int, count: int) -> Body:
    """Return a prediction's body; of the simple kind one row has no list around it."""
    data = rows(width, max(1, count))
    plain = [[round(float(x), 4) for x in row] for row in data]
    if kind is Kind.SIMPLE:
        text = json.dumps({"features": plain if count else plain[0]}).encode()
        return Body(text, {"Content-Type": "application/json"})
    tensor: dict[str, object] = {"name": "x", "shape": list(data.shape), "datatype": "FP32"}
    if kind is Kind.V2:
        text = json.dumps(
            {"inputs": [{**tensor, "data": [x for row in plain for x in row]}]}
        ).encode()
        return Body(text, {"Content-Type": "application/json"})
    raw = data.tobytes()
    document = {
        "inputs": [{**tensor, "parameters": {"binary_data_size": len(raw)}}],
        "parameters": {"binary_data_output": True},
    }
    head = json.dumps(document).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    return Body(head + raw, headers)


def all_kinds(width: int, count: int) -> dict[Kind, Body]:
    """Return the body of every kind."""
    return {kind: body(kind, width, count) for kind in Kind}

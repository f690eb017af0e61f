"""Requests that are broken in seeded ways: JSON, binary tensors, packed bodies and protobuf."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

TENSOR = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1.0, 2.0, 3.0]}
_ODD: list[Any] = [
    None, True, False, 0, -1, 2**31, 2**63, 2**64, -(2**63) - 1, 1e308, -0.0, 0.5, "", "x", "\x00",
    "\ud7ff", "é" * 50, [], [[]], {}, [None], [1, [2]], [[1], [2, 3]], {"a": 1}, ["1"], "FP64",
    "label",
    [0, 3], [-1, 3], [1, 3, 1], [2**40, 3], 10**30, [1.5, 3],
]  # fmt: skip


@dataclass(frozen=True)
class Broken:
    """A request over HTTP.

    Attributes:
        path: Where it goes.
        body: Its bytes.
        headers: Its headers beside content-length.
    """

    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def http_requests(seed: int, count: int) -> Iterator[Broken]:
    """Yield broken requests to a classifier `m` of three features."""
    rng = random.Random(seed)
    makers = [_json, _json, _json, _binary, _binary, _packed, _bytes]
    for _ in range(count):
        yield rng.choice(makers)(rng)


def protobufs(seed: int, count: int, request: Any) -> Iterator[bytes]:
    """Yield broken messages, made of a valid one."""
    rng = random.Random(seed)
    whole = request.SerializeToString()
    for _ in range(count):
        choice = rng.random()
        if choice < 0.2:
            yield rng.randbytes(rng.randrange(80))
        elif choice < 0.7:
            yield damaged(rng, whole)
        else:
            yield _other_fields(rng, request).SerializeToString()


def _other_fields(rng: random.Random, request: Any) -> Any:
    message = type(request)()
    message.CopyFrom(request)
    tensor = message.inputs[0]
    for _ in range(rng.randint(1, 3)):
        match rng.randrange(8):
            case 0:
                tensor.shape[:] = [rng.choice([-1, 0, 1, 3, 2**31, 2**62]) for _ in range(3)][:2]
            case 1:
                tensor.datatype = rng.choice(["", "FP64", "BYTES", "bool", "FP32 "])
            case 2:
                tensor.name = rng.choice(["", "y", "X", "x" * 1000])
            case 3:
                message.raw_input_contents.append(rng.randbytes(rng.randrange(24)))
            case 4:
                tensor.contents.fp32_contents.extend([float("nan")] * rng.randrange(5))
            case 5:
                tensor.contents.bytes_contents.append(rng.randbytes(4))
            case 6:
                message.outputs.add(name=rng.choice(["", "label", "label", "nothing"]))
            case _:
                value = rng.choice([-1, 0, 2**62])
                message.parameters["timeout"].int64_param = value
    return message


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Return bytes with some changed, cut, doubled or put in."""
    body = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(body) + 1)
        match rng.randrange(4):
            case 0 if at < len(body):
                body[at] = rng.randrange(256)
            case 1:
                del body[at : at + rng.randint(1, 8)]
            case 2:
                body[at:at] = rng.randbytes(rng.randint(1, 4))
            case _:
                body[at:at] = body[at : at + 8]
    return bytes(body)


def _swapped(rng: random.Random, value: Any) -> Any:
    """Return a document with one part replaced by something odd, or without it."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        if rng.random() < 0.1:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: _swapped(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        return [*value[:at], _swapped(rng, value[at]), *value[at + 1 :]]
    return rng.choice(_ODD)


def _json(rng: random.Random) -> Broken:
    path, document = rng.choice(
        [
            ("/predict", {"features": [1, 2, 3], "request_id": "a"}),
            ("/predict", {"inputs": {"x": [[1, 2, 3]]}}),
            (
                "/v2/models/m/infer",
                {"id": "a", "inputs": [TENSOR], "outputs": [{"name": "label"}], "parameters": {}},
            ),
        ]
    )
    body = json.dumps(_swapped(rng, document), ensure_ascii=rng.random() < 0.5).encode()
    if rng.random() < 0.3:
        body = damaged(rng, body)
    return Broken(path, body)


def _binary(rng: random.Random) -> Broken:
    raw = np.asarray([1, 2, 3], np.float32).tobytes()
    tensor = {**TENSOR, "parameters": {"binary_data_size": len(raw)}}
    del tensor["data"]
    document: Any = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    if rng.random() < 0.6:
        document = _swapped(rng, document)
    head = json.dumps(document).encode()
    length = rng.choice([len(head), len(head), len(head) - 1, len(head) + 1, 0, 10**9])
    shown = rng.choice([str(length), str(length), str(length), "-1", "x", ""])
    body = head + (raw if rng.random() < 0.5 else rng.randbytes(rng.randrange(20)))
    return Broken("/v2/models/m/infer", body, {"Inference-Header-Content-Length": shown})


def _packed(rng: random.Random) -> Broken:
    plain = json.dumps({"inputs": [_swapped(rng, TENSOR)]}).encode()
    coding = rng.choice(["gzip", "deflate", "br", "gzip, deflate", "x"])
    body = gzip.compress(plain) if rng.random() < 0.5 else zlib.compress(plain)
    if rng.random() < 0.7:
        body = damaged(rng, body)
    return Broken("/v2/models/m/infer", body, {"Content-Encoding": coding})


def _bytes(rng: random.Random) -> Broken:
    paths = ["/predict", "/v2/models/m/infer", "/v2/models/m/versions/1/infer", "/x/infer"]
    body = rng.choice(
        [
            rng.randbytes(rng.randrange(200)),
            b"[" * rng.randrange(3000),
            b'{"features":' + b"[" * 900 + b"]" * 900 + b"}",
            b'{"a":' * 500,
            b"\xef\xbb\xbf{}",
            b"null",
            b"1e999",
            b'"\\ud800"',
        ]
    )
    return Broken(rng.choice(paths), body)

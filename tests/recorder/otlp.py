"""Access logs as a router sends them."""

from __future__ import annotations

from collections.abc import Iterable

import httpx

from fairlead_recorder.http.otlp import Request
from tests.recorder.process import Recorder

Entry = tuple[str, str, str]
"""Unit, picked arm, answering variant."""


def export(entries: Iterable[Entry], *, epoch: str = "1", uid: str, at: int = 0) -> bytes:
    """Return an export request; times are in nanoseconds."""
    request = Request()
    records = request.resource_logs.add().scope_logs.add().log_records
    for unit, arm, variant in entries:
        record = records.add(time_unix_nano=at)
        said = {"experiment": uid, "unit": unit, "arm": arm, "variant": variant, "epoch": epoch}
        for key, value in said.items():
            record.attributes.add(key=key.encode()).value.string_value = value.encode()
    return bytes(request.SerializeToString())


def send(recorder: Recorder, body: bytes, kind: str = "application/x-protobuf") -> httpx.Response:
    """Send it."""
    return httpx.post(
        f"http://127.0.0.1:{recorder.exposures_port}/v1/logs",
        content=body,
        headers={"content-type": kind},
        trust_env=False,
        timeout=30,
    )

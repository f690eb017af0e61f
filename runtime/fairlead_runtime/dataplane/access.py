"""The access log: a line for each request, written by a thread that nobody waits for."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from fairlead_runtime.dataplane.worker import Watcher, Worker

log = logging.getLogger("fairlead_runtime.access")
_SIZE = 512  # bytes of a line, about


def trace_id(traceparent: str) -> str:
    """Return the trace of a W3C trace context; empty where it is none."""
    parts = traceparent.split("-")
    return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One request.

    Attributes:
        protocol: `http` or `grpc`.
        method: HTTP's; empty for gRPC.
        path: Of the request; gRPC's method.
        status: HTTP's code, or the name of gRPC's.
        seconds: From the whole request to the answer.
        request_id: Empty where there is none.
        traceparent: As it came.
        time_s: When the answer was there, in seconds since 1970.
    """

    protocol: str
    method: str
    path: str
    status: int | str
    seconds: float
    request_id: str
    traceparent: str
    time_s: float


class AccessLog(Worker[Line]):
    """Logs requests by the logger `fairlead_runtime.access`, to wherever all logs go."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__(watcher, full="access_log")

    def note(
        self,
        *,
        protocol: str,
        method: str,
        path: str,
        status: int | str,
        seconds: float,
        request_id: str,
        traceparent: str,
    ) -> None:
        """Log one request, see `Line`."""
        line = Line(
            protocol=protocol,
            method=method,
            path=path,
            status=status,
            seconds=seconds,
            request_id=request_id,
            traceparent=traceparent,
            time_s=time.time(),
        )
        self.put(line, _SIZE)

    def work(self, batch: list[Line]) -> None:
        """Write some lines."""
        for line in batch:
            fields = {
                "protocol": line.protocol,
                "method": line.method,
                "path": line.path,
                "status": line.status,
                "duration_ms": round(line.seconds * 1000, 3),
                "request_id": line.request_id,
                "trace_id": trace_id(line.traceparent),
            }
            record = log.makeRecord(
                log.name, logging.INFO, __file__, 0, "request", (), None, extra=fields
            )
            record.created = line.time_s
            log.handle(record)

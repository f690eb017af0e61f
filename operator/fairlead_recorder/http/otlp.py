"""Access logs of routers as they come: OTLP log records with our attributes.

The router's configuration (`fairlead_operator.traffic.exposures`) sets the attributes:
`experiment` (UID), `unit` (`<salt>:<user>`), `arm` (whose cluster was picked), `variant` (whose pod
answered) and `epoch`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest


@dataclass(frozen=True, slots=True)
class Entry:
    """One request that a router answered.

    Attributes:
        unit: Salt and user as the router hashed them.
        arm: The variant that was picked.
        variant: The variant whose pod answered; empty or `-` where none did.
        epoch: Number of the router's table; -1 where it is none.
        at: When the request began, in microseconds.
    """

    unit: str
    arm: str
    variant: str
    epoch: int
    at: int


def entries(body: bytes) -> dict[str, list[Entry]]:
    """Return the entries of an export request by the experiment's UID.

    Raises:
        ValueError: It is no export request.
    """
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        raise ValueError("the body is no OTLP ExportLogsServiceRequest") from error
    found: defaultdict[str, list[Entry]] = defaultdict(list)
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                said = {one.key: one.value.string_value for one in record.attributes}
                epoch = said.get("epoch", "")
                found[said.get("experiment", "")].append(
                    Entry(
                        said.get("unit", ""),
                        said.get("arm", ""),
                        said.get("variant", ""),
                        int(epoch) if epoch.isascii() and epoch.isdigit() else -1,
                        record.time_unix_nano // 1_000,
                    )
                )
    return dict(found)

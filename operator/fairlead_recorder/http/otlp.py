"""Access logs of routers as they come: OTLP log records with our attributes.

The router's configuration (`fairlead_operator.traffic.exposures`) sets the attributes:
`experiment` (UID), `unit` (`<salt>:<user>`), `arm` (whose cluster was picked), `variant` (whose pod
answered) and `epoch`.

Of OTLP's messages only the fields that are read are declared here (opentelemetry-proto 1.x, field
numbers of `logs_service.proto`, `logs.proto` and `common.proto`), and strings as bytes: a header
that is not UTF-8 comes as it is, and a decoder of strings would refuse the whole batch for it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "fairlead.otlp"
_FIELDS: dict[str, list[tuple[str, int, Any]]] = {
    "Request": [("resource_logs", 1, "ResourceLogs")],
    "ResourceLogs": [("scope_logs", 2, "ScopeLogs")],
    "ScopeLogs": [("log_records", 2, "LogRecord")],
    "LogRecord": [("time_unix_nano", 1, _Field.TYPE_FIXED64), ("attributes", 6, "KeyValue")],
    "KeyValue": [("key", 1, _Field.TYPE_BYTES), ("value", 2, "AnyValue")],
    "AnyValue": [("string_value", 1, _Field.TYPE_BYTES)],
}
"""Messages with their fields: name, number, and a type or the message that it repeats."""
_SINGLE = {"value"}


def _request_class() -> Any:  # noqa: ANN401 - protobuf makes it at run time
    file = descriptor_pb2.FileDescriptorProto(
        name="fairlead/otlp.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            made = message.field.add(name=field, number=number, label=_Field.LABEL_OPTIONAL)
            if isinstance(kind, str):
                made.type, made.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
                if field not in _SINGLE:
                    made.label = _Field.LABEL_REPEATED
            else:
                made.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Request"))


Request = _request_class()
"""OTLP's ExportLogsServiceRequest, as far as it is read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request that a router answered.

    Attributes:
        unit: Salt and user as the router hashed them; None where that is not UTF-8.
        arm: The variant that was picked.
        variant: The variant whose pod answered; empty or `-` where none did.
        epoch: Number of the router's table; -1 where it is none.
        at: When the request began, in microseconds.
    """

    unit: str | None
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
        request = Request.FromString(body)
    except DecodeError as error:
        raise ValueError("the body is no OTLP ExportLogsServiceRequest") from error
    found: defaultdict[str, list[Entry]] = defaultdict(list)
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                said = {one.key: one.value.string_value for one in record.attributes}
                uid = said.get(b"experiment", b"").decode("ascii", "replace")
                found[uid].append(_entry(said, record.time_unix_nano))
    return dict(found)


def _entry(said: dict[bytes, bytes], nanoseconds: int) -> Entry:
    epoch = said.get(b"epoch", b"")
    try:
        unit = said.get(b"unit", b"").decode()
    except UnicodeDecodeError:
        unit = None
    return Entry(
        unit,
        said.get(b"arm", b"").decode("ascii", "replace"),
        said.get(b"variant", b"").decode("ascii", "replace"),
        int(epoch) if epoch.isdigit() and len(epoch) < 10 else -1,
        nanoseconds // 1_000,
    )

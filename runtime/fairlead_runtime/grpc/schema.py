"""Builds protobuf messages at import from a few lines of text.

So there is no generated code that a newer protobuf would refuse, and no compiler to keep. A test
holds these messages to those of the protocol's other implementations, field by field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
    "double": _Field.TYPE_DOUBLE,
    "float": _Field.TYPE_FLOAT,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "string": _Field.TYPE_STRING,
    "uint32": _Field.TYPE_UINT32,
    "uint64": _Field.TYPE_UINT64,
}

POOL = descriptor_pool.DescriptorPool()
"""Our own: another library of this process may bring messages of the same names."""


def define(package: str, text: str, services: Mapping[str, str]) -> dict[str, Any]:
    """Add a file of messages and services to the pool and return the classes by name.

    Args:
        package: The protobuf package.
        text: A message is its name on a line and its fields, indented, behind it: `LABEL TYPE NAME
            NUMBER`, where the label is `one`, `many`, `map` (from strings) or the name of a oneof
            with a `?` behind it. `Outer.Inner` is nested. `enum NAME A B` has values from 0.
        services: Methods by service, each `Method Request Response` on a line; `stream ` before a
            message's name streams it.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package.replace('.', '/')}.proto", package=package, syntax="proto3"
    )
    messages: dict[str, Any] = {}
    enums: dict[str, str] = {}
    current: Any = None
    for line in filter(None, map(str.split, text.splitlines())):
        if line[0] == "enum":
            enum = current.enum_type.add(name=line[1])
            enums[line[1]] = f".{package}.{current.name}.{line[1]}"
            for number, name in enumerate(line[2:]):
                enum.value.add(name=name, number=number)
        elif len(line) == 1:
            outer, _, inner = line[0].rpartition(".")
            home = messages[outer].nested_type if outer else file.message_type
            current = messages[line[0]] = home.add(name=inner)
        else:
            _add_field(current, line, package, messages, enums)
    for name, methods in services.items():
        service = file.service.add(name=name)
        for method in methods.strip().splitlines():
            _add_method(service, method, package)
    POOL.Add(file)
    return {
        name: message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"{package}.{name}"))
        for name in messages
    }


def _add_field(
    message: Any,  # noqa: ANN401 - protobuf's classes are made at run time
    line: list[str],
    package: str,
    messages: Mapping[str, Any],
    enums: Mapping[str, str],
) -> None:
    label, kind, name, number = line
    field = message.field.add(name=name, number=int(number), label=_Field.LABEL_OPTIONAL)
    if label in ("many", "map"):
        field.label = _Field.LABEL_REPEATED
    elif label.endswith("?"):
        oneofs = [each.name for each in message.oneof_decl]
        if label[:-1] not in oneofs:
            message.oneof_decl.add(name=label[:-1])
            oneofs.append(label[:-1])
        field.oneof_index = oneofs.index(label[:-1])
    if label == "map":
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, ["one", "string", "key", "1"], package, messages, enums)
        _add_field(entry, ["one", kind, "value", "2"], package, messages, enums)
        outer = next(path for path, each in messages.items() if each is message)
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{package}.{outer}.{entry.name}"
    elif kind in _SCALARS:
        field.type = _SCALARS[kind]
    elif kind in enums:
        field.type, field.type_name = _Field.TYPE_ENUM, enums[kind]
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{package}.{kind}"


def _add_method(service: Any, text: str, package: str) -> None:  # noqa: ANN401 - see above
    words = text.split()
    method = service.method.add(name=words.pop(0))
    if words[0] == "stream":
        method.client_streaming = bool(words.pop(0))
    method.input_type = f".{package}.{words.pop(0)}"
    if words[0] == "stream":
        method.server_streaming = bool(words.pop(0))
    method.output_type = f".{package}.{words.pop(0)}"

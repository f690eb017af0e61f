"""From a pydantic model's JSON schema to the structural schema that a CRD needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

_DROPPED = frozenset({"title", "$defs", "discriminator", "examples", "propertyNames"})


def structural_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the structural schema of a model: references inlined, optional means not required."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return _convert(raw, raw.get("$defs", {}))


def _convert(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[-1]]
        # What stands beside a reference (the field's own description) wins over the target's.
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return _convert({**target, **beside}, definitions)
    if "anyOf" in node and not node.get("x-kubernetes-int-or-string"):
        kinds = [kind for kind in node["anyOf"] if kind.get("type") != "null"]
        if len(kinds) != 1:
            raise TypeError(f"a structural schema cannot have alternatives: {node['anyOf']}")
        beside = {key: value for key, value in node.items() if key != "anyOf"}
        return _convert({**kinds[0], **beside}, definitions)
    result: dict[str, Any] = {}
    for key, value in node.items():
        if key in _DROPPED or (key == "default" and value is None):
            continue
        if key == "properties":
            result[key] = {name: _convert(sub, definitions) for name, sub in value.items()}
        elif key == "items":
            result[key] = _convert(value, definitions)
        elif key == "additionalProperties":
            if value is True:
                result["x-kubernetes-preserve-unknown-fields"] = True
            elif isinstance(value, dict):
                result[key] = _convert(value, definitions)
        elif key == "const":
            result["enum"] = [value]  # the only way in which a structural schema can say it
        else:
            result[key] = _plain(key, value)
    return result


def _plain(key: str, value: object) -> object:
    """Return a keyword's value that needs no definitions."""
    if key == "description":
        return " ".join(str(value).split())
    if key == "default" and isinstance(value, dict):
        return {name: given for name, given in value.items() if given is not None}
    return value

"""Whether a CustomResourceDefinition takes everything that an older one took, and loses none of it.

What is stored, what is in Git and what an older operator writes has to stay valid and whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_LEAST = ("minimum", "minLength", "minItems", "minProperties")
"""May become smaller, or go."""
_MOST = ("maximum", "maxLength", "maxItems", "maxProperties")
"""May become larger, or go."""
_SAME = (
    "pattern",
    "format",
    "multipleOf",
    "uniqueItems",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "not",
    "anyOf",
    "oneOf",
    "allOf",
)
"""May go; whatever else becomes of them may refuse what was taken before."""
_FIXED = (
    "type",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-int-or-string",
)
"""Neither may come, change or go: stored objects and their merges depend on them."""
_KEPT = ("nullable", "x-kubernetes-preserve-unknown-fields")
"""May come, and may not go."""
_NAMES = ("kind", "listKind", "plural", "singular")


def problems(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return what the new definition refuses, loses or reads otherwise; one line each.

    Args:
        old: The CustomResourceDefinition that objects and manifests were written for.
        new: The one that is to replace it.
    """
    return list(_definition(old["spec"], new["spec"]))


def _definition(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for field in ("group", "scope"):
        if old[field] != new[field]:
            yield f"spec.{field} is {new[field]}, was {old[field]}"
    for field in _NAMES:
        if old["names"].get(field) != new["names"].get(field):
            yield f"spec.names.{field} is {new['names'].get(field)}, was {old['names'].get(field)}"
    for field in ("shortNames", "categories"):
        for gone in _gone(old["names"].get(field), new["names"].get(field)):
            yield f"spec.names.{field} lacks {gone}"
    versions = {each["name"]: each for each in new["versions"]}
    for each in old["versions"]:
        name = each["name"]
        now = versions.get(name)
        if now is None:
            yield f"version {name} is gone"
            continue
        if each["served"] and not now["served"]:
            yield f"version {name} is no longer served"
        if each["storage"] and not now["storage"]:
            yield f"version {name} is no longer stored: stored objects need a conversion"
        for gone in _gone(each.get("subresources"), now.get("subresources")):
            yield f"version {name} lacks the subresource {gone}"
        before, after = each["schema"]["openAPIV3Schema"], now["schema"]["openAPIV3Schema"]
        yield from _schema(before, after, name)


def _schema(old: Schema, new: Schema, path: str) -> Iterator[str]:
    yield from _values(old, new, path)
    yield from _rules(old, new, path)
    if "default" in old and old["default"] != new.get("default"):
        yield f"{path}: the default is {new.get('default', 'gone')!r}, was {old['default']!r}"
    properties: Mapping[str, Schema] = new.get("properties") or {}
    for name, before in (old.get("properties") or {}).items():
        if name not in properties:
            if not new.get("x-kubernetes-preserve-unknown-fields"):
                yield f"{path}.{name} is gone: what is stored there is lost"
        else:
            yield from _schema(before, properties[name], f"{path}.{name}")
    if old.get("x-kubernetes-preserve-unknown-fields"):
        for name in properties.keys() - (old.get("properties") or {}).keys():
            yield f"{path}.{name}: whatever was there is checked now"
    for name in new.get("required") or ():
        if name not in (old.get("required") or ()) and "default" not in properties.get(name, {}):
            yield f"{path}.{name} is required now"
    for field, mark in (("items", "[]"), ("additionalProperties", "{}")):
        before, after = old.get(field), new.get(field)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _schema(before, after, path + mark)
        elif before != after:
            yield f"{path}: {field} is {_kind(after)}, was {_kind(before)}"


def _values(old: Schema, new: Schema, path: str) -> Iterator[str]:
    for field in _FIXED:
        if old.get(field) != new.get(field):
            yield f"{path}: {field} is {new.get(field)}, was {old.get(field)}"
    for field in _KEPT:
        if old.get(field) and not new.get(field):
            yield f"{path} is no longer {field}"
    for field in new:
        if _tighter(field, old.get(field), new[field]):
            yield f"{path}: {field} is {new[field]}, was {old.get(field, 'free')}"
    if "enum" in new and "enum" not in old:
        yield f"{path}: only {new['enum']} is taken now"
    elif "enum" in new:
        for gone in _gone(old["enum"], new["enum"]):
            yield f"{path} does not take {gone} any more"


def _tighter(field: str, old: object, new: object) -> bool:
    if field in _LEAST or field in _MOST:
        sign = 1 if field in _LEAST else -1
        return not isinstance(old, int) or not isinstance(new, int) or sign * (new - old) > 0
    return field in _SAME and new != old


def _rules(old: Schema, new: Schema, path: str) -> Iterator[str]:
    """A rule may go, or get another message; whether a new one refuses more, nobody can tell."""
    known = {each["rule"] for each in old.get("x-kubernetes-validations") or ()}
    for each in new.get("x-kubernetes-validations") or ():
        if each["rule"] not in known:
            yield f"{path}: a new rule, {each['rule']}"


def _gone(old: Collection[object] | None, new: Collection[object] | None) -> list[object]:
    return [each for each in old or () if each not in (new or ())]


def _kind(value: object) -> str:
    return "a schema" if isinstance(value, Mapping) else str(value)

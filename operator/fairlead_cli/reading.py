"""Reads objects of the API defensively: another version's status may lack or add anything."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

JSON = dict[str, Any]
HASH_LENGTH = 8


def mapping(value: object) -> JSON:
    """Return a mapping, empty where the value is none."""
    return dict(value) if isinstance(value, Mapping) else {}


def items(value: object) -> list[JSON]:
    """Return the mappings in a list, none where the value is no list."""
    return (
        [dict(each) for each in value if isinstance(each, Mapping)]
        if isinstance(value, list)
        else []
    )


def status(resource: Mapping[str, Any]) -> JSON:
    """Return a resource's status."""
    return mapping(resource.get("status"))


def meta(resource: Mapping[str, Any]) -> JSON:
    """Return a resource's metadata."""
    return mapping(resource.get("metadata"))


def name(resource: Mapping[str, Any]) -> str:
    """Return a resource's name."""
    return str(meta(resource).get("name", ""))


def conditions(resource: Mapping[str, Any]) -> list[JSON]:
    """Return a resource's conditions."""
    return [each for each in items(status(resource).get("conditions")) if each.get("type")]


def condition(resource: Mapping[str, Any], kind: str) -> JSON:
    """Return one condition; empty where there is none."""
    return next((each for each in conditions(resource) if each["type"] == kind), {})


def current(resource: Mapping[str, Any]) -> bool:
    """Whether the status speaks of the spec as it is."""
    return bool(status(resource).get("observedGeneration") == meta(resource).get("generation"))


def short(revision_hash: object) -> str:
    """Return the form of a revision hash that stands in names and labels."""
    return str(revision_hash or "")[:HASH_LENGTH]


def instant(value: object) -> dt.datetime | None:
    """Return an instant; None where the value is none."""
    try:
        found = dt.datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def age(value: object, now: dt.datetime) -> str:
    """Return how long ago an instant was, as kubectl says it; empty where it is none."""
    moment = instant(value)
    if moment is None:
        return ""
    seconds = max(0, int((now - moment).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def last_action(resource: Mapping[str, Any]) -> JSON:
    """Return the last imperative and what became of it."""
    found = status(resource)
    return mapping(found.get("lastAction")) or mapping(
        mapping(found.get("rollout")).get("lastAction")
    )


def pairs(document: Mapping[str, Any], *names: str) -> Iterator[tuple[str, Any]]:
    """Return the named fields that are there and not empty."""
    for each in names:
        if document.get(each) not in (None, "", [], {}):
            yield each, document[each]

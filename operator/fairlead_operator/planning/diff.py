"""Does a live object already say everything that we want it to say?

Only desired fields are compared: what the API server defaulted and what others own stays out of
sight. Lists that Kubernetes merges by a key are matched by that key, so that a container or a
label that somebody else added is no difference; all other lists must agree item by item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairlead_operator.planning import quantity

_MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "imagePullSecrets": ("name",),
    "volumeMounts": ("mountPath",),
    "ownerReferences": ("uid",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
_QUANTITY_PARENTS = frozenset({"requests", "limits"})
_QUANTITY_FIELDS = frozenset({"sizeLimit", "averageValue"})


def differences(desired: Any, live: Any, path: str = "") -> list[str]:  # noqa: ANN401 - JSON
    """Return the paths of the desired fields that the live object lacks or has otherwise."""
    name = path.rsplit(".", 1)[-1]
    if isinstance(desired, Mapping):
        if not isinstance(live, Mapping):
            # The API server drops empty objects in some places: nothing wanted, nothing missing.
            return [] if not desired and live is None else [path or "."]
        found: list[str] = []
        for key, value in desired.items():
            child = f"{path}.{key}" if path else str(key)
            if value is not None:
                found += differences(value, live.get(key), child)
        return found
    if isinstance(desired, Sequence) and not isinstance(desired, str):
        return _list_differences(desired, live, path, name)
    if desired == live:
        return []
    if _is_quantity(path, name):
        ours, theirs = quantity.parse(desired), quantity.parse(live)
        if ours is not None and ours == theirs:
            return []
    return [path]


def _list_differences(desired: Sequence[Any], live: Any, path: str, name: str) -> list[str]:  # noqa: ANN401 - JSON
    if live is None and not desired:
        return []
    if not isinstance(live, Sequence) or isinstance(live, str):
        return [path]
    keys = _MERGE_KEYS.get(name)
    if keys:
        by_key = {tuple(item.get(key) for key in keys): item for item in live}
        found: list[str] = []
        for item in desired:
            ident = tuple(item.get(key) for key in keys)
            found += differences(item, by_key.get(ident), f"{path}[{ident[0]}]")
        return found
    if len(desired) != len(live):
        return [path]
    found = []
    for index, (ours, theirs) in enumerate(zip(desired, live, strict=True)):
        found += differences(ours, theirs, f"{path}[{index}]")
    return found


def _is_quantity(path: str, name: str) -> bool:
    parent = path.rsplit(".", 2)[-2] if path.count(".") >= 1 else ""
    return name in _QUANTITY_FIELDS or parent in _QUANTITY_PARENTS

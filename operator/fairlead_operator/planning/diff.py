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
    "ports": ("port", "containerPort", "protocol"),  # a Service's have the first, a container's not
}
_WHOLE = frozenset({"selector", "labelSelector", "nodeSelector", "scaleTargetRef", "matchLabels"})
"""Maps that have one owner: a key that somebody added changes what they mean."""
_QUANTITY_PARENTS = frozenset({"requests", "limits"})
_QUANTITY_FIELDS = frozenset({"sizeLimit", "averageValue"})
_TARGET_FIELDS = frozenset({"value", "averageValue"})


def differences(desired: Any, live: Any, *keys: str) -> list[str]:  # noqa: ANN401 - JSON
    """Return the paths of the desired fields that the live object lacks or has otherwise.

    Args:
        desired: What is wanted.
        live: What is there.
        keys: Where in the object both are; a key may have dots in it, as `nvidia.com/gpu` has.
    """
    name = keys[-1].partition("[")[0] if keys else ""
    if isinstance(desired, Mapping):
        if not isinstance(live, Mapping):
            # The API server drops empty objects in some places: nothing wanted, nothing missing.
            return [] if not desired and live is None else [_path(keys)]
        found: list[str] = []
        if name in _WHOLE and set(live) - set(desired):
            found.append(_path(keys))
        for key, value in desired.items():
            if value is not None:
                found += differences(value, live.get(key), *keys, str(key))
        return found
    if isinstance(desired, Sequence) and not isinstance(desired, str):
        return _list_differences(desired, live, keys)
    if desired == live or (desired == "" and live is None):
        return []  # the API server leaves empty texts out
    if _is_quantity(keys):
        ours, theirs = quantity.parse(desired), quantity.parse(live)
        if ours is not None and ours == theirs:
            return []
    return [_path(keys)]


def _list_differences(desired: Sequence[Any], live: Any, keys: tuple[str, ...]) -> list[str]:  # noqa: ANN401 - JSON
    if live is None and not desired:
        return []
    if not isinstance(live, Sequence) or isinstance(live, str):
        return [_path(keys)]
    *above, name = keys or ("",)
    merge_keys = _MERGE_KEYS.get(name)
    found: list[str] = []
    if merge_keys and all(isinstance(item, Mapping) for item in (*desired, *live)):
        theirs_by_key = {_ident(item, merge_keys): item for item in live}
        ours_by_key = {_ident(item, merge_keys): item for item in desired}
        if len(ours_by_key) == len(desired):
            for ident, item in ours_by_key.items():
                found += differences(item, theirs_by_key.get(ident), *above, f"{name}[{ident[0]}]")
            return found
    if len(desired) != len(live):
        return [_path(keys)]
    for index, (ours, theirs) in enumerate(zip(desired, live, strict=True)):
        found += differences(ours, theirs, *above, f"{name}[{index}]")
    return found


def _ident(item: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(item[key]) for key in keys if item.get(key) is not None) or ("",)


def _is_quantity(keys: tuple[str, ...]) -> bool:
    parent, name = ("", "", *keys)[-2:]
    if parent == "target":  # of a metric; elsewhere a value is any text
        return name in _TARGET_FIELDS
    return name in _QUANTITY_FIELDS or parent in _QUANTITY_PARENTS


def _path(keys: tuple[str, ...]) -> str:
    return ".".join(keys) or "."

"""What the watches and the resync have seen: the last known state of each object of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fairlead_operator.kube.kinds import BY_KIND, EXPERIMENT, MODEL_DEPLOYMENT, Kind

Key = tuple[str, str]
"""Namespace and name of a ModelDeployment or an Experiment: the unit of work."""

_Ident = tuple[str, str, str]
_REMEMBERED_DEAD = 4096


def owner_key(obj: Mapping[str, Any]) -> Key | None:
    """Return the key of the ModelDeployment that controls this object, if one does."""
    meta = obj.get("metadata") or {}
    for reference in meta.get("ownerReferences") or []:
        if (
            reference.get("controller")
            and reference.get("kind") == MODEL_DEPLOYMENT.kind
            and str(reference.get("apiVersion", "")).startswith(MODEL_DEPLOYMENT.group + "/")
        ):
            return meta.get("namespace", ""), reference["name"]
    return None


def _trimmed(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Drop what no decision reads: managed fields are half of a small object's bytes."""
    body = dict(obj)
    meta = dict(body.get("metadata") or {})
    meta.pop("managedFields", None)
    body["metadata"] = meta
    return body


def _version(obj: Mapping[str, Any]) -> int:
    raw = str((obj.get("metadata") or {}).get("resourceVersion", "0"))
    return int(raw) if raw.isdigit() else 0


def _key(kind: Kind, obj: Mapping[str, Any]) -> Key | None:
    if kind in (MODEL_DEPLOYMENT, EXPERIMENT):
        meta = obj.get("metadata") or {}
        return meta.get("namespace", ""), meta.get("name", "")
    return owner_key(obj)


def claimed(obj: Mapping[str, Any]) -> set[Key]:
    """Return the ModelDeployments whose revisions have a share of this one's address."""
    traffic = (obj.get("status") or {}).get("traffic") or {}
    namespace = (obj.get("metadata") or {}).get("namespace", "")
    floors = traffic.get("floors") or ()
    return {(namespace, each["modelDeployment"]) for each in floors if "modelDeployment" in each}


@dataclass(slots=True)
class Cache:
    """Objects by kind, namespace and name: ModelDeployments, what they control, Experiments."""

    _objects: dict[_Ident, dict[str, Any]] = field(default_factory=dict)
    _owned: dict[Key, set[_Ident]] = field(default_factory=dict)
    _claims: dict[Key, set[Key]] = field(default_factory=dict)
    _dead: dict[str, int] = field(default_factory=dict)
    _touched: set[_Ident] | None = None

    def observe(self, obj: Mapping[str, Any], *, deleted: bool = False) -> Key | None:
        """Take in one event and return the key of the ModelDeployment that it concerns, if any.

        Events may come late or twice: an older version never replaces a newer one, and what has
        been deleted does not come back. A watch by label says "deleted" of an object that only
        lost its label: a later version of that one does come back.
        """
        kind = BY_KIND.get(obj.get("kind", ""))
        if kind is None:
            return None
        key = self._observe(kind, obj, deleted=deleted)
        return None if kind is EXPERIMENT else key

    def _observe(self, kind: Kind, obj: Mapping[str, Any], *, deleted: bool) -> Key | None:
        meta = obj.get("metadata") or {}
        ident = (kind.kind, meta.get("namespace", ""), meta.get("name", ""))
        before = self._objects.get(ident)
        same = before is not None and before["metadata"].get("uid") == meta.get("uid")
        was = _key(kind, before) if before else None
        now = _key(kind, obj)
        if deleted:
            self._bury(str(meta.get("uid")), _version(obj))
            if same:
                self._touch(ident)
                self._forget(ident)
            return now or was
        if _version(obj) <= self._dead.get(str(meta.get("uid")), -1):
            return now
        self._touch(ident)
        if now is None:
            if same:  # somebody took our owner reference away
                self._forget(ident)
            return was
        if before is not None and same and _version(obj) < _version(before):
            return now
        self._forget(ident)
        self._objects[ident] = _trimmed(obj)
        if kind not in (MODEL_DEPLOYMENT, EXPERIMENT):
            self._owned.setdefault(now, set()).add(ident)
        elif kind is MODEL_DEPLOYMENT:
            for key in claimed(obj):
                self._claims.setdefault(key, set()).add(now)
        return now

    def begin_listing(self) -> None:
        """Note from here on what changes: a listing that is being read cannot know it."""
        self._touched = set()

    def replace_all(self, listed: Iterable[Mapping[str, Any]]) -> set[Key]:
        """Take a complete listing as the truth; return every key in it or forgotten by it.

        What was seen or deleted since `begin_listing` stays as it is.
        """
        keys: set[Key] = {*self.model_deployments(), *self._owned}
        touched, self._touched = self._touched or set(), None
        there: set[_Ident] = set()
        for obj in listed:
            meta = obj.get("metadata") or {}
            there.add((obj.get("kind", ""), meta.get("namespace", ""), meta.get("name", "")))
            key = self.observe(obj)
            if key:
                keys.add(key)
        for ident in self._objects.keys() - there - touched:
            self._forget(ident)
        return keys

    def model_deployment(self, key: Key) -> dict[str, Any] | None:
        """Return the last known ModelDeployment of this key."""
        return self._objects.get((MODEL_DEPLOYMENT.kind, *key))

    def model_deployments(self) -> list[Key]:
        """Return the keys of all known ModelDeployments."""
        return [(i[1], i[2]) for i in self._objects if i[0] == MODEL_DEPLOYMENT.kind]

    def experiment(self, key: Key) -> dict[str, Any] | None:
        """Return the last known Experiment of this key."""
        return self._objects.get((EXPERIMENT.kind, *key))

    def experiments(self, namespace: str | None = None) -> list[dict[str, Any]]:
        """Return the known Experiments, of one namespace or of all."""
        return [
            obj
            for ident, obj in self._objects.items()
            if ident[0] == EXPERIMENT.kind and namespace in (None, ident[1])
        ]

    def children(self, key: Key) -> dict[tuple[str, str], dict[str, Any]]:
        """Return what this ModelDeployment controls, by kind and name."""
        idents = self._owned.get(key, set())
        return {(ident[0], ident[2]): self._objects[ident] for ident in sorted(idents)}

    def claimants(self, key: Key) -> list[dict[str, Any]]:
        """Return the ModelDeployments whose addresses have a revision of this one as an arm."""
        found = (self.model_deployment(each) for each in sorted(self._claims.get(key, ())))
        return [each for each in found if each is not None]

    def __len__(self) -> int:
        return len(self._objects)

    def _touch(self, ident: _Ident) -> None:
        if self._touched is not None:
            self._touched.add(ident)

    def _bury(self, uid: str, version: int) -> None:
        self._dead[uid] = max(version, self._dead.pop(uid, -1))
        while len(self._dead) > _REMEMBERED_DEAD:
            del self._dead[next(iter(self._dead))]

    def _forget(self, ident: _Ident) -> None:
        obj = self._objects.pop(ident, None)
        if obj and ident[0] == MODEL_DEPLOYMENT.kind:
            for each in claimed(obj):
                self._claims.get(each, set()).discard((ident[1], ident[2]))
        key = owner_key(obj) if obj else None
        if key and key in self._owned:
            self._owned[key].discard(ident)
            if not self._owned[key]:
                del self._owned[key]

"""Kopf watches and does nothing else: each event is handed on, nothing is written.

Only `on.event` handlers are used. Kopf's create, update and delete handlers, timers and daemons
would put annotations or finalizers on the user's object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import kopf

from fairlead_operator.kube.kinds import CHILDREN, MODEL_DEPLOYMENT, Kind


class Observer(Protocol):
    """What takes the events in."""

    def __call__(self, obj: Mapping[str, Any], *, deleted: bool) -> None:
        """Take in one object as the watch saw it."""


def registry(observe: Observer) -> kopf.OperatorRegistry:
    """Return a registry of watches over ModelDeployments and everything that they own."""
    handlers = kopf.OperatorRegistry()
    for kind in (MODEL_DEPLOYMENT, *CHILDREN):
        kopf.on.event(
            kind.group or "",
            kind.version,
            kind.plural,
            registry=handlers,
            id=f"enqueue-{kind.plural}",
        )(_enqueue(kind, observe))
    return handlers


def _enqueue(kind: Kind, observe: Observer) -> Callable[..., Any]:
    async def handler(event: Mapping[str, Any], **_: object) -> None:
        obj = dict(event["object"])
        obj.setdefault("kind", kind.kind)
        obj.setdefault("apiVersion", kind.api_version)
        observe(obj, deleted=event.get("type") == "DELETED")

    return handler


def settings() -> kopf.OperatorSettings:
    """Return Kopf's settings for watching only."""
    ours = kopf.OperatorSettings()
    ours.posting.enabled = False  # Events are posted by the passes, in words of their own
    ours.scanning.disabled = True  # the kinds are known: no right to list CRDs or namespaces needed
    ours.watching.server_timeout = 300
    ours.watching.client_timeout = 330
    ours.networking.connect_timeout = 10
    ours.networking.request_timeout = 30
    ours.execution.max_workers = 2
    ours.process.ultimate_exiting_timeout = 10
    return ours

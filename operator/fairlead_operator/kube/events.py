"""Events as `kubectl describe` shows them."""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Mapping
from typing import Any

from fairlead_operator import telemetry
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.errors import KubeError
from fairlead_operator.kube.kinds import REPORTED_EVENT

REPORTER = "fairlead.dev/operator"
_NOTE_LIMIT = 1000
log = logging.getLogger(__name__)


async def post(
    cluster: Cluster,
    regarding: Mapping[str, Any],
    *,
    instance: str,
    reason: str,
    note: str,
    action: str,
    warning: bool,
) -> None:
    """Post one Event about an object; a failure is logged, because an Event is only a courtesy."""
    meta = regarding["metadata"]
    body = {
        "apiVersion": REPORTED_EVENT.api_version,
        "kind": REPORTED_EVENT.kind,
        "metadata": {
            "name": f"{meta['name']}.{uuid.uuid4().hex[:16]}",
            "namespace": meta["namespace"],
        },
        "eventTime": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": REPORTER,
        "reportingInstance": instance[:128],
        "action": action[:128],
        "reason": reason[:128],
        "type": "Warning" if warning else "Normal",
        "note": note[:_NOTE_LIMIT],
        "regarding": {
            "apiVersion": regarding["apiVersion"],
            "kind": regarding["kind"],
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
            "resourceVersion": meta.get("resourceVersion", ""),
        },
    }
    try:
        await cluster.create(REPORTED_EVENT, meta["namespace"], body)
    except KubeError as error:
        where = telemetry.about(regarding["kind"], meta["namespace"], meta["name"])
        log.warning("could not post the Event %s: %s", reason, error, extra=where)

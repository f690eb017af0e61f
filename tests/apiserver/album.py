"""Resources as they were in a test's run, kept beside Argo CD's health checks for their tests.

`FAIRLEAD_WRITE_TESTDATA=1 pytest tests/apiserver/test_gitops.py` writes them anew.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import yaml

from cluster.paths import ROOT
from tests.apiserver.api import JSON

CUSTOMIZATIONS = ROOT / "gitops" / "argocd" / "resource_customizations" / "fairlead.dev"
_HEAD = "# From a run of the operator; see tests/apiserver/album.py.\n"
_UID = "3f0c7f5e-0000-4000-8000-000000000000"
_VERSION = "41207"
_SAID = re.compile(r"\b([0-9a-f]{16})/\d+")
"""The value of an imperative: its nonce is the resource's version when it was said."""
_THEN = "2026-01-01T11:59:30Z"


def stored(kind: str, name: str) -> Path:
    """Return where a state is kept."""
    return CUSTOMIZATIONS / kind / "testdata" / f"{name}.yaml"


def keep(name: str, live: JSON) -> None:
    """Compare a state with the one that is kept under this name, or write it.

    Raises:
        AssertionError: What GitOps tools decide by is another than what is kept.
    """
    path = stored(live["kind"], name)
    if os.environ.get("FAIRLEAD_WRITE_TESTDATA"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_HEAD + yaml.safe_dump(_anonymous(live), sort_keys=False, width=100))
    kept = yaml.safe_load(path.read_text())
    assert _decisive(kept) == _decisive(live), (
        f"{path.name} is of another time: FAIRLEAD_WRITE_TESTDATA=1 writes it anew"
    )


def _decisive(resource: JSON) -> JSON:
    """Return what health checks and actions look at."""
    status: JSON = resource.get("status") or {}
    rollout: JSON = status.get("rollout") or {}
    found: JSON = {
        "conditions": {
            each["type"]: (each["status"], each["reason"])
            for each in status.get("conditions") or ()
        },
        "current": status.get("observedGeneration") == resource["metadata"]["generation"],
        "rollout": {key: rollout.get(key) for key in ("phase", "paused")},
        "named": "hash" in rollout,
        "phase": status.get("phase"),
    }
    return found


def _anonymous(live: JSON) -> Any:
    """Return a resource without what differs from run to run."""
    meta = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    meta |= {"uid": _UID, "resourceVersion": _VERSION, "creationTimestamp": _THEN}
    text = json.dumps({**live, "metadata": meta})
    text = text.replace(live["metadata"]["uid"], _UID)
    namespace = live["metadata"]["namespace"]
    for before, after in (
        (f'"{namespace}"', '"models"'),
        (f".{namespace}.", ".models."),
        (f"/{namespace}/", "/models/"),
    ):
        text = text.replace(before, after)
    return json.loads(_SAID.sub(r"\1/327", text))

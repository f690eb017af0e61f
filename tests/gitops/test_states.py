"""Every state that a run has left is read rightly by Argo CD's health checks and by kstatus."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.gitops import engine
from tests.gitops.engine import CUSTOMIZATIONS, STATES

Resource = dict[str, Any]
ARGO = {
    "ModelDeployment": {
        "Progressing": {
            "unseen", "stale", "validating", "validation-retrying", "starting", "router-starting",
            "step", "promoting", "rolling-back", "rolled-back-stale",
        },
        "Suspended": {"paused", "paused-by-spec", "pinned"},
        "Degraded": {"held", "rolled-back", "aborted", "validation-failed"},
        "Healthy": {"healthy", "promoted"},
    },
    "Experiment": {
        "Progressing": {"unseen", "pending", "starting", "stale"},
        "Degraded": {"ratio-mismatch", "guardrail-breached"},
        "Healthy": {"running", "decided", "stopped"},
    },
}  # fmt: skip
"""What people expect to see, state by state."""
KSTATUS = {
    "Progressing": "InProgress",
    "Suspended": "InProgress",
    "Degraded": "Failed",
    "Healthy": "Current",
}
"""kstatus knows no pause: what waits for people is on its way."""


def expected(path: Path) -> str:
    """Return what Argo CD is to say of a state."""
    found = [
        status for status, names in ARGO[path.parent.parent.name].items() if path.stem in names
    ]
    assert len(found) == 1, f"{path} is not among the expectations"
    return found[0]


def listed(kind: str) -> dict[str, Resource]:
    """Return Argo CD's own list of tests of a kind."""
    document = yaml.safe_load((CUSTOMIZATIONS / kind / "health_test.yaml").read_text())
    return {each["inputPath"]: each["healthStatus"] for each in document["tests"]}


def test_every_expected_state_is_kept_and_no_other() -> None:
    kept = {(path.parent.parent.name, path.stem) for path in STATES}
    wanted = {(kind, name) for kind, by in ARGO.items() for names in by.values() for name in names}
    assert kept == wanted


def test_argo_cd_reads_every_state_rightly() -> None:
    found = engine.health(STATES)
    assert {path: told["status"] for path, told in found.items()} == {
        path: expected(path) for path in STATES
    }


@pytest.mark.parametrize("kind", ARGO)
def test_argo_cds_own_list_of_tests_holds_with_its_messages(kind: str) -> None:
    tests = listed(kind)
    found = engine.health(CUSTOMIZATIONS / kind / path for path in tests)
    assert {str(p.relative_to(CUSTOMIZATIONS / kind)): told for p, told in found.items()} == tests
    assert {Path(path).stem for path in tests} == {
        name for names in ARGO[kind].values() for name in names
    }


def test_kstatus_reads_every_state_rightly() -> None:
    found = engine.kstatus(STATES)
    for path, told in found.items():
        assert told["status"] == KSTATUS[expected(path)], f"{path}: {told}"


@pytest.fixture(scope="module")
def healthy() -> Resource:
    """Return a ModelDeployment that is Ready."""
    text = (CUSTOMIZATIONS / "ModelDeployment" / "testdata" / "healthy.yaml").read_text()
    document: Resource = yaml.safe_load(text)
    return document


def _without(healthy: Resource, *path: str) -> Resource:
    found = copy.deepcopy(healthy)
    place = found
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return found


def _with_conditions(healthy: Resource, conditions: Any) -> Resource:
    return {**healthy, "status": {**healthy["status"], "conditions": conditions}}


@pytest.mark.parametrize("kind", ARGO)
def test_odd_statuses_break_nothing(healthy: Resource, kind: str, tmp_path: Path) -> None:
    ready = healthy["status"]["conditions"]
    unknown = {"type": "Levitating", "status": "True", "reason": "Hovers", "message": "up"}
    cases: dict[str, tuple[Resource, str]] = {
        "unknown-first": (_with_conditions(healthy, [unknown, *ready]), "Healthy"),
        "unknown-last": (_with_conditions(healthy, [*ready, unknown]), "Healthy"),
        "unknown-alone": (_with_conditions(healthy, [unknown]), "Progressing"),
        "of-no-type": (_with_conditions(healthy, [{}, *ready]), "Healthy"),
        "empty": (_with_conditions(healthy, []), "Progressing"),
        "null": (_with_conditions(healthy, None), "Progressing"),
        "no-conditions": (_without(healthy, "status", "conditions"), "Progressing"),
        "no-generation": (_without(healthy, "status", "observedGeneration"), "Progressing"),
        "empty-status": ({**healthy, "status": {}}, "Progressing"),
        "no-message": (
            _with_conditions(healthy, [{"type": "Ready", "status": "True"}]), "Healthy",
        ),
        "of-unknown-status": (
            _with_conditions(healthy, [{"type": "Ready", "status": "Unknown"}]), "Progressing",
        ),
    }  # fmt: skip
    paths = {}
    for name, (resource, _) in cases.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({**resource, "kind": kind}))
        paths[path] = name
    found = {paths[path]: told["status"] for path, told in engine.health(paths).items()}
    assert found == {name: status for name, (_, status) in cases.items()}

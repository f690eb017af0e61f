"""The real API server takes what is valid, and refuses the rest with the rule in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.controlplane import ControlPlane
from cluster.paths import ClusterError

_CRDS = Path(__file__).resolve().parents[1] / "crds"
_VALID = sorted((_CRDS / "valid").glob("*.yaml"))
_INVALID = sorted((_CRDS / "invalid").glob("*.yaml"))


@pytest.mark.parametrize("path", _VALID, ids=lambda path: path.stem)
def test_a_valid_resource_is_accepted(plane: ControlPlane, path: Path) -> None:
    plane.kubectl("apply", "--dry-run=server", "-f", str(path))


@pytest.mark.parametrize("path", _INVALID, ids=lambda path: path.stem)
def test_an_invalid_resource_is_refused_in_words(plane: ControlPlane, path: Path) -> None:
    first = path.read_text().splitlines()[0]
    assert first.startswith("# expect: ")
    with pytest.raises(ClusterError) as refused:
        plane.kubectl("apply", "--dry-run=server", "-f", str(path))
    assert first.removeprefix("# expect: ") in str(refused.value)


def test_short_name_and_category_are_known(plane: ControlPlane, namespace: str) -> None:
    plane.kubectl("-n", namespace, "apply", "-f", str(_CRDS / "valid" / "minimal.yaml"))
    assert "fraud" in plane.kubectl("-n", namespace, "get", "mdep")
    assert "fraud" in plane.kubectl("-n", namespace, "get", "fairlead")


def test_the_columns_are_those_that_people_look_at(plane: ControlPlane, namespace: str) -> None:
    plane.kubectl("-n", namespace, "apply", "-f", str(_CRDS / "valid" / "minimal.yaml"))
    header = plane.kubectl("-n", namespace, "get", "modeldeployments").splitlines()[0].split()
    assert header == [
        "NAME", "READY", "VERSION", "CANDIDATE", "WEIGHT", "STEP",
        "REPLICAS", "P99", "DRIFT", "REASON", "AGE",
    ]  # fmt: skip


def test_explain_has_a_description_for_every_field(plane: ControlPlane) -> None:
    text = plane.kubectl("explain", "modeldeployments.spec", "--recursive")
    for field in ("uri", "digest", "resources", "minReplicas", "targetCPUPercent"):
        assert field in text
    assert "Where the model is" in plane.kubectl("explain", "modeldeployments.spec.model.uri")

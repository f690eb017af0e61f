"""The real API server takes what is valid, and refuses the rest with the rule in words."""

from __future__ import annotations

import json
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


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"target": "other"}, "target cannot change"),
        ({"assignment": {"header": "x-session"}}, "assignment cannot change"),
        ({"assignment": {"header": "x-user-id", "salt": "new"}}, "assignment cannot change"),
        (
            {
                "variants": [
                    {"name": "control", "modelDeployment": "ranker", "weight": 50},
                    {"name": "bigger", "modelDeployment": "another", "weight": 50},
                ]
            },
            "the arms (their weights may) cannot change",
        ),
        (
            {"metrics": [{"name": "revenue", "type": "mean"}]},
            "the first metric, which decides, cannot change",
        ),
        ({"analysis": {"alphaPercent": 10}}, "alphaPercent cannot change"),
        ({"analysis": {"outcomeWindow": "1h"}}, "outcomeWindow cannot change"),
    ],
)
def test_what_was_counted_is_not_made_void_by_a_change(
    plane: ControlPlane, namespace: str, field: dict[str, object], words: str
) -> None:
    plane.kubectl("-n", namespace, "apply", "-f", str(_CRDS / "valid" / "experiment-minimal.yaml"))
    with pytest.raises(ClusterError) as refused:
        plane.kubectl(
            "-n", namespace, "patch", "mexp", "checkout-ranker", "--type=merge",
            "-p", json.dumps({"spec": field}),
        )  # fmt: skip
    assert words in str(refused.value)
    weights = [
        {"name": "control", "modelDeployment": "ranker", "weight": 90},
        {"name": "bigger", "modelDeployment": "ranker-large", "weight": 10},
    ]
    more = [{"name": "conversion", "type": "binary"}, {"name": "revenue", "type": "mean"}]
    plane.kubectl(
        "-n", namespace, "patch", "mexp", "checkout-ranker", "--type=merge",
        "-p", json.dumps({"spec": {"variants": weights, "metrics": more}}),
    )  # fmt: skip


def test_ratios_are_there_from_the_start_and_stay(plane: ControlPlane, namespace: str) -> None:
    plane.kubectl("-n", namespace, "apply", "-f", str(_CRDS / "valid" / "experiment-ratio.yaml"))
    means = [{"name": name, "type": "mean"} for name in ("revenue", "visits", "clicks")]
    ratio = {"name": "per-visit", "type": "ratio", "numerator": "revenue", "denominator": "visits"}
    another = {**ratio, "name": "clicks-per-visit", "numerator": "clicks"}

    def change(*metrics: dict[str, str]) -> str:
        patch = json.dumps({"spec": {"metrics": [ratio, *means, *metrics]}})
        args = ("-n", namespace, "patch", "mexp", "checkout-ranker", "--type=merge", "-p", patch)
        return plane.kubectl(*args)

    change({"name": "refund", "type": "binary"})
    with pytest.raises(ClusterError, match="which metrics are ratios, and of what, cannot change"):
        change(another)
    ratio["denominator"] = "clicks"
    with pytest.raises(ClusterError, match="which metrics are ratios, and of what, cannot change"):
        change()


def test_a_stopped_experiment_that_has_run_does_not_start_again(
    plane: ControlPlane, namespace: str
) -> None:
    patch = ("-n", namespace, "patch", "mexp", "checkout-ranker", "--type=merge")
    plane.kubectl("-n", namespace, "apply", "-f", str(_CRDS / "valid" / "experiment-minimal.yaml"))
    for stopped in (True, False, True):
        plane.kubectl(*patch, "-p", json.dumps({"spec": {"stopped": stopped}}))
    ended = {"status": {"endedAt": "2026-01-01T00:00:00Z"}}
    plane.kubectl(*patch, "--subresource=status", "-p", json.dumps(ended))
    with pytest.raises(ClusterError, match="cannot start again"):
        plane.kubectl(*patch, "-p", json.dumps({"spec": {"stopped": False}}))


def test_explain_has_a_description_for_every_field(plane: ControlPlane) -> None:
    text = plane.kubectl("explain", "modeldeployments.spec", "--recursive")
    for field in ("uri", "digest", "resources", "minReplicas", "targetCPUPercent"):
        assert field in text
    assert "Where the model is" in plane.kubectl("explain", "modeldeployments.spec.model.uri")

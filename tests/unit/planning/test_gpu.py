"""A model that asks for a GPU runs with CUDA, on an image that has it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairlead_operator.planning import gpu
from fairlead_operator.rollout.decide import Decision, decide
from fairlead_runtime.cli import main as runtime
from tests.builders import NOW, SETTLED, a_snapshot, manifest

ONE = {"resources": {"limits": {"nvidia.com/gpu": 1}}}


def decided(runtime: dict[str, Any]) -> Decision:
    return decide(a_snapshot(runtime=runtime), SETTLED, NOW)


def pod(decision: Decision) -> dict[str, Any]:
    """Return the pod of the one revision."""
    deployment = manifest(decision, "Deployment", decision.wanted.child_name("fraud"))
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize(
    ("resources", "wanted"),
    [
        ({}, False),
        ({"limits": {"cpu": "1"}}, False),
        ({"limits": {"nvidia.com/gpu": 1}}, True),
        ({"limits": {"nvidia.com/gpu": "2"}, "requests": {"cpu": "1"}}, True),
        ({"requests": {"nvidia.com/gpu": 1}}, True),
        ({"limits": {"nvidia.com/gpu.shared": 1}}, True),
        ({"limits": {"nvidia.com/mig-1g.5gb": 1}}, True),
        ({"limits": {"amd.com/gpu": 1}}, False),
        ({"limits": {"nvidia.com/gpu": 0}}, False),
    ],
)
def test_who_wants_a_gpu(resources: dict[str, Any], wanted: bool) -> None:
    assert gpu.wanted({"resources": resources}) is wanted


def test_it_gets_the_image_for_gpus_and_is_told_to_use_nothing_else() -> None:
    decision = decided(ONE)
    assert decision.wanted.image == SETTLED.gpu_runtime_image
    [server], [fetch] = pod(decision)["containers"], pod(decision)["initContainers"]
    assert server["image"] == fetch["image"] == "fairlead/runtime:0.1.0-cuda"
    assert server["env"] == [
        {"name": "FAIRLEAD_PROVIDER", "value": "cuda"},
        {"name": "FAIRLEAD_PROVIDER_FALLBACK", "value": "off"},
    ]
    assert server["resources"]["limits"] == {"nvidia.com/gpu": 1}
    assert "nvidia.com/gpu" not in json.dumps(fetch), "the download would hold a GPU"


def test_without_a_gpu_nothing_of_it_is_said() -> None:
    decision = decided({})
    assert decision.wanted.image == SETTLED.runtime_image
    assert "env" not in pod(decision)["containers"][0]


def test_an_image_of_the_users_own_stays_and_runs_with_cuda() -> None:
    decision = decided({**ONE, "image": "registry.example/mine:1"})
    assert decision.wanted.image == "registry.example/mine:1"
    names = [each["name"] for each in pod(decision)["containers"][0]["env"]]
    assert names == ["FAIRLEAD_PROVIDER", "FAIRLEAD_PROVIDER_FALLBACK"]


def test_what_the_user_says_in_the_environment_wins_and_is_said_once() -> None:
    own = [{"name": "FAIRLEAD_PROVIDER_FALLBACK", "value": "on"}, {"name": "A", "value": "b"}]
    assert pod(decided({**ONE, "env": own}))["containers"][0]["env"] == [
        {"name": "FAIRLEAD_PROVIDER", "value": "cuda"},
        *own,
    ]


def test_the_runtime_knows_these_variables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for each in gpu.environment(ONE):
        monkeypatch.setenv(each["name"], each["value"])
    with pytest.raises(SystemExit):
        runtime(["serve", "--help"])
    told = capsys.readouterr().out
    for each in gpu.environment(ONE):
        assert each["name"] in told

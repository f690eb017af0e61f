"""Argo CD's actions: when they are offered, what they write, and that the operator obeys them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gitops.argocd import configmap
from tests.gitops import engine
from tests.gitops.engine import CUSTOMIZATIONS, JSON, EngineError

KIND = CUSTOMIZATIONS / "ModelDeployment"
TESTS: JSON = yaml.safe_load((KIND / "actions" / "action_test.yaml").read_text())


def test_the_file_for_argocd_cm_is_that_of_the_folder() -> None:
    assert configmap.main(["--check"]) == 0


@pytest.mark.parametrize("test", TESTS["discoveryTests"], ids=lambda test: test["inputPath"])
def test_what_is_offered(test: JSON) -> None:
    path = KIND / "actions" / test["inputPath"]
    [line] = engine.run("discovery", engine.CONFIG_MAP, path)
    by_name = {each["name"]: each.get("disabled", False) for each in line["actions"]}
    assert by_name == {each["name"]: each.get("disabled", False) for each in test["result"]}


@pytest.mark.parametrize("test", TESTS["actionTests"], ids=lambda test: test["action"])
def test_what_an_action_writes(test: JSON) -> None:
    folder = KIND / "actions"
    found = engine.act(test["action"], folder / test["inputPath"])
    assert found == yaml.safe_load((folder / test["expectedOutputPath"]).read_text())


def test_nothing_but_one_annotation_is_written() -> None:
    path = KIND / "testdata" / "step.yaml"
    before = yaml.safe_load(path.read_text())
    for name in engine.enabled([path])[path]:
        after = engine.act(name, path)
        value = after["metadata"]["annotations"].pop(f"fairlead.dev/{name}")
        assert value == f"{before['status']['rollout']['hash']}/41207"
        assert after == before


def test_with_nothing_under_way_an_action_says_so() -> None:
    path = KIND / "testdata" / "unseen.yaml"
    assert engine.enabled([path])[path] == set()
    with pytest.raises(EngineError, match="there is nothing to abort: no revision is under way"):
        engine.act("abort", path)


def test_an_experiment_has_no_actions() -> None:
    path: Path = CUSTOMIZATIONS / "Experiment" / "testdata" / "running.yaml"
    assert engine.enabled([path])[path] == set()

"""The tutorial, typed as it stands: a cluster, a rollout, a bad version, an experiment."""

from __future__ import annotations

import os

import pytest

from cluster import build
from cluster.paths import ROOT
from tests.documentation.blocks import blocks, run, script

PAGE = ROOT / "docs" / "tutorial.md"
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(2_400)]


def test_every_command_of_the_tutorial_works_in_its_order() -> None:
    commands = list(blocks(PAGE, "sh"))
    users = "! kubectl logs deployment/traffic --prefix=false | grep -v ' x version '"
    at = next(index for index, each in enumerate(commands) if "delete namespace" in each.text)
    program = script(commands[:at]) + f"echo '== nobody was refused'\n{users}\n"
    program += script(commands[at:])
    env = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"}
    build.build_all(("kubernetes", "helm"))
    try:
        status, out = run(program, seconds=2_200, env=env)
    finally:
        run("make cluster-down", seconds=120)
    assert status == 0, out[-6_000:]
    assert [each for each in commands if f"== {each.page}:{each.line}\n" not in out] == []
    assert "200 of 200 predictions equal" in out
    assert "exchanged" not in out  # what it says is the model's fault, in the operator's words
    for told in ("Promoted", "golden", "Decided"):
        assert told.lower() in out.lower(), out[-6_000:]

"""The alerts under promtool: each comes when it should, with the words that it should have."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from cluster.build import program
from cluster.paths import ROOT
from monitoring.rules import ALERTS

HERE = Path(__file__).parent / "rules"
RULES = ROOT / "charts" / "fairlead" / "files" / "rules.yaml"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # promtool is built once


def promtool(*args: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [program("promtool"), *args], capture_output=True, text=True, check=False, cwd=cwd
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_rules_are_rules() -> None:
    found = int(re.findall(r"(\d+) rules found", promtool("check", "rules", RULES))[0])
    assert found == sum(len(each["rules"]) for each in yaml.safe_load(RULES.read_text())["groups"])


@pytest.mark.parametrize("name", sorted(path.name for path in HERE.glob("*.yaml")))
def test_alerts_come_when_they_should(name: str, tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path / "rules.yaml")
    shutil.copy(HERE / name, tmp_path / name)
    assert "SUCCESS" in promtool("test", "rules", name, cwd=tmp_path)


def test_a_test_of_the_rules_can_fail(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES.read_text().replace("(14.4 *", "(1440 *"))
    shutil.copy(HERE / "budget.yaml", tmp_path)
    done = subprocess.run(
        [program("promtool"), "test", "rules", "budget.yaml"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1


def test_every_alert_is_tried_both_on_and_off() -> None:
    on: set[str] = set()
    off: set[str] = set()
    for path in HERE.glob("*.yaml"):
        for test in yaml.safe_load(path.read_text())["tests"]:
            for each in test.get("alert_rule_test", ()):
                (on if each["exp_alerts"] else off).add(each["alertname"])
    names = {alert.name for alert in ALERTS}
    assert on == names
    assert off == names

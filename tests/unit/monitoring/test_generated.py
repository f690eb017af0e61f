"""Dashboards, alerts and the page of metrics agree with each other and with the programs."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
import yaml

from fairlead_operator.evidence import modelpage, routerpage
from fairlead_operator.traffic import exposures
from fairlead_runtime.contract import drift_names, names
from monitoring import catalogue, page, rules
from monitoring.__main__ import main, texts
from monitoring.dashboards import ALL
from monitoring.envoy import KEPT, ROUTER
from monitoring.panels import COLUMNS, Dashboard, filled, queries, to_json

ROOT = Path(__file__).resolve().parents[3]
RUNBOOKS = ROOT / "docs" / "runbooks"
_METRIC = re.compile(r"\b(?:model|fairlead|envoy|process)_[a-z0-9_]+\b(?!\")")
_LABELS = {"model_deployment", "model_version", "envoy_cluster_name"} | {
    label for entry in (*ROUTER, *catalogue.runtime()) for label in entry.labels
}
KNOWN = {
    each.name
    for each in (*catalogue.operator(), *catalogue.runtime(), *ROUTER, *catalogue.recorder())
} | {"process_cpu_seconds_total", "process_resident_memory_bytes"}

every_dashboard = pytest.mark.parametrize("dashboard", ALL, ids=lambda each: each.name)


def metrics(expr: str) -> set[str]:
    found = set(_METRIC.findall(re.sub(r'"[^"]*"', '""', expr))) - _LABELS
    return {
        re.sub(r"_(bucket|sum|count)$", "", name) if name not in KNOWN else name for name in found
    }


def test_generated_files_are_up_to_date() -> None:
    assert main(["--check", "--directory", str(ROOT)]) == 0


def test_a_stale_file_is_found(tmp_path: Path) -> None:
    assert main(["--write", "--directory", str(tmp_path)]) == 0
    assert main(["--check", "--directory", str(tmp_path)]) == 0
    (tmp_path / "docs/reference/metrics.md").write_text("old")
    assert main(["--check", "--directory", str(tmp_path)]) == 1


@every_dashboard
def test_a_dashboard_asks_for_metrics_that_there_are(dashboard: Dashboard) -> None:
    asked = {name for _, expr in queries(to_json(dashboard)) for name in metrics(expr)}
    assert asked
    assert asked <= KNOWN


@every_dashboard
def test_a_dashboards_variables_are_all_declared(dashboard: Dashboard) -> None:
    values = {variable.name: "x" for variable in dashboard.variables}
    for _, expr in queries(to_json(dashboard)):
        assert "$" not in filled(expr, **values)


@every_dashboard
def test_panels_do_not_overlap(dashboard: Dashboard) -> None:
    cells: set[tuple[int, int]] = set()
    for panel in to_json(dashboard)["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= COLUMNS
        mine = set(
            itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"]))
        )
        assert not cells & mine, panel["title"]
        cells |= mine


def test_uids_are_there_once() -> None:
    uids = [to_json(dashboard)["uid"] for dashboard in ALL]
    assert len(set(uids)) == len(uids) == 5


def test_rules_ask_for_metrics_that_there_are() -> None:
    recorded = {rule["record"] for rule in rules.recorded()}
    for group in rules.groups():
        for rule in group["rules"]:
            text = rule["expr"]
            for name in recorded:
                text = text.replace(name, "")
            assert metrics(text) <= KNOWN, rule


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    names_of_alerts = {alert.name for alert in rules.ALERTS}
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"index"} == names_of_alerts
    for alert in rules.ALERTS:
        text = (RUNBOOKS / f"{alert.name}.md").read_text()
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert headings == ["What it means", "What to look at", "What to do"]
        assert text.startswith(f"# {alert.name}\n")
        assert alert.severity in ("critical", "warning", "info")


def test_every_name_of_the_contract_is_on_the_page() -> None:
    text = page.text()
    for module, prefix in ((names, "model_"), (drift_names, "model_")):
        for value in vars(module).values():
            if isinstance(value, str) and value.startswith(prefix):
                assert f"`{value}`" in text, value


def test_what_the_operator_judges_by_is_on_the_page_and_kept_by_the_pod_monitor() -> None:
    kept = re.compile(KEPT)
    for pattern in (routerpage.WANTED, modelpage.WANTED):
        matched = [name for name in KNOWN if pattern.fullmatch(name)]
        assert matched, pattern
    for each in ROUTER:
        series = f"{each.name}_bucket" if each.type == "histogram" else each.name
        assert kept.fullmatch(series), each.name
    assert {exposures.DROPPED, exposures.WRITTEN} <= KNOWN
    for name in ("envoy_server_uptime", "envoy_cluster_grpc_14", routerpage._TIME):
        assert kept.fullmatch(name)


def test_every_metric_has_a_meaning() -> None:
    for each in (*catalogue.operator(), *catalogue.runtime(), *ROUTER, *catalogue.recorder()):
        assert len(each.meaning) > 10, each
        assert each.type in ("counter", "gauge", "histogram")


def test_a_laptops_alerts_ask_for_what_a_runtime_shows_and_never_for_what_is_absent() -> None:
    shown = {each.name for each in catalogue.runtime()}
    document = yaml.safe_load(texts()["monitoring/compose/rules.yaml"])
    recorded, alerts = (group["rules"] for group in document["groups"])
    assert recorded == rules.recorded()
    for rule in (*recorded, *alerts):
        assert metrics(rule["expr"]) <= shown, rule
        assert "absent" not in rule["expr"]
    assert {rule["alert"] for rule in alerts} == {
        "FairleadDriftUnwatched", "FairleadNonFiniteAnswers", "FairleadOverloaded",
    }  # fmt: skip
    for rule in alerts:
        assert (ROOT / rule["annotations"]["runbook_url"]).is_file()


def test_the_rules_of_the_chart_have_no_address_of_their_own() -> None:
    assert texts()["charts/fairlead/files/rules.yaml"].count("runbook_url: RUNBOOKS/") == len(
        rules.ALERTS
    )

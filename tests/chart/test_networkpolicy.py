"""Who may talk to whom, as the NetworkPolicies say it."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead_operator.planning import names, podtemplate
from fairlead_operator.traffic.split import Settings
from tests.chart.rendering import NAMESPACE, Document, of_kind, only, render

_ROUTER = {**names.MANAGED_BY, "app.kubernetes.io/name": names.ROUTER_APP}
_TRAFFIC = {podtemplate.HTTP_PORT, podtemplate.GRPC_PORT}
_DNS = {53}


def _policies(*settings: str) -> list[Document]:
    flags = [word for setting in settings for word in ("--set", setting)]
    return of_kind(render("--set", "networkPolicy.enabled=true", *flags), "NetworkPolicy")


def _routers(*settings: str) -> list[Document]:
    return [p for p in _policies(*settings) if p["metadata"]["namespace"] != NAMESPACE]


def _ports(rule: dict[str, Any]) -> set[int]:
    return {port["port"] for port in rule["ports"]}


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ((), []),
        (("watchNamespaces={a,b}",), ["a", "b"]),
        (("networkPolicy.routerNamespaces={c}",), ["c"]),
        (("watchNamespaces={a,b}", "networkPolicy.routerNamespaces={b}"), ["b"]),
    ],
    ids=str,
)
def test_routers_have_a_policy_where_they_are_known_to_be(
    settings: tuple[str, ...], where: list[str]
) -> None:
    found = _routers(*settings)
    assert sorted(policy["metadata"]["namespace"] for policy in found) == where
    for policy in found:
        assert policy["spec"]["podSelector"] == {"matchLabels": _ROUTER}
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_a_router_is_asked_at_its_own_ports_and_asks_names_and_models_only() -> None:
    (policy,) = _routers("watchNamespaces={a}")
    settings = Settings(name="any")
    predictions, reports = policy["spec"]["ingress"]
    assert _ports(predictions) == {settings.http_port, settings.grpc_port} == _TRAFFIC
    assert _ports(reports) == {settings.metrics_port}
    assert "from" not in predictions
    assert "from" not in reports
    resolving, asking = policy["spec"]["egress"]
    assert _ports(resolving) == _DNS
    assert _ports(asking) == _TRAFFIC
    (peer,) = asking["to"]
    assert peer["podSelector"]["matchLabels"].items() <= names.labels("fraud", "0" * 64).items()
    assert "namespaceSelector" not in peer


def test_clients_and_scrapers_may_be_named_and_the_operator_stays_among_them() -> None:
    peers = ("clientsFrom[0].podSelector.matchLabels.role=shop",
             "metricsFrom[0].podSelector.matchLabels.role=prometheus")  # fmt: skip
    flags = [f"networkPolicy.{peer}" for peer in peers]
    (policy,) = _routers("watchNamespaces={a}", *flags)
    predictions, reports = policy["spec"]["ingress"]
    assert predictions["from"] == [{"podSelector": {"matchLabels": {"role": "shop"}}}]
    operator, scraper = reports["from"]
    assert scraper == {"podSelector": {"matchLabels": {"role": "prometheus"}}}
    pods = only(render(), "Deployment")["spec"]["selector"]["matchLabels"]
    assert operator["podSelector"]["matchLabels"] == pods
    assert operator["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": NAMESPACE
    }


@pytest.mark.parametrize("served", [[], ["a", "b"]], ids=str)
def test_the_operator_reaches_what_it_made_and_where_it_serves(served: list[str]) -> None:
    settings = [f"watchNamespaces={{{','.join(served)}}}"] if served else []
    policy = only(_policies(*settings), "NetworkPolicy", "fairlead")
    *_, asking = policy["spec"]["egress"]
    (peer,) = asking["to"]
    assert peer["podSelector"] == {"matchLabels": names.MANAGED_BY}
    key = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": served}
    assert peer["namespaceSelector"] == ({"matchExpressions": [key]} if served else {})

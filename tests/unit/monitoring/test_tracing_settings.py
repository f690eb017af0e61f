"""The operator's option for traces: what it takes, what it refuses, and where it goes."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from fairlead_operator import settings
from fairlead_operator.planning.children import Children
from fairlead_operator.planning.network import Policies
from fairlead_operator.planning.podtemplate import pod_template
from fairlead_operator.traffic import documents, split, tracing
from fairlead_operator.traffic.split import Arm
from tests.builders import a_resource

ARM = Arm(name="control", key="fraud-aaaa1111", host="fraud-aaaa1111.team.svc")


def told(*flags: str) -> settings.Settings:
    parser = argparse.ArgumentParser()
    settings.add_arguments(parser, env={})
    return settings.from_arguments(parser.parse_args(flags))


def env(runtime: dict[str, Any], *given: Any) -> list[dict[str, str]]:
    template = pod_template(
        name="fraud", revision_hash="a" * 64, version="1", image="i", runtime=runtime,
        model={"uri": "s3://b/k"}, connection_age_s=60, tracing=given or ("", 1.0),
    )  # fmt: skip
    found: list[dict[str, str]] = template["spec"]["containers"][0].get("env", [])
    return found


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("", ""),
        ("http://collector.tracing:4318", "http://collector.tracing:4318"),
        ("http://collector/", "http://collector:4318"),
    ],
)
def test_a_collector_is_taken_with_its_usual_port(given: str, taken: str) -> None:
    assert told("--tracing-endpoint", given).tracing_endpoint == taken


@pytest.mark.parametrize("given", ["collector:4318", "https://c:4318", "http://c/v1/traces"])
def test_another_address_is_refused_with_what_it_should_be(given: str) -> None:
    with pytest.raises(ValueError, match="must be http://host:port without a path"):
        told("--tracing-endpoint", given)


@pytest.mark.parametrize("share", ["0", "-1", "1.1"])
def test_a_share_that_is_none_is_refused(share: str) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        told("--tracing-share", share)


def test_a_models_pod_traces_only_where_the_operator_is_told_to() -> None:
    assert env({}) == []
    endpoint = {"name": "FAIRLEAD_OTLP_ENDPOINT", "value": "http://c:4318"}
    share = {"name": "FAIRLEAD_TRACE_SHARE", "value": "0.25"}
    assert env({}, "http://c:4318", 0.25) == [endpoint, share]


def test_a_users_own_variable_wins() -> None:
    own = {"name": "FAIRLEAD_OTLP_ENDPOINT", "value": ""}
    found = env({"env": [own]}, "http://c:4318", 1.0)
    assert found == [{"name": "FAIRLEAD_TRACE_SHARE", "value": "1"}, own]


def listeners(collector: str | None) -> str:
    configuration = documents.of(split.only(ARM))
    given = split.Settings(name="fraud", collector=collector, trace_share=0.25)
    return documents.files(configuration, given)[documents.LISTENERS]


def test_a_router_traces_its_two_ports_and_asks_for_nothing_without_a_collector() -> None:
    assert '"tracing"' not in listeners(None)
    text = listeners("c:4318")
    assert text.count('"tracing"') == 2
    assert text.count('"numerator":250000') + text.count('"numerator": 250000') == 2
    assert tracing.clusters(split.Settings(name="fraud")) == []
    [cluster] = tracing.clusters(split.Settings(name="fraud", collector="c:4318"))
    assert cluster["name"] == tracing.CLUSTER


def test_where_policies_deny_the_rest_the_collector_may_be_reached() -> None:
    made = Children(a_resource())
    uris = ["configmap://m/model.onnx"]
    for collector, ports in (("", {53}), ("http://c:4318", {53, 4318})):
        found = made.policies(
            Policies(), uris, recorder=None, predictions="", routed=True, collector=collector
        )
        policies = {each["metadata"]["name"]: each["spec"]["egress"] for each in found}
        for name in ("fraud", "fraud-fl-router"):
            reached = {port["port"] for rule in policies[name] for port in rule["ports"]}
            assert reached - {8080, 9000} == ports, name
        tried = next(name for name in policies if name not in ("fraud", "fraud-fl-router"))
        assert 4318 not in {p["port"] for rule in policies[tried] for p in rule["ports"]}

"""What must never be written for a router, although Envoy would take some of it."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_operator.traffic import bootstrap, documents, routes, slots
from fairlead_operator.traffic.check import problems
from fairlead_operator.traffic.errors import TrafficError
from fairlead_operator.traffic.split import Arm, Mirror, Settings, Split, timeout_s, workers
from fairlead_runtime.contract.assignment import MAX_RUNS, Run
from tests.unit.traffic.world import CANDIDATE, OTHER, SETTINGS, STABLE, a_split

Documents = dict[str, Any]


def rendered(split: Split | None = None) -> Documents:
    made = documents.files(documents.of(split or a_split(1_000)), SETTINGS)
    return {name: json.loads(text) for name, text in made.items()}


def keyed(found: Documents) -> Any:
    return found["routes-http.json"]["resources"][0]["virtual_hosts"][0]["routes"][0]


def first_weight(found: Documents) -> Any:
    return keyed(found)["route"]["weighted_clusters"]["clusters"][0]


def cluster(found: Documents) -> Any:
    [one] = [c for c in found["clusters.json"]["resources"] if c["name"] == "fraud-candidate_http"]
    return one


def _unknown_cluster(found: Documents) -> None:
    first_weight(found)["name"] = "nobody"


def _unknown_mirror(found: Documents) -> None:
    keyed(found)["route"]["request_mirror_policies"] = [{"cluster": "nobody"}]


def _wrong_sum(found: Documents) -> None:
    first_weight(found)["weight"] += 1


def _zero_weight(found: Documents) -> None:
    weighted = keyed(found)["route"]["weighted_clusters"]["clusters"]
    weighted.append({"name": "fraud-stable_http", "weight": 0})


def _too_many_runs(found: Documents) -> None:
    weighted = [{"name": "fraud-stable_http", "weight": 1}] * MAX_RUNS
    weighted.append({"name": "fraud-stable_http", "weight": 10_000 - MAX_RUNS})
    keyed(found)["route"]["weighted_clusters"]["clusters"] = weighted


def _no_last_route(found: Documents) -> None:
    found["routes-grpc.json"]["resources"][0]["virtual_hosts"][0]["routes"].pop()


def _no_table(found: Documents) -> None:
    found["routes-grpc.json"]["resources"][0]["name"] = "another"


def _panic(found: Documents) -> None:
    cluster(found)["common_lb_config"]["healthy_panic_threshold"]["value"] = 50


def _twice(found: Documents) -> None:
    found["clusters.json"]["resources"].append(copy.deepcopy(cluster(found)))


def _too_large(found: Documents) -> None:
    cluster(found)["load_assignment"]["note"] = "x" * 1_000_000


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_unknown_cluster, "unknown cluster nobody"),
        (_unknown_mirror, "unknown cluster nobody"),
        (_wrong_sum, "weights sum to 10001"),
        (_zero_weight, "a weight is below 1"),
        (_too_many_runs, "257 runs"),
        (_no_last_route, "no route"),
        (_no_table, "listeners want the route tables"),
        (_panic, "rather panic"),
        (_twice, "same name"),
        (_too_large, "bytes"),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_a_spoilt_document_is_found_out(spoil: Callable[[Documents], None], said: str) -> None:
    found = rendered()
    assert problems(found) == []
    spoil(found)
    assert said in "; ".join(problems(found))


@given(st.integers(0, 10_000), st.booleans(), st.integers(0, 5_000), st.booleans())
def test_whatever_split_is_possible_is_rendered_without_a_problem(
    share: int, keyed_by_user: bool, mirrored: int, three: bool
) -> None:
    arms = (STABLE, CANDIDATE, OTHER) if three else (STABLE, CANDIDATE)
    wanted = {"stable": 10_000 - share, "candidate": share}
    table = slots.change(slots.all_to("stable"), wanted).table
    copies = keyed_by_user and mirrored
    split = Split(
        arms=arms,
        table=table,
        header="x-user-id" if keyed_by_user else None,
        salt="s" if keyed_by_user else "",
        mirror=Mirror(arm=OTHER, share=mirrored, compared=mirrored // 2) if copies else None,
    )
    found = rendered(split)
    assert problems(found) == []
    versions = documents.versions(documents.of(split), SETTINGS)
    assert found["routes-http.json"]["version_info"] == versions.routes_http


def test_a_configuration_without_a_needed_cluster_is_not_rendered() -> None:
    lacking = documents.Configuration(split=a_split(1_000), arms=(STABLE,))
    with pytest.raises(TrafficError, match="unknown cluster fraud-candidate_http"):
        documents.files(lacking, SETTINGS)


def test_only_what_changed_has_another_version() -> None:
    one = documents.versions(documents.of(a_split(1_000)), SETTINGS)
    two = documents.versions(documents.of(a_split(2_000)), SETTINGS)
    assert (one.clusters, one.listeners) == (two.clusters, two.listeners)
    assert one.routes_http != two.routes_http
    assert one.routes_grpc != two.routes_grpc


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"salt": "50%"}, "percent"),
        ({"salt": ""}, "salt"),
        ({"header": "X-User"}, "lower-case"),
        ({"arms": (STABLE, STABLE)}, "of its own"),
        ({"arms": (STABLE,)}, "not there: candidate"),
        ({"arms": (STABLE, Arm(name="candidate", key="a.b", host="h"))}, "DNS labels"),
        ({"arms": (STABLE, Arm(name="candidate", key="k", host="a b"))}, "DNS name"),
        ({"mirror": Mirror(arm=OTHER, share=10, compared=11)}, "no more than it"),
        ({"header": None, "mirror": Mirror(arm=OTHER, share=10)}, "assignment header"),
        ({"table": (Run("stable", 1),)}, "sum to 10000"),
    ],
    ids=lambda each: None if isinstance(each, str) else "-".join(each),
)
def test_a_split_that_no_router_could_do_is_refused(changes: dict[str, Any], said: str) -> None:
    base: dict[str, Any] = {
        "arms": (STABLE, CANDIDATE),
        "table": (Run("stable", 5_000), Run("candidate", 5_000)),
        "header": "x-user-id",
        "salt": "s",
    }
    with pytest.raises(TrafficError, match=said):
        Split(**{**base, **changes})


def test_a_limit_is_an_edge_of_the_histograms_and_edges_are_ten_percent_apart() -> None:
    edges = bootstrap.buckets((63, 5))
    assert 63.0 in edges
    assert edges == sorted(set(edges))
    assert all(b / a < 1.12 for a, b in itertools.pairwise(edges[9:]))


@pytest.mark.parametrize(
    ("latency_ms", "asked_s", "wanted"),
    [(None, None, 60), (50, None, 60), (10_000, None, 200), (50, 7, 7)],
)
def test_a_request_may_take_far_longer_than_wanted_or_what_the_user_says(
    latency_ms: int | None, asked_s: int | None, wanted: int
) -> None:
    assert timeout_s(max_latency_ms=latency_ms, asked_s=asked_s) == wanted


@pytest.mark.parametrize(("millis", "wanted"), [(None, 1), (250, 1), (1_000, 1), (1_500, 2)])
def test_there_is_a_worker_per_processor_of_the_limit(millis: int | None, wanted: int) -> None:
    assert workers(millis) == wanted


def test_idle_timeouts_are_in_order_and_admin_is_on_loopback() -> None:
    settings = Settings(name="fraud", connection_age_s=60)
    made = documents.files(documents.of(a_split(10)), settings)
    [listener, *_] = json.loads(made["listeners.json"])["resources"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    common = manager["common_http_protocol_options"]
    upstream = cluster({n: json.loads(t) for n, t in made.items()})
    [options] = upstream["typed_extension_protocol_options"].values()
    idle_up = options["common_http_protocol_options"]["idle_timeout"]
    seconds = [
        int(each[:-1])
        for each in (idle_up, common["max_connection_duration"], common["idle_timeout"])
    ]
    assert seconds == sorted(seconds)
    assert seconds[0] < 75  # the runtime's own
    assert seconds[2] < 2 * 60  # the router's leave
    admin = json.loads(documents.bootstrap_file(settings))["admin"]["address"]["socket_address"]
    assert admin["address"] == "127.0.0.1"


@pytest.mark.parametrize("routers", [1, 2, 3, 40])
def test_all_routers_together_mark_twenty_copies_a_second_at_most(routers: int) -> None:
    settings = dataclasses.replace(SETTINGS, routers=routers)
    texts = documents.files(documents.of(a_split(0)), settings)
    found = []
    for listener in json.loads(texts["listeners.json"])["resources"]:
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        for each in manager["http_filters"]:
            if each["name"] == routes.LIMIT_FILTER:
                assert each["disabled"]
                bucket = each["typed_config"]["token_bucket"]
                found.append(bucket["tokens_per_fill"] / float(bucket["fill_interval"][:-1]))
    assert len(found) == 2
    assert sum(found) * routers <= 20.001


def test_only_marked_requests_meet_the_limit() -> None:
    mirror = Mirror(arm=CANDIDATE, share=1_000, compared=1_000)
    split = Split(arms=(STABLE,), table=slots.all_to(STABLE.name), mirror=mirror)
    table = routes.route_table(split, "http", SETTINGS)
    marked, rest = table["virtual_hosts"][0]["routes"]
    assert marked["match"]["runtime_fraction"]["default_value"]["numerator"] == 1_000
    assert marked["route"]["request_mirror_policies"][0]["runtime_fraction"] == {
        "default_value": {"numerator": 10_000, "denominator": "TEN_THOUSAND"}
    }
    assert routes.LIMIT_FILTER in marked["typed_per_filter_config"]
    assert "request_mirror_policies" not in rest["route"]
    assert "typed_per_filter_config" not in rest


def test_a_limit_of_time_is_one_that_envoy_looks_at() -> None:
    """With any `max_stream_duration` beside it Envoy ignores `timeout`."""
    for protocol, wanted in (("http", {"timeout"}), ("grpc", {"max_stream_duration"})):
        table = routes.route_table(a_split(5_000), protocol, SETTINGS)
        for route in table["virtual_hosts"][0]["routes"]:
            assert {"timeout", "max_stream_duration"} & set(route["route"]) == wanted

"""What counters mean: errors, retries, what the control did in an arm's place, copies."""

from __future__ import annotations

import datetime as dt

import pytest

from fairlead_operator.evidence import meaning, modelpage, routerpage
from fairlead_operator.evidence.exposition import ExpositionError
from fairlead_operator.evidence.meaning import Cluster
from fairlead_operator.evidence.readings import Group
from fairlead_operator.evidence.scrape import Page
from fairlead_operator.stats.histogram import Histogram
from fairlead_operator.traffic.counts import Counts

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
ROUTER = b"""# TYPE envoy_cluster_zone_router_own_upstream_rq_xx counter
envoy_cluster_zone_router_own_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="f-a_http"} 23
envoy_cluster_zone_router_own_upstream_rq_xx{envoy_response_code_class="4",envoy_cluster_name="f-a_http"} 8
envoy_cluster_zone_router_own_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="f-a_http"} 9
envoy_cluster_zone_router_spare_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="f-a_http"} 5
envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="f-a_http"} 10
envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="f-a_http"} 28
envoy_cluster_upstream_rq_retry{envoy_cluster_name="f-a_http"} 2
envoy_cluster_upstream_rq_retry_success{envoy_cluster_name="f-a_http"} 1
envoy_cluster_grpc_0{envoy_cluster_name="f-a_grpc"} 50
envoy_cluster_grpc_1{envoy_cluster_name="f-a_grpc"} 60
envoy_cluster_grpc_13{envoy_cluster_name="f-a_grpc"} 3
envoy_cluster_grpc_8{envoy_cluster_name="f-a_grpc"} 4
envoy_cluster_grpc_3{envoy_cluster_name="f-a_grpc"} 10
envoy_cluster_endpoint_rq_error{envoy_cluster_name="f-a_grpc_mirror",envoy_endpoint_address="10.0.0.1:9000"} 24
envoy_server_uptime{} 5
# TYPE envoy_cluster_zone_router_own_upstream_rq_time histogram
envoy_cluster_zone_router_own_upstream_rq_time_bucket{envoy_cluster_name="f-a_http",le="1"} 3
envoy_cluster_zone_router_own_upstream_rq_time_bucket{envoy_cluster_name="f-a_http",le="12.1"} 5
envoy_cluster_zone_router_own_upstream_rq_time_bucket{envoy_cluster_name="f-a_http",le="+Inf"} 6
envoy_cluster_zone_router_own_upstream_rq_time_sum{envoy_cluster_name="f-a_http"} 2.5
envoy_cluster_zone_router_own_upstream_rq_time_count{envoy_cluster_name="f-a_http"} 6
"""  # noqa: E501 - as Envoy writes it
MODEL = b"""process_start_time_seconds 1.7e+09
model_predictions_total{model_version="7",status="success"} 90.0
model_predictions_total{model_version="7",status="error"} 10.0
model_prediction_latency_seconds_bucket{le="0.001",model_version="7"} 40.0
model_prediction_latency_seconds_bucket{le="+Inf",model_version="7"} 90.0
model_predictions_checked_total{model_version="7"} 30.0
model_predictions_non_finite_total{model_version="7"} 2.0
"""


def of(protocol: str, *, control: bool = False, mirror: bool = False, **numbers: int) -> Counts:
    """Return what counters of a cluster mean."""
    whose = Cluster("f-a", protocol, mirror=mirror)
    return meaning.of_router(whose, Group(numbers=numbers), control=control)


def test_a_routers_page_is_read_by_cluster() -> None:
    reading = routerpage.reading("r", Page(ROUTER, NOW))
    assert NOW - dt.timedelta(seconds=7) < reading.started < NOW - dt.timedelta(seconds=5)
    http = reading.groups["f-a_http"]
    assert http.latency == Histogram((1.0, 12.1), (3, 2, 1))
    assert dict(http.numbers) == {
        routerpage.ANSWERED: 40,
        routerpage.REFUSED: 8,
        routerpage.FAILED: 9,
        routerpage.STOOD_IN: 5,
        routerpage.ALL_FAILED: 10,
        routerpage.RETRIED: 2,
        routerpage.RETRIED_WELL: 1,
    }
    grpc = dict(reading.groups["f-a_grpc"].numbers)
    assert grpc == {
        routerpage.GRPC_ENDED: 127,
        routerpage.GRPC_FAILED: 7,
        routerpage.GRPC_REFUSED: 10,
    }
    mirror = reading.groups["f-a_grpc_mirror@10.0.0.1:9000"]
    assert dict(mirror.numbers) == {routerpage.BROKEN: 24}


def test_a_models_page_is_read() -> None:
    reading = modelpage.reading("p", "f-a", Page(MODEL, NOW))
    assert reading.started == dt.datetime.fromtimestamp(1.7e9, dt.UTC)
    judged, served = meaning.of_model(reading.groups[modelpage.MODEL])
    assert judged == Counts(predictions=30, non_finite=2)
    assert served == Counts(requests=100, errors=10, latency=Histogram((1.0,), (40, 50)))


@pytest.mark.parametrize("page", [b"", b"other 1\n", ROUTER.replace(b'le="+Inf"', b'le="99"')])
def test_another_programs_page_is_refused(page: bytes) -> None:
    with pytest.raises(ExpositionError):
        routerpage.reading("r", Page(page, NOW))
    with pytest.raises(ExpositionError):
        modelpage.reading("p", "f-a", Page(page, NOW))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("fraud-1a2b_http", Cluster("fraud-1a2b", "http", mirror=False)),
        ("fraud-1a2b_grpc_mirror", Cluster("fraud-1a2b", "grpc", mirror=True)),
        ("fraud-1a2b_grpc_mirror@[fd00::1]:9", Cluster("fraud-1a2b", "grpc", mirror=True)),
        ("admin", None),
        ("_http", None),
        ("fraud_tcp", None),
    ],
)
def test_a_clusters_name_says_whose_it_is(name: str, wanted: Cluster | None) -> None:
    assert meaning.cluster(name) == wanted


def test_what_the_control_did_in_an_arms_place_is_not_the_arms() -> None:
    assert of("http", answered=10, stood_in=90) == Counts(requests=10)
    assert of("grpc", answered=10, stood_in=90, grpc_failed=80) == Counts(requests=10)
    # Beyond what can have been the control's they are the arm's.
    assert of("grpc", answered=10, stood_in=3, grpc_failed=8) == Counts(requests=10, errors=5)


def test_a_second_try_is_a_failure_of_the_arm_whoever_answered() -> None:
    # Three first tries failed, and the control answered.
    assert of("http", answered=10, failed=1, stood_in=3, retried=3, retried_well=3) == Counts(
        requests=13, errors=4
    )
    # The control's second try goes to its own pods: it is an answer already.
    assert of("http", control=True, answered=10, retried=3, retried_well=2) == Counts(
        requests=10, errors=2
    )


def test_a_request_for_which_the_control_has_no_pod_failed() -> None:
    assert of("http", control=True, answered=10, failed=2, all_failed=7) == Counts(
        requests=15, errors=7
    )


def test_a_grpc_call_that_the_router_failed_counts_once() -> None:
    """It has HTTP status 503 within Envoy, and gRPC status UNAVAILABLE for the client."""
    assert of("grpc", answered=10, failed=4, grpc_failed=4) == Counts(requests=10, errors=4)
    assert of("grpc", answered=10, refused=0, grpc_refused=6) == Counts(
        requests=10, client_errors=6
    )


def test_a_grpc_call_that_ended_at_its_deadline_is_a_request() -> None:
    assert of("grpc", answered=7, grpc_ended=10, grpc_failed=3) == Counts(requests=10, errors=3)
    # What the control did in between is not the arm's.
    assert of("grpc", answered=7, stood_in=5, grpc_ended=15, grpc_failed=3) == Counts(requests=10)


def test_a_copy_that_failed_in_its_trailer_counts() -> None:
    assert of("grpc", mirror=True, answered=24, broken=24) == Counts(requests=24, errors=24)
    assert of("grpc", mirror=True, answered=5, failed=5, broken=5) == Counts(requests=5, errors=5)

"""A router's page, as Envoy 1.40 writes it."""

from __future__ import annotations

import pytest

from fairlead_operator.evidence import routers
from fairlead_operator.evidence.exposition import ExpositionError
from fairlead_operator.evidence.scrape import Scraper
from fairlead_operator.traffic.documents import Versions
from fairlead_operator.traffic.states import Router

PAGE = b"""# TYPE envoy_http_downstream_cx_active gauge
envoy_http_downstream_cx_active{envoy_http_conn_manager_prefix="admin"} 1
envoy_http_downstream_cx_active{envoy_http_conn_manager_prefix="grpc"} 2
envoy_http_downstream_cx_active{envoy_http_conn_manager_prefix="http"} 5
envoy_http_downstream_cx_active{envoy_http_conn_manager_prefix="metrics"} 1
# TYPE envoy_cluster_manager_cds_version_text gauge
envoy_cluster_manager_cds_version_text{text_value="c"} 0
# TYPE envoy_http_rds_version_text gauge
envoy_http_rds_version_text{envoy_rds_route_config="fairlead_grpc",text_value="g"} 0
envoy_http_rds_version_text{envoy_rds_route_config="fairlead_http",text_value="h"} 0
# TYPE envoy_listener_manager_lds_version_text gauge
envoy_listener_manager_lds_version_text{text_value="l"} 0
"""


def test_versions_and_the_clients_connections_are_read() -> None:
    wanted = Versions(clusters="c", listeners="l", routes_http="h", routes_grpc="g")
    assert routers.live(PAGE) == (wanted, 7)


def test_a_router_that_has_no_routes_yet_has_empty_versions() -> None:
    page = b"\n".join(line for line in PAGE.split(b"\n") if b"rds" not in line)
    versions, _ = routers.live(page)
    assert versions == Versions(clusters="c", listeners="l")


def test_another_programs_page_is_refused() -> None:
    with pytest.raises(ExpositionError, match="router"):
        routers.live(b"process_cpu_seconds_total 1\n")


async def test_a_router_that_cannot_be_asked_is_known_by_its_name_only() -> None:
    pod = routers.RouterPod(name="r1", ip="", ready=True)
    async with Scraper() as scraper:
        assert await routers.observe([pod], scraper) == (Router(name="r1", ready=True),)

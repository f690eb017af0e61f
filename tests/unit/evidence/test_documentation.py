"""`docs/evidence.md` says the same as the code."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from pathlib import Path

import grpc
import pytest

from fairlead_operator.evidence import compared, ledger, prometheus, routerpage, saved
from fairlead_operator.evidence.scrape import Page
from fairlead_operator.traffic.counts import STALE_AFTER_S, Differences
from fairlead_operator.traffic.weights import COMPARED_PER_SECOND
from fairlead_runtime.contract import names
from fairlead_runtime.dataplane import compared as kept

PAGE = (Path(__file__).parents[3] / "docs" / "evidence.md").read_text()


@pytest.mark.parametrize("code", list(grpc.StatusCode), ids=lambda code: code.name)
def test_each_grpc_status_counts_as_the_page_says(code: grpc.StatusCode) -> None:
    rows = {line.split("|")[1].strip(): line for line in PAGE.splitlines() if line.startswith("|")}
    named = [
        row for row in ("errors", "client errors", "neither")
        if re.search(rf"\b{code.name}\b", rows[row])
    ]  # fmt: skip
    number = code.value[0]
    page = b'envoy_cluster_grpc_%d{envoy_cluster_name="a_grpc"} 1\nenvoy_server_uptime{} 1' % number
    reading = routerpage.reading("r", _page(page))
    counted = reading.groups["a_grpc"].numbers
    wanted = {
        "errors": {routerpage.GRPC_ENDED: 1, routerpage.GRPC_FAILED: 1},
        "client errors": {routerpage.GRPC_ENDED: 1, routerpage.GRPC_REFUSED: 1},
        "neither": {routerpage.GRPC_ENDED: 1},
    }
    assert counted == wanted["neither" if code.name == "OK" else named[0]]
    assert len(named) == (0 if code.name == "OK" else 1)


def test_limits_and_names_are_the_codes() -> None:
    old_s = prometheus.UNREAD_AFTER.total_seconds()
    assert f"Counts older than {old_s:g} s pass nothing\n  ({STALE_AFTER_S:g} s where" in PAGE
    assert f"a ready pod without a scrape for {old_s:g} s is unread" in PAGE
    assert f"at {COMPARED_PER_SECOND} a second" in PAGE.replace("\n", " ")
    assert f"`{names.COMPARE_HEADER}: {names.COMPARED}`" in PAGE
    assert f"GET {names.COMPARED_PATH}" in PAGE
    assert f"up to {saved.MOST_PODS}, routers first" in PAGE
    assert f"within {ledger.RESTARTED_AFTER.total_seconds():g} s of its own start" in PAGE
    assert f"within {compared.UNMATCHED_AFTER_S:g} s" in PAGE
    assert f"{kept.CAPACITY:,}, {kept.CAPACITY_BYTES >> 20} MiB" in PAGE
    assert f"{kept.LARGEST_BYTES >> 10} KiB each" in PAGE


def test_each_kind_of_difference_is_explained() -> None:
    for each in dataclasses.fields(Differences):
        name = each.name.replace("_", " ")
        assert re.search(rf"^\| .*\b{name}\b", PAGE, re.MULTILINE), name


def _page(body: bytes) -> Page:
    return Page(body, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))

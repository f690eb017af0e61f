"""Prometheus' text format, held against prometheus-client's own writer and parser."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from fairlead_operator.evidence.exposition import ExpositionError, Sample, samples

EVERYTHING = re.compile(".*")
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
NUMBERS = st.floats(allow_nan=False) | st.integers(0, 10**12).map(float)


def _theirs(page: bytes) -> list[tuple[str, dict[str, str], float]]:
    families = text_string_to_metric_families(page.decode())
    return [(s.name, dict(s.labels), s.value) for f in families for s in f.samples]


def _ours(page: bytes) -> list[tuple[str, dict[str, str], float]]:
    return [(s.name, dict(s.labels), s.value) for s in samples(page, EVERYTHING)]


@given(st.lists(st.tuples(TEXTS, TEXTS, NUMBERS), max_size=5))
def test_reads_what_prometheus_client_writes_as_its_own_parser_does(
    rows: list[tuple[str, str, float]],
) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("a_gauge", "With\nlines and \\.", ["one", "two"], registry=registry)
    for one, two, value in rows:
        gauge.labels(one, two).set(value)
    Counter("plain", "No labels.", registry=registry).inc(3)
    Histogram("waits", "Buckets.", registry=registry).observe(0.2)
    page = generate_latest(registry)
    assert _ours(page) == _theirs(page)


def test_reads_a_text_readout_of_envoy() -> None:
    page = b"""# TYPE envoy_http_rds_version_text gauge
envoy_http_rds_version_text{envoy_rds_route_config="a}b",text_value="2f \\"x\\" }"} 0
envoy_server_uptime{} 5
"""
    first, second = samples(page, EVERYTHING)
    assert first.labels == {"envoy_rds_route_config": "a}b", "text_value": '2f "x" }'}
    assert second == Sample("envoy_server_uptime", {}, 5.0)


def test_gives_only_what_is_wanted_and_looks_at_nothing_else() -> None:
    page = b"other this is no number\nmine 1\nmine_too 2\n"
    assert [s.name for s in samples(page, re.compile("mine"))] == ["mine"]


@pytest.mark.parametrize(("text", "value"), [("+Inf", math.inf), ("-Inf", -math.inf), ("1e3", 1e3)])
def test_reads_numbers_as_prometheus_writes_them(text: str, value: float) -> None:
    [sample] = samples(f"x {text} 1700000000000".encode(), EVERYTHING)
    assert sample.value == value


@pytest.mark.parametrize("line", ["x", "x{", 'x{a="b"}', "x y", 'x{a="b"} y'])
def test_refuses_a_line_that_is_no_metric(line: str) -> None:
    with pytest.raises(ExpositionError, match="no metric"):
        list(samples(line.encode(), EVERYTHING))


@given(st.binary(max_size=200))
def test_any_page_at_all_is_read_or_refused(page: bytes) -> None:
    try:
        list(samples(page, EVERYTHING))
    except ExpositionError:
        return

"""Our counters read like prometheus-client's own."""

from __future__ import annotations

import asyncio
import threading

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.parser import text_string_to_metric_families

from fairlead_runtime.metrics.counters import Metrics
from fairlead_runtime.metrics.tally import Distribution, Tallies
from fairlead_runtime.protocol.errors import Code

BOUNDS = (0.1, 0.5, 1.0)


@given(st.lists(st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.5, 0.7, 1.0, 5.0])))
def test_a_distribution_counts_as_prometheus_does(values: list[float]) -> None:
    ours, registry = Distribution(BOUNDS), CollectorRegistry()
    tallies = Tallies()
    tallies.histogram("ours", "Text.", ours)
    theirs = Histogram("theirs", "Text.", buckets=BOUNDS, registry=registry)
    for value in values:
        ours.observe(value)
        theirs.observe(value)
    registry.register(tallies)
    for le in ("0.1", "0.5", "1.0", "+Inf"):
        wanted = registry.get_sample_value("theirs_bucket", {"le": le})
        assert registry.get_sample_value("ours_bucket", {"le": le}) == wanted
    assert registry.get_sample_value("ours_count") == len(values)
    assert registry.get_sample_value("ours_sum") == registry.get_sample_value("theirs_sum")


def test_the_page_parses_and_has_everything() -> None:
    metrics = Metrics(model_name="m", model_version="7")
    metrics.succeeded(0.01)
    metrics.failed(Code.INTERNAL)
    metrics.batch(requests=2, rows=5, seconds=0.001)
    metrics.queued(0.002)
    metrics.dropped("deadline")
    metrics.watch_queue(lambda: 3)
    with metrics.in_flight():
        text = metrics.render().decode()
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["model_predictions_total", "7", "success"] == 1
    assert samples["model_predictions_total", "7", "error"] == 1
    assert samples["model_batch_rows_sum",] == 5
    assert samples["model_batch_requests_sum",] == 2
    assert samples["model_queue_seconds_count",] == 1
    assert samples["model_requests_dropped_total", "deadline"] == 1
    assert samples["model_requests_dropped_total", "queue_full"] == 0
    assert samples["model_requests_waiting",] == 3
    assert samples["model_requests_in_flight",] == 1


async def test_the_event_loop_goes_on_while_the_page_is_made() -> None:
    metrics = Metrics(model_name="m", model_version="7")
    release = threading.Event()

    def hold() -> int:
        assert release.wait(20)
        return 0

    metrics.watch_queue(hold)
    page = asyncio.create_task(metrics.rendered())
    await asyncio.sleep(0.01)  # the loop turns although the page is stuck
    assert not page.done()
    release.set()
    assert b"model_requests_waiting 0.0" in await page

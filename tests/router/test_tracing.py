"""One trace through a real router and a real runtime, taken by a real collector."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from fairlead_operator.traffic.split import only
from tests import models
from tests.monitoring.collector import Span, collector
from tests.router.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def of_service(spans: list[Span], service: str, name: str = "") -> list[Span]:
    return [s for s in spans if s["service"] == service and name in ("", s["name"])]


async def test_a_trace_goes_through_router_and_runtime(tmp_path: Path) -> None:
    with collector(tmp_path) as traces:
        (tmp_path / "router").mkdir()
        world = World(tmp_path / "router")
        try:
            await world.begin(collector=traces.url.removeprefix("http://"))
            model = models.classifier(tmp_path / "model.onnx")
            arm = await world.serving("control", model, "--otlp-endpoint", traces.url)
            await world.route(only(arm))
            async with httpx.AsyncClient(trust_env=False) as client:

                async def ask(flags: str, **headers: str) -> httpx.Response:
                    headers["traceparent"] = f"00-{TRACE}-{PARENT}-{flags}"
                    answer = await client.post(
                        f"{world.envoy.url}/predict",
                        json={"features": [0.0] * 3},
                        headers=headers,
                    )
                    assert answer.status_code == 200, answer.text
                    return answer

                await ask("00")
                await ask("01", **{"x-request-id": "no-uuid"})
                unasked = await client.post(
                    f"{world.envoy.url}/predict", json={"features": [0.0] * 3}
                )
            spans = traces.wait({"POST /predict": 2, "onnxruntime": 2})
            while len(of_service(spans, "fairlead-router")) < 2:
                spans = traces.wait({"POST /predict": 2})
        finally:
            await world.end()
    ours = [span for span in spans if span["trace"] == TRACE]
    [router] = of_service(ours, "fairlead-router")
    [runtime] = of_service(ours, "fairlead-runtime", "POST /predict")
    assert router["parent"] == PARENT
    assert runtime["parent"] == router["id"]
    assert runtime["attributes"]["fairlead.request.id"] == "no-uuid"
    assert router["start"] <= runtime["start"]
    [other] = {span["trace"] for span in spans} - {TRACE}
    [its_router] = [s for s in of_service(spans, "fairlead-router") if s["trace"] == other]
    [its_run] = [
        s for s in of_service(spans, "fairlead-runtime", "POST /predict") if s["trace"] == other
    ]
    assert (its_router["parent"], its_run["parent"]) == ("", its_router["id"])
    assert unasked.headers["traceparent"].split("-")[1] == other

"""Answers to marked requests, kept by a real runtime, read as the operator reads them."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path

import grpc
import httpx
import pytest

from cluster.controlplane import free_ports
from fairlead_operator.evidence import compared
from fairlead_operator.evidence.compared import Comparison, Kept
from fairlead_operator.evidence.scrape import Scraper
from fairlead_operator.traffic.counts import Differences
from fairlead_runtime.contract import names
from fairlead_runtime.grpc.messages import INFERENCE
from tests import models
from tests.runtimes import Served, served

MARKED = {names.COMPARE_HEADER: names.COMPARED}


def answers(port: int, count: int) -> Kept:
    """Return what a pod keeps, once it is so much."""
    deadline = time.monotonic() + 10
    while True:
        body = httpx.get(f"http://127.0.0.1:{port}{names.COMPARED_PATH}").content
        kept = compared.parse("p", body)
        if len(kept.answers) >= count:
            return kept
        assert time.monotonic() < deadline, kept
        time.sleep(0.05)


def ask(server: Served, request_id: str, mark: str = names.COMPARED, *, times: int = 1) -> None:
    """Ask for the same prediction so many times."""
    url = f"http://127.0.0.1:{server.port}/predict"
    headers = {names.REQUEST_ID_HEADER: request_id, names.COMPARE_HEADER: mark}
    with httpx.Client() as client:
        for _ in range(times):
            answer = client.post(url, json={"features": [1.0, 2.0, 3.0]}, headers=headers)
            answer.raise_for_status()


@pytest.mark.parametrize("edge", ["own", "asgi"])
def test_answers_are_kept_whichever_way_they_were_asked_for(edge: str, tmp_path: Path) -> None:
    model = models.classifier(tmp_path / "model.onnx")
    inner, grpc_port = free_ports(2)
    flags = ("--http-edge", edge, "--metrics-port", str(inner), "--grpc-port", str(grpc_port))
    with served(model, tmp_path / "log", *flags) as server:
        # So many that nobody gathers what nobody wants.
        ask(server, "not", names.NOT_COMPARED, times=200)
        ask(server, "simple")
        httpx.post(
            f"http://127.0.0.1:{server.port}/v2/models/m/infer",
            json={
                "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}]
            },
            headers={names.REQUEST_ID_HEADER: "v2", **MARKED},
        ).raise_for_status()
        infer = INFERENCE["ModelInferRequest"](model_name="m")
        tensor = infer.inputs.add(name="x", datatype="FP32", shape=[1, 3])
        tensor.contents.fp32_contents.extend([1.0, 2.0, 3.0])
        with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
            channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(
                infer.SerializeToString(),
                metadata=((names.REQUEST_ID_HEADER, "grpc"), *MARKED.items()),
            )
        kept = answers(inner, 3)
        assert [each.id for each in kept.answers] == ["simple", "v2", "grpc"]
        first, *others = (each.outputs for each in kept.answers)
        assert set(first) == {"label", "probabilities"}
        assert all(each == first for each in others)
        # Answers are nobody's business but the platform's.
        refused = httpx.get(f"http://127.0.0.1:{server.port}{names.COMPARED_PATH}")
        assert refused.status_code == 404


async def test_two_models_are_compared_and_one_that_began_anew_too(tmp_path: Path) -> None:
    stable = models.classifier(tmp_path / "stable" / "model.onnx")
    other = models.classifier(tmp_path / "other" / "model.onnx", scale=-1)
    one, two = free_ports(2)
    known = Comparison(begin=dt.datetime.now(dt.UTC))
    control = compared.target("a", "127.0.0.1", one)
    copies = compared.target("b", "127.0.0.1", two)

    def both(first: Served, second: Served, *ids: str) -> None:
        for each in ids:
            for server in (first, second):
                ask(server, each)

    with served(other, tmp_path / "log-b", "--metrics-port", str(two)) as second:
        with served(stable, tmp_path / "log-a", "--metrics-port", str(one)) as first:
            both(first, second, "r1", "r2")
            answers(one, 2), answers(two, 2)
            async with Scraper() as scraper:
                for _ in range(2):
                    known, unread = await compared.read(known, [control], [copies], scraper)
                    assert unread == ()
            assert (known.found.pairs, known.found.differing_labels) == (2, 2)
            assert known.found.largest > 0.1
        async with Scraper() as scraper:
            same, unread = await compared.read(known, [control], [copies], scraper)
        assert (same, unread) == (known, ("a",))
        with served(stable, tmp_path / "log-c", "--metrics-port", str(one)) as first:
            both(first, second, "r3")
            answers(one, 1), answers(two, 3)
            async with Scraper() as scraper:
                known, _ = await compared.read(known, [control], [copies], scraper)
        assert known.found.pairs == 3
        assert known.found.unmatched == 0
        assert known.found != Differences()

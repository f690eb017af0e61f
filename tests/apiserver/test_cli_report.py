"""`fairlead report`: the page of a real recorder, through a real API server's proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cluster.controlplane import ControlPlane
from fairlead_operator.kube.kinds import EXPERIMENT, SERVICE
from tests.apiserver.api import Api
from tests.apiserver.commandline import Commands
from tests.apiserver.experimenting import an_experiment
from tests.apiserver.relay import own_address, pretend, relayed
from tests.recorder.process import Recorder

_LABELS = {"app.kubernetes.io/part-of": "fairlead", "app.kubernetes.io/component": "recorder"}


@pytest.fixture
async def behind(api: Api, namespace: str, counting: Recorder) -> AsyncIterator[Recorder]:
    """Put a recorder behind a Service that looks like the chart's; it goes with the test."""
    own = own_address()
    async with relayed(own, counting.port) as port:
        try:
            await pretend(api, namespace, "counting", own, port, labels=_LABELS)
            yield counting
        finally:
            await api.delete(SERVICE, namespace, "counting")


def tell(counting: Recorder, namespace: str, uid: str) -> None:
    """Register an Experiment, as the operator does."""
    path = f"/v1/experiments/{namespace}/checkout"
    answer = counting.put(path, {**counting.definition, "uid": uid})
    assert answer.status_code == 200, answer.text


async def test_a_report_is_the_recorders_page_in_a_file(
    api: Api, behind: Recorder, plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    run = Commands(plane, namespace)
    await api.create(EXPERIMENT, namespace, an_experiment())
    live = await api.get(EXPERIMENT, namespace, "checkout")
    assert live is not None
    early = await run("report", "checkout")
    assert early.status == 3
    assert f"the recorder has nothing of {namespace}/checkout" in early.err, early.err

    tell(behind, namespace, live["metadata"]["uid"])
    file = tmp_path / "report.html"
    done = await run("report", "experiment/checkout", "-o", str(file))
    assert done.status == 0, done.err
    assert done.out.startswith(f"wrote {file} (")
    page = file.read_text()
    assert "<title>" in page
    assert f"{namespace}/checkout" in page
    assert "bigger" in page
    for outside in ("<script", "http://", "https://", "@import"):
        assert outside not in page
    piped = await run("report", "checkout", "-o", "-", "--recorder", f"{namespace}/counting")
    assert "bigger" in piped.out

    await api.delete(EXPERIMENT, namespace, "checkout")
    after = await run("report", "checkout", "-o", "-")
    assert "bigger" in after.out, "its data is kept, and so is its report"


async def test_what_is_missing_for_a_report_is_named(
    behind: Recorder, plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    run = Commands(plane, namespace)
    unknown = await run("report", "nothing")
    assert unknown.status == 3
    assert "the recorder has nothing of" in unknown.err
    tell(behind, namespace, "some-uid")
    refused = await run("report", "checkout", "-o", str(tmp_path / "no" / "where.html"))
    assert (refused.status, "cannot be written" in refused.err) == (2, True)
    odd = await run("report", "checkout", "--recorder", "counting")
    assert (odd.status, "no NAMESPACE/SERVICE" in odd.err) == (2, True)
    elsewhere = await run("report", "checkout", "--recorder", f"{namespace}/none")
    assert elsewhere.status == 3
    assert "cannot be asked" in elsewhere.err, elsewhere.err


async def test_without_a_recorder_the_way_to_one_is_told(
    plane: ControlPlane, namespace: str
) -> None:
    done = await Commands(plane, namespace)("report", "checkout")
    assert done.status == 3
    assert "there is no recorder in this cluster" in done.err
    assert "recorder.enabled" in done.err

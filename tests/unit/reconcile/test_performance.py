"""What is asked of the recorder for a model's performance, and what is made of the answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from fairlead_operator.evidence.recorder import Recorder, RecorderError
from fairlead_operator.planning import names
from fairlead_operator.reconcile.performance import PerformanceKeeper
from fairlead_operator.rollout import performance
from fairlead_operator.rollout.performance import PerformanceView
from fairlead_operator.rollout.snapshot import Snapshot
from fairlead_operator.rollout.watching import Watching
from tests.builders import a_revision, a_snapshot, later

REVISION = dataclasses.replace(a_revision(1), runtime={"recordPredictionsPercent": 100})
SHORT = names.short(REVISION.hash)
SPEC = {
    "window": "1m", "referenceOutcomes": 500, "maxIncreaseBasisPoints": 200,
    "reference": {"outcomes": 1000, "errors": 50},
}  # fmt: skip


class Answers(Recorder):
    """A recorder that has counted by the minute, and may be away."""

    def __init__(self) -> None:
        super().__init__("http://recorder")
        self.windows: list[tuple[int, int, int]] = []
        self.asked: list[tuple[str, Any]] = []
        self.away = False
        self.uid = ""

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        if self.away:
            raise RecorderError("no route to host")
        self.asked.append((f"{method} {path}", body))
        if body is not None:
            self.uid = body["uid"]
            return {}
        since = int(path.partition("since=")[2])
        windows = [
            {"start": start, "outcomes": outcomes, "errors": errors, "distance": 0.0}
            for start, outcomes, errors in self.windows
            if start >= since
        ]
        return {"uid": self.uid, "revisions": {SHORT: windows, "other": windows[:1]}}


def watched(**spec: Any) -> Snapshot:
    return dataclasses.replace(
        a_snapshot(revisions=(REVISION,)), performance=Watching(spec={**SPEC, **spec})
    )


async def observed(
    keeper: PerformanceKeeper, seconds: float, snapshot: Snapshot | None = None
) -> PerformanceView:
    found = await keeper.observe(snapshot or watched(), REVISION, later(seconds))
    assert found is not None
    return found


async def test_a_model_that_got_worse_is_degraded_and_well_again_when_it_is() -> None:
    recorder = Answers()
    keeper = PerformanceKeeper(recorder)
    told = []
    for minute in range(60):
        errors = 30 if 20 <= minute < 40 else 5
        recorder.windows.append((60 * minute, 100, errors))
        found = performance.condition(await observed(keeper, 60 * minute))
        told.append(found["status"])
    assert told[19] == "False"
    assert "True" in told[20:23]
    assert told[-1] == "False"
    assert found["reason"] == "AsGoodAsBefore"
    assert found["message"] == (
        "5.0 % of the last 100 outcomes were predicted wrongly, 8.8 % are allowed "
        "(5.0 % of 1000 in the reference)"
    )


async def test_an_operator_that_starts_anew_says_the_same() -> None:
    recorder = Answers()
    recorder.windows = [(60 * minute, 100, 5 if minute < 20 else 30) for minute in range(25)]
    keeper = PerformanceKeeper(recorder)
    for minute in range(25):
        keeper_view = await observed(keeper, 60 * minute)
    assert keeper_view == await observed(PerformanceKeeper(recorder), 0)
    assert performance.fields(keeper_view)["performance"] == {
        "revision": SHORT, "outcomes": 2500, "recentOutcomes": 100, "recentErrorBasisPoints": 3000,
        "referenceOutcomes": 1000, "referenceErrorBasisPoints": 500,
        "allowedErrorBasisPoints": 884, "degradedSince": "1970-01-01T00:20:00Z",
    }  # fmt: skip


async def test_the_recorder_is_asked_once_a_minute_and_for_what_is_new() -> None:
    recorder = Answers()
    recorder.windows = [(0, 100, 5), (60, 100, 5)]
    keeper = PerformanceKeeper(recorder)
    for seconds in (0, 10, 59):
        await observed(keeper, seconds)
    path = "/v1/modeldeployments/shop/fraud"
    [(put, body), (get, _)] = recorder.asked
    assert (put.split()[0], get.split()[0]) == ("PUT", "GET")
    assert body["windowSeconds"] == 60
    assert get.endswith("/performance?since=0")
    assert path.rsplit("/", 1)[1] in put
    await observed(keeper, 60)
    assert recorder.asked[2][0].endswith("/performance?since=60")
    assert len(recorder.asked) == 3
    await observed(keeper, 3600)
    assert recorder.asked[3][0].startswith("PUT"), "so that the recorder does not forget it"


async def test_other_rules_are_told_and_begin_anew() -> None:
    recorder = Answers()
    recorder.windows = [(0, 100, 5), (60, 100, 5)]
    keeper = PerformanceKeeper(recorder)
    await observed(keeper, 0)
    await observed(keeper, 60, watched(toleranceMilli=500))
    assert recorder.asked[2][1]["tolerance"] == 0.5
    assert recorder.asked[3][0].endswith("since=0")


async def test_a_recorder_that_is_away_leaves_what_was_known() -> None:
    recorder = Answers()
    recorder.away = True
    keeper = PerformanceKeeper(recorder)
    found = performance.condition(await observed(keeper, 0))
    assert (found["status"], found["reason"]) == ("Unknown", "RecorderUnavailable")
    recorder.away = False
    recorder.windows = [(0, 100, 5)]
    known = await observed(keeper, 60)
    recorder.away = True
    assert await observed(keeper, 120) == known


async def test_too_few_outcomes_are_no_judgement() -> None:
    recorder = Answers()
    recorder.windows = [(0, 100, 50)]
    found = performance.condition(
        await observed(PerformanceKeeper(recorder), 0, watched(reference=None))
    )
    assert (found["status"], found["reason"]) == ("Unknown", "TooFewOutcomes")
    assert found["message"].startswith("100 outcomes")
    recorder.windows = [(0, 99, 5)]
    found = performance.condition(await observed(PerformanceKeeper(recorder), 0))
    assert found["reason"] == "TooFewOutcomes", "no evidence is not success"
    recorder.windows = [(0, 99, 90)]
    found = performance.condition(await observed(PerformanceKeeper(recorder), 0))
    assert found["reason"] == "ErrorsIncreased"


async def test_a_revision_that_records_nothing_says_so_and_nobody_is_asked() -> None:
    recorder = Answers()
    found = await PerformanceKeeper(recorder).observe(watched(), a_revision(1), later(0))
    assert found is not None
    said = performance.condition(found)
    assert (said["status"], said["reason"]) == ("Unknown", "PredictionsNotRecorded")
    assert recorder.asked == []


async def test_a_model_without_the_spec_costs_nothing() -> None:
    recorder = Answers()
    keeper = PerformanceKeeper(recorder)
    plain = a_snapshot(revisions=(REVISION,))
    assert await keeper.observe(plain, REVISION, later(0)) is None
    assert await keeper.observe(watched(), None, later(0)) is None
    assert keeper.wait_s(plain, REVISION, later(0)) is None
    assert recorder.asked == []


def test_events_tell_the_beginning_and_the_end() -> None:
    def status(value: str) -> dict[str, Any]:
        return {
            "conditions": [{"type": "Degraded", "status": value, "reason": "R", "message": "m"}]
        }

    [begun] = performance.notes(status("False"), status("True"))
    [ended] = performance.notes(status("True"), status("False"))
    assert (begun.warning, ended.warning) == (True, False)
    assert performance.notes(status("True"), status("True")) == []
    assert performance.notes({}, status("False")) == []

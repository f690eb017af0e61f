"""Experiments on a real API server with a real recorder: only pods and routers are played."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cluster.controlplane import ControlPlane
from fairlead_operator.experiment.facts import Input
from fairlead_operator.kube.kinds import EXPERIMENT, MODEL_DEPLOYMENT
from fairlead_operator.traffic.counts import Counts, Window
from tests.apiserver.api import JSON, Api, a_model, condition, until
from tests.apiserver.experimenting import USERS, Trial, an_experiment, one_in
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.process import OperatorProcess
from tests.apiserver.rig import Killed
from tests.builders import later
from tests.recorder.process import Recorder


def told(found: JSON) -> tuple[str, str, str]:
    """Return phase, reason and the status of Ready."""
    ready = next(c for c in found["conditions"] if c["type"] == "Ready")
    return found["phase"], found["reason"], ready["status"]


async def test_from_the_first_user_to_a_winner_and_back(trial: Trial) -> None:
    running = await trial.until_running()
    assert told(running) == ("Running", "Running", "True")
    traffic = (await trial.api.model(trial.namespace, "ranker"))["status"]["traffic"]
    assert traffic["confirmedAt"].startswith(running["startedAt"][:16])
    uid = (await trial.live())["metadata"]["uid"]
    assert traffic["configuration"]["recorded"] == {"uid": uid, "epoch": 1}
    assert traffic["configuration"]["experiment"] == "checkout"

    await trial.expose()
    await trial.report(lambda user, _: one_in(10, user))
    status = await trial.go(61)
    assert told(status) == ("Running", "Running", "True")
    assert (status["units"], status["arms"]) == (len(USERS), "50/50")
    arms = await trial.arms()
    by_arm = {name: sum(arm == name for arm in arms.values()) for name in ("control", "bigger")}
    assert {v["name"]: v["units"] for v in status["variants"]} == by_arm
    outcomes = {a["variant"]: a["outcomes"] for a in status["results"][0]["arms"]}
    assert sum(outcomes.values()) == sum(one_in(10, user) for user in USERS)

    await trial.report(lambda user, arm: arm == "bigger" and one_in(4, user))
    status = await trial.go(61)
    assert told(status) == ("Decided", "Decided", "True")
    assert status["decision"]["variant"] == status["leader"] == "bigger"
    assert status["split"] is True
    live = trial.recorder.get(f"/v1/experiments/{trial.namespace}/checkout")
    assert live["uid"] == uid

    await trial.change(stopped=True)
    status = await trial.go(61)
    assert told(status) == ("Stopped", "Stopped", "True")
    assert status["split"] is False
    assert list(await trial.routers.shares()) == [await trial.revision("ranker")]
    assert status["decision"]["variant"] == "bigger"
    refused = trial.recorder.put(
        f"/v1/experiments/{trial.namespace}/checkout",
        {**trial.recorder.definition, "uid": uid},
    )
    assert refused.status_code == 409, "the recorder was not told of the end"


async def test_the_recommended_patch_gives_the_target_the_winners_model(
    trial: Trial, plane: ControlPlane
) -> None:
    await trial.serve("ranker", "ranker-large")
    wanted = {"uri": "configmap://larger/model.onnx", "version": "9"}
    await trial.api.merge(
        MODEL_DEPLOYMENT, trial.namespace, "ranker-large",
        {"spec": {"model": wanted, "runtime": {"threads": 2}}},
    )  # fmt: skip
    await trial.rig.settle(later(15), name="ranker-large")
    await trial.kubelet.start(await trial.revision("ranker-large", "9"))
    await trial.rig.settle(later(16), name="ranker-large")
    await trial.create()
    await trial.go()
    await trial.routers.start(trial.kubelet)
    await trial.go()
    await trial.go(76)
    await trial.expose()
    await trial.report(lambda user, arm: one_in(2 if arm == "bigger" else 10, user))
    status = await trial.go(61)
    assert status["reason"] == "Decided"
    patch = status["recommendation"]["patch"]
    plane.kubectl("-n", trial.namespace, "patch", "mdep", "ranker", "--type=json", "--patch", patch)
    live = await trial.api.model(trial.namespace, "ranker")
    assert {key: live["spec"]["model"][key] for key in wanted} == wanted
    assert live["spec"]["runtime"] == {"threads": 2}
    await trial.go()
    live = await trial.api.model(trial.namespace, "ranker")
    assert live["status"]["version"] == "1", "it waits until the Experiment is gone"


async def test_the_users_own_object_is_never_written_but_its_status(trial: Trial) -> None:
    await trial.serve("ranker", "ranker-large")
    await trial.create()
    before = await trial.live()
    await trial.go()
    after = await trial.live()
    assert after["spec"] == before["spec"]
    for field in ("labels", "annotations", "finalizers", "ownerReferences", "generation"):
        assert after["metadata"].get(field) == before["metadata"].get(field)
    managers = {each["manager"]: each for each in after["metadata"]["managedFields"]}
    assert managers["fairlead"]["subresource"] == "status"


async def test_arms_are_pinned_while_it_runs_and_released_in_one_pass(trial: Trial) -> None:
    await trial.until_running()
    old = await trial.revision("ranker-large")
    await trial.api.merge(
        MODEL_DEPLOYMENT, trial.namespace, "ranker-large", {"spec": {"model": {"version": "2"}}}
    )
    await trial.go()
    assert await trial.revision("ranker-large", "2") != old
    await trial.go(30)
    live = await trial.api.model(trial.namespace, "ranker-large")
    assert condition(live, "Ready")["reason"] == "PinnedByExperiment"
    assert "checkout" in condition(live, "Ready")["message"]
    assert condition(live, "Available")["status"] == "True"
    assert live["status"]["version"] == "1"
    assert set(await trial.routers.shares()) == {await trial.revision("ranker"), old}
    assert (await trial.status())["reason"] == "Running"

    await trial.api.merge(
        MODEL_DEPLOYMENT, trial.namespace, "ranker-large", {"spec": {"scaling": {"minReplicas": 2}}}
    )
    await trial.go()
    await trial.kubelet.scale(old, 2)
    await trial.kubelet.start(old, 2)
    await trial.go()

    await trial.api.delete(EXPERIMENT, trial.namespace, "checkout")
    await trial.rig.run(later(trial.seconds + 1), name="ranker-large")
    live = await trial.api.model(trial.namespace, "ranker-large")
    assert live["status"]["reason"] != "PinnedByExperiment"


async def test_a_delete_with_the_operator_absent_returns_at_once_and_ends_the_split(
    trial: Trial,
) -> None:
    await trial.until_running()
    await trial.api.delete(EXPERIMENT, trial.namespace, "checkout")
    assert await trial.api.get(EXPERIMENT, trial.namespace, "checkout") is None
    trial.rig.restart()
    stable = await trial.revision("ranker")
    await trial.rig.settle(later(trial.seconds + 5), name="ranker")
    assert await trial.routers.shares() == {stable: 10_000}


async def test_two_on_one_target_the_older_one_wins(trial: Trial) -> None:
    await trial.until_running()
    await trial.create("second")
    await trial.rig.experiment(later(trial.seconds), name="second")
    status = await trial.status("second")
    assert told(status) == ("Pending", "TargetBusy", "False")
    assert "checkout" in condition(await trial.live("second"), "Ready")["message"]
    await trial.change(stopped=True)
    await trial.go()
    for _ in range(2):
        await trial.rig.experiment(later(trial.seconds), name="second")
    assert (await trial.status("second"))["split"] is True


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ((), "SignatureDiffers"),
        ((Input(name="x", datatype="FP32", shape=(-1, 5)),), "SignatureDiffers"),
        (None, "SignatureUnknown"),
    ],
    ids=["no inputs", "another width", "silent"],
)
async def test_an_arm_with_another_signature_does_not_start(
    trial: Trial, inputs: tuple[Input, ...] | None, reason: str
) -> None:
    await trial.serve("ranker", "ranker-large")
    if inputs is None:
        del trial.rig.inputs["ranker-large"]
    else:
        trial.rig.inputs["ranker-large"] = inputs
    await trial.create()
    status = await trial.go()
    assert told(status) == ("Pending", reason, "False")
    assert "traffic" not in (await trial.api.model(trial.namespace, "ranker"))["status"]


async def test_a_missing_arm_is_named_and_waited_for(trial: Trial) -> None:
    await trial.serve("ranker")
    await trial.create()
    await trial.rig.experiment(later(20))
    status = await trial.status()
    assert told(status) == ("Pending", "ArmMissing", "False")
    assert "ranker-large" in condition(await trial.live(), "Ready")["message"]
    await trial.serve("ranker-large")
    assert (await trial.go())["split"] is True


async def test_changed_weights_are_an_epoch_that_moves_the_least(trial: Trial) -> None:
    await trial.until_running()
    await trial.expose()
    before = await trial.arms()
    await trial.go(61)
    await trial.weights(90, 10)
    status = await trial.go(10)
    assert [epoch["number"] for epoch in status["assignment"]["epochs"]] == [1, 2]
    after = await trial.arms()
    moved = [user for user in USERS if before[user] != after[user]]
    assert {(before[user], after[user]) for user in moved} == {("bigger", "control")}
    assert len(moved) / len(USERS) == pytest.approx(0.4, abs=0.03)
    traffic = (await trial.api.model(trial.namespace, "ranker"))["status"]["traffic"]
    assert traffic["configuration"]["recorded"]["epoch"] == 2
    shares = await trial.routers.shares()
    assert sorted(shares.values()) == [1000, 9000]
    await trial.expose()

    async def left() -> bool:
        summary = trial.recorder.get(f"/v1/experiments/{trial.namespace}/checkout/summary")
        return not summary["settling"]

    await until("all units of the slots that moved have left", left)
    status = await trial.go(61)
    assert {v["name"]: v["departed"] for v in status["variants"]} == {
        "control": 0,
        "bigger": len(moved),
    }
    assert status["ratio"].startswith("ok")
    assert status["units"] == len(USERS) - len(moved)


async def test_exposures_that_get_lost_make_it_invalid(trial: Trial) -> None:
    await trial.until_running()
    arms = await trial.arms()
    lost = [user for user in USERS if arms[user] == "bigger"][:500]
    await trial.expose([user for user in USERS if user not in set(lost)])
    await trial.report(lambda user, arm: arm == "bigger" and one_in(2, user))
    status = await trial.go(61)
    assert told(status) == ("Invalid", "SampleRatioMismatch", "False")
    assert not {"leader", "lift", "pValue"} & set(status), "a lead in such data is none"
    assert condition(await trial.live(), "Stalled")["status"] == "True"
    assert "decision" not in status
    assert status["split"] is True


async def test_a_recorder_that_is_away_holds_verdicts_and_nothing_else(trial: Trial) -> None:
    await trial.until_running()
    await trial.expose()
    await trial.go(61)
    shares = await trial.routers.shares()
    trial.recorder.kill()
    await trial.weights(80, 20)
    trial.rig.restart()
    status = await trial.go(61)
    assert told(status) == ("Running", "Running", "True")
    assert status["units"] == len(USERS)
    message = condition(await trial.live(), "Ready")["message"]
    assert "no evidence" in message
    assert await trial.routers.shares() == shares, "a table that the recorder does not know"
    trial.recorder.start()
    status = await trial.go(61)
    assert len(status["assignment"]["epochs"]) == 2
    assert sorted((await trial.routers.shares()).values()) == [2000, 8000]


async def test_without_a_recorder_nothing_starts(trial: Trial) -> None:
    trial.recorder.kill()
    await trial.serve("ranker", "ranker-large")
    await trial.create()
    status = await trial.go()
    assert told(status) == ("Pending", "RecorderUnavailable", "False")
    trial.recorder.start()
    assert (await trial.go(10))["split"] is True


async def test_a_breach_sends_everybody_to_the_control(trial: Trial) -> None:
    trial.rig.window = Window(begin=later(97), end=later(97))
    await trial.until_running(guardrails=[{"metric": "error", "maxBasisPoints": 100}])
    stable, arm = await trial.revision("ranker"), await trial.revision("ranker-large")
    assert set(await trial.routers.shares()) == {stable, arm}
    trial.rig.window = Window(
        begin=later(97),
        end=later(trial.seconds + 5),
        arms={stable: Counts(requests=40), arm: Counts(requests=40, errors=30)},
    )
    status = await trial.go(5)
    assert told(status) == ("Stopped", "GuardrailBreached", "False")
    assert await trial.routers.shares() == {stable: 10_000}
    assert condition(await trial.live(), "Stalled")["status"] == "True"
    assert status["guardrails"][0]["verdict"] == "Breach"


async def test_an_arm_that_loses_its_pods_stops_it_after_five_minutes(trial: Trial) -> None:
    await trial.until_running()
    arm = await trial.revision("ranker-large")
    await trial.kubelet.crashes(arm, "out of luck")
    await trial.go(10)
    assert (await trial.status())["reason"] == "Running"
    assert (await trial.go(299))["reason"] == "Running"
    status = await trial.go(2)
    assert told(status) == ("Stopped", "ArmUnavailable", "False")
    assert await trial.routers.shares() == {await trial.revision("ranker"): 10_000}


async def test_a_pass_killed_before_any_of_its_requests_ends_the_same(trial: Trial) -> None:
    """Every pass of the Experiment's life is killed at every request, and run again."""
    await trial.serve("ranker", "ranker-large")
    await trial.create()
    seconds = 20.0

    async def killed_everywhere() -> None:
        for k in range(1, 8):
            trial.rig.restart()
            try:
                await trial.rig.experiment(later(seconds), dies_before=k)
            except Killed:
                continue
            break

    for _ in range(3):
        await killed_everywhere()
    status = await trial.status()
    assert (status["split"], len(status["assignment"]["epochs"])) == (True, 1)
    await trial.go()
    await trial.routers.start(trial.kubelet)
    await trial.go()
    await trial.go(76)
    seconds = trial.seconds
    await trial.expose()
    await trial.report(lambda user, arm: one_in(2 if arm == "bigger" else 10, user))
    seconds += 61
    for _ in range(2):
        await killed_everywhere()
    status = await trial.status()
    assert told(status) == ("Decided", "Decided", "True")
    assert status["decision"]["variant"] == "bigger"
    await trial.change(stopped=True)
    for _ in range(2):
        await killed_everywhere()
    assert told(await trial.status()) == ("Stopped", "Stopped", "True")


async def test_nothing_is_written_at_rest(trial: Trial) -> None:
    await trial.until_running()
    await trial.expose()
    await trial.go(61)
    writes = trial.rig.cluster.writes
    for _ in range(3):
        trial.rig.restart()
        await trial.go(61)
    assert trial.rig.cluster.writes == writes


async def test_the_columns_are_those_that_people_look_at(trial: Trial, plane: ControlPlane) -> None:
    await trial.until_running()
    await trial.expose()
    await trial.report(lambda user, _: one_in(10, user))
    await trial.go(61)
    header, row = plane.kubectl("-n", trial.namespace, "get", "mexp").splitlines()
    assert header.split() == [
        "NAME", "PHASE", "VARIANTS", "UNITS", "LEADER", "LIFT", "P-VALUE", "SRM", "AGE",
    ]  # fmt: skip
    assert row.split()[:4] == ["checkout", "Running", "50/50", "3000"]
    assert "checkout" in plane.kubectl("-n", trial.namespace, "get", "fairlead")


async def test_scaling_a_pinned_target_goes_on(trial: Trial) -> None:
    await trial.until_running()
    await change_scaling(trial, 3)
    live = await trial.api.model(trial.namespace, "ranker")
    assert live["status"]["replicas"].endswith("/3")
    assert (await trial.status())["reason"] == "Running"


async def change_scaling(trial: Trial, replicas: int) -> None:
    await trial.api.merge(
        MODEL_DEPLOYMENT, trial.namespace, "ranker",
        {"spec": {"scaling": {"minReplicas": replicas}}},
    )  # fmt: skip
    await trial.go()
    await trial.kubelet.scale(await trial.revision("ranker"), replicas)
    await trial.kubelet.start(await trial.revision("ranker"), replicas)
    await trial.go(61)


async def test_a_real_operator_follows_an_experiment_and_what_it_is_about(
    api: Api,
    namespace: str,
    kubelet: Kubelet,
    new_operator: Callable[..., OperatorProcess],
    counting: Recorder,
) -> None:
    """Watches, queue, rights and the recorder's client, as a process: pods have no address here."""
    await new_operator("--recorder-url", counting.url, "--resync-seconds", "300").start()
    await api.create(EXPERIMENT, namespace, an_experiment())

    async def reason() -> str:
        live = await api.get(EXPERIMENT, namespace, "checkout") or {}
        return str((live.get("status") or {}).get("reason"))

    async def says(wanted: str) -> bool:
        return await reason() == wanted

    await until("the target is missed", lambda: says("TargetMissing"))
    await api.create(MODEL_DEPLOYMENT, namespace, a_model("ranker"))
    await until("the arm is missed", lambda: says("ArmMissing"))
    await api.create(MODEL_DEPLOYMENT, namespace, a_model("ranker-large"))
    await until("the arms start", lambda: says("ArmNotReady"))
    for name in ("ranker", "ranker-large"):

        async def revision(name: str = name) -> str | None:
            live = await api.model(namespace, name)
            revisions = (live.get("status") or {}).get("revisions") or [{}]
            found = revisions[0].get("name")
            return None if found is None else str(found)

        await kubelet.start(await until("a revision", revision))
    await until("the arms are asked", lambda: says("SignatureUnknown"))
    await api.merge(EXPERIMENT, namespace, "checkout", {"spec": {"stopped": True}})
    await until("it is stopped", lambda: says("Stopped"))

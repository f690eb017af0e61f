"""From a new resource to one that is gone, with the real process."""

from __future__ import annotations

import pytest

from fairlead_operator.kube.kinds import (
    CHILDREN,
    CONFIG_MAP,
    DEPLOYMENT,
    MODEL_DEPLOYMENT,
    SERVICE,
)
from tests.apiserver.api import Api, a_model, until
from tests.apiserver.kubelet import DIGEST, Kubelet
from tests.apiserver.story import MakeOperator, change, ready, revision, selected, serve


async def test_a_life_leaves_everything_that_is_the_users_as_it_was(
    api: Api, namespace: str, kubelet: Kubelet, new_operator: MakeOperator
) -> None:
    await new_operator("--drain-seconds", "1").start()
    made = a_model()
    made["metadata"] |= {
        "labels": {"team": "risk"},
        "annotations": {"note": "mine"},
        "finalizers": ["example.com/hold"],
    }
    before = await api.create(MODEL_DEPLOYMENT, namespace, made, fieldManager="me")
    first = await revision(api, namespace, "1")
    await kubelet.start(first)
    live = await ready(api, namespace, "1")
    assert live["status"]["revisions"][0]["digest"] == DIGEST
    assert live["metadata"]["generation"] == 1
    given = await api.get(CONFIG_MAP, namespace, first)
    assert given is not None
    assert given["data"] == {"model-digest": DIGEST}
    serving = await api.get(DEPLOYMENT, namespace, first)
    assert serving is not None
    assert serving["metadata"]["generation"] == 1, "the digest reaches later pods without a restart"
    await change(api, namespace, version="2")
    second = await revision(api, namespace, "2")
    assert await selected(api, namespace) == first
    await kubelet.some_pods(second)
    assert await selected(api, namespace) == first, "the address moved to a pod that is not ready"
    await kubelet.start(second)
    await ready(api, namespace, "2")
    assert await selected(api, namespace) == second

    async def gone() -> bool:
        return await api.get(DEPLOYMENT, namespace, first) is None

    await until("the replaced revision is gone", gone)
    await change(api, namespace, version="1")
    await kubelet.start(await revision(api, namespace, "1"))
    after = await ready(api, namespace, "1")
    for field in ("labels", "annotations", "finalizers"):
        assert after["metadata"][field] == before["metadata"][field]
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == 3  # the two edits of this test
    owners = {entry["manager"]: entry for entry in after["metadata"]["managedFields"]}
    assert owners["fairlead"]["subresource"] == "status"
    assert list(owners["fairlead"]["fieldsV1"]) == ["f:status"]
    assert [entry["manager"] for entry in after["metadata"]["managedFields"]].count("fairlead") == 1
    await api.merge(MODEL_DEPLOYMENT, namespace, "fraud", {"metadata": {"finalizers": None}})


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
async def test_deleting_while_the_operator_is_down_removes_everything_and_never_hangs(
    api: Api, namespace: str, kubelet: Kubelet, new_operator: MakeOperator, propagation: str
) -> None:
    operator = await new_operator().start()
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    await serve(api, namespace, kubelet)
    assert operator.stop() == 0
    await api.delete(MODEL_DEPLOYMENT, namespace, "fraud", propagation)

    async def left() -> list[str]:
        kinds = (MODEL_DEPLOYMENT, *CHILDREN)
        found = [item for kind in kinds for item in await api.list(kind, namespace)]
        return [
            f"{item['kind']}/{item['metadata']['name']}"
            for item in found
            if item["metadata"]["name"] != "kube-root-ca.crt"
        ]

    async def nothing() -> bool:
        return not await left()

    await until("nothing is left", nothing)


async def test_children_that_are_deleted_or_edited_come_back(
    api: Api, namespace: str, kubelet: Kubelet, new_operator: MakeOperator
) -> None:
    await new_operator().start()
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    await serve(api, namespace, kubelet)
    for kind in CHILDREN:
        for child in await api.list(kind, namespace, "app.kubernetes.io/managed-by=fairlead"):
            name, uid = child["metadata"]["name"], child["metadata"]["uid"]
            await api.delete(kind, namespace, name)

            async def back(kind: object = kind, name: str = name, uid: str = uid) -> bool:
                live = await api.get(kind, namespace, name)  # type: ignore[arg-type]
                return live is not None and live["metadata"]["uid"] != uid

            await until(f"{kind.kind} {name} is made again", back)
    assert await api.get(CONFIG_MAP, namespace, await revision(api, namespace, "1")) is not None
    await api.merge(SERVICE, namespace, "fraud", {"spec": {"selector": {"extra": "label"}}})

    async def mended() -> bool:
        live = await api.get(SERVICE, namespace, "fraud")
        return live is not None and "extra" not in live["spec"]["selector"]

    await until("the address selects what it should", mended)


async def test_a_child_that_loses_the_label_of_our_watch_is_still_ours(
    api: Api, namespace: str, kubelet: Kubelet, new_operator: MakeOperator
) -> None:
    await new_operator().start()
    await api.create(MODEL_DEPLOYMENT, namespace, a_model())
    name = await serve(api, namespace, kubelet)
    for label in ("app.kubernetes.io/managed-by", "fairlead.dev/model-deployment"):
        # The watch calls the first one a deletion; what comes after must be seen all the same.
        await api.merge(DEPLOYMENT, namespace, name, {"metadata": {"labels": {label: None}}})

        async def labelled(label: str = label) -> bool:
            live = await api.get(DEPLOYMENT, namespace, name)
            return live is not None and label in live["metadata"]["labels"]

        await until(f"the label {label} is there again", labelled)
    assert (await ready(api, namespace))["status"]["replicas"] == "1/1"

"""What happens to the one ModelDeployment that most tests are about, `fraud`."""

from __future__ import annotations

from collections.abc import Callable

from fairlead_operator.kube.kinds import MODEL_DEPLOYMENT, REPORTED_EVENT, SERVICE
from tests.apiserver.api import JSON, Api, a_model, condition, until
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.process import OperatorProcess
from tests.apiserver.rig import Rig
from tests.builders import NOW, later

MakeOperator = Callable[..., OperatorProcess]


async def ready(api: Api, namespace: str, version: str = "1", *, within_s: float = 30) -> JSON:
    """Wait until a version is Ready and return the resource."""

    async def probe() -> JSON | None:
        live = await api.model(namespace)
        status = live.get("status") or {}
        done = condition(live, "Ready").get("status") == "True" and status["version"] == version
        return live if done else None

    return await until(f"version {version} is Ready", probe, within_s=within_s)


async def reason_is(api: Api, namespace: str, reason: str, name: str = "fraud") -> JSON:
    """Wait until Ready has this reason and return the resource."""

    async def probe() -> JSON | None:
        live = await api.model(namespace, name)
        return live if condition(live, "Ready").get("reason") == reason else None

    return await until(f"{name} has the reason {reason}", probe)


async def revision(api: Api, namespace: str, version: str) -> str:
    """Wait for a revision with this version and return its name."""

    async def probe() -> str | None:
        live = await api.model(namespace)
        for each in (live.get("status") or {}).get("revisions") or ():
            if each["version"] == version:
                return str(each["name"])
        return None

    return await until(f"a revision with version {version}", probe)


async def selected(api: Api, namespace: str) -> str:
    """Return the name of the revision that the address selects."""
    service = await api.get(SERVICE, namespace, "fraud")
    assert service is not None
    return f"fraud-{service['spec']['selector']['fairlead.dev/revision']}"


async def change(api: Api, namespace: str, **model: str) -> None:
    """Change `spec.model`."""
    await api.merge(MODEL_DEPLOYMENT, namespace, "fraud", {"spec": {"model": model}})


async def serve(api: Api, namespace: str, kubelet: Kubelet, version: str = "1") -> str:
    """Make a version's pods ready, wait until it is Ready, and return its revision's name."""
    name = await revision(api, namespace, version)
    await kubelet.start(name)
    await ready(api, namespace, version)
    return name


async def serving(api: Api, kubelet: Kubelet, rig: Rig) -> str:
    """Create the resource, let passes of the rig serve its first version; return the revision."""
    await api.create(MODEL_DEPLOYMENT, rig.namespace, a_model())
    await rig.settle(NOW)
    name = rig.revision("1")
    await kubelet.start(name)
    await rig.settle(later(10))
    return name


async def events(api: Api, namespace: str, name: str = "fraud") -> list[tuple[str, str]]:
    """Return type and reason of the Events about a ModelDeployment, oldest first."""
    found = [
        event
        for event in await api.list(REPORTED_EVENT, namespace)
        if event["regarding"].get("kind") == "ModelDeployment"
        and event["regarding"]["name"] == name
    ]
    found.sort(key=lambda event: str(event["eventTime"]))
    return [(event["type"], event["reason"]) for event in found]

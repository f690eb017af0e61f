"""Pure: judges the facts of an installation, and says how to mend what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fairlead_cli import reading
from fairlead_cli.doctor.facts import Facts, Operator
from fairlead_cli.reading import JSON
from fairlead_cli.views import pods
from fairlead_operator.api.reasons import Reason

OLDEST = (1, 30)
"""The oldest Kubernetes that is supported."""
_RENEW_S = 2.0
"""How much later than its duration a Lease may look, for the way of the requests."""


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        level: How bad it is.
        about: What was looked at.
        message: What was found.
        remedy: What to do about it; empty where nothing is wrong.
    """

    level: Level
    about: str
    message: str
    remedy: str = ""

    def document(self) -> JSON:
        """Return it as JSON knows it."""
        found = {"level": self.level.value, "about": self.about, "message": self.message}
        return {**found, "remedy": self.remedy} if self.remedy else found


def examine(facts: Facts) -> list[Finding]:
    """Return what all checks find, in the order in which things depend on each other."""
    found = [finding for check in _CHECKS for finding in check(facts)]
    found += [
        Finding(
            level=Level.UNKNOWN, about=what, message=why,
            remedy="run doctor as somebody who may read it",
        )
        for what, why in facts.unreadable.items()
    ]  # fmt: skip
    return found


def _kubernetes(facts: Facts) -> Iterator[Finding]:
    parsed = re.match(r"(\d+)\.(\d+)", facts.version)
    if parsed is None:
        return
    fine = (int(parsed[1]), int(parsed[2])) >= OLDEST
    oldest = ".".join(map(str, OLDEST))
    yield Finding(
        level=Level.OK if fine else Level.PROBLEM,
        about="Kubernetes",
        message=f"version {facts.version}",
        remedy="" if fine else f"Fairlead needs Kubernetes {oldest} or newer",
    )


def _crds(facts: Facts) -> Iterator[Finding]:
    for name, (wanted, found) in facts.crds.items():
        about = f"CRD {name}"
        if f"the {about}" in facts.unreadable:
            continue
        if found is None:
            yield Finding(
                level=Level.PROBLEM, about=about, message="is not installed",
                remedy="install the chart, or kubectl apply --server-side -f crds/",
            )  # fmt: skip
            continue
        yield _crd(about, wanted, found)


def _crd(about: str, wanted: JSON, found: JSON) -> Finding:
    ours = {each["name"]: each for each in wanted["spec"]["versions"]}
    spec = reading.mapping(found.get("spec"))
    theirs = {each.get("name"): each for each in reading.items(spec.get("versions"))}
    missing = [name for name in ours if not theirs.get(name, {}).get("served")]
    established = reading.condition(found, "Established").get("status") == "True"
    if missing or not established:
        problem = f"does not serve {', '.join(missing)}" if missing else "is not established"
        remedy = "helm upgrade brings this version's CRDs; kubectl describe crd says what is wrong"
        return Finding(level=Level.PROBLEM, about=about, message=problem, remedy=remedy)
    if any(theirs[name].get("schema") != each["schema"] for name, each in ours.items()):
        return Finding(
            level=Level.WARNING, about=about,
            message="is of another version of Fairlead than this command",
            remedy="use the command of the installed version, or upgrade the chart",
        )  # fmt: skip
    return Finding(level=Level.OK, about=about, message=f"serves {', '.join(ours)}")


def _operators(facts: Facts) -> Iterator[Finding]:
    if not facts.operators:
        if "the operator's Deployment" not in facts.unreadable:
            yield Finding(
                level=Level.PROBLEM, about="operator", message="there is none",
                remedy="helm install fairlead charts/fairlead --namespace fairlead-system "
                "--create-namespace",
            )  # fmt: skip
        return
    for each in facts.operators:
        yield _deployment(each)
        yield from _pods(each)
        yield from _lease(facts, each)
        yield from _rights(each)
        yield from _images(each)
    yield from _twice(facts)


def _title(each: Operator) -> str:
    return f"{reading.meta(each.deployment).get('namespace')}/{reading.name(each.deployment)}"


def _deployment(each: Operator) -> Finding:
    status = reading.status(each.deployment)
    wanted = int(reading.mapping(each.deployment.get("spec")).get("replicas") or 0)
    ready = int(status.get("readyReplicas") or 0)
    about = f"operator {_title(each)}"
    served = ", ".join(each.namespaces) or "the whole cluster"
    if wanted == 0:
        return Finding(
            level=Level.PROBLEM, about=about, message="is scaled to no replica",
            remedy="models go on serving, but nothing changes until it runs: helm upgrade "
            "--set replicas=1",
        )  # fmt: skip
    if ready == 0:
        name, where = reading.name(each.deployment), reading.meta(each.deployment)["namespace"]
        remedy = f"kubectl -n {where} logs deployment/{name}, and what its pods say below"
        message = f"has no ready replica of {wanted}"
        return Finding(level=Level.PROBLEM, about=about, message=message, remedy=remedy)
    message = f"has {ready} of {wanted} replicas ready and serves {served}"
    level = Level.OK if ready >= wanted else Level.WARNING
    remedy = "" if level is Level.OK else "one is enough to work; the others only stand by"
    return Finding(level=level, about=about, message=message, remedy=remedy)


def _pods(each: Operator) -> Iterator[Finding]:
    for pod in map(pods.describe, each.pods):
        ready = pod["ready"] == pod["containers"]
        if ready or pod["state"] in ("Terminating", "Succeeded"):
            continue
        said = f": {pod['message']}" if pod["message"] else ""
        pull = pod["state"] in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName")
        remedy = (
            "set image.repository and image.tag (or image.digest) to an image that the nodes can "
            "pull, and imagePullSecrets where the registry wants them"
            if pull
            else "kubectl describe pod, and kubectl logs --previous, say more"
        )
        yield Finding(
            level=Level.PROBLEM, about=f"pod {pod['name']}", message=f"{pod['state']}{said}",
            remedy=remedy,
        )  # fmt: skip


def _lease(facts: Facts, each: Operator) -> Iterator[Finding]:
    if f"the Lease of {_title(each)}" in facts.unreadable:
        return
    about = f"Lease of {_title(each)}"
    spec = reading.mapping((each.lease or {}).get("spec"))
    holder, renewed = spec.get("holderIdentity"), reading.instant(spec.get("renewTime"))
    if not holder or renewed is None:
        yield Finding(
            level=Level.PROBLEM, about=about, message="no replica holds it, so none works",
            remedy="where a pod is ready this takes seconds; its log says why it cannot",
        )  # fmt: skip
        return
    late = (facts.now - renewed).total_seconds()
    if late > float(spec.get("leaseDurationSeconds") or 15) + _RENEW_S:
        yield Finding(
            level=Level.PROBLEM, about=about,
            message=f"{holder} renewed it last {late:.0f} s ago, so none works",
            remedy="it is down, stuck, or cannot reach the API server: see its log; another "
            "replica takes over where one is ready",
        )  # fmt: skip
        return
    yield Finding(level=Level.OK, about=about, message=f"is held by {holder}")


def _rights(each: Operator) -> Iterator[Finding]:
    if each.missing is None:
        return
    about = f"rights of {_title(each)}"
    if not each.missing:
        yield Finding(level=Level.OK, about=about, message="are complete")
        return
    shown = [f"{right} in {where or 'all namespaces'}" for where, right in each.missing[:5]]
    more = len(each.missing) - len(shown)
    yield Finding(
        level=Level.PROBLEM, about=about,
        message=f"lack {'; '.join(shown)}{f'; and {more} more' if more else ''}",
        remedy="helm upgrade with rbac.create=true, or grant what the chart's README lists",
    )  # fmt: skip


def _images(each: Operator) -> Iterator[Finding]:
    images = {
        flag: each.flags[flag] for flag in ("runtime-image", "router-image") if flag in each.flags
    }
    for flag, image in images.items():
        last = image.rpartition("/")[2]
        about = f"{flag.replace('-', ' ')} of {_title(each)}"
        if not image or ("@" not in last and (":" not in last or last.endswith(":latest"))):
            value = {"runtime-image": "runtimeImage", "router-image": "router.image"}[flag]
            yield Finding(
                level=Level.WARNING, about=about,
                message=f"{image or 'nothing'} does not say which version",
                remedy=f"set {value} to a tag that stays, or a digest: pods started later may "
                "differ from those before",
            )  # fmt: skip
        else:
            yield Finding(level=Level.OK, about=about, message=image)


def _twice(facts: Facts) -> Iterator[Finding]:
    for number, one in enumerate(facts.operators):
        for other in facts.operators[number + 1 :]:
            same = set(one.namespaces) & set(other.namespaces)
            if same or not one.namespaces or not other.namespaces:
                where = ", ".join(sorted(same)) or "the same namespaces"
                yield Finding(
                    level=Level.PROBLEM, about="operators",
                    message=f"{_title(one)} and {_title(other)} both serve {where}",
                    remedy="they would overwrite each other's work: uninstall one, or give each "
                    "its own watchNamespaces",
                )  # fmt: skip


def _metrics(facts: Facts) -> Iterator[Finding]:
    if "the API metrics.k8s.io" in facts.unreadable:
        return
    yield Finding(
        level=Level.OK if facts.metrics else Level.WARNING,
        about="metrics.k8s.io",
        message="answers" if facts.metrics else "does not answer, so nothing scales by CPU",
        remedy="" if facts.metrics else "install metrics-server, or scale by metrics of your own",
    )


def _autoscalers(facts: Facts) -> Iterator[Finding]:
    for each in facts.autoscalers:
        active = reading.condition(each, "ScalingActive")
        if active.get("status") == "False" and active.get("reason") != "ScalingDisabled":
            yield Finding(
                level=Level.WARNING,
                about=f"autoscaler {reading.meta(each).get('namespace')}/{reading.name(each)}",
                message=str(active.get("message") or active.get("reason")),
                remedy="replicas stay as they are until its metrics can be read",
            )


def _models(facts: Facts) -> Iterator[Finding]:
    for each in facts.models:
        about = f"model {reading.meta(each).get('namespace')}/{reading.name(each)}"
        stalled, ready = reading.condition(each, "Stalled"), reading.condition(each, "Ready")
        if not reading.conditions(each):
            yield Finding(
                level=Level.PROBLEM, about=about, message="no operator has looked at it",
                remedy="no operator works, or none serves its namespace (see above)",
            )  # fmt: skip
        elif stalled.get("status") == "True":
            yield _said(Level.PROBLEM, about, stalled)
        elif not reading.current(each):
            yield Finding(
                level=Level.WARNING, about=about, message="its latest change has not been seen",
                remedy="this takes a moment; where it stays, no operator works (see above)",
            )  # fmt: skip
        elif ready.get("status") != "True":
            yield _said(Level.WARNING, about, ready)
    fine = sum(reading.condition(each, "Ready").get("status") == "True" for each in facts.models)
    if facts.models and "the ModelDeployments" not in facts.unreadable:
        yield Finding(
            level=Level.OK, about="models", message=f"{fine} of {len(facts.models)} are ready"
        )


def _said(level: Level, about: str, condition: Mapping[str, Any]) -> Finding:
    reason = str(condition.get("reason", ""))
    known = {each.value: each.meaning for each in Reason}
    message = f"{reason}: {condition.get('message') or ''}".rstrip(": ")
    return Finding(level=level, about=about, message=message, remedy=known.get(reason, ""))


_CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    _kubernetes,
    _crds,
    _operators,
    _metrics,
    _autoscalers,
    _models,
)

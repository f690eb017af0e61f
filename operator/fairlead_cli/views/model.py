"""A ModelDeployment with all that belongs to it: one document, and its tree."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.text import Text
from rich.tree import Tree

from fairlead_cli import reading
from fairlead_cli.output import styled
from fairlead_cli.reading import JSON
from fairlead_cli.views import conditions, experiment, pods, rollout
from fairlead_operator.planning import names
from fairlead_runtime.contract.assignment import SLOTS

_COLUMNS = ("url", "version", "candidate", "weight", "step", "replicas", "latencyP99", "drift")
_ROUTER = {"app.kubernetes.io/name": names.ROUTER_APP}
_STATE_TONES = {"Active": "good", "Progressing": "busy", "Draining": "dim"}


def describe(
    model: Mapping[str, Any],
    pod_list: Iterable[Mapping[str, Any]] = (),
    experiments: Iterable[Mapping[str, Any]] = (),
) -> JSON:
    """Return what is known of a ModelDeployment; what its status lacks is left out.

    Args:
        model: The resource.
        pod_list: Its pods, and those of its router.
        experiments: Experiments of its namespace; those that share its address are shown.
    """
    status, meta = reading.status(model), reading.meta(model)
    mine, routers = _split(pod_list)
    found: JSON = {
        "kind": "ModelDeployment",
        "namespace": meta.get("namespace"),
        "name": meta.get("name"),
        "current": reading.current(model),
        **dict(reading.pairs(status, *_COLUMNS, "measuredAt")),
        "conditions": reading.conditions(model),
    }
    traffic = reading.mapping(status.get("traffic"))
    if traffic or routers:
        found["router"] = {
            **dict(reading.pairs(traffic, "state", "since", "confirmedAt")),
            "pods": routers,
        }
    under_way = rollout.describe(status)
    if under_way:
        found["rollout"] = under_way
    found["revisions"] = _revisions(status, mine)
    sharing = [
        experiment.summary(each)
        for each in experiments
        if reading.mapping(each.get("spec")).get("target") == meta.get("name")
    ]
    if sharing:
        found["experiments"] = sharing
    action = reading.last_action(model)
    if action:
        found["lastAction"] = action
    return found


def _split(pod_list: Iterable[Mapping[str, Any]]) -> tuple[list[JSON], list[JSON]]:
    mine: list[JSON] = []
    routers: list[JSON] = []
    for pod in pod_list:
        labels = reading.mapping(reading.meta(pod).get("labels"))
        of_router = labels.items() >= _ROUTER.items()
        (routers if of_router else mine).append(pods.describe(pod))
    for each in routers:
        each.pop("revision")
    return mine, routers


def _shares(status: Mapping[str, Any]) -> dict[str, float]:
    """Return percent of the traffic by the name of the revision's objects."""
    traffic = reading.mapping(status.get("traffic"))
    configuration = reading.mapping(traffic.get("configuration"))
    keys = {each.get("name"): each.get("key") for each in reading.items(configuration.get("arms"))}
    shares: dict[str, float] = {}
    for run in reading.items(configuration.get("table")):
        key = str(keys.get(run.get("arm")) or run.get("arm"))
        shares[key] = shares.get(key, 0.0) + 100 * float(run.get("slots") or 0) / SLOTS
    return shares


def _revisions(status: Mapping[str, Any], pod_list: Sequence[JSON]) -> list[JSON]:
    shares = _shares(status)
    stable, candidate = status.get("stableRevision"), status.get("candidateRevision")
    found = []
    for each in reading.items(status.get("revisions")):
        short = reading.short(each.get("hash"))
        role = {stable: "stable", candidate: "candidate"}.get(short) if short else None
        share: float | None = None
        if shares:
            share = shares.get(str(each.get("name")), 0.0)
        elif role == "stable":
            share = 100.0
        fields = ("hash", "name", "version", "state", "readyReplicas", "replicas")
        more = ("requiredReplicas", "image", "digest", "createdAt", "activeAt", "drainUntil")
        found.append(
            {
                **dict(reading.pairs(each, *fields)),
                **({"role": role} if role else {}),
                **({} if share is None else {"sharePercent": round(share, 2)}),
                "model": reading.mapping(each.get("model")).get("uri"),
                **dict(reading.pairs(each, *more)),
                "pods": [pod for pod in pod_list if pod["revision"] == short],
            }
        )
    return found


def tree(found: Mapping[str, Any], now: dt.datetime) -> Tree:
    """Return the tree of a document of `describe`."""
    root = Tree(_title(found), guide_style="dim")
    address = [f"{name} {value}".lstrip() for name, value in _address(found)]
    if address:
        root.add(Text("address  ").append_text(styled(", ".join(address))))
    for each in found["conditions"]:
        root.add(conditions.line(each, now))
    if not found["current"]:
        root.add(styled("the operator has not looked at this generation yet", "busy"))
    router = found.get("router")
    if router:
        since = reading.age(router.get("since"), now)
        text = " ".join(
            part for part in (router.get("state", ""), since and f"for {since}") if part
        )
        branch = root.add(Text("router  ").append_text(styled(text, "busy")))
        for pod in router["pods"]:
            branch.add(_pod(pod, now))
    if found.get("rollout"):
        rollout.add(root, found["rollout"], now)
    for each in found["revisions"]:
        _add_revision(root, each, now)
    for each in found.get("experiments", ()):
        root.add(experiment.line(each))
    if found.get("lastAction"):
        root.add(rollout.action_line(found["lastAction"], now))
    return root


def _title(found: Mapping[str, Any]) -> Text:
    text = Text(f"ModelDeployment {found['namespace']}/{found['name']}", style="bold")
    ready: JSON = next((each for each in found["conditions"] if each["type"] == "Ready"), {})
    tone = {"True": "good", "False": "bad"}.get(str(ready.get("status")), "busy")
    return text.append("  ").append_text(styled(ready.get("reason") or "not seen yet", tone))


def _address(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    words = {"latencyP99": "p99", "drift": "drift", "step": "step"}
    parts = [("", str(found["url"]))] if found.get("url") else []
    return parts + [(word, str(found[key])) for key, word in words.items() if found.get(key)]


def _add_revision(root: Tree, each: Mapping[str, Any], now: dt.datetime) -> None:
    version = f"version {each['version']}" if each.get("version") else ""
    line = Text(f"revision {reading.short(each.get('hash'))} {version}".rstrip(), style="bold")
    state = str(each.get("state", ""))
    words = [(state, _STATE_TONES.get(state, "")), (str(each.get("role", "")), "")]
    if "sharePercent" in each:
        words.append((f"{each['sharePercent']:g}% of the traffic", ""))
    if each.get("replicas") is not None or each.get("readyReplicas") is not None:
        ready: object = each.get("readyReplicas") or 0
        wanted = each.get("replicas", "?")
        words.append((f"{ready}/{wanted} ready", "good" if ready == wanted else "busy"))
    for word, tone in words:
        if word:
            line.append("  ").append_text(styled(word, tone))
    branch = root.add(line)
    if each.get("model"):
        branch.add(styled(f"{each['model']}  on {each.get('image', 'an unknown image')}", "dim"))
    for pod in each["pods"]:
        branch.add(_pod(pod, now))


def _pod(pod: Mapping[str, Any], now: dt.datetime) -> Text:
    whole = pod["ready"] == pod["containers"] and pod["containers"] > 0
    tone = "good" if whole and pod["state"] == "Running" else "busy"
    if not whole and pod["state"] not in {*pods.GOOD, "Pending", "Terminating", "PodInitializing",
                                          "ContainerCreating"}:  # fmt: skip
        tone = "bad"
    line = Text(f"pod {pod['name']}  ").append(f"{pod['ready']}/{pod['containers']} ")
    line.append_text(styled(pod["state"], tone))
    if pod["restarts"]:
        line.append_text(styled(f"  {pod['restarts']} restarts", "bad"))
    facts = [reading.age(pod.get("startedAt"), now), pod.get("node") or ""]
    line.append_text(styled("".join(f"  {each}" for each in facts if each), "dim"))
    if pod.get("message"):
        line.append(f": {pod['message']}")
    return line

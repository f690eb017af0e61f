"""What NetworkPolicies let through, computed from their words as Kubernetes defines them.

A pod that no policy selects for a direction is open in it; else one rule of one policy must match.
Addresses (`ipBlock`) are not looked at: a peer that is none of the pods is `Pod.outside()`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod, or somebody outside the cluster.

    Attributes:
        namespace: Its namespace; empty outside.
        labels: Its labels.
        ports: Its named ports.
    """

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def outside(cls) -> Pod:
        """Return somebody who is no pod."""
        return cls(namespace="")


def reaches(
    policies: Iterable[Policy], source: Pod, target: Pod, port: int, protocol: str = "TCP"
) -> bool:
    """Whether a connection from one pod to a port of another is let through by both sides."""
    policies = list(policies)
    return _side(policies, "Egress", source, target, target, port, protocol) and _side(
        policies, "Ingress", target, source, target, port, protocol
    )


def _side(
    policies: list[Policy],
    direction: str,
    pod: Pod,
    peer: Pod,
    target: Pod,
    port: int,
    protocol: str,
) -> bool:
    if not pod.namespace:
        return True
    found = [policy["spec"] for policy in policies if _isolates(policy, direction, pod)]
    if not found:
        return True
    field_, peers = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    return any(
        _port(rule.get("ports"), target, port, protocol)
        and (not rule.get(peers) or any(_peer(each, pod, peer) for each in rule[peers]))
        for spec in found
        for rule in spec.get(field_) or ()
    )


def _isolates(policy: Policy, direction: str, pod: Pod) -> bool:
    spec = policy["spec"]
    return (
        policy["metadata"]["namespace"] == pod.namespace
        and direction in spec["policyTypes"]
        and _selects(spec["podSelector"], pod.labels)
    )


def _peer(peer: Mapping[str, Any], pod: Pod, other: Pod) -> bool:
    if not other.namespace or "ipBlock" in peer:
        return False
    if "namespaceSelector" in peer:
        there = {"kubernetes.io/metadata.name": other.namespace}
        if not _selects(peer["namespaceSelector"], there):
            return False
    elif other.namespace != pod.namespace:
        return False
    return _selects(peer.get("podSelector") or {}, other.labels)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if not (selector.get("matchLabels") or {}).items() <= labels.items():
        return False
    for each in selector.get("matchExpressions") or ():
        value, operator = labels.get(each["key"]), each["operator"]
        holds = {
            "In": value in each.get("values", ()),
            "NotIn": value not in each.get("values", ()),
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[operator]
        if not holds:
            return False
    return True


def _port(ports: Any, target: Pod, port: int, protocol: str) -> bool:
    if not ports:
        return True
    for each in ports:
        if each.get("protocol", "TCP") != protocol:
            continue
        wanted = each.get("port")
        if wanted is None or target.ports.get(str(wanted), wanted) == port:
            return True
    return False

"""What grown counters say about an arm: requests, errors, client errors, latency. Pure.

DESIGN section 4: an error is HTTP 5xx, a reset, a timeout, or one of six gRPC statuses, and a
request that was tried again counts as failed, whoever answered it in the end.
"""

from __future__ import annotations

from dataclasses import dataclass

from fairlead_operator.evidence import modelpage
from fairlead_operator.evidence import routerpage as router
from fairlead_operator.evidence.readings import Group
from fairlead_operator.traffic.clusters import PROTOCOLS
from fairlead_operator.traffic.counts import Counts


@dataclass(frozen=True, slots=True)
class Cluster:
    """Whose counters a cluster's are.

    Attributes:
        arm: The arm's key.
        protocol: `http` or `grpc`.
        mirror: Whether it gets copies, and no user's request.
    """

    arm: str
    protocol: str
    mirror: bool


def cluster(name: str) -> Cluster | None:
    """Return whose counters a group of a router is; None where it is no arm's."""
    name = name.split("@", maxsplit=1)[0]
    plain = name.removesuffix("_mirror")
    arm, _, protocol = plain.rpartition("_")
    if not arm or protocol not in PROTOCOLS:
        return None
    return Cluster(arm, protocol, mirror=plain != name)


def of_router(whose: Cluster, grown: Group, *, control: bool) -> Counts:
    """Return the counts that a router's grown counters of one cluster are.

    Args:
        whose: The cluster.
        grown: How much its counters grew between two readings.
        control: Whether it is the control's: nobody stands in for it.
    """
    got = grown.numbers.get
    answered, failed = got(router.ANSWERED, 0), got(router.FAILED, 0)
    refused = got(router.REFUSED, 0)
    if whose.mirror:
        # gRPC's trailers are seen pod by pod only; HTTP's failures are among them.
        failed = max(failed, got(router.BROKEN, 0))
        return Counts(
            requests=answered, errors=failed, client_errors=refused, latency=grown.latency
        )
    if whose.protocol == "grpc":
        # What the router answered itself is a status of gRPC and of HTTP, so the two are no sum.
        # Whose a status is nobody can tell where the control stood in: then none is the arm's.
        stood_in = got(router.STOOD_IN, 0)
        # A call that the router ended at its deadline has a status of gRPC, and none of HTTP.
        answered = max(answered, got(router.GRPC_ENDED, 0) - stood_in)
        failed = max(failed, got(router.GRPC_FAILED, 0) - stood_in)
        refused = max(refused, got(router.GRPC_REFUSED, 0) - stood_in)
    if control:
        # For these there was no pod at all: they are nobody's in the zones.
        nobody = max(0, got(router.ALL_FAILED, 0) - got(router.FAILED, 0))
        requests = answered + nobody
        failed += nobody + got(router.RETRIED_WELL, 0)
    else:
        # The second try went to the control's pods, and is an answer of theirs.
        requests = answered + got(router.RETRIED, 0)
        failed += got(router.RETRIED, 0)
    return Counts(requests=requests, errors=failed, client_errors=refused, latency=grown.latency)


def of_model(grown: Group) -> tuple[Counts, Counts]:
    """Return what a model pod's grown counters say to be judged by, and what it served."""
    got = grown.numbers.get
    judged = Counts(predictions=got(modelpage.CHECKED, 0), non_finite=got(modelpage.NON_FINITE, 0))
    served = Counts(
        requests=got(router.ANSWERED, 0), errors=got(router.FAILED, 0), latency=grown.latency
    )
    return judged, served

"""What of the operator's settings a decision depends on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The operator's settings, as far as decisions depend on them.

    Attributes:
        runtime_image: Image of revisions that name none.
        router_image: Image of routers.
        drain_s: Seconds for which a replaced revision keeps its pods.
        connection_age_s: Age at which runtime and router end a connection.
        settle_s: Seconds from the flip to the router until a split begins.
        cluster_domain: What every Service's DNS name ends with.
        recorder: `host:port` at which the recorder takes exposures; None where there is none.
        tracing_endpoint: `http://host:port` of a collector of traces; empty where there is none.
        tracing_share: Share of the requests that are traced where no caller has decided.
    """

    runtime_image: str
    router_image: str = "fairlead/router:0.1.0"
    drain_s: float
    connection_age_s: float
    settle_s: float = 75.0
    cluster_domain: str = "cluster.local"
    recorder: str | None = None
    tracing_endpoint: str = ""
    tracing_share: float = 1.0

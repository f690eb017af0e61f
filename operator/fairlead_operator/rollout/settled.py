"""What of the operator's settings a decision depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairlead_operator.planning import gpu
from fairlead_operator.planning.network import Policies


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The operator's settings, as far as decisions depend on them.

    Attributes:
        runtime_image: Image of revisions that name none.
        gpu_runtime_image: The same, of those that ask for a GPU.
        router_image: Image of routers.
        drain_s: Seconds for which a replaced revision keeps its pods.
        connection_age_s: Age at which runtime and router end a connection.
        settle_s: Seconds from the flip to the router until a split begins.
        cluster_domain: What every Service's DNS name ends with.
        recorder_url: Where the recorder is; empty where there is none.
        recorder: `host:port` at which the recorder takes exposures; None where there is none.
        tracing_endpoint: `http://host:port` of a collector of traces; empty where there is none.
        tracing_share: Share of the requests that are traced where no caller has decided.
        recorder_ca: Whom the recorder's certificate is from (PEM); empty where it has none.
        network_policies: Who may talk to whom; None where nobody is to be kept out by us.
        private_redirects: Whether a fetch follows an http(s) redirect to an address that is not
            public.
    """

    runtime_image: str
    gpu_runtime_image: str = "fairlead/runtime:0.1.0-cuda"
    router_image: str = "fairlead/router:0.1.0"
    drain_s: float
    connection_age_s: float
    settle_s: float = 75.0
    cluster_domain: str = "cluster.local"
    recorder_url: str = ""
    recorder: str | None = None
    tracing_endpoint: str = ""
    tracing_share: float = 1.0
    recorder_ca: str = ""
    network_policies: Policies | None = None
    private_redirects: bool = True

    def image(self, runtime: Mapping[str, Any]) -> str:
        """Return the image of a new revision: what `spec.runtime` names, or else what fits it."""
        default = self.gpu_runtime_image if gpu.wanted(runtime) else self.runtime_image
        return str(runtime.get("image") or default)

"""What the operator is told at its start: flags, each also as an environment variable."""

from __future__ import annotations

import argparse
import os
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from fairlead_operator.planning import network
from fairlead_operator.planning.network import Policies

T = TypeVar("T")

DEFAULT_RUNTIME_IMAGE = "fairlead/runtime:0.1.0"
DEFAULT_GPU_RUNTIME_IMAGE = f"{DEFAULT_RUNTIME_IMAGE}-cuda"
DEFAULT_ROUTER_IMAGE = "fairlead/router:0.1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The operator's settings.

    Attributes:
        namespaces: Namespaces to watch; none means the whole cluster.
        runtime_image: Image of new revisions that name none.
        gpu_runtime_image: The same, of those that ask for a GPU.
        router_image: Image of routers; new pods take it.
        lease_namespace: Namespace of the Lease.
        lease_name: Name of the Lease.
        identity: This replica's name in the Lease and in Events.
        resync_s: Seconds between full listings, which heal lost events and dead watches.
        drain_s: Seconds for which a replaced revision keeps its pods after the address has moved:
            longer than the age at which the runtime ends a connection.
        connection_age_s: Seconds after which runtime and router end a connection.
        settle_s: Seconds from the flip of an address to its router until a split begins: longer
            than a connection's age.
        cluster_domain: What every Service's DNS name ends with.
        recorder_url: Where the recorder is; empty where there is none, and no Experiment starts.
        recorder_exposures: `host:port` at which it takes the routers' exposures; by default port
            4318 of the same host.
        recorder_token_file: A file with a token for it, read anew for each request.
        recorder_ca: The authorities (PEM) that the recorder's certificate is checked by, and the
            routers' exposures as well; empty where it has none, or one that everybody knows.
        prometheus_url: Where a Prometheus is that evidence of rollouts is read from; empty where it
            is read from the pods themselves.
        tls_dir: Folder with `tls.crt` and `tls.key` for health and metrics; empty serves http.
        tracing_endpoint: `http://host:port` of a collector that takes OTLP over HTTP; empty where
            nothing is traced.
        tracing_share: Share of the requests that are traced where no caller has decided.
        health_port: Port of `/healthz` and `/readyz`.
        metrics_port: Port of `/metrics`.
        workers: Passes that may run at the same time, each over another resource.
        network_policies: Who may talk to the pods of models and routers; None makes no policies.
        private_redirects: Whether new revisions' fetches follow a redirect to an address that is
            not public.
        log_level: `debug`, `info`, `warning` or `error`.
    """

    namespaces: tuple[str, ...] = ()
    runtime_image: str = DEFAULT_RUNTIME_IMAGE
    gpu_runtime_image: str = DEFAULT_GPU_RUNTIME_IMAGE
    router_image: str = DEFAULT_ROUTER_IMAGE
    lease_namespace: str = "default"
    lease_name: str = "fairlead-operator"
    identity: str = ""
    resync_s: float = 120.0
    drain_s: float = 75.0
    connection_age_s: float = 60.0
    settle_s: float = 75.0
    cluster_domain: str = "cluster.local"
    recorder_url: str = ""
    recorder_exposures: str = ""
    recorder_token_file: str = ""
    recorder_ca: str = ""
    prometheus_url: str = ""
    tls_dir: str = ""
    tracing_endpoint: str = ""
    tracing_share: float = 1.0
    health_port: int = 8081
    metrics_port: int = 9090
    workers: int = 4
    network_policies: Policies | None = None
    private_redirects: bool = True
    log_level: str = "info"


def add_arguments(parser: argparse.ArgumentParser, env: Mapping[str, str] = os.environ) -> None:
    """Add the flags of `fairlead-operator run`, with defaults from the environment."""

    def flag(name: str, kind: Callable[[str], T], default: T, text: str) -> None:
        variable = "FAIRLEAD_" + name.lstrip("-").replace("-", "_").upper()
        given = env.get(variable)
        parser.add_argument(
            name,
            type=kind,
            default=kind(given) if given else default,
            help=f"{text} (default: {default}; env {variable})",
        )

    names = [n for n in env.get("FAIRLEAD_NAMESPACE", "").replace(",", " ").split() if n]
    parser.add_argument(
        "--namespace",
        action="append",
        default=None,
        dest="namespace",
        metavar="NS",
        help="watch only this namespace; may be given more than once "
        "(default: the whole cluster; env FAIRLEAD_NAMESPACE, separated by commas)",
    )
    parser.set_defaults(env_namespaces=names)
    flag("--runtime-image", str, DEFAULT_RUNTIME_IMAGE, "image of revisions that name none")
    flag(
        "--gpu-runtime-image", str, DEFAULT_GPU_RUNTIME_IMAGE,
        "image of revisions that ask for nvidia.com/gpu and name none",
    )  # fmt: skip
    flag("--router-image", str, DEFAULT_ROUTER_IMAGE, "image of routers: an Envoy")
    flag("--lease-namespace", str, _own_namespace(), "namespace of the Lease")
    flag("--lease-name", str, "fairlead-operator", "name of the Lease")
    flag("--resync-seconds", float, 120.0, "seconds between full listings")
    flag(
        "--drain-seconds", float, 75.0, "seconds a replaced revision stays after the address moved"
    )
    flag("--connection-age-seconds", float, 60.0, "age at which the runtime ends a connection")
    flag("--settle-seconds", float, 75.0, "seconds a split waits after the flip to the router")
    flag("--cluster-domain", str, _own_domain(), "end of every Service's DNS name")
    flag("--recorder-url", str, "", "URL of the recorder; without it no Experiment starts")
    flag(
        "--recorder-exposures", str, "",
        "host:port at which the recorder takes exposures, if not port 4318 of the same host",
    )  # fmt: skip
    flag("--recorder-token-file", str, "", "file with a token for the recorder")
    flag("--recorder-ca-file", str, "", "file with the authority of the recorder's certificate")
    flag(
        "--prometheus-url", str, "",
        "URL of a Prometheus that scrapes models and routers: evidence of rollouts is read from it "
        "and not from the pods",
    )  # fmt: skip
    flag("--tls-dir", str, "", "folder with tls.crt and tls.key for health and metrics")
    flag(
        "--tracing-endpoint", str, "",
        "http://host:port of a collector to which routers and new revisions send traces by OTLP",
    )  # fmt: skip
    flag("--tracing-share", float, 1.0, "share of the requests traced where no caller decided")
    flag("--health-port", int, 8081, "port of /healthz and /readyz")
    flag("--metrics-port", int, 9090, "port of /metrics")
    flag("--workers", int, 4, "passes that may run side by side")
    flag(
        "--network-policies", str, "off",
        "off, on, or JSON with peers: a NetworkPolicy for the pods of each model and router",
    )  # fmt: skip
    flag(
        "--private-redirects", str, "allow",
        "allow or deny: whether a fetch follows a redirect to an address that is not public",
    )  # fmt: skip
    flag("--log-level", str, "info", "debug, info, warning or error")


def from_arguments(args: argparse.Namespace) -> Settings:
    """Return the settings that the parsed flags give.

    Raises:
        ValueError: A value makes no sense; the message names the flag.
    """
    namespaces: Sequence[str] = args.namespace or args.env_namespaces
    for name in ("resync_seconds", "workers", "connection_age_seconds"):
        if getattr(args, name) <= 0:
            raise ValueError(f"--{name.replace('_', '-')} must be more than 0")
    for name in ("drain_seconds", "settle_seconds"):
        if getattr(args, name) < 0:
            raise ValueError(f"--{name.replace('_', '-')} must not be negative")
    if args.log_level.lower() not in ("debug", "info", "warning", "error"):
        raise ValueError("--log-level must be debug, info, warning or error")
    if args.private_redirects not in ("allow", "deny"):
        raise ValueError("--private-redirects must be allow or deny")
    url = urlsplit(args.recorder_url)
    if args.recorder_url and (url.scheme not in ("http", "https") or not url.hostname):
        raise ValueError("--recorder-url must be a URL such as http://fairlead-recorder:8080")
    try:
        policies = network.parse(args.network_policies)
    except ValueError as error:
        raise ValueError(f"--network-policies {error}") from error
    return Settings(
        namespaces=tuple(dict.fromkeys(namespaces)),
        runtime_image=args.runtime_image,
        gpu_runtime_image=args.gpu_runtime_image,
        router_image=args.router_image,
        lease_namespace=args.lease_namespace,
        lease_name=args.lease_name,
        identity=f"{socket.gethostname()}-{os.getpid()}",
        resync_s=args.resync_seconds,
        drain_s=args.drain_seconds,
        connection_age_s=args.connection_age_seconds,
        settle_s=args.settle_seconds,
        cluster_domain=args.cluster_domain.strip("."),
        recorder_url=url.geturl().rstrip("/") if url.netloc else "",
        recorder_exposures=args.recorder_exposures
        or (f"{url.hostname}:4318" if url.hostname else ""),
        recorder_token_file=args.recorder_token_file,
        recorder_ca=_authority(args.recorder_ca_file),
        prometheus_url=_prometheus(args.prometheus_url),
        tls_dir=args.tls_dir,
        tracing_endpoint=_collector(args.tracing_endpoint),
        tracing_share=_share(args.tracing_share),
        health_port=args.health_port,
        metrics_port=args.metrics_port,
        workers=args.workers,
        network_policies=policies,
        private_redirects=args.private_redirects == "allow",
        log_level=args.log_level.lower(),
    )


def _authority(path: str) -> str:
    if not path:
        return ""
    try:
        text = Path(path).read_text(encoding="utf-8")
        ssl.create_default_context(cadata=text)
    except (OSError, ValueError) as error:
        raise ValueError(f"--recorder-ca-file {path} holds no certificate: {error}") from error
    return text


def _collector(url: str) -> str:
    """Return a collector's URL without a path: the router and the runtime add their own."""
    if not url:
        return ""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
        raise ValueError(f"--tracing-endpoint must be http://host:port without a path, not {url!r}")
    return f"http://{parts.hostname}:{parts.port or 4318}"


def _prometheus(url: str) -> str:
    """Return a Prometheus' URL as `/api/v1` is put behind it; it may be below a path.

    A password in it would be in every message about it.
    """
    wrong = ValueError(
        "--prometheus-url must be a URL such as http://prometheus.monitoring:9090, without "
        "user, query or fragment"
    )
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError as error:  # a port that is none
        raise wrong from error
    plain = "@" not in url and "?" not in url and "#" not in url and url.split() == [url]
    if url and not (right and plain):
        raise wrong
    return url.rstrip("/")


def _share(share: float) -> float:
    if not 0 < share <= 1:
        raise ValueError(f"--tracing-share must be above 0 and at most 1, not {share:g}")
    return share


def _own_namespace() -> str:
    """The pod's own namespace where there is one: a Lease belongs beside its operator."""
    try:
        with open("/var/run/secrets/kubernetes.io/serviceaccount/namespace", encoding="utf-8") as f:  # noqa: PTH123
            return f.read().strip() or "default"
    except OSError:
        return "default"


def _own_domain() -> str:
    """The cluster's DNS domain: in a pod, what its search list has after `svc.`."""
    try:
        with open("/etc/resolv.conf", encoding="utf-8") as f:  # noqa: PTH123
            lines = [line.split() for line in f if line.startswith("search")]
    except OSError:
        lines = []
    found = (word[4:] for line in lines for word in line[1:] if word.startswith("svc."))
    return next(found, "cluster.local")

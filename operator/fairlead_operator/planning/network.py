"""Who may talk to a model's pods, and to whom they may talk: NetworkPolicies, where wished.

Each of our pods is selected by one of them, so that what no rule names is denied. The kubelet's
probes always pass: Kubernetes lets a pod's own node in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fairlead_operator.planning import names
from fairlead_operator.planning.podtemplate import GRPC_PORT, HTTP_PORT, METRICS_PORT
from fairlead_operator.planning.router import METRICS_PORT as ROUTER_METRICS_PORT
from fairlead_operator.planning.source import scheme

Rule = Mapping[str, Any]
_FIELDS = ("operator", "clientsFrom", "metricsFrom", "modelsTo", "recorderTo")
_TRAFFIC = (HTTP_PORT, GRPC_PORT)
_STORE_PORT = 443
_PORTS = {"http": 80, "https": 443}
_OBJECT_STORES = ("s3", "gs", "az")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """What policies say beside what follows from the parts that there are.

    A peer is one of a NetworkPolicy; without a `namespaceSelector` it is in the model's namespace.

    Attributes:
        operator: The operator's pods: they read what models and routers report.
        clients_from: Peers that may ask for predictions; none means anybody.
        metrics_from: Peers that may scrape beside the operator; without either, anybody.
        models_to: Egress rules of model pods beside DNS; none means the port of the model's URI.
        recorder_to: The recorder's pod, to which routers send exposures; none means anybody.
    """

    operator: tuple[Rule, ...] = ()
    clients_from: tuple[Rule, ...] = ()
    metrics_from: tuple[Rule, ...] = ()
    models_to: tuple[Rule, ...] = ()
    recorder_to: tuple[Rule, ...] = ()


def parse(text: str) -> Policies | None:
    """Return the policies that a flag asks for; None where there are to be none.

    Args:
        text: `off`, `on`, or a JSON object with lists of peers (`operator`, `clientsFrom`,
            `metricsFrom`, `recorderTo`) and egress rules (`modelsTo`).

    Raises:
        ValueError: It is none of these; the message says what is wrong.
    """
    if text in ("", "off"):
        return None
    if text == "on":
        return Policies()
    try:
        given = json.loads(text)
    except ValueError as error:
        raise ValueError(f"must be off, on or JSON: {error}") from error
    if not isinstance(given, dict) or set(given) - set(_FIELDS):
        raise ValueError(f"must be a JSON object with fields of {', '.join(_FIELDS)}")
    for field, rules in given.items():
        if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
            raise ValueError(f"{field} must be a list of objects")
    operator, clients, metrics, models, recorder = (tuple(given.get(f) or ()) for f in _FIELDS)
    return Policies(
        operator=operator,
        clients_from=clients,
        metrics_from=metrics,
        models_to=models,
        recorder_to=recorder,
    )


def models(
    name: str, policies: Policies, uris: Iterable[str], predictions: str = ""
) -> dict[str, Any]:
    """Return the spec for the pods of all revisions.

    Args:
        name: The ModelDeployment's name.
        policies: The operator's settings.
        uris: The URIs of the models of all revisions that live, and of their profiles.
        predictions: URL of the recorder, where a revision sends its predictions there.
    """
    egress = _fetching(policies, uris)
    if (port := _port(predictions)) is not None:
        egress.append(_rule((port,), "to", policies.recorder_to))
    clients = policies.clients_from
    if clients:  # where anybody may ask, routers and the operator may as well
        routers = {"podSelector": {"matchLabels": _app(names.ROUTER_APP)}}
        clients = (*policies.operator, routers, *clients)
    return _spec(
        {names.OWNER_LABEL: name},
        ingress=[
            _rule(_TRAFFIC, "from", clients),
            _rule((METRICS_PORT,), "from", (*policies.operator, *policies.metrics_from)),
        ],
        egress=egress,
    )


def validation(name: str, policies: Policies, uris: Iterable[str]) -> dict[str, Any]:
    """Return the spec for the pods of validation Jobs: nobody asks them anything."""
    labels = {**_app(names.VALIDATION_APP), "app.kubernetes.io/instance": name}
    return _spec(labels, ingress=[], egress=_fetching(policies, uris))


def router(name: str, policies: Policies, recorder: str | None) -> dict[str, Any]:
    """Return the spec for the router's pods.

    Args:
        name: The ModelDeployment's name.
        policies: The operator's settings.
        recorder: `host:port` of the recorder; None where there is none.
    """
    arms = {"podSelector": {"matchLabels": _app(names.MODEL_APP)}}
    egress = [_dns(), _rule(_TRAFFIC, "to", (arms,))]
    if recorder is not None:
        port = int(recorder.rpartition(":")[2])
        egress.append(_rule((port,), "to", policies.recorder_to))
    return _spec(
        names.router_selector(name),
        ingress=[
            _rule(_TRAFFIC, "from", policies.clients_from),
            _rule((ROUTER_METRICS_PORT,), "from", (*policies.operator, *policies.metrics_from)),
        ],
        egress=egress,
    )


def tracing(collector: str) -> dict[str, Any]:
    """Return the egress rule of what sends spans to the collector at this URL."""
    port = _port(collector)
    return _rule(() if port is None else (port,), "to", ())


def _spec(
    labels: Mapping[str, str], *, ingress: Sequence[Rule], egress: Sequence[Rule]
) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "podSelector": {"matchLabels": dict(labels)},
        "policyTypes": ["Ingress", "Egress"],
        "egress": list(egress),
    }
    if ingress:  # an empty list is dropped by the API server, and would be applied again and again
        spec["ingress"] = list(ingress)
    return spec


def _rule(ports: Iterable[int], side: str, peers: Sequence[Rule]) -> dict[str, Any]:
    """Return a rule for ports; no peers means all."""
    rule: dict[str, Any] = {"ports": [{"port": port, "protocol": "TCP"} for port in ports]}
    return {**rule, side: list(peers)} if peers else rule


def _dns() -> dict[str, Any]:
    return {"ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]}


def _fetching(policies: Policies, uris: Iterable[str]) -> list[Rule]:
    if policies.models_to:
        return [_dns(), *policies.models_to]
    ports = sorted({port for uri in uris if (port := _port(uri)) is not None})
    return [_dns(), _rule(ports, "to", ())] if ports else [_dns()]


def _port(uri: str) -> int | None:
    """Return the port at which a URI's model is fetched; None where it is not over the network."""
    kind = scheme(uri)
    if kind in _OBJECT_STORES:
        return _STORE_PORT
    if kind not in _PORTS:
        return None
    try:
        return urlsplit(uri).port or _PORTS[kind]
    except ValueError:
        return _PORTS[kind]


def _app(name: str) -> dict[str, str]:
    return {**names.MANAGED_BY, "app.kubernetes.io/name": name}

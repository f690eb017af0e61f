"""Gathers the facts of an installation by asking the API server."""

from __future__ import annotations

import datetime as dt
import email.utils
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import yaml

from fairlead_cli import kinds, reading
from fairlead_cli.cluster import Cluster
from fairlead_cli.doctor import rights
from fairlead_cli.doctor.facts import Facts, Operator
from fairlead_cli.doctor.rights import Right
from fairlead_cli.errors import CLIError, ForbiddenError, NotFoundError
from fairlead_cli.reading import JSON
from fairlead_operator.api import crds
from fairlead_operator.planning import names

T = TypeVar("T")
_OPERATOR = "app.kubernetes.io/part-of=fairlead,app.kubernetes.io/component=operator"
USUAL_NAMESPACE = "fairlead-system"


class _Reader:
    """Remembers what it could not read."""

    def __init__(self) -> None:
        self.unreadable: dict[str, str] = {}

    def __call__(self, what: str, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except NotFoundError:
            return otherwise
        except CLIError as error:
            self.unreadable[what] = str(error)
            return otherwise


def gather(cluster: Cluster, namespace: str | None) -> Facts:
    """Look at everything.

    Args:
        cluster: Where.
        namespace: Look at the models of this namespace only; None looks at all.

    Raises:
        ClusterError: The API server does not answer.
    """
    read = _Reader()
    server = cluster.through("GET", "/version")
    installed: dict[str, tuple[JSON, JSON | None]] = {}
    for name, document in _wanted_crds():
        found = read(f"the CRD {name}", partial(cluster.find, kinds.CRD, None, name), None)
        installed[name] = (document, found)
    nothing: list[JSON] = []
    deployments = read("the operator's Deployment", partial(_deployments, cluster), nothing)
    models = partial(cluster.list, kinds.MODEL_DEPLOYMENT, namespace)
    scalers = partial(cluster.list, kinds.AUTOSCALER, namespace, _managed())
    return Facts(
        now=_date(server.headers.get("date")),
        version=read("the version of Kubernetes", partial(_version, cluster), ""),
        crds=installed,
        operators=tuple(_operator(cluster, each, read) for each in deployments),
        metrics=read("the API metrics.k8s.io", partial(_has_metrics, cluster), otherwise=False),
        models=tuple(read("the ModelDeployments", models, nothing)),
        autoscalers=tuple(read("the autoscalers", scalers, nothing)),
        unreadable=read.unreadable,
    )


def _managed() -> str:
    return ",".join(f"{key}={value}" for key, value in names.MANAGED_BY.items())


def _date(text: str | None) -> dt.datetime:
    try:
        return email.utils.parsedate_to_datetime(str(text))
    except ValueError:
        return dt.datetime.now(dt.UTC)


def _version(cluster: Cluster) -> str:
    return str(cluster.request("GET", "/version").get("gitVersion", "")).removeprefix("v")


def _wanted_crds() -> list[tuple[str, JSON]]:
    documents = [yaml.safe_load(text) for text in crds.files().values()]
    return [(reading.name(each), each) for each in documents]


def _has_metrics(cluster: Cluster) -> bool:
    return cluster.through("GET", "/apis/metrics.k8s.io/v1beta1").status == 200


def _deployments(cluster: Cluster) -> list[JSON]:
    try:
        return cluster.list(kinds.DEPLOYMENT, None, _OPERATOR)
    except ForbiddenError:
        return cluster.list(kinds.DEPLOYMENT, USUAL_NAMESPACE, _OPERATOR)


def _operator(cluster: Cluster, deployment: JSON, read: _Reader) -> Operator:
    where, name = str(reading.meta(deployment)["namespace"]), reading.name(deployment)
    flags, served = settings(deployment)
    home = flags.get("lease-namespace", where)
    labels = reading.mapping(
        reading.mapping(reading.mapping(deployment.get("spec")).get("selector")).get("matchLabels")
    )
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    about = f"of {where}/{name}"
    nothing: list[JSON] = []
    lease_name = flags.get("lease-name", "fairlead-operator")
    lease = partial(cluster.find, kinds.LEASE, home, lease_name)
    asked = [(each, right) for each in served or ("",) for right in rights.where_models_are()]
    asked += [(home, right) for right in rights.where_the_operator_is(lease_name)]
    missing = partial(_missing, cluster, _account(deployment), asked)
    return Operator(
        deployment=deployment,
        flags=flags,
        namespaces=served,
        pods=tuple(
            read(f"the pods {about}", partial(cluster.list, kinds.POD, where, selector), nothing)
        ),
        lease=read(f"the Lease {about}", lease, None),
        missing=read(f"the rights {about}", missing, None),
    )


def settings(deployment: Mapping[str, Any]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the flags of an operator's Deployment, and the namespaces that it serves."""
    spec = reading.mapping(
        reading.mapping(reading.mapping(deployment.get("spec")).get("template")).get("spec")
    )
    flags: dict[str, str] = {}
    served: list[str] = []
    for container in reading.items(spec.get("containers"))[:1]:
        for each in reading.items(container.get("env")):
            key = str(each.get("name", ""))
            if key.startswith("FAIRLEAD_") and each.get("value"):
                flags[key.removeprefix("FAIRLEAD_").lower().replace("_", "-")] = str(each["value"])
        served = flags.pop("namespace", "").replace(",", " ").split()
        given = []
        for argument in container.get("args") or []:
            key, _, value = str(argument).partition("=")
            if key == "--namespace":
                given.append(value)
            elif key.startswith("--"):
                flags[key.removeprefix("--")] = value
        served = given or served
    return flags, tuple(served)


def _account(deployment: Mapping[str, Any]) -> str:
    spec = reading.mapping(
        reading.mapping(reading.mapping(deployment.get("spec")).get("template")).get("spec")
    )
    where = reading.meta(deployment).get("namespace")
    return f"system:serviceaccount:{where}:{spec.get('serviceAccountName') or 'default'}"


def _missing(
    cluster: Cluster, user: str, asked: list[tuple[str, Right]]
) -> tuple[tuple[str, Right], ...]:
    return tuple(each for each in asked if not _allowed(cluster, user, *each))


def _allowed(cluster: Cluster, user: str, where: str, right: Right) -> bool:
    attributes = {
        "namespace": where,
        "group": right.group,
        "resource": right.resource,
        "subresource": right.sub,
        "verb": right.verb,
        "name": right.name,
    }
    body = {"spec": {"user": user, "groups": _groups(user), "resourceAttributes": attributes}}
    answer = cluster.create(kinds.ACCESS_REVIEW, None, body)
    return bool(reading.status(answer).get("allowed"))


def _groups(user: str) -> list[str]:
    """Return the groups that the API server gives a ServiceAccount."""
    namespace = user.split(":")[2]
    return [
        "system:serviceaccounts",
        f"system:serviceaccounts:{namespace}",
        "system:authenticated",
    ]

"""`drift`: whether a model's inputs and predictions are still those that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from fairlead_cli import kinds, output, reading
from fairlead_cli.cluster import Cluster, pod_path, resource_name
from fairlead_cli.commands import options
from fairlead_cli.errors import CLIError
from fairlead_cli.reading import JSON
from fairlead_operator.planning import names
from fairlead_runtime.contract.drift_report import MAX_REPORT_BYTES, PATH

if TYPE_CHECKING:  # it loads numpy, which most commands do without
    from fairlead_cli.views.drift import Told

_PORT_NAME = "metrics"
"""What a model's container calls its inner port; without one there is nothing to read."""


@click.command("drift")
@options.model_name
@options.formatted
@options.where
def drift(target: options.Target, name: str, *, form: str) -> None:
    """Show how far a model's requests have drifted.

    First the operator's verdict, which rests on several looks in a row; then one look at what the
    pods have counted so far. Their counts are read through the API server, which takes the right to
    get pods/proxy, and are added before they are judged.
    """
    from fairlead_cli.views import drift as view

    cluster = target.connect()
    model = cluster.get(kinds.MODEL_DEPLOYMENT, cluster.namespace, resource_name(name))
    label = f"{names.OWNER_LABEL}={reading.name(model)}"
    pods = cluster.list(kinds.POD, cluster.namespace, label)
    running = [pod for pod in pods if reading.status(pod).get("phase") == "Running"]
    document = view.describe(model, [_ask(cluster, pod) for pod in running])
    if form == "text":
        output.show(view.text(document))
    else:
        output.emit(document, form)


def _ask(cluster: Cluster, pod: JSON) -> Told:
    from fairlead_cli.views import drift as view

    where = reading.name(pod)
    labels = reading.mapping(reading.meta(pod).get("labels"))
    revision = str(labels.get(names.REVISION_LABEL, ""))
    port = inner_port(pod)
    if port is None:
        message = "it has no inner port: its revision is of an older version of Fairlead"
        return view.Told(pod=where, revision=revision, message=message)
    try:
        answer = cluster.through("GET", pod_path(cluster.namespace, where, port, PATH))
    except CLIError as error:
        return view.Told(pod=where, revision=revision, message=str(error))
    if answer.status != 200 or len(answer.body) > MAX_REPORT_BYTES:
        message = f"it answered {answer.status}, {len(answer.body)} bytes"
        return view.Told(pod=where, revision=revision, message=message)
    return view.parse(where, revision, answer.body)


def inner_port(pod: Mapping[str, Any]) -> int | None:
    """Return the port of a pod's metrics and inner pages; None without one."""
    for container in reading.items(reading.mapping(pod.get("spec")).get("containers")):
        for port in reading.items(container.get("ports")):
            if port.get("name") == _PORT_NAME:
                return int(port["containerPort"])
    return None

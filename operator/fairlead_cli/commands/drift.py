"""`drift`: whether a model's inputs and predictions are still those that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from fairlead_cli import kinds, output, reading
from fairlead_cli.cluster import Cluster, pod_path, resource_name
from fairlead_cli.commands import options
from fairlead_cli.errors import CLIError
from fairlead_cli.reading import JSON
from fairlead_cli.views import drift as view
from fairlead_operator.planning import names

_PORT = 8080
_MOST_PODS = 20


@click.command("drift")
@options.model_name
@options.formatted
@options.where
def drift(target: options.Target, name: str, *, form: str) -> None:
    """Show how far a model's requests have drifted.

    That is the operator's verdict, and each pod's own scores. The verdict is over the counts of all
    pods. A pod's scores are of its own share of the requests, so they differ; they are read from
    its metrics, which takes the right to get pods/proxy.
    """
    cluster = target.connect()
    model = cluster.get(kinds.MODEL_DEPLOYMENT, cluster.namespace, resource_name(name))
    scores, unread = _scores(cluster, reading.name(model))
    document = {
        "name": reading.name(model),
        **view.verdict(model),
        "scores": scores,
        "unread": unread,
    }
    if form != "text":
        output.emit(document, form)
        return
    output.show(view.text(document))


def _scores(cluster: Cluster, name: str) -> tuple[list[JSON], list[JSON]]:
    """Return the scores of each pod, and the pods that did not answer."""
    pods = cluster.list(kinds.POD, cluster.namespace, f"{names.OWNER_LABEL}={name}")
    running = [pod for pod in pods if reading.status(pod).get("phase") == "Running"]
    scores: list[JSON] = []
    unread: list[JSON] = []
    for pod in running[:_MOST_PODS]:
        where = reading.name(pod)
        try:
            path = pod_path(cluster.namespace, where, _port(pod), "metrics")
            answer = cluster.through("GET", path, headers={"Accept": "text/plain"})
        except CLIError as error:
            unread.append({"pod": where, "message": str(error)})
            continue
        if answer.status != 200:
            unread.append({"pod": where, "message": f"its metrics answered {answer.status}"})
            continue
        labels = reading.mapping(reading.meta(pod).get("labels"))
        about = {"pod": where, "revision": labels.get(names.REVISION_LABEL)}
        scores += [{**about, **each} for each in view.scores(answer.body.decode())]
    return scores, unread


def _port(pod: Mapping[str, Any]) -> int:
    """Return the port of the metrics, as the pod's annotation says it."""
    annotations = reading.mapping(reading.meta(pod).get("annotations"))
    text = str(annotations.get("prometheus.io/port", ""))
    return int(text) if text.isdigit() else _PORT

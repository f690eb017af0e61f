"""`status`: what is, as a tree; with `--watch`, again and again."""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Callable

import click
from rich.console import RenderableType
from rich.text import Text

from fairlead_cli import kinds, output, reading
from fairlead_cli.cluster import Cluster, resource_name
from fairlead_cli.commands import options
from fairlead_cli.errors import ClusterError, ForbiddenError, InputError, NotFoundError
from fairlead_cli.reading import JSON
from fairlead_cli.views import experiment, listing, model
from fairlead_operator.planning import names

Shown = tuple[JSON, Callable[[dt.datetime], RenderableType]]
"""A document, and what people see of it at an instant."""
Look = Callable[[], Shown]
_EXPERIMENTS = ("experiment/", "experiments/", "mexp/")


@click.command("status")
@click.argument("name", metavar="[NAME]", required=False, shell_complete=options.complete_models)
@click.option("-w", "--watch", is_flag=True, help="Show it again whenever it changes.")
@click.option(
    "--interval", type=click.FloatRange(min=0.2), default=2.0, show_default=True, metavar="SECONDS",
    help="How often --watch looks.",
)  # fmt: skip
@click.option("-A", "--all-namespaces", is_flag=True, help="Without NAME: of all namespaces.")
@options.formatted
@options.where
def status(
    target: options.Target,
    name: str | None,
    *,
    watch: bool,
    interval: float,
    all_namespaces: bool,
    form: str,
) -> None:
    """Show a model: its revisions, their traffic, checks and pods.

    NAME is a ModelDeployment or an Experiment; `experiment/NAME` means the latter where both have
    the name. Without NAME, all of the namespace are listed.
    """
    if watch and form != "text":
        raise InputError("--watch shows text only", hint="kubectl get --watch -o json gives JSON")
    cluster = target.connect()

    def look() -> Shown:
        if name is None:
            found = _all(cluster, None if all_namespaces else cluster.namespace)
            return found, lambda now: listing.tables(found, now, namespaces=all_namespaces)
        return _one(cluster, name)

    if watch:
        _watch(look, interval)
        return
    document, render = look()
    if form == "text":
        output.show(render(_now()))
    else:
        output.emit(document, form)


def _pods_of(name: str) -> str:
    """Return the selector of a model's pods and its routers'."""
    labels = {**names.MANAGED_BY, "app.kubernetes.io/instance": name}
    return ",".join(f"{key}={value}" for key, value in labels.items())


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _one(cluster: Cluster, name: str) -> Shown:
    where = cluster.namespace
    if not name.startswith(_EXPERIMENTS):
        plain = resource_name(name)
        found = cluster.find(kinds.MODEL_DEPLOYMENT, where, plain)
        if found is not None:
            pods = cluster.list(kinds.POD, where, _pods_of(plain))
            document = model.describe(found, pods, _experiments(cluster, where))
            return document, lambda now: model.tree(document, now)
    plain = name.rpartition("/")[2]
    resource = cluster.find(kinds.EXPERIMENT, where, plain)
    if resource is None:
        raise NotFoundError(
            f"there is no ModelDeployment and no Experiment {plain!r} in namespace {where}",
            hint="fairlead status --all-namespaces lists those that there are",
        )
    described = experiment.describe(resource)
    return described, lambda now: experiment.tree(described, now)


def _experiments(cluster: Cluster, namespace: str | None) -> list[JSON]:
    """Return Experiments; none where this Fairlead, or this user's rights, have none."""
    try:
        return cluster.list(kinds.EXPERIMENT, namespace)
    except NotFoundError:
        return []


def _all(cluster: Cluster, namespace: str | None) -> JSON:
    models = cluster.list(kinds.MODEL_DEPLOYMENT, namespace)
    return {
        "modelDeployments": [listing.model_row(each) for each in models],
        "experiments": [
            {"namespace": reading.meta(each).get("namespace"), **experiment.summary(each),
             "createdAt": reading.meta(each).get("creationTimestamp")}
            for each in _experiments(cluster, namespace)
        ],
    }  # fmt: skip


def _patient(look: Look) -> Look:
    """Return a look that goes on where the API server does not answer for a while.

    The first one must succeed, and what is gone or forbidden ends it.
    """
    seen = False

    def again() -> Shown:
        nonlocal seen
        try:
            found = look()
        except ForbiddenError:
            raise
        except ClusterError as error:
            if not seen:
                raise
            text = output.styled(f"{error}; it is tried again", "bad")
            return {"error": str(error)}, lambda _: text
        seen = True
        return found

    return again


def _watch(look: Look, interval: float) -> None:
    look = _patient(look)
    if sys.stdout.isatty():
        from rich.live import Live

        with Live(console=output.console(), auto_refresh=False, screen=False) as live:
            while True:
                live.update(look()[1](_now()), refresh=True)
                time.sleep(interval)
    before: JSON | None = None
    while True:
        document, render = look()
        if document != before:
            if before is not None:
                output.show(Text(""))
            output.show(render(_now()))
            sys.stdout.flush()
            before = document
        time.sleep(interval)

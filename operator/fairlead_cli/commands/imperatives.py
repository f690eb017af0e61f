"""`promote`, `pause`, `resume`, `abort`, `retry`: what people say to a rollout; and `stop`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import click

from fairlead_cli import kinds, output, reading
from fairlead_cli.cluster import Cluster, resource_name
from fairlead_cli.commands import options
from fairlead_cli.errors import CLIError, ClusterError, ForbiddenError, InputError, TimedOutError
from fairlead_cli.reading import JSON
from fairlead_cli.views import rollout

PREFIX = "fairlead.dev/"
_LOOK_S = 0.5
_VERBS = {
    "promote": (
        "Give the candidate all of the traffic.",
        "Whatever its checks say so far. It needs a ready replica, and has to be validated.",
    ),
    "pause": (
        "Keep the rollout at its step.",
        "A candidate that fails is rolled back all the same.",
    ),
    "resume": (
        "Let a paused rollout go on.",
        "One that `pause` has paused; `spec.rollout.paused` is taken back in the spec.",
    ),
    "abort": (
        "Give all traffic back to the stable revision.",
        "The candidate is not tried again until `retry`, or another spec.",
    ),
    "retry": (
        "Try a revision again that was rolled back.",
        "It begins with the validation.",
    ),
}


def commands() -> list[click.Command]:
    """Return a command for each imperative."""
    return [_command(verb, *texts) for verb, texts in _VERBS.items()]


def _command(verb: str, short: str, more: str) -> click.Command:
    @click.command(
        verb,
        short_help=short,
        help=f"{short}\n\n{more}\n\nSets the annotation {PREFIX}{verb} and waits until the "
        "operator has acted on it. It is acted on once, and only for the revision that it names.",
    )
    @options.model_name
    @click.option(
        "--revision", metavar="HASH",
        help="Revision that is meant (default: the one that is under way, or was rolled back).",
    )  # fmt: skip
    @click.option("--no-wait", is_flag=True, help="Do not wait for the operator.")
    @click.option(
        "--timeout", type=click.FloatRange(min=0), default=60.0, show_default=True,
        metavar="SECONDS", help="How long to wait for the operator.",
    )  # fmt: skip
    @options.formatted
    @options.where
    def command(
        target: options.Target,
        name: str,
        *,
        revision: str | None,
        no_wait: bool,
        timeout: float,
        form: str,
    ) -> None:
        cluster = target.connect()
        name = resource_name(name)
        model = cluster.get(kinds.MODEL_DEPLOYMENT, cluster.namespace, name)
        value = f"{revision or revision_of(verb, model)}/{secrets.token_hex(4)}"
        patch = {"metadata": {"annotations": {f"{PREFIX}{verb}": value}}}
        cluster.merge(kinds.MODEL_DEPLOYMENT, cluster.namespace, name, patch)
        if no_wait:
            _tell(form, {"verb": verb, "value": value, "result": "asked for"}, name)
            return
        action = _wait(cluster, name, verb, value, timeout)
        _tell(form, action, name)
        if rollout.refused(action):
            raise click.exceptions.Exit(1)

    return command


def revision_of(verb: str, model: Mapping[str, Any]) -> str:
    """Return the revision that an imperative without `--revision` means.

    Raises:
        CLIError: The status names none.
    """
    status = reading.status(model)
    under_way = reading.mapping(status.get("rollout"))
    ending = reading.mapping(under_way.get("ending"))
    for found in (under_way.get("hash"), status.get("candidateRevision"), ending.get("hash")):
        if found:
            return str(found)
    raise CLIError(
        f"there is nothing to {verb}: no revision of {reading.name(model)} is under way",
        hint=f"fairlead status {reading.name(model)} shows where it stands; --revision names one",
    )


def _wait(cluster: Cluster, name: str, verb: str, value: str, timeout: float) -> JSON:
    def look() -> JSON | None:
        model = cluster.get(kinds.MODEL_DEPLOYMENT, cluster.namespace, name)
        action = reading.last_action(model)
        done = action.get("verb", verb) == verb and action.get("value") == value
        return action if done else None

    return _until(look, f"the operator has not acted on {verb} of {name}", timeout)


def _until(look: Callable[[], JSON | None], what: str, timeout: float) -> JSON:
    """Look until there is something; the API server may be away for a while meanwhile.

    Raises:
        TimedOutError: There was nothing in time.
    """
    deadline = time.monotonic() + timeout
    away = ""
    while True:
        try:
            found = look()
        except ForbiddenError:
            raise
        except ClusterError as error:
            found, away = None, f" ({error})"
        else:
            away = ""
        if found is not None:
            return found
        if time.monotonic() >= deadline:
            raise TimedOutError(
                f"{what} within {timeout:g} s{away}",
                hint="it will when it runs again: fairlead doctor says whether it does",
            )
        time.sleep(min(_LOOK_S, max(0.0, deadline - time.monotonic())))


def _tell(form: str, action: JSON, name: str) -> None:
    if form != "text":
        output.emit(action, form)
        return
    revision = str(action.get("value", "")).partition("/")[0]
    text = f"{action.get('result') or 'done'} (revision {reading.short(revision)} of {name})"
    output.show(output.styled(text, "bad" if rollout.refused(action) else "good"))


@click.command("stop")
@options.experiment_name
@click.option("--no-wait", is_flag=True, help="Do not wait for the operator.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), default=60.0, show_default=True, metavar="SECONDS",
    help="How long to wait for the operator.",
)  # fmt: skip
@options.formatted
@options.where
def stop(target: options.Target, name: str, *, no_wait: bool, timeout: float, form: str) -> None:
    """End an Experiment.

    Everybody gets the control, and what was measured stays. Sets `spec.stopped`, which cannot be
    taken back. Where Git holds the Experiment, set it there.
    """
    cluster = target.connect()
    name = name.rpartition("/")[2]
    if not name:
        raise InputError("name an Experiment")
    cluster.get(kinds.EXPERIMENT, cluster.namespace, name)
    found = cluster.merge(kinds.EXPERIMENT, cluster.namespace, name, {"spec": {"stopped": True}})
    if not no_wait:

        def look() -> JSON | None:
            live = cluster.get(kinds.EXPERIMENT, cluster.namespace, name)
            return live if _ended(live) else None

        found = _until(look, f"the operator has not stopped {name}", timeout)
    phase = reading.status(found).get("phase") or "asked for"
    if form == "text":
        output.show(output.styled(f"{phase}: {name}", "good"))
    else:
        output.emit({"name": name, "phase": phase}, form)


def _ended(resource: Mapping[str, Any]) -> bool:
    status = reading.status(resource)
    return reading.current(resource) and bool(
        status.get("endedAt") or str(status.get("phase")) in ("Stopped", "Decided", "Inconclusive")
    )

"""`history`: the rollouts that have ended, and the revisions that live."""

from __future__ import annotations

import click
from rich.text import Text

from fairlead_cli import kinds, output, reading
from fairlead_cli.cluster import resource_name
from fairlead_cli.commands import options
from fairlead_cli.reading import JSON
from fairlead_cli.views import rollout

_OUTCOMES = {"Promoted": "good", "Aborted": "busy", "Superseded": "dim", "Reverted": "dim"}


@click.command("history")
@options.model_name
@options.formatted
@options.where
def history(target: options.Target, name: str, *, form: str) -> None:
    """Show the last rollouts of a model.

    The last one comes first; then the revisions that live.
    """
    cluster = target.connect()
    model = cluster.get(kinds.MODEL_DEPLOYMENT, cluster.namespace, resource_name(name))
    ended = rollout.history(model)
    revisions = [_revision(each) for each in reading.items(reading.status(model).get("revisions"))]
    if form != "text":
        output.emit({"rollouts": ended, "revisions": revisions}, form)
        return
    if ended:
        rows = [
            [
                output.styled(reading.short(each.get("hash"))),
                output.styled(each.get("version", "")),
                _outcome(each),
                *(output.styled(each.get(key) or "") for key in ("startedAt", "endedAt")),
                output.styled(each.get("message") or ""),
            ]
            for each in ended
        ]
        columns = ("revision", "version", "outcome", "started", "ended", "message")
        output.show(output.table(columns, rows))
    else:
        output.show(Text("No rollout has ended yet."))
    if revisions:
        head = ("revision", "version", "state", "since", "model")
        fields = ("hash", "version", "state", "since", "uri")
        output.show(
            Text(""),
            output.table(
                head, [[str(each.get(key) or "") for key in fields] for each in revisions]
            ),
        )


def _outcome(each: JSON) -> Text:
    outcome = str(each.get("outcome") or "")
    return output.styled(outcome, _OUTCOMES.get(outcome, "bad"))


def _revision(each: JSON) -> JSON:
    return {
        "hash": reading.short(each.get("hash")),
        "version": each.get("version"),
        "state": each.get("state"),
        "since": each.get("activeAt") or each.get("createdAt"),
        "uri": reading.mapping(each.get("model")).get("uri"),
    }

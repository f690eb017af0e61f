"""`report`: the recorder's page of an Experiment, as a file that needs nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from urllib.parse import quote

import click

from fairlead_cli import kinds, output, reading
from fairlead_cli.cluster import Answer, Cluster, service_path
from fairlead_cli.commands import options
from fairlead_cli.errors import CLIError, ClusterError, ForbiddenError, InputError, NotFoundError

_RECORDER = "app.kubernetes.io/part-of=fairlead,app.kubernetes.io/component=recorder"
_PORT = "http"
_HINT = "--recorder NAMESPACE/SERVICE names it"


@click.command("report")
@options.experiment_name
@click.option(
    "-o", "--output", "file", metavar="FILE",
    help="Where it is written (default: NAME.html); - writes to standard output.",
)  # fmt: skip
@click.option(
    "--recorder", metavar="NAMESPACE/SERVICE",
    help="The recorder's Service (default: the only one that there is in the cluster).",
)  # fmt: skip
@options.where
def report(target: options.Target, name: str, *, file: str | None, recorder: str | None) -> None:
    """Write an Experiment's page to a file.

    Arms, lift with its interval over time, units, ratio and guardrails, as they are now: HTML
    without scripts that loads nothing. It is read from the recorder through the API server, which
    takes the right to get services/proxy there. An Experiment that was deleted has a report as
    long as the recorder keeps its data.
    """
    name = name.rpartition("/")[2]
    if not name:
        raise InputError("name an Experiment")
    cluster = target.connect()
    live = cluster.find(kinds.EXPERIMENT, cluster.namespace, name)
    namespace, service = _named(recorder) if recorder else _only(cluster)
    page = f"/experiments/{quote(cluster.namespace)}/{quote(name, safe='')}"
    if live is not None:
        # One that was deleted and made again has the data of both.
        page += f"?uid={quote(str(reading.meta(live).get('uid', '')))}"
    answer = cluster.through("GET", service_path(namespace, service, _PORT, page))
    text = _text(answer, f"{namespace}/{service}", f"{cluster.namespace}/{name}")
    if file == "-":
        sys.stdout.write(text)
        return
    path = Path(file or f"{name}.html")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
    output.show(output.styled(f"wrote {path} ({len(text) // 1024} KiB)", "good"))


def _named(text: str) -> tuple[str, str]:
    namespace, slash, service = text.partition("/")
    if not slash or not namespace or not service or "/" in service:
        raise InputError(f"{text!r} is no NAMESPACE/SERVICE")
    return namespace, service


def _only(cluster: Cluster) -> tuple[str, str]:
    try:
        found = cluster.list(kinds.SERVICE, None, _RECORDER)
    except ForbiddenError as error:
        raise ForbiddenError(f"the recorder cannot be looked for: {error}", hint=_HINT) from error
    where = [(str(reading.meta(each).get("namespace")), reading.name(each)) for each in found]
    if not where:
        raise NotFoundError(
            "there is no recorder in this cluster",
            hint=f"the chart's recorder.enabled brings it; {_HINT}",
        )
    if len(where) > 1:
        listed = ", ".join("/".join(each) for each in sorted(where))
        raise InputError(f"there are several recorders: {listed}", hint=_HINT)
    return where[0]


def _text(answer: Answer, recorder: str, experiment: str) -> str:
    """Return the page.

    Raises:
        CLIError: There is none; the message is the recorder's own, or the API server's.
    """
    body = answer.body.decode(errors="replace")
    if answer.status == 200 and answer.headers.get("content-type", "").startswith("text/html"):
        return body
    try:
        document = json.loads(body)
    except ValueError:
        document = {}
    fields = reading.mapping(document)
    if fields.get("kind") == "Status":  # Kubernetes' own word, not the recorder's
        message = f"the recorder {recorder} cannot be asked: {fields.get('message')}"
        if answer.status == 404:
            raise NotFoundError(message, hint=_HINT)
        if answer.status in (401, 403):
            raise ForbiddenError(message, hint="it takes the right to get services/proxy there")
        raise ClusterError(message, hint="kubectl fairlead doctor says what does not run")
    said = str(fields.get("error") or body.strip()[:300] or f"status {answer.status}")
    if answer.status == 404:
        raise NotFoundError(
            f"the recorder has nothing of {experiment}: {said}",
            hint=f"kubectl fairlead status experiment/{experiment.rpartition('/')[2]} "
            "says whether it has begun",
        )
    raise CLIError(f"the recorder {recorder} answered {answer.status}: {said}")

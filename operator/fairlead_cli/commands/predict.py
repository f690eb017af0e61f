"""`predict`: one request to a model at its address, by the API server or by a URL."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import click

from fairlead_cli import kinds, output
from fairlead_cli.cluster import Answer, resource_name, service_path
from fairlead_cli.commands import options
from fairlead_cli.errors import CLIError, ClusterError, InputError
from fairlead_runtime.contract import names as contract

_MAX_BYTES = 64 << 20
_PORT = "http"
_TOLD = {
    contract.MODEL_VERSION_HEADER: "version",
    contract.VARIANT_HEADER: "variant",
    contract.EXPERIMENT_HEADER: "experiment",
}


@click.command("predict")
@options.model_name
@click.option(
    "-i", "--input", "file", required=True, metavar="FILE",
    help="JSON: a row, a list of rows, a body of /predict or of the Open Inference Protocol v2; "
    "- reads standard input.",
)  # fmt: skip
@click.option(
    "-H", "--header", "headers", multiple=True, metavar="NAME: VALUE",
    help="Send a header, for example the one that an Experiment assigns by.",
)  # fmt: skip
@click.option(
    "--url", metavar="URL",
    help="Ask here and not by the API server, for example http://127.0.0.1:8080.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=30.0, show_default=True,
    metavar="SECONDS", help="How long to wait for the answer.",
)  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Do not say which version and variant answered.")
@options.formatted
@options.where
def predict(
    target: options.Target,
    name: str,
    *,
    file: str,
    headers: tuple[str, ...],
    url: str | None,
    timeout: float,
    quiet: bool,
    form: str,
) -> None:
    """Send a request to a model and print its answer.

    A list of numbers, or of rows, is sent to /predict as features; an object with a list `inputs`
    is a request of the Open Inference Protocol; any other object goes to /predict as it is. The
    request goes through the API server, which needs the right to create services/proxy, or with
    --url straight to an address.
    """
    name = resource_name(name)
    path, body = request(_read(file), name)
    sent = {"Content-Type": "application/json", **dict(map(_header, headers))}
    if url is None:
        cluster = target.connect()
        cluster.get(kinds.MODEL_DEPLOYMENT, cluster.namespace, name)
        where = service_path(cluster.namespace, name, _PORT, path)
        answer = cluster.through("POST", where, body, sent, timeout_s=timeout)
    else:
        answer = _ask(url.rstrip("/") + path, body, sent, timeout)
    document = _document(answer)
    if not quiet:
        told = [f"{word} {answer.headers[key]}" for key, word in _TOLD.items()
                if answer.headers.get(key)]  # fmt: skip
        if told:
            sys.stderr.write(f"answered by {', '.join(told)}\n")
    output.emit(document, "yaml" if form == "yaml" else "json")


def request(text: str, name: str) -> tuple[str, bytes]:
    """Return path and body of the request that an input means.

    Raises:
        InputError: It is not JSON, or no request.
    """
    try:
        document: Any = json.loads(text)
    except ValueError as error:
        raise InputError(f"the input is not JSON: {error}") from error
    if isinstance(document, list) and document:
        return "/predict", json.dumps({"features": document}).encode()
    if isinstance(document, dict):
        protocol = isinstance(document.get("inputs"), list)
        return (f"/v2/models/{name}/infer" if protocol else "/predict"), text.encode()
    raise InputError(
        "the input is neither rows nor a request",
        hint='for example [[0.1, 2.5, 3]], or {"features": [[0.1, 2.5, 3]]}',
    )


def _read(file: str) -> str:
    try:
        if file == "-":
            data = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as opened:
                data = opened.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise InputError(f"the input is larger than {_MAX_BYTES >> 20} MiB: send fewer rows")
        return data.decode()
    except OSError as error:
        raise InputError(f"the input cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"the input is not UTF-8: {error}") from error


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise InputError(f"{text!r} is no header: write NAME: VALUE")
    return name.strip(), value.strip()


def _ask(url: str, body: bytes, headers: dict[str, str], timeout: float) -> Answer:
    if not url.startswith(("http://", "https://")):
        raise InputError(f"--url {url} must begin with http:// or https://")
    asked = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310
    try:
        with urllib.request.urlopen(asked, timeout=timeout) as answer:  # noqa: S310
            return Answer(answer.status, _lowered(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _lowered(error.headers), error.read())
    except OSError as error:
        raise ClusterError(f"{url} does not answer: {error}") from error


def _lowered(headers: Any) -> dict[str, str]:  # noqa: ANN401 - the standard library's message
    return {str(key).lower(): str(value) for key, value in headers.items()}


def _document(answer: Answer) -> Any:  # noqa: ANN401 - whatever the model answers
    try:
        document: Any = json.loads(answer.body)
    except ValueError:
        document = None
    if answer.status < 300 and document is not None:
        return document
    # A Status of Kubernetes is the API server's own word, not the model's.
    own = isinstance(document, dict) and document.get("kind") == "Status"
    text = answer.body.decode(errors="replace").strip()[:2000]
    if own:
        raise ClusterError(
            f"the request did not reach the model ({answer.status}): {document.get('message')}",
            hint="fairlead status shows whether the model serves; it takes the right to create "
            "services/proxy, or --url",
        )
    raise CLIError(f"the model answered {answer.status}: {text}")

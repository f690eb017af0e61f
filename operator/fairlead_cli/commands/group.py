"""The command line as a whole."""

from __future__ import annotations

from importlib import metadata

import click

from fairlead_cli.commands import (
    assign,
    doctor,
    drift,
    history,
    imperatives,
    options,
    plan,
    predict,
    report,
)
from fairlead_cli.commands import completion as completing
from fairlead_cli.commands import status as showing

_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001
    if not wanted:
        return
    try:
        click.echo(f"fairlead {metadata.version('fairlead')}")
    except metadata.PackageNotFoundError:
        click.echo("fairlead, from a checkout")
    ctx.exit()


@click.group(context_settings=_HELP)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
    help="Print the version.",
)  # fmt: skip
@options.on_group
@click.pass_context
def cli(
    ctx: click.Context, *, namespace: str | None, context: str | None, kubeconfig: str | None
) -> None:
    """Models on Kubernetes: what they do, what to do about it, and whether all is well.

    Runs as `kubectl fairlead` or `fairlead`, with the rights of your kubeconfig.
    """
    ctx.obj = options.Target(namespace=namespace, context=context, kubeconfig=kubeconfig)


for _command in (
    showing.status,
    *imperatives.commands(),
    imperatives.stop,
    history.history,
    predict.predict,
    assign.assign,
    plan.plan,
    report.report,
    drift.drift,
    doctor.doctor,
    completing.completion,
):
    cli.add_command(_command)

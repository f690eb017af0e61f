"""`completion`: what a shell sources to complete our words."""

from __future__ import annotations

import click

from fairlead_cli import completion as shells


@click.command("completion")
@click.argument("shell", type=click.Choice(shells.SHELLS))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    For example `source <(fairlead completion bash)`. kubectl completes the plugin by itself where
    kubectl_complete-fairlead is on the path, as this package installs it.
    """
    click.echo(shells.script(shell))

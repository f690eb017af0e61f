"""The commands: flags in, requests, and what the views make of the answers."""

from fairlead_cli.commands.group import cli

__all__ = ["cli"]
